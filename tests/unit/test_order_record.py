"""The quick way to write an order down says what pydantic's does."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from bot.domain.instrument import Instrument
from bot.domain.order import Order, OrderStatus, OrderType, Side, TimeInForce
from bot.domain.route import Cost
from bot.execution.order_record import cost_record, order_record
from bot.storage import schema
from tests.invariants.world import INSTRUMENTS

numbers = st.decimals("0.00000001", "1e12", places=8).filter(lambda number: number > 0)
maybe_ns = st.none() | st.integers(0, 2**63)


@given(
    st.builds(
        Order,
        client_order_id=st.from_regex(r"[A-Za-z0-9_-]{1,36}", fullmatch=True),
        instrument=st.sampled_from(INSTRUMENTS),
        side=st.sampled_from(Side),
        type=st.sampled_from(OrderType),
        time_in_force=st.sampled_from(TimeInForce),
        quantity=numbers,
        price=st.none() | numbers,
        reduce_only=st.booleans(),
        reduces_risk=st.booleans(),
        status=st.sampled_from(OrderStatus),
        filled_quantity=numbers,
        average_price=st.none() | numbers,
        venue_order_id=st.none() | st.text(),
        reason=st.none() | st.text(),
        ts_decision_ns=st.integers(0, 2**63),
        ts_sent_ns=maybe_ns,
        ts_final_ns=maybe_ns,
    )
)
def test_an_order_is_written_down_as_its_model_says(order: Order) -> None:
    said = {**order.model_dump(mode="json"), "pair": "p", "leg": "open_buy", "expected_price": "1.10"}
    written = order_record(order, "p", "open_buy", Decimal("1.10"))
    assert written.text == schema.encode(said)
    assert written() == said


@given(st.builds(Cost, name=st.text(), bps=st.floats(allow_nan=False), assumed=st.booleans()))
def test_a_cost_is_written_down_as_its_model_says(cost: Cost) -> None:
    said = cost.model_dump(mode="json")
    assert cost_record(cost) == said
    assert list(cost_record(cost)) == list(said)


def test_an_instrument_of_an_older_journal_has_no_largest_order_that_is_known() -> None:
    written = INSTRUMENTS[0].model_dump(mode="json")
    older = {name: value for name, value in written.items() if not name.startswith("max_")}
    read = Instrument.model_validate(older)
    assert len(written) == len(older) + 3
    assert read == INSTRUMENTS[0]
    assert read.most(Decimal(1000), at_market=True) is None


def test_a_new_listing_of_an_instrument_is_not_taken_for_the_old_one() -> None:
    an_order = Order(
        client_order_id="a", instrument=INSTRUMENTS[0], side=Side.BUY, type=OrderType.MARKET,
        time_in_force=TimeInForce.IOC, quantity=Decimal(1), ts_decision_ns=1,
    )  # fmt: skip
    for cents in range(1, 2_500):  # objects that come and go share addresses, and more come than are remembered
        listed: Instrument = INSTRUMENTS[0].model_copy(update={"tick_size": Decimal(cents) / 100})
        order = an_order.model_copy(update={"instrument": listed})
        assert order_record(order, "p", "open_buy", Decimal(1))()["instrument"]["tick_size"] == str(listed.tick_size)
