"""A route is a list of legs: the one idea of the bot.

Each leg is a trade on one instrument, a transfer between venues or a holding period; pricing, risk, execution and
post-mortem read the legs and never ask which kind of arbitrage it is.

Two shapes follow from the legs alone. In a **chain** one amount travels: every trade spends what the leg before it
brought, where it brought it (three trades on one venue; buy, transfer, sell). Otherwise the route has two **sides**
that are traded at the same moment from what lies at each venue already; where both are one instrument, traded one way
and later back, it is a **round trip**.
"""

from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from functools import cached_property

from pydantic import BaseModel, ConfigDict

from bot.domain.instrument import Instrument
from bot.domain.legs import HoldLeg as HoldLeg
from bot.domain.legs import Leg as Leg
from bot.domain.legs import Liquidity as Liquidity
from bot.domain.legs import TradeLeg as TradeLeg
from bot.domain.legs import TransferLeg as TransferLeg
from bot.domain.order import Side


class Route(BaseModel):
    """Trades that open, what happens meanwhile, and the trades that close."""

    model_config = ConfigDict(frozen=True)

    kind: str
    """What a person calls it: `convergence`, `cash_and_carry`. For words on the screen only."""
    legs: tuple[Leg, ...]

    @cached_property
    def id(self) -> str:
        """`kind:buy>sell`, for example `convergence:binance:BTC/USDT:USDT>bybit:BTC/USDT:USDT`; unique.

        A chain names each of its instruments; what else tells two routes apart follows behind colons: the network of
        a transfer, the instrument that hedges it, which sides are maker (`:maker-taker`). A round trip names its
        instrument, and the side that it opens with: `spread_reversion:binance:BTC/USDT:buy`.
        """
        if self.is_round_trip:
            return ":".join((self.kind, self.buy.id, self.opening[0].side))
        return ":".join((self.kind, ">".join(leg.instrument.id for leg in self.priced), *self._marks()))

    def _marks(self) -> Iterator[str]:
        yield from (leg.network or "any" for leg in self.transfers if not leg.deferred)
        yield from dict.fromkeys(f"hedge={leg.instrument.id}" for leg in self.hedges)
        if any(leg.is_maker for leg in self.trades):
            yield "-".join(leg.liquidity for leg in self.priced)

    @cached_property
    def trades(self) -> tuple[TradeLeg, ...]:
        """Every trade, in order."""
        return tuple(leg for leg in self.legs if isinstance(leg, TradeLeg))

    @cached_property
    def transfers(self) -> tuple[TransferLeg, ...]:
        """Every transfer, deferred ones included."""
        return tuple(leg for leg in self.legs if isinstance(leg, TransferLeg))

    @cached_property
    def instruments(self) -> tuple[Instrument, ...]:
        """What it trades, each once, in the order of its first trade."""
        return tuple({leg.instrument.id: leg.instrument for leg in self.trades}.values())

    @cached_property
    def opening(self) -> tuple[TradeLeg, ...]:
        """The trades before something is held or sent away."""
        trades: list[TradeLeg] = []
        for leg in self.legs:
            if not isinstance(leg, TradeLeg):
                break
            trades.append(leg)
        return tuple(trades)

    @cached_property
    def committed(self) -> tuple[TradeLeg, ...]:
        """The trades that a decision stands for: all of a chain, whose amount cannot stay half way; else `opening`."""
        return self.priced if self.chain else self.opening

    @cached_property
    def passed(self) -> tuple[str, ...]:
        """The assets that a chain's amount is on its way, each once; empty where no amount travels."""
        found = (leg.asset if isinstance(leg, TransferLeg) else leg.spends for leg in self.chain[1:])
        return tuple(dict.fromkeys(found))

    @cached_property
    def sent(self) -> tuple[TransferLeg, ...]:
        """The transfers that a chain's amount travels by."""
        return tuple(leg for leg in self.chain if isinstance(leg, TransferLeg))

    @cached_property
    def closing(self) -> tuple[TradeLeg, ...]:
        """The trades after it."""
        return self.trades[len(self.opening) :]

    @cached_property
    def is_round_trip(self) -> bool:
        """Whether it trades one instrument one way and, after a time, back."""
        if len(self.instruments) != 1 or len(self.opening) != 1 or len(self.closing) != 1:
            return False
        return self.opening[0].side is not self.closing[0].side

    @cached_property
    def chain(self) -> tuple[TradeLeg | TransferLeg, ...]:
        """The legs that one amount travels through; empty where two sides are traded at the same moment."""
        if any(isinstance(leg, HoldLeg) for leg in self.legs):
            return ()
        links: list[TradeLeg | TransferLeg] = []
        at: tuple[str, str] | None = None
        for leg in self.legs:
            ends = _ends(leg)
            if ends is None:
                continue
            if at is not None and ends[0] != at:
                return ()
            assert isinstance(leg, TradeLeg | TransferLeg), "a leg that is held has no ends"
            links.append(leg)
            at = ends[1]
        return tuple(links) if len(links) > 1 else ()

    @cached_property
    def priced(self) -> tuple[TradeLeg, ...]:
        """The trades that make the gross edge: a chain's, or the first that buys and the first that sells."""
        if self.chain:
            return tuple(leg for leg in self.chain if isinstance(leg, TradeLeg))
        # The sides of a round trip come one after the other; of all others the opening has both.
        trades = self.trades if self.is_round_trip else self.opening
        return tuple(next(leg for leg in trades if leg.side is side) for side in (Side.BUY, Side.SELL))

    @property
    def buy(self) -> Instrument:
        """Where it begins: what the opening buys."""
        return self.priced[0].instrument

    @property
    def sell(self) -> Instrument:
        """Where it ends: what the opening sells, or the last trade of a chain."""
        return self.priced[-1].instrument

    @cached_property
    def hold_s(self) -> float:
        """Expected holding time, seconds; 0 for a route that holds nothing."""
        return sum(leg.expected_s for leg in self.legs if isinstance(leg, HoldLeg))

    @cached_property
    def hedges(self) -> tuple[TradeLeg, ...]:
        """The trades beside a chain: what stands against its price while the amount is on its way."""
        links = {id(leg) for leg in self.chain}
        return tuple(leg for leg in self.trades if id(leg) not in links) if links else ()

    @cached_property
    def fee_names(self) -> tuple[str, ...]:
        """What the fee of each of `trades` is called: `fee open buy binance.spot`."""
        last_opening = len(self.opening)
        return tuple(
            f"fee {'open' if index < last_opening else 'close'} {leg.side} {self.label(leg.instrument)}"
            for index, leg in enumerate(self.trades)
        )

    def is_on_last(self, leg: TradeLeg) -> bool:
        """Whether a cost of `leg` is charged on the last trade's money, and not on the first's."""
        if self.is_round_trip:
            return leg.side is Side.SELL
        return leg.instrument.id in self._on_last

    @cached_property
    def _on_last(self) -> frozenset[str]:
        if not self.chain:
            return frozenset({self.sell.id})
        beside = {leg.instrument.id for leg in self.hedges}
        return frozenset(leg.instrument.id for leg in self.trades) - beside

    def label(self, instrument: Instrument) -> str:
        """How its costs name an instrument: the feed, and the symbol too where several of that feed are traded."""
        return self._labels[instrument.id]

    @cached_property
    def _labels(self) -> dict[str, str]:
        feeds = [instrument.feed for instrument in self.instruments]
        return {
            one.id: str(one.feed) if feeds.count(one.feed) == 1 else f"{one.feed} {one.symbol}"
            for one in self.instruments
        }

    @cached_property
    def not_executable(self) -> tuple[float, float, str] | None:
        """What today's executors cannot do of it: observed, allowed and the unit; None where they can do it all.

        A pair is two legs of one base and quote currency, takers at once and makers first, closed by the same two; on
        one instrument it rests. A chain takes, link after link, and ends in the asset that it began with.
        """
        if self.chain:
            return self._not_a_chain
        sent = sum(not leg.deferred for leg in self.transfers)
        currencies = {leg.instrument.quote for leg in self.trades}
        bases = {leg.instrument.base for leg in self.trades}
        found: tuple[tuple[int, int, str], ...] = (
            (sent, 0, "transfers"),
            (len(self.opening), 2, "opening trades"),
            (len(currencies), 1, "quote currencies"),
            (len(bases), 1, "base assets"),
        )
        return next(((float(has), float(can), unit) for has, can, unit in found if has > can), None)

    @property
    def _not_a_chain(self) -> tuple[float, float, str] | None:
        first, last = self.chain[0], self.chain[-1]
        if not (isinstance(first, TradeLeg) and isinstance(last, TradeLeg)):
            return 0.0, 1.0, "trades at both ends of a chain"
        found: tuple[tuple[int, int, str], ...] = (
            (len(self.hedges), 0, "hedges beside a chain"),
            (sum(leg.is_maker for leg in self.trades), 0, "maker trades in a chain"),
            (len({first.spends, last.brings}), 1, "currencies at a chain's ends"),
        )
        return next(((float(has), float(can), unit) for has, can, unit in found if has > can), None)


