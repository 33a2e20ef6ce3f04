"""What the listener hears of an order, whatever the venue tells of it, and in what order."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.clock import VirtualClock
from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Fill, Order, OrderStatus, OrderType, Side, TimeInForce
from bot.errors import InvariantError, OrderRejected
from exchanges.common.account.order_desk import OrderDesk, OrderReport

D = Decimal
WHAT = Instrument(
    venue="binance", symbol="BTC/USDT", segment=Segment.SPOT, base="BTC", quote="USDT", tick_size=D("0.1"),
    lot_size=D("0.001"),
)  # fmt: skip


class Heard:
    def __init__(self) -> None:
        self.events: list[Order | Fill] = []

    def on_order(self, order: Order) -> None:
        self.events.append(order)

    def on_fill(self, fill: Fill) -> None:
        self.events.append(fill)


def order(client_order_id: str = "a", quantity: str = "1") -> Order:
    return Order(
        client_order_id=client_order_id, instrument=WHAT, side=Side.BUY, type=OrderType.LIMIT, price=D(100),
        time_in_force=TimeInForce.IOC, quantity=D(quantity), ts_decision_ns=1,
    )  # fmt: skip


def fill(number: int, quantity: str, price: str = "100") -> Fill:
    return Fill(
        fill_id=str(number), client_order_id="a", instrument=WHAT, side=Side.BUY, price=D(price), quantity=D(quantity),
        fee=D(0), fee_asset="BTC", is_maker=False, ts_event_ns=1,
    )  # fmt: skip


def report(status: OrderStatus, filled: str, reason: str | None = None) -> OrderReport:
    return OrderReport("a", status, D(filled), "7", reason)


def opened() -> tuple[OrderDesk, Heard]:
    heard = Heard()
    desk = OrderDesk(VirtualClock(5), heard)
    desk.open(order())
    return desk, heard


FILLS = [fill(1, "0.2"), fill(2, "0.3", "110"), fill(3, "0.1")]
REPORTS = [
    report(OrderStatus.SENT, "0"),
    report(OrderStatus.PARTIALLY_FILLED, "0.2"),
    report(OrderStatus.PARTIALLY_FILLED, "0.5"),
    report(OrderStatus.EXPIRED, "0.6", "no more"),
]


@given(st.permutations([*FILLS, *REPORTS, *FILLS, *REPORTS]))
def test_any_order_of_news_tells_the_same_story(news: list[Fill | OrderReport]) -> None:
    desk, heard = opened()
    for one in news:
        if isinstance(one, Fill):
            desk.on_fill(one)
        else:
            desk.on_report(one)
    *fills, final = heard.events
    assert sorted(f.fill_id for f in fills if isinstance(f, Fill)) == ["1", "2", "3"]
    assert len(fills) == 3
    assert isinstance(final, Order)
    assert (final.status, final.filled_quantity, final.reason) == (OrderStatus.EXPIRED, D("0.6"), "no more")
    assert final.average_price == D(63) / D("0.6")
    assert final.venue_order_id == "7"
    assert desk.in_flight == 0


@given(st.permutations([*FILLS, REPORTS[-1]]), st.integers(0, 2))
def test_a_final_state_waits_for_the_fill_that_is_missing(news: list[Fill | OrderReport], lost: int) -> None:
    desk, heard = opened()
    for one in news:
        if isinstance(one, OrderReport):
            desk.on_report(one)
        elif one is not FILLS[lost]:
            desk.on_fill(one)
    assert all(isinstance(event, Fill) for event in heard.events)
    assert desk.in_flight == 1
    desk.on_fill(FILLS[lost])
    assert isinstance(heard.events[-1], Order)


def test_all_of_it_filled_is_filled_whatever_the_venue_calls_it() -> None:
    desk, heard = opened()
    desk.on_fill(fill(1, "1"))
    desk.on_report(report(OrderStatus.EXPIRED, "1", "no more"))
    final = heard.events[-1]
    assert isinstance(final, Order)
    assert (final.status, final.reason) == (OrderStatus.FILLED, None)


def test_a_part_that_was_filled_before_the_refusal_is_not_called_rejected() -> None:
    desk, heard = opened()
    desk.on_fill(fill(1, "0.4"))
    desk.reject("a", "no")
    assert desk.in_flight == 1
    desk.on_report(report(OrderStatus.REJECTED, "0.4", "no"))
    final = heard.events[-1]
    assert isinstance(final, Order)
    assert (final.status, final.filled_quantity) == (OrderStatus.CANCELLED, D("0.4"))


def test_a_later_answer_may_know_of_more_fills() -> None:
    desk, heard = opened()
    desk.on_report(report(OrderStatus.CANCELLED, "0.2"))
    desk.on_report(report(OrderStatus.CANCELLED, "0.5"))
    desk.on_fill(FILLS[0])
    assert desk.in_flight == 1
    desk.on_fill(FILLS[1])
    assert desk.in_flight == 0
    assert isinstance(heard.events[-1], Order)


@pytest.mark.parametrize("told", [[], [fill(1, "0.4")]])
def test_an_order_that_is_filled_with_nothing_is_waited_for(told: list[Fill]) -> None:
    """Bybit leaves empty what does not apply, and ccxt makes 0 of a quantity that Kraken leaves out."""
    desk, heard = opened()
    for one in told:
        desk.on_fill(one)
    desk.on_report(report(OrderStatus.FILLED, "0"))
    assert (heard.events, desk.in_flight) == (told, 1)
    desk.on_report(report(OrderStatus.FILLED, "1"))
    desk.on_fill(fill(2, "0.6" if told else "1"))
    final = heard.events[-1]
    assert isinstance(final, Order)
    assert (final.status, final.filled_quantity) == (OrderStatus.FILLED, 1)


def test_a_fill_after_the_end_is_told_and_changes_no_state() -> None:
    desk, heard = opened()
    desk.reject("a", "no")
    desk.on_fill(fill(1, "0.4"))
    assert [type(event) for event in heard.events] == [Order, Fill]


def test_news_of_nobodys_order_is_not_told() -> None:
    desk, heard = opened()
    desk.on_fill(fill(1, "0.4").model_copy(update={"client_order_id": "foreign"}))
    desk.on_report(OrderReport("foreign", OrderStatus.FILLED, D(1)))
    desk.reject("foreign", "no")
    assert heard.events == []


def test_a_client_order_id_is_used_once_and_somebody_listens() -> None:
    desk, _ = opened()
    with pytest.raises(OrderRejected):
        desk.open(order())
    with pytest.raises(InvariantError):
        OrderDesk(VirtualClock()).open(order())


def test_fault_50_what_a_venue_took_is_told_once_however_often_it_says_so() -> None:
    desk, heard = opened()
    taken = fill(9, "0.4").model_copy(update={"client_order_id": "autoclose-1", "forced": "liquidation"})
    assert [desk.on_fill(one) for one in (taken, taken)] == [True, False]
    assert heard.events == [taken]
