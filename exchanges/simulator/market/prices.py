"""The grid source: every asset's price, then every book's fair price, one step after the other."""

from collections.abc import Sequence

from exchanges.simulator.latent import STEP_S
from exchanges.simulator.market.draws import Draws
from exchanges.simulator.market.fair import STEP_NS, AssetPrice, FairPrice, StrayPlan
from exchanges.simulator.market.scenarios import Scenario
from exchanges.simulator.market.stage import Fired, Stage


class PriceGrid:
    """Steps all prices."""

    def __init__(self, assets: dict[str, AssetPrice], stages: Sequence[Stage], scenario: Scenario, seed: int) -> None:
        self._assets = list(assets.values())
        self._fairs = [stage.fair for stage in stages]
        self._plans = [
            StrayPlan(Draws(seed, f"stray {base} {number}"), stray, _perpetuals(stages, base))
            for base in assets
            for number, stray in enumerate(scenario.strays)
        ]
        self._steps = 0

    def first_ns(self, start_ns: int) -> int:
        """One step after the start."""
        return start_ns + STEP_NS

    def fire(self, ts_ns: int) -> Fired:
        """One step; nobody sees it but the books."""
        for plan in self._plans:
            plan.step(self._steps * STEP_S)
        self._steps += 1
        for asset in self._assets:
            asset.step()
        for fair in self._fairs:
            fair.step()
        return (), ts_ns + STEP_NS


def _perpetuals(stages: Sequence[Stage], base: str) -> list[FairPrice]:
    instruments = [(stage, stage.listing.instrument) for stage in stages]
    return [stage.fair for stage, instrument in instruments if instrument.base == base and instrument.is_perpetual]
