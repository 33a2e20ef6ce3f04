"""The grid source: every asset's price, then every book's fair price, one step after the other."""

from collections.abc import Sequence

from exchanges.simulator.latent import STEP_S
from exchanges.simulator.market.draws import Draws
from exchanges.simulator.market.fair import STEP_NS, FairPrice, FollowedPrice, StrayPlan
from exchanges.simulator.market.listings import price_name
from exchanges.simulator.market.scenarios import Scenario, Stray
from exchanges.simulator.market.stage import Fired, Stage

_SMALL_BPS = 20.0


class PriceGrid:
    """Steps all prices."""

    def __init__(
        self, assets: dict[str, FollowedPrice], stages: Sequence[Stage], scenario: Scenario, seed: int
    ) -> None:
        self._assets = list(assets.values())
        self._fairs = [stage.fair for stage in stages]
        self._plans = [
            StrayPlan(Draws(seed, f"stray {name} {number}"), stray, _astray(stages, name, stray))
            for name in assets
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


def _astray(stages: Sequence[Stage], name: str, stray: Stray) -> list[FairPrice]:
    """The books of a price that a kind of dislocation may strike: perpetuals; a cross by the small ones alone."""
    followed = [stage for stage in stages if price_name(stage.listing.instrument) == name]
    if stray.peak_bps[1] <= _SMALL_BPS:
        followed = [
            one for one in followed if one.listing.instrument.is_perpetual or name != one.listing.instrument.base
        ]
    else:
        followed = [one for one in followed if one.listing.instrument.is_perpetual]
    return [one.fair for one in followed]
