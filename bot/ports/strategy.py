"""What a strategy sees, and what it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, runtime_checkable

from bot.domain.fees import FeeSchedule
from bot.domain.funding_terms import FundingTerms
from bot.domain.instrument import Instrument
from bot.domain.legs import TransferLeg
from bot.domain.market import TopOfBook
from bot.domain.route import Opportunity, Route


class Statistics(Protocol):
    """Rolling statistics of one instrument, time-weighted over the last minutes."""

    @property
    def covered_s(self) -> float:
        """Seconds that they rest on."""

    @property
    def mean_mid(self) -> float | None:
        """Quote units; None while no time is covered."""

    @property
    def mean_spread_bps(self) -> float | None:
        """(ask − bid) / mid; None while no time is covered."""

    @property
    def volatility_bps_per_sqrt_s(self) -> float | None:
        """Standard deviation of the mid's log return in one second; None before the first return."""


class InstrumentView(Protocol):
    """What a strategy sees of one instrument; always current, never copied."""

    @property
    def instrument(self) -> Instrument:
        """What it is."""

    @property
    def quote(self) -> TopOfBook | None:
        """The newest quote; None before the first one and after a refused one."""

    @property
    def statistics(self) -> Statistics:
        """The last six minutes."""

    def statistics_over(self, span_s: float) -> Statistics:
        """The same over another span, which begins when it is asked for first. Ask each time: they may be made anew."""

    @property
    def fees(self) -> FeeSchedule | None:
        """What trading it costs; None where that is not known."""

    @property
    def funding_bps_per_h(self) -> float | None:
        """What a long pays per hour, in bps; None where it is not known."""

    @property
    def funding_assumed(self) -> bool:
        """True where the funding is a setting and not what the venue said."""

    @property
    def funding_terms(self) -> FundingTerms | None:
        """The venue's own schedule, rate and bounds; None where `funding_bps_per_h` is all that is known."""

    @property
    def latency_s(self) -> float | None:
        """From a decision to an order's meeting the book; None where it was never measured."""

    @property
    def margin_ratio(self) -> float | None:
        """Part of a derivative's notional that its wallet must have; None where it is not known."""

    @property
    def takes_orders(self) -> bool:
        """Whether this version can send orders to its venue."""


@dataclass(frozen=True, slots=True)
class TransferEstimate:
    """What moving an asset over one network takes."""

    mean_s: float
    """From the sale's being possible here to its being possible there, mean."""
    p95_s: float
    """In 19 of 20 cases it takes no longer."""
    fee: float
    """Fixed, in units of the asset."""
    fee_ratio: float = 0.0
    """Of the amount, on top."""
    network: str | None = None
    """Which network it is of."""
    least: float = 0.0
    """What must leave the wallet at least, fee included; in units of the asset, as `most` that may at once."""
    most: float | None = None
    """None where the venue names no most."""
    step: float = 0.0
    """Amounts are multiples of it; 0 where the venue does not tell."""

    def takes(self, amount: float) -> bool:
        """Whether so much can be sent at once."""
        return self.least <= amount and (self.most is None or amount <= self.most)


class RouteTerms(Protocol):
    """What is known about moving money between venues."""

    def transfer(self, leg: TransferLeg) -> TransferEstimate | None:
        """Of this transfer, the cheapest network where the leg names none; None: not known, or closed at an end."""

    def closed(self, leg: TransferLeg) -> str | None:
        """Which networks are closed, at which end and why, in words; None where one is open, or nothing is known."""


class NoTerms:
    """Nothing is known. Implements `RouteTerms`: every route with a transfer is refused."""

    def transfer(self, leg: TransferLeg) -> TransferEstimate | None:
        """Not known."""
        return None

    def closed(self, leg: TransferLeg) -> str | None:
        """Not known either."""
        return None


@dataclass(frozen=True, slots=True)
class Holding:
    """An open pair, as a strategy sees it."""

    opened_ns: int
    entry_gross_bps: float
    """Realised: average sell price over average buy price."""
    fees_bps: float
    """Fees paid to open and expected to close, in bps of the buy notional."""
    entry_price: float | None = None
    """What a round trip was opened at, on average; None of a pair on two instruments."""