def held_pair(kind: str, buy: Instrument, sell: Instrument, expected_s: float) -> Route:
    """Buy one instrument and sell another, hold both for `expected_s` in the mean, and close them again; takers all."""
    opening = (TradeLeg(instrument=buy, side=Side.BUY), TradeLeg(instrument=sell, side=Side.SELL))
    closing = (TradeLeg(instrument=buy, side=Side.SELL), TradeLeg(instrument=sell, side=Side.BUY))
    return Route(kind=kind, legs=(*opening, HoldLeg(expected_s=expected_s), *closing))


def _ends(leg: Leg) -> tuple[tuple[str, str], tuple[str, str]] | None:
    """(Venue, asset) before and after a leg that turns or moves an amount; None for one that does not."""
    if isinstance(leg, TransferLeg) and not leg.deferred:
        return (leg.from_venue, leg.asset), (leg.to_venue, leg.asset)
    if isinstance(leg, TradeLeg) and not leg.instrument.is_perpetual:
        venue = leg.instrument.venue
        return (venue, leg.spends), (venue, leg.brings)
    return None


class Cost(BaseModel):
    """One named cost of a route, in bps of the buy notional; positive is bad, everywhere."""

    model_config = ConfigDict(frozen=True)

    name: str
    bps: float
    assumed: bool = False
    """True where the figure is a setting and not what the venue said."""


