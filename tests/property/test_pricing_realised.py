"""What is priced is what an immediate fill realises: the named net edge against the matching engine's own cash."""

from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.fees import FeeSchedule, FeeSource
from bot.domain.instrument import Instrument, Segment
from bot.domain.legs import TradeLeg
from bot.domain.market import TopOfBook
from bot.domain.order import Fill, Order, OrderType, Side, TimeInForce
from bot.domain.route import Opportunity, Route
from bot.matching.accounts import Accounts
from bot.matching.book import VisibleBook
from bot.matching.matching_engine import MatchingEngine
from bot.pricing.inputs import InstrumentInput, PricingInputs, PricingRules
from bot.pricing.pricing import cost_sheet, opportunity
from bot.pricing.sheet import CostSheet

D = Decimal
RULES = PricingRules(adverse_moves=False)
RICH = {f"{venue}.{segment}": dict.fromkeys(("USDT", "BTC", "ETH"), D(10) ** 9)
        for venue in "ab" for segment in ("spot", "linear")}  # fmt: skip
PRICES = st.integers(1_000, 10_000_000).map(lambda cents: cents / 100)
NEAR = st.floats(0.97, 1.03)
BPS = st.integers(-300, 10_000).map(lambda n: D(n) / 100)


def market(venue: str, base: str, quote: str, *, perpetual: bool = False) -> Instrument:
    return Instrument(
        venue=venue,
        symbol=f"{base}/{quote}" + (f":{quote}" if perpetual else ""),
        segment=Segment.LINEAR if perpetual else Segment.SPOT,
        base=base,
        quote=quote,
        settle=quote if perpetual else None,
        tick_size=D("1e-12"),
        lot_size=D("1e-18"),
    )


class Floor:
    """Every instrument's venue: one book each, one matching engine, cash counted by asset."""

    def __init__(self, taker: dict[Instrument, D], tops: dict[Instrument, float]) -> None:
        self.fees = {
            i.feed: FeeSchedule(feed=i.feed, maker_bps=D(0), taker_bps=bps, source=FeeSource.ACCOUNT)
            for i, bps in taker.items()
        }
        self.accounts = Accounts(RICH, D("0.2"))
        self.engine = MatchingEngine(self.accounts, self.fees)
        self.books = {i.id: VisibleBook(i) for i in taker}
        self.orders = 0
        for i, price in tops.items():
            self.books[i.id].on_quote(
                TopOfBook(bid_price=price, bid_qty=1e12, ask_price=price, ask_qty=1e12, sequence=1)
            )

    def trade(self, leg: TradeLeg, quantity: D) -> Fill:
        self.orders += 1
        order = Order(
            client_order_id=str(self.orders),
            instrument=leg.instrument,
            side=leg.side,
            type=OrderType.MARKET,
            time_in_force=TimeInForce.IOC,
            quantity=quantity,
            ts_decision_ns=0,
        )
        (fill,) = self.engine.match(order, self.books[leg.instrument.id], 1).fills
        return fill

    def total(self, asset: str) -> D:
        return sum((balance.total for balance in self.accounts.balances() if balance.asset == asset), D(0))


def priced(route: Route, floor: Floor, prices: Sequence[float], quantity: D) -> Opportunity:
    known = {
        i.id: InstrumentInput(i, floor.fees[i.feed], price, 0.0, 100.0)
        for i, price in zip(route.instruments, prices, strict=True)
    }
    inputs = PricingInputs(known, quantity=float(quantity), rules=RULES)
    sheet = cost_sheet(route, inputs)
    assert isinstance(sheet, CostSheet)
    one = opportunity(route, sheet, inputs, ts_ns=1, quantity=quantity, tops=prices)
    assert one.net_edge_bps == one.gross_edge_bps - sum(cost.bps for cost in one.costs)
    return one


@given(PRICES, NEAR, BPS, BPS, st.booleans())
def test_two_sides_that_are_filled_at_once_realise_what_was_priced(
    price: float, ratio: float, buy_bps: D, sell_bps: D, perpetual: bool
) -> None:
    # Perpetuals hold a position after it: their opening flows and fees are what was priced of them.
    buy = market("a", "BTC", "USDT", perpetual=perpetual)
    sell = market("b", "BTC", "USDT", perpetual=perpetual)
    legs = (TradeLeg(instrument=buy, side=Side.BUY), TradeLeg(instrument=sell, side=Side.SELL))
    floor = Floor({buy: buy_bps, sell: sell_bps}, {buy: price, sell: round(price * ratio, 4)})
    tops = (price, round(price * ratio, 4))
    one = priced(Route(kind="two sides", legs=legs), floor, tops, D("0.5"))
    fills = [floor.trade(leg, D("0.5")) for leg in legs]
    cash = sum((-fill.side.sign * fill.price * fill.quantity for fill in fills), D(0))
    for fill in fills:  # a fee in base is worth what the base was bought at
        cash -= fill.fee * (D(repr(price)) if fill.fee_asset == "BTC" else 1)
    notional = D("0.5") * D(repr(price))
    assert float(cash / notional) * 1e4 == pytest.approx(one.net_edge_bps, rel=1e-9, abs=1e-7)


@given(PRICES, st.integers(1, 1_000_000).map(lambda n: n / 1e6), NEAR, BPS)
def test_a_ring_brings_back_what_was_priced(btc: float, eth_btc: float, ratio: float, bps: D) -> None:
    btc_usdt, eth = market("a", "BTC", "USDT"), market("a", "ETH", "BTC")
    eth_usdt = market("a", "ETH", "USDT")
    tops = (btc, eth_btc, max(round(btc * eth_btc * ratio, 8), 1e-8))
    legs = (
        TradeLeg(instrument=btc_usdt, side=Side.BUY),
        TradeLeg(instrument=eth, side=Side.BUY),
        TradeLeg(instrument=eth_usdt, side=Side.SELL),
    )
    ring = Route(kind="ring", legs=legs)
    floor = Floor(
        dict.fromkeys((btc_usdt, eth, eth_usdt), bps), dict(zip((btc_usdt, eth, eth_usdt), tops, strict=True))
    )
    one = priced(ring, floor, tops, D(1))
    before = floor.total("USDT")
    bought = floor.trade(legs[0], D(1))
    spend = bought.quantity - bought.fee
    second = floor.trade(legs[1], (spend / D(repr(eth_btc))).quantize(D("1e-18"), "ROUND_DOWN"))
    third = floor.trade(legs[2], (second.quantity - second.fee).quantize(D("1e-18"), "ROUND_DOWN"))
    assert third.fee_asset == "USDT"
    gained = floor.total("USDT") - before
    assert float(gained / D(repr(btc))) * 1e4 == pytest.approx(one.net_edge_bps, rel=1e-9, abs=1e-6)
