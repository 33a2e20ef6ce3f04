"""Whatever asks for a real order beside a paper one: none that adds is above the minimum, none reduces too much."""

from decimal import Decimal
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.instrument import Instrument, Segment
from bot.domain.market import TopOfBook
from bot.domain.order import Order, OrderStatus, OrderType, Side, TimeInForce
from bot.domain.route import HoldLeg, Opportunity, Route, TradeLeg
from bot.engine.shadow.minimum import ROOM, MinimumSizeActions, least_quantity
from bot.errors import OrderRejected
from bot.execution.grid import capped_price, decimal_price, meets_minimum
from bot.execution.pair import Pair, PairLeg
from bot.pricing.sizing import EXIT_ROOM, size_grid

D = Decimal
CAP_BPS = 5.0
MOST = D(250)
steps = st.sampled_from([D("0.0001"), D("0.001"), D("0.002"), D("0.01")])
notionals = st.sampled_from([D(0), D(1), D(5), D(20), D(100)])
prices = st.floats(5, 100_000).map(lambda price: round(price, 1))


@st.composite
def instruments(draw: st.DrawFn, venue: str) -> Instrument:
    lot = draw(steps)
    spot = draw(st.booleans())
    return Instrument(
        venue=venue, symbol="X/USDT" if spot else "X/USDT:USDT", segment=Segment.SPOT if spot else Segment.LINEAR,
        base="X", quote="USDT", settle=None if spot else "USDT", tick_size=D("0.1"), lot_size=lot,
        min_quantity=lot * draw(st.integers(1, 5)), min_notional=draw(notionals),
    )  # fmt: skip


def pair_on(buy: Instrument, sell: Instrument, price: float, quantity: Decimal) -> Pair:
    legs = (TradeLeg(instrument=buy, side=Side.BUY), TradeLeg(instrument=sell, side=Side.SELL))
    route = Route(kind="convergence", legs=(*legs, HoldLeg(expected_s=1.0)))
    opportunity = Opportunity(
        route=route, ts_ns=1, quantity=quantity, buy_price=price, sell_price=price, gross_edge_bps=0.0, costs=(),
        net_edge_bps=0.0,
    )  # fmt: skip
    at = decimal_price(price)
    return Pair("runs-1", opportunity, PairLeg(buy, Side.BUY, at), PairLeg(sell, Side.SELL, at), opened_ns=1)


class Door:
    """What comes through."""

    def __init__(self, pair: Pair, price: float) -> None:
        self.sent: list[Order] = []
        self.refused: list[str] = []
        quote = TopOfBook(bid_price=price, bid_qty=1.0, ask_price=price + 0.1, ask_qty=1.0, sequence=1)
        self.door = MinimumSizeActions(
            self,  # type: ignore[arg-type]
            pairs=lambda: {pair.id: pair},
            quotes=lambda instrument: quote,
            price_cap_bps=CAP_BPS,
            max_notional=MOST,
            on_refused=self.refused.append,
        )

    def submit(self, order: Order) -> None:
        self.sent.append(order)


def order_of(leg: PairLeg, side: Side, quantity: Decimal, name: str = "runs-1-1") -> Order:
    return Order(
        client_order_id=name, instrument=leg.instrument, side=side, type=OrderType.MARKET,
        time_in_force=TimeInForce.IOC, quantity=quantity, status=OrderStatus.SENT, ts_decision_ns=1,
    )  # fmt: skip


@given(buy=instruments("a"), sell=instruments("b"), price=prices)
def test_the_least_quantity_is_taken_by_both_sides_and_no_lot_less_is(
    buy: Instrument, sell: Instrument, price: float
) -> None:
    grid = size_grid(buy, sell, CAP_BPS)
    least = least_quantity(grid, price)
    assert least % buy.lot_size == 0
    assert least % sell.lot_size == 0
    at = decimal_price(price)
    for instrument, side in ((buy, Side.BUY), (sell, Side.SELL)):
        limit = min(at, capped_price(instrument, side, at, CAP_BPS))
        room = D(1) if instrument.is_perpetual else EXIT_ROOM
        assert meets_minimum(instrument, instrument.floor_quantity(least), at, reduces=False)
        assert limit * least >= instrument.min_notional * (1 - D("1e-9"))
        assert least * room >= instrument.min_quantity
    smaller = float(least - grid.lot)
    assert smaller < grid.smallest(price) * (1 + 1e-6)