class Link(BaseModel):
    """What a chain expects of one leg of `Route.chain`."""

    model_config = ConfigDict(frozen=True)

    quantity: Decimal
    """Base units that a trade is for, on its lot grid; what a transfer takes from the wallet, fee included."""
    price: float
    """Expected average price of a trade, quote units per base unit; 1 for a transfer."""
    spends: Decimal
    """Units of the asset that go in."""
    brings: Decimal
    """Units of the asset that come out, the fee taken off where it is taken from that asset."""


class Opportunity(BaseModel):
    """One route priced at one moment for one size. `net_edge_bps = gross_edge_bps − Σ costs`, in their order."""

    model_config = ConfigDict(frozen=True)

    route: Route
    ts_ns: int
    quantity: Decimal
    """Base units, on the coarser lot grid of the two sides; 0 when one side cannot take any size."""
    buy_price: float
    """Expected average price of the first trade, for the quantity; so is `sell_price` of the last."""
    sell_price: float
    gross_edge_bps: float
    """Sell price over buy price at the top of the books, in one currency."""
    costs: tuple[Cost, ...]
    net_edge_bps: float
    capital_notional: float | None = None
    """Quote units of the first trade that are locked: paid, sold from stock, or put up as margin; None: not known."""
    time_out_s: float = 0.0
    """How long, in the mean."""
    links: tuple[Link, ...] = ()
    """One for each leg of a chain, in order; empty where two sides are traded at the same moment."""
    return_per_year: float | None = None
    """Net edge on the locked capital, as a ratio, if it could be repeated all year; None where no time passes."""

    @property
    def needed_bps(self) -> float:
        """The gross edge that its costs eat."""
        return sum(cost.bps for cost in self.costs)


class Outcome(StrEnum):
    """What was decided about a route."""

    TAKEN = "taken"
    REFUSED = "refused"
    CLOSED = "closed"


class Decision(BaseModel):
    """A route's outcome or reason changed. Kept for ever: the post-mortem explains from it."""

    model_config = ConfigDict(frozen=True)

    ts_ns: int
    route: str
    outcome: Outcome
    reason: str
    """The limit that refused, or why it was taken or closed."""
    observed: float | None = None
    allowed: float | None = None
    unit: str = ""
    """Of `observed` and `allowed`."""
    quantity: Decimal = Decimal(0)
    gross_bps: float | None
    """None where a side has no quote."""
    needed_bps: float | None
    """None where a cost is unknown."""
    net_bps: float | None

    def digest_line(self) -> str:
        """`ts_ns|route|outcome|reason|quantity|net_bps`: what the decision digest is made over.

        `net_bps` has six decimals, and is empty where the route had no price.
        """
        net = "" if self.net_bps is None else f"{self.net_bps:.6f}"
        return f"{self.ts_ns}|{self.route}|{self.outcome}|{self.reason}|{self.quantity}|{net}"
