"""No order leaves the grid, its price cap or the minimums, whatever the instrument and the market."""

from decimal import Decimal

from hypothesis import example, given
from hypothesis import strategies as st

from bot.domain.instrument import Instrument, Segment
from bot.domain.market import TopOfBook
from bot.domain.order import Side
from bot.execution.grid import capped_price, decimal_price, meets_minimum, one_order, orders_for, touch
from bot.pricing.ladder import ladder
from bot.pricing.sizing import Cap, Terms, best_size, size_grid

D = Decimal
steps = st.sampled_from(["0.00001", "0.0005", "0.001", "0.01", "0.1", "0.5", "1", "10"]).map(D)
caps = st.sampled_from([0.0, 0.1, 5.0, 33.3, 9_999.0, 10_000.0, 50_000.0])
prices = st.floats(1e-5, 1e6)


@st.composite
def instruments(draw: st.DrawFn) -> Instrument:
    segment = draw(st.sampled_from([Segment.SPOT, Segment.LINEAR]))
    return Instrument(
        venue=draw(st.sampled_from(["a", "b"])),
        symbol="X/USDT",
        segment=segment,
        base="X",
        quote="USDT",
        settle=None if segment is Segment.SPOT else "USDT",
        tick_size=draw(steps),
        lot_size=draw(steps),
        min_quantity=draw(st.sampled_from([D(0), D("0.01"), D(3)])),
        min_notional=draw(st.sampled_from([D(0), D(5), D(100)])),
        max_quantity=draw(st.sampled_from([None, D("0.3"), D(7), D(1000)])),
        max_market_quantity=draw(st.sampled_from([None, D("0.7"), D(5), D("333.3")])),
        max_notional=draw(st.sampled_from([None, D(500), D(100_000)])),
        contract_multiplier=D(1) if segment is Segment.SPOT else draw(st.sampled_from([D(1), D("0.01"), D(10)])),
    )


@given(instrument=instruments(), side=st.sampled_from(Side), ticks=st.integers(1, 10**7), cap_bps=caps)
def test_a_limit_price_is_on_the_tick_and_within_its_cap(
    instrument: Instrument, side: Side, ticks: int, cap_bps: float
) -> None:
    expected = ticks * instrument.tick_size
    price = capped_price(instrument, side, expected, cap_bps)
    worse_by = side.sign * (price - expected)
    assert price > 0
    assert price % instrument.tick_size == 0
    assert 0 <= worse_by <= expected * D(str(cap_bps)) / 10_000
    # The next tick would be too much, unless there is none.
    step = side.sign * instrument.tick_size
    assert worse_by + instrument.tick_size > expected * D(str(cap_bps)) / 10_000 or price + step <= 0


@given(instrument=instruments(), side=st.sampled_from(Side), price=prices, cap_bps=caps)
def test_a_price_off_the_tick_never_reaches_a_venue(
    instrument: Instrument, side: Side, price: float, cap_bps: float
) -> None:
    limit = capped_price(instrument, side, decimal_price(price), cap_bps)
    assert limit > 0
    assert limit % instrument.tick_size == 0


tops = st.builds(
    lambda price, spread, bid_qty, ask_qty: TopOfBook(
        bid_price=price, bid_qty=bid_qty, ask_price=price * (1 + spread), ask_qty=ask_qty, sequence=1
    ),
    price=st.floats(0.01, 1e5),
    spread=st.floats(1e-6, 0.01),
    bid_qty=st.floats(1e-4, 1e5),
    ask_qty=st.floats(1e-4, 1e5),
)
SPOT = Instrument(
    venue="a", symbol="X/USDT", segment=Segment.SPOT, base="X", quote="USDT",
    tick_size=D("0.01"), lot_size=D(1), min_notional=D(5),
)  # fmt: skip
PERP = SPOT.model_copy(update={"segment": Segment.LINEAR, "settle": "USDT", "min_notional": D(20)})
AT_MINIMUM = TopOfBook(bid_price=20.0, bid_qty=1.0, ask_price=20.01, ask_qty=1.0, sequence=1)


@given(
    buy=instruments(), sell=instruments(), at_buy=tops, at_sell=tops, cap=st.floats(1.0, 1e6),
    cap_bps=st.sampled_from([0.0, 5.0, 50.0]),
)  # fmt: skip
@example(buy=SPOT, sell=PERP, at_buy=AT_MINIMUM, at_sell=AT_MINIMUM, cap=1e6, cap_bps=5.0)
@example(buy=PERP, sell=PERP, at_buy=AT_MINIMUM, at_sell=AT_MINIMUM, cap=1e6, cap_bps=5.0)
def test_what_is_opened_is_taken_by_both_venues_at_their_limits_and_spot_can_be_sold_after_its_fee(
    buy: Instrument, sell: Instrument, at_buy: TopOfBook, at_sell: TopOfBook, cap: float, cap_bps: float
) -> None:
    grid = size_grid(buy, sell, cap_bps)
    asks = ladder(buy, [(at_buy.ask_price, at_buy.ask_qty)])
    bids = ladder(sell, [(at_sell.bid_price, at_sell.bid_qty)])
    within = Cap("order", min(side.quantity_for(cap) for side in (asks, bids)))
    size = best_size(grid, asks, bids, Terms(-1e9, -1e9), [within])
    lots = size.lots
    if not lots:
        observed, allowed, _ = size.figures
        assert observed < allowed * (1 + 1e-9) + float(grid.lot)
        return
    base = lots * grid.lot
    for instrument, quote, side in ((buy, at_buy, Side.BUY), (sell, at_sell, Side.SELL)):
        quantity = base / instrument.contract_multiplier
        assert quantity % instrument.lot_size == 0
        price = decimal_price(min(at_buy.ask_price, at_sell.bid_price)) * (1 - D(str(cap_bps)) / 10_000)
        assert touch(quote, side) * (1 + D("1e-12")) >= price
        assert meets_minimum(instrument, quantity, price * (1 + D("1e-9")), reduces=False)
        worst = touch(quote, side) * (1 + D(str(cap_bps)) / 10_000)
        assert orders_for(instrument, quantity, worst, at_market=False) == 1
        assert orders_for(instrument, quantity, touch(quote, side), at_market=True) == 1
        if instrument.segment is Segment.SPOT:
            left = instrument.floor_quantity(quantity * D("0.999"))
            assert left > 0
            assert left >= instrument.min_quantity or instrument.min_quantity % instrument.lot_size


@given(instrument=instruments(), lots=st.integers(1, 10**6), price=prices, at_market=st.booleans())
def test_parts_are_on_the_lot_within_the_maximum_and_as_few_as_can_be(
    instrument: Instrument, lots: int, price: float, at_market: bool
) -> None:
    whole, at = lots * instrument.lot_size, decimal_price(price)
    told = instrument.most(at, at_market=at_market)
    most = max(whole if told is None else told, instrument.lot_size)
    count = orders_for(instrument, whole, at, at_market=at_market)
    assert (count - 1) * most < whole <= count * most
    first = one_order(instrument, whole, at, at_market=at_market)
    assert 0 < first <= most
    assert first % instrument.lot_size == 0
    assert first * count > whole - count * instrument.lot_size
    left = whole - first
    assert not left or orders_for(instrument, left, at, at_market=at_market) == count - 1
