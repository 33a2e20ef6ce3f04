"""A proposal that every shipped limit lets pass, and a portfolio whose every answer can be changed."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from bot.domain.instrument import Feed, Instrument, Segment
from bot.domain.market import TopOfBook
from bot.domain.order import Side
from bot.domain.route import HoldLeg, Route, TradeLeg, TransferLeg
from bot.ports import FeedState
from bot.risk.limits import Proposal
from bot.risk.margin import MarginAfter

S = 1_000_000_000
NOW = 1_700_000_000 * S
HOUR = 3_600 * S


def linear(venue: str, base: str = "BTC", quote: str = "USDT", **change: Any) -> Instrument:
    return Instrument(
        venue=venue, symbol=f"{base}/{quote}:{quote}", segment=Segment.LINEAR, base=base, quote=quote, settle=quote,
        tick_size=Decimal("0.1"), lot_size=Decimal("0.001"), **change,
    )  # fmt: skip


def spot(venue: str, base: str = "BTC", quote: str = "USDT") -> Instrument:
    return Instrument(
        venue=venue, symbol=f"{base}/{quote}", segment=Segment.SPOT, base=base, quote=quote,
        tick_size=Decimal("0.1"), lot_size=Decimal("0.001"),
    )  # fmt: skip


def route(buy: Instrument, sell: Instrument, sides: tuple[Side, Side] = (Side.BUY, Side.SELL)) -> Route:
    one, other = sides
    return Route(
        kind="convergence",
        legs=(
            TradeLeg(instrument=buy, side=one),
            TradeLeg(instrument=sell, side=other),
            HoldLeg(expected_s=60.0),
            TradeLeg(instrument=buy, side=one.opposite),
            TradeLeg(instrument=sell, side=other.opposite),
        ),
    )


A, B = linear("binance"), linear("bybit")
ROUTE = route(A, B)


def ring(venue: str = "binance") -> Route:
    """100 USDT a BTC, 0.05 BTC an ETH, 5.0125 USDT an ETH: 25 bps."""
    trades = ((spot(venue), Side.BUY), (spot(venue, "ETH", "BTC"), Side.BUY), (spot(venue, "ETH"), Side.SELL))
    return Route(kind="triangular", legs=tuple(TradeLeg(instrument=of, side=side) for of, side in trades))


def sent() -> Route:
    """Bought at one venue, sold at another."""
    way = TransferLeg(asset="BTC", from_venue="binance", to_venue="bybit", network="bitcoin")
    buy, sell = (TradeLeg(instrument=spot(v), side=s) for v, s in (("binance", Side.BUY), ("bybit", Side.SELL)))
    return Route(kind="transfer", legs=(buy, way, sell))


def around(**change: Any) -> Proposal:
    """500 through a ring, 25 bps apart."""
    return replace(Proposal(ring(), NOW, 5.0, 100.0, 5.0125, 25.0, (100.0, 0.05, 5.0125)), **change)


def across(**change: Any) -> Proposal:
    """500 bought here, sent and sold there."""
    return replace(Proposal(sent(), NOW, 5.0, 100.0, 100.25, 25.0, (100.0, 100.25), (4.995,)), **change)


def proposal(**change: Any) -> Proposal:
    """500 on the buy side, 501.25 on the sell side, 25 bps apart."""
    return replace(Proposal(ROUTE, NOW, 5.0, 100.0, 100.25, 25.0), **change)


@dataclass
class Rolling:
    mean_mid: float | None = 100.0
    volatility_bps_per_sqrt_s: float | None = 1.0


@dataclass
class Market:
    quote: TopOfBook | None
    recv_ns: int = NOW
    statistics: Rolling = field(default_factory=Rolling)
    age_ns: int | None = 0

    def known_age_ns(self) -> int | None:
        return self.age_ns


def quote(mid: float = 100.0) -> TopOfBook:
    return TopOfBook(bid_price=mid - 0.01, bid_qty=9.0, ask_price=mid + 0.01, ask_qty=9.0, sequence=1)


@dataclass
class Condition:
    state: FeedState = FeedState.LIVE
    recent_reconnects: int = 0
    recent_malformed: int = 0


def wallet(ratio: float = 0.1, distance_bps: float = 5_000.0, volatility: float | None = 1.0) -> MarginAfter:
    return MarginAfter("binance.linear USDT", "binance", ratio, distance_bps, volatility)


@dataclass
class Held:
    """Answers with its fields; None in any of them means that nothing is known."""

    pairs: int = 0
    is_busy: bool = False
    moving: dict[str, int] = field(default_factory=dict)
    position: float | None = 0.0
    venue: float | None = 0.0
    asset: float | None = 0.0
    exposure: float | None = 0.0
    today: float | None = 0.0
    total: float | None = 0.0
    drifted: tuple[float, int] = (0.0, 0)
    minute: int | None = 0
    second: int | None = 0
    rejects: int | None = 0
    unresolved: int | None = 0
    covered: dict[str, float | None] = field(default_factory=lambda: {A.id: 1e9, B.id: 1e9})
    one_purse: bool = False
    wallets: Sequence[MarginAfter] | None = (wallet(),)
    transfer_s: float | None = None
    travelling: float | None = 0.0
    under_way: int | None = 0
    no_way: str | None = None
    markets: dict[str, Market | None] = field(default_factory=lambda: {i.id: Market(quote()) for i in (A, B)})
    mids: dict[str, list[float]] = field(default_factory=dict)
    stood_s: float | None = 0.0
    rates: dict[tuple[str, str], float] = field(default_factory=dict)
    listed: dict[str, Instrument] = field(default_factory=dict)
    conditions: dict[str, Condition | None] = field(default_factory=dict)
    uncertain_ms: float | None = 10.0
    strange: dict[str, str] = field(default_factory=dict)
    blocked_at: dict[str, str] = field(default_factory=dict)

    def open_pairs(self) -> int:
        return self.pairs

    def busy(self, route: Route) -> bool:
        return self.is_busy

    def in_flight(self, instrument: Instrument) -> int:
        return self.moving.get(instrument.id, 0)

    def position_notional(self, instrument: Instrument) -> float | None:
        return self.position

    def venue_notional(self, venue: str) -> float | None:
        return self.venue

    def asset_notional(self, base: str) -> float | None:
        return self.asset

    def net_exposure_notional(self, base: str) -> float | None:
        return self.exposure

    def affordable_notional(self, instrument: Instrument, side: Side, price: float) -> float | None:
        return self.covered[instrument.id]

    def is_one_purse(self, one: TradeLeg, other: TradeLeg) -> bool:
        return self.one_purse

    def margin_after(self, proposal: Proposal) -> Sequence[MarginAfter] | None:
        return self.wallets

    def top_up_s(self, venue: str) -> float | None:
        return self.transfer_s

    def in_flight_notional(self) -> float | None:
        return self.travelling

    def transfers_under_way(self, venue: str, other: str) -> int | None:
        return self.under_way

    def transfer_refused(self, leg: TransferLeg, amount: float) -> str | None:
        return self.no_way

    def realised_today(self, now_ns: int) -> float | None:
        return self.today

    def realised_total(self) -> float | None:
        return self.total

    def drift(self) -> tuple[float, int]:
        return self.drifted

    def orders_last_minute(self, now_ns: int) -> int | None:
        return self.minute

    def orders_last_second(self, now_ns: int) -> int | None:
        return self.second

    def rejects_last_minute(self, venue: str) -> int | None:
        return self.rejects

    def unresolved_orders(self, venue: str) -> int | None:
        return self.unresolved

    def market(self, instrument: Instrument) -> Market | None:
        return self.markets.get(instrument.id)

    def other_mids(self, instrument: Instrument) -> Sequence[float]:
        return self.mids.get(instrument.id, [100.0])

    def edge_stood_s(self, route: Route, gross_bps: float) -> float | None:
        return self.stood_s

    def currency_rate(self, currency: str, other: str) -> float | None:
        return self.rates.get((currency, other))

    def listing(self, instrument: Instrument) -> Instrument:
        return self.listed.get(instrument.id, instrument)

    def feed(self, feed: Feed) -> Condition | None:
        return self.conditions.get(str(feed), Condition())

    def quarantined(self, instrument: Instrument) -> str | None:
        return self.strange.get(instrument.id)

    def blocked(self, venue: str) -> str | None:
        return self.blocked_at.get(venue)

    def clock_uncertainty_ms(self, venue: str) -> float | None:
        return self.uncertain_ms


def both(market: Market | None) -> dict[str, Market | None]:
    return {A.id: Market(quote()), B.id: market}