@dataclass(frozen=True, slots=True)
class ExitBounds:
    """When an open pair may be closed: while neither edge is reached and the time has not come, it is kept."""

    low_bps: float
    """At or below this edge of leaving (what is bought back over what is sold), or"""
    high_bps: float
    """at or above this one, or"""
    deadline_ns: int
    """from this time on."""


class RouteWatch(Protocol):
    """A strategy's observer of one route."""

    route: Route
    gross_bps: float | None
    """Offered at the newest quotes; None while a side has none."""
    best_gross_bps: float | None
    """The highest that was seen: each second, and whenever a quote might bring a route of the same asset nearer to
    being taken than any has been. So the nearest of the run is exact."""

    @property
    def needed_bps(self) -> float | None:
        """The gross edge at which the route breaks even; None while a cost is unknown."""

    @property
    def least_needed_bps(self) -> float | None:
        """What is known to be needed while `needed_bps` is not; None where not even the fees are known."""

    @property
    def assumed(self) -> bool:
        """Whether a cost is a setting and not what the venue said."""

    @property
    def net_bps(self) -> float | None:
        """What is offered less every cost, at those prices; None while either is unknown."""

    @property
    def take_at_bps(self) -> float:
        """The gross edge from which the route is worth taking; infinite while a cost is unknown."""

    @property
    def take_ratio(self) -> float | None:
        """The last price of `route.priced` over the first from which `assess` answers otherwise than below it.

        Infinite where no prices do; None where more than these two decide. An index asks by it who has to be asked.
        """

    @property
    def rate(self) -> float:
        """Units of the first trade's currency for one of the last trade's: the gross edge has both in one."""

    def exit_bounds(self, holding: Holding) -> ExitBounds | None:
        """Outside these `close_reason` may answer, inside it is None until costs are summed anew; None: not known."""

    def refresh(self, now_ns: int) -> None:
        """Slow inputs (fees, funding, statistics) may have changed."""

    def assess(self) -> str | None:
        """None when the route should be taken at the newest quotes, else the one limit in the way.

        It rests on prices and costs alone: a quote that moves only a size may not be asked about.
        """

    def figures(self, limit: str) -> tuple[float, float, str]:
        """What the limit that `assess` named observed and allows, and the unit."""

    def opportunity(self, ts_ns: int, quantity: Decimal, averages: Sequence[float] | None = None) -> Opportunity:
        """The route priced at the newest quotes, after `assess` said None.

        Args:
            ts_ns: Of the decision.
            quantity: Base units of the first trade.
            averages: The average price that this quantity gets from the order book, for each of `route.priced`;
                None: the top of the book takes it all.
        """

    def close_reason(self, holding: Holding, now_ns: int) -> str | None:
        """Why an open pair should be closed now; None to keep it."""


@runtime_checkable
class RoundTripWatch(RouteWatch, Protocol):
    """An observer of a round trip (`Route.is_round_trip`): says at which prices its post-only orders rest.

    An entry that nobody came for is priced anew. What was filled goes out by an order that rests at the other price
    of its opportunity, or at once after `close_reason`. One order of a route rests at a time.
    """

    rest_s: float
    """An entry rests at one price for at least so long."""
    order_notional: float
    """Wanted size of the entry, quote units."""

    def limits(self) -> tuple[float, float]:
        """The prices at which it would buy and sell at the newest quote, off the grid; after `assess` said None."""


class Strategy(Protocol):
    """Decides; performs nothing."""

    name: str
    cooldown_s: float
    """Rest of a route after a pair ended."""

    def routes(self, instruments: Sequence[Instrument]) -> Sequence[Route]:
        """Every route to watch over these instruments."""

    def watch(self, route: Route, views: Mapping[str, InstrumentView], terms: RouteTerms) -> RouteWatch:
        """An observer of one of those routes; `views` are all instruments of the run, by their ids."""
