"""What pricing is given, as explicit values: a case can be worked out by hand and written down.

None means that it is not known. What is not known, not finite or out of its range refuses the routes that need it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Instrument
from bot.domain.legs import TransferLeg
from bot.ports import InstrumentView, Statistics, TransferEstimate


@dataclass(frozen=True, slots=True)
class FundingInput:
    """What holding a perpetual pays at each settlement."""

    rate_bps: float
    """Expected at each settlement to come; positive: a long pays."""
    interval_s: float
    next_s: float | None = None
    """From now to the next settlement; None where nothing tells: then any moment is as likely as another."""
    cap_bps: float | None = None
    """The highest rate that the venue's rules allow; None where it does not tell. `floor_bps` is the lowest."""
    floor_bps: float | None = None
    assumed: bool = False

    @property
    def bounded_bps(self) -> float:
        """The rate within its bounds."""
        high = self.rate_bps if self.cap_bps is None else min(self.rate_bps, self.cap_bps)
        return high if self.floor_bps is None else max(high, self.floor_bps)


@dataclass(frozen=True, slots=True)
class InstrumentInput:
    """What is known of one instrument."""

    instrument: Instrument
    fees: FeeSchedule | None
    mean_mid: float | None
    """Quote units, over the rolling span; so are the next three."""
    mean_spread_bps: float | None
    covered_s: float
    volatility_bps: float | None = None
    """Standard deviation of the mid's log return in one second."""
    funding: FundingInput | None = None
    """None for spot, and where it is not known."""
    latency_s: float | None = None
    """From a decision to the order's meeting the book."""
    fill_probability: float | None = None
    """That a post-only order at the touch is filled before it is given up."""
    margin_ratio: float | None = None
    """Part of a derivative's notional that is locked."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """One currency in another."""

    rate: float
    """Units of the first trade's currency for one of the last trade's, at the mid."""
    cost_bps: float
    """Of turning the proceeds back: half the spread and the fee."""
    assumed: bool = False


@dataclass(frozen=True, slots=True)
class PricingRules:
    """What the settings choose."""

    converged: bool = False
    """Whether the two sides are expected to meet at the exit, and not to differ as lately on average."""
    warmup_s: float = 60.0
    """Seconds of statistics that the exit basis must rest on."""
    adverse_moves: bool = True
    transfer_risk_sd: float = 1.0
    """Standard deviations of the price over a transfer's time that an unhedged transfer is charged."""
    rebalance_notional: float = 5000.0
    """What one deferred transfer moves, in quote units: its fee is shared by the trades that made it necessary."""
    assumed_rebalancing_bps: float | None = None
    """Where the venues do not tell a transfer's fee; None: refused."""
    waiting_bps: float = 0.0
    """Cost of a post-only attempt that nobody fills."""
    reference_notional: float = 1000.0
    """Size that fixed fees are spread over until the true size is known, quote units."""


@dataclass(frozen=True, slots=True)
class PricingInputs:
    """Everything that one route's price is made of, beside the prices themselves."""

    instruments: Mapping[str, InstrumentInput]
    """By instrument id."""
    transfers: Mapping[TransferLeg, TransferEstimate] = field(default_factory=dict)
    """Those that are known and open at both ends."""
    conversion: Conversion | None = None
    """Needed where the first and the last trade are paid in two currencies."""
    quantity: float | None = None
    """Base units that fixed fees are spread over; None: the rules' reference notional."""
    rules: PricingRules = PricingRules()
    closed: Mapping[TransferLeg, str] = field(default_factory=dict)
    """Why others are known to be none: which network, which end."""


def instrument_input(
    view: InstrumentView, now_ns: int, fill_probability: float | None = None, statistics: Statistics | None = None
) -> InstrumentInput:
    """What the engine knows of an instrument now; with other `statistics` than its own, where they are given."""
    statistics = statistics or view.statistics
    return InstrumentInput(
        instrument=view.instrument,
        fees=view.fees,
        mean_mid=statistics.mean_mid,
        mean_spread_bps=statistics.mean_spread_bps,
        covered_s=statistics.covered_s,
        volatility_bps=statistics.volatility_bps_per_sqrt_s,
        funding=_funding(view, now_ns) if view.instrument.is_perpetual else None,
        latency_s=view.latency_s,
        fill_probability=fill_probability,
        margin_ratio=view.margin_ratio,
    )


def _funding(view: InstrumentView, now_ns: int) -> FundingInput | None:
    terms = view.funding_terms
    if terms is not None:
        return FundingInput(
            rate_bps=terms.rate * 1e4,
            interval_s=terms.interval_s,
            next_s=_next_s(terms.next_funding_ns, terms.interval_s, now_ns),
            cap_bps=None if terms.cap is None else terms.cap * 1e4,
            floor_bps=None if terms.floor is None else terms.floor * 1e4,
        )
    per_h = view.funding_bps_per_h
    if per_h is None:
        return None
    # An assumed rate has no schedule: pro rata, whatever the hour.
    return FundingInput(rate_bps=per_h, interval_s=3600.0, assumed=view.funding_assumed)


def _next_s(next_ns: int, interval_s: float, now_ns: int) -> float:
    """To the next settlement after `now_ns`; the schedule goes on where the venue has not told the next one yet."""
    ahead_s = (next_ns - now_ns) / 1e9
    return ahead_s if ahead_s > 0 else interval_s - (-ahead_s) % interval_s