@given(
    buy=instruments("a"), sell=instruments("b"), price=prices, lots=st.integers(1, 10_000),
    wanted=st.sampled_from(["open_buy", "open_sell", "close_buy", "close_sell"]),
    held=st.integers(0, 300), elsewhere=st.booleans(),
)  # fmt: skip
def test_no_order_of_more_than_the_minimum_leaves_whatever_is_asked_for(
    buy: Instrument, sell: Instrument, price: float, lots: int, wanted: str, held: int, elsewhere: bool
) -> None:
    pair = pair_on(buy, sell, price, D(1000))
    leg = pair.buy if wanted.endswith("buy") else pair.sell
    leg.held = leg.side.sign * leg.instrument.lot_size * held
    door = Door(pair, price)
    adds = wanted.startswith("open")
    quantity = leg.instrument.lot_size * lots
    name = "other-1-1" if elsewhere else "runs-1-1"
    order = order_of(leg, leg.side if adds else leg.side.opposite, quantity, name)
    try:
        door.door.submit(order)
    except OrderRejected:
        assert door.refused
        assert door.sent == []
        return
    assert door.sent == [order]
    assert not elsewhere
    if not adds:
        assert quantity <= abs(leg.held)
        return
    whole = abs(leg.held) + quantity
    grid = size_grid(buy, sell, CAP_BPS)
    assert whole <= ceil(grid.smallest(price * (1 - ROOM)) / grid.lot_float) * grid.lot
    assert whole * decimal_price(price) <= MOST


def test_an_order_that_is_on_its_way_counts_too() -> None:
    perpetual = Instrument(
        venue="a", symbol="X/USDT:USDT", segment=Segment.LINEAR, base="X", quote="USDT", settle="USDT",
        tick_size=D("0.1"), lot_size=D("0.01"), min_quantity=D("0.01"),
    )  # fmt: skip
    pair = pair_on(perpetual, perpetual.model_copy(update={"venue": "b"}), 1000.0, D("0.01"))
    door = Door(pair, 1000.0)
    first = order_of(pair.buy, Side.BUY, D("0.01"))
    door.door.submit(first)
    pair.orders[first.client_order_id] = (first, "open_buy", D(1000))
    pair.pending.add(first.client_order_id)
    with pytest.raises(OrderRejected, match=r"0\.02 X, and 0\.01 is the minimum"):
        door.door.submit(order_of(pair.buy, Side.BUY, D("0.01"), "runs-1-2"))


def test_a_leg_that_was_traded_away_twice_is_evened_whatever_the_minimum_is_by_now() -> None:
    perpetual = Instrument(
        venue="a", symbol="X/USDT:USDT", segment=Segment.LINEAR, base="X", quote="USDT", settle="USDT",
        tick_size=D("0.1"), lot_size=D("0.01"), min_quantity=D("0.01"), min_notional=D(20),
    )  # fmt: skip
    pair = pair_on(perpetual, perpetual.model_copy(update={"venue": "b"}), 1000.0, D("0.03"))
    pair.buy.held = D("-0.03")
    door = Door(pair, 3000.0)  # at this price one lot is enough
    pair.buy.expected_price = D(3000)
    pair.sell.expected_price = D(3000)
    evening = order_of(pair.buy, Side.BUY, D("0.03"))
    door.door.submit(evening)
    assert door.sent == [evening]
    with pytest.raises(OrderRejected, match=r"0 are held"):
        door.door.submit(order_of(pair.buy, Side.SELL, D("0.01")))
