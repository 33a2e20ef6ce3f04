"""The days that the simulated market can have."""

from collections.abc import Mapping
from dataclasses import dataclass

from bot.errors import SettingsError
from bot.suggestion import did_you_mean


@dataclass(frozen=True, slots=True)
class Stray:
    """A kind of dislocation: a perpetual leaves its fair price, up or down, and returns exponentially."""

    every_s: float
    """One in each such span, per asset, at a random moment of it."""
    peak_bps: tuple[float, float]
    """Smallest and largest."""
    half_life_s: tuple[float, float]
    """Of the way back."""


@dataclass(frozen=True, slots=True)
class Stall:
    """A venue falls behind the market now and then: its books stand still, then catch up."""

    venue: str
    every_s: float
    lasts_s: float
    most_s: float
    """How far behind it gets."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """How a day goes; multiples are of what was measured."""

    name: str
    summary: str
    yearly_volatility: float = 0.5
    jumps_an_hour: float = 10.0
    jump_bps: float = 4.0
    """Standard deviation of a jump."""
    down_share: float = 0.5
    """Of jumps that go down."""
    pull_half_life_s: float = 21_600.0
    """The price is drawn back to where it started, so that a run of weeks stays in the instrument's range."""
    depth: float = 1.0
    """Multiple of the quantity at each price."""
    spread: float = 1.0
    """Multiple of the spread in ticks."""
    strays: tuple[Stray, ...] = ()
    stall: Stall | None = None
    halts_an_hour: float = 0.0
    """Of each listing."""
    halt_s: float = 15.0
    faults_per_hour: float = 0.0
    """That the server orders at random moments, unless the settings say how many."""


# Round-trip taker fees of the perpetual pair are 21 bps at the lowest tier. The large ones beat them, the small do not.
_LARGE = Stray(every_s=150.0, peak_bps=(32.0, 60.0), half_life_s=(6.0, 14.0))
_SMALL = Stray(every_s=60.0, peak_bps=(5.0, 15.0), half_life_s=(1.0, 4.0))

SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario("calm", "As measured: after fees hardly ever a profit."),
        Scenario("lively", "Dislocations: some beat the fees, some must be left alone.", strays=(_LARGE, _SMALL)),
        Scenario(
            "crash",
            "Gaps, thin books, and one venue that lags by seconds.",
            yearly_volatility=2.0,
            jumps_an_hour=240.0,
            jump_bps=25.0,
            down_share=0.65,
            pull_half_life_s=1_200.0,
            depth=0.15,
            spread=6.0,
            strays=(_LARGE,),
            stall=Stall("bybit", every_s=90.0, lasts_s=25.0, most_s=4.0),
            halts_an_hour=2.0,
        ),
        Scenario(
            "chaos",
            "As lively, with halts, and a fault every half minute.",
            strays=(_LARGE, _SMALL),
            halts_an_hour=3.0,
            faults_per_hour=120.0,
        ),
    )
}


def scenario_named(name: str) -> Scenario:
    """The scenario of that name.

    Raises:
        SettingsError: If there is none.
    """
    if name not in SCENARIOS:
        raise SettingsError(f"no scenario {name!r}; there are {', '.join(SCENARIOS)}{did_you_mean(name, [*SCENARIOS])}")
    return SCENARIOS[name]
