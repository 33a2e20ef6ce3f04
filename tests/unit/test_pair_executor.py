"""Pairs on a virtual clock, at a venue whose answers each test writes itself."""

import pytest

from bot.domain.instrument import Instrument
from bot.domain.order import OrderStatus, OrderType, Side, TimeInForce
from bot.errors import InvariantError, StorageError
from bot.execution.pair import PairState
from bot.settings import ExecutionSettings
from tests.unit.executor_bench import MS, D
from tests.unit.pair_bench import OTHER, PERP, SPOT, Bench, opened


def test_both_legs_are_sent_at_once_with_capped_prices_and_after_their_intents() -> None:
    bench = Bench()
    bench.journal.is_slow = True
    bench.open()
    assert bench.inbox == []
    bench.journal.sync()
    buy, sell = bench.inbox
    assert (buy.instrument, buy.side, buy.quantity, buy.price) == (SPOT, Side.BUY, D("0.50"), D("1001.50"))
    assert (sell.instrument, sell.side, sell.quantity, sell.price) == (PERP, Side.SELL, D("0.50"), D("999.50"))
    assert {order.time_in_force for order in bench.inbox} == {TimeInForce.IOC}
    assert bench.journal.statuses(buy.client_order_id) == ["intent", "sent"]
    assert buy.client_order_id != sell.client_order_id


def test_a_pair_is_opened_held_and_closed_flat() -> None:
    bench, pair = opened()
    bench.executor.close(pair, "edge_gone")
    assert pair.exit_expected == (D("1001.0"), D("1000.0"))
    assert bench.answer(Side.SELL, SPOT).price == D("999.50")
    assert bench.answer(Side.BUY, PERP).reduce_only
    assert bench.states == [PairState.OPENING, PairState.OPEN, PairState.CLOSING, PairState.CLOSED]
    assert (pair.buy.held, pair.sell.held, dict(bench.executor.pairs)) == (D(0), D(0), {})


def test_nothing_filled_is_missed() -> None:
    bench = Bench()
    bench.open()
    bench.answer(Side.BUY, SPOT, "0")
    bench.answer(Side.SELL, PERP, "0")
    assert bench.states == [PairState.OPENING, PairState.MISSED]
    assert bench.halts == []


@pytest.mark.parametrize(
    ("buy", "sell", "hedge", "left"),
    [
        ("0.50", "0", (Side.SELL, SPOT, "0.50"), None),
        ("0", "0.50", (Side.BUY, PERP, "0.50"), None),
        ("0.50", "0.30", (Side.SELL, SPOT, "0.20"), "0.30"),
        ("0.200", "0.45", (Side.BUY, PERP, "0.25"), "0.20"),
        ("0.303", "0.30", None, "0.30"),  # 3 USDT of spot are below its minimum: dust
        ("0.299", "0.30", None, "0.299"),  # less than a lot of the derivative: dust
        ("0.004", "0", None, None),  # all of it is dust
    ],
)
def test_what_one_leg_is_ahead_is_traded_away_at_the_market(
    buy: str, sell: str, hedge: tuple[Side, Instrument, str] | None, left: str | None
) -> None:
    bench = Bench()
    pair = bench.open()
    bench.answer(Side.BUY, SPOT, buy)
    bench.answer(Side.SELL, PERP, sell)
    bench.wait(0)
    if hedge is not None:
        side, instrument, quantity = hedge
        order = bench.answer(side, instrument)
        assert (order.type, order.quantity) == (OrderType.MARKET, D(quantity))
        assert order.reduce_only is instrument.is_perpetual
    assert bench.inbox == []
    if left is None:
        assert pair.state is PairState.FAILED
        assert abs(pair.imbalance) < D("0.005")
    else:
        assert pair.state is PairState.OPEN
        assert min(abs(pair.buy.held), abs(pair.sell.held)) == D(left)


def test_a_rejected_leg_unwinds_the_other_and_keeps_trying_after_the_halt() -> None:
    bench = Bench()
    pair = bench.open()
    bench.end(bench.take(Side.BUY, SPOT), status=OrderStatus.REJECTED)
    bench.answer(Side.SELL, PERP)
    tries = 0
    while not bench.halts:
        assert bench.clock.now_ns() < 10_000 * MS
        bench.wait_for_an_order()
        tries += not bench.halts
        bench.answer(Side.BUY, PERP, "0")
    assert tries > 10
    assert "uneven by -0.50 ETH" in bench.halts[0]
    bench.wait_for_an_order()
    bench.answer(Side.BUY, PERP)
    assert pair.state is PairState.FAILED
    assert (pair.imbalance, len(bench.halts)) == (0, 1)


def test_a_try_that_fills_something_is_not_in_vain() -> None:
    bench = Bench()
    bench.open()
    bench.answer(Side.BUY, SPOT, "0")
    bench.answer(Side.SELL, PERP)
    for _ in range(10):
        bench.wait(200)
        bench.answer(Side.BUY, PERP, "0.05")
    assert bench.halts == []
    assert bench.states[-1] is PairState.FAILED


def test_spot_is_closed_by_what_was_received_after_the_fee() -> None:
    bench, pair = opened(fee="0.0005")
    bench.executor.close(pair, "edge_gone")
    assert bench.answer(Side.SELL, SPOT).quantity == D("0.499")  # 0.4995 held
    bench.answer(Side.BUY, PERP)
    assert pair.state is PairState.CLOSED
    assert (pair.buy.held, pair.sell.held) == (D("0.0005"), D(0))


def test_a_fee_that_takes_the_last_lot_of_spot_leaves_no_derivative_behind() -> None:
    coarse = SPOT.model_copy(update={"lot_size": D("0.50")})
    bench = Bench()
    pair = bench.open("0.50", buy=coarse)
    bench.answer(Side.BUY, coarse, fee="0.0005")
    bench.answer(Side.SELL, PERP)
    bench.answer(Side.BUY, PERP)
    assert pair.state is PairState.CLOSED
    assert pair.close_reason == "too_small"
    assert pair.sell.held == 0


def test_an_even_pair_waits_while_one_side_has_no_quote() -> None:
    bench, pair = opened()
    bench.quotes[PERP.id] = None
    bench.executor.close(pair, "max_holding")
    bench.wait(60_000)
    assert bench.inbox == []
    assert bench.halts == []
    assert pair.exit_expected is None
    bench.quote(PERP, 1002.0, 1003.0)
    bench.wait(200)
    assert pair.exit_expected == (D("1003.0"), D("1000.0"))
    bench.answer(Side.SELL, SPOT)
    bench.answer(Side.BUY, PERP)
    assert pair.state is PairState.CLOSED


def test_waiting_for_a_quote_lets_time_go_on_even_without_a_pause_between_tries() -> None:
    bench, pair = opened(settings=ExecutionSettings(retry_wait_ms=0.0))
    bench.quotes[PERP.id] = None
    bench.executor.close(pair, "max_holding")
    bench.wait(1_000)
    assert bench.clock.now_ns() == 1_000 * MS


def test_an_uneven_pair_trades_only_the_difference_while_the_other_side_has_no_quote() -> None:
    bench, pair = opened()
    bench.executor.close(pair, "edge_gone")
    bench.answer(Side.SELL, SPOT, "0.20")
    bench.quotes[SPOT.id] = None
    bench.answer(Side.BUY, PERP, "0")
    bench.wait(200)
    order = bench.take(Side.BUY, PERP)
    assert order.quantity == D("0.20")
    assert bench.inbox == []


def test_a_rest_of_spot_that_fell_below_the_minimum_is_left_and_never_tried_for_ever() -> None:
    bench, pair = opened()
    bench.executor.close(pair, "edge_gone")
    bench.answer(Side.SELL, SPOT, "0.495")  # leaves 0.005: 5.00 USDT at 1000, and 4.9975 at the limit price
    bench.answer(Side.BUY, PERP)
    assert pair.state is PairState.CLOSED
    assert bench.halts == []


def test_closing_goes_on_until_both_legs_are_flat() -> None:
    bench, pair = opened()
    bench.executor.close(pair, "edge_gone")
    bench.answer(Side.SELL, SPOT, "0.10")
    bench.answer(Side.BUY, PERP, "0.40")
    bench.wait(200)
    assert bench.answer(Side.SELL, SPOT).quantity == D("0.300"), "the difference first, and nothing beside it"
    assert bench.answer(Side.SELL, SPOT).quantity == D("0.10")
    assert bench.answer(Side.BUY, PERP).quantity == D("0.10")
    assert pair.state is PairState.CLOSED


def test_no_answer_is_unknown_and_no_second_order_is_sent_on_that_leg() -> None:
    bench = Bench()
    pair = bench.open()
    bench.answer(Side.BUY, SPOT, "0")
    lost = bench.take(Side.SELL, PERP)
    bench.wait(2_999)
    assert bench.executor.unresolved("b") == 0
    bench.wait(1)
    assert bench.executor.unresolved("b") == 1
    assert bench.journal.statuses(lost.client_order_id)[-1] == "unknown"
    bench.wait(60_000)
    assert len(bench.sent) == 2
    bench.end(lost)
    assert bench.executor.unresolved("b") == 0
    assert pair.state is PairState.MISSED


def test_a_fill_told_twice_counts_once() -> None:
    bench = Bench()
    pair = bench.open()
    order = bench.take(Side.BUY, SPOT)
    bench.executor.on_fill(bench.fill(order, D("0.2"), "0.001"))
    assert (pair.buy.held, len(bench.counted)) == (D("0.199"), 1)
    bench.fill(order, D("0.2"), number=2)
    assert pair.buy.held == D("0.399")


def test_fills_that_do_not_add_up_halt_and_fills_that_come_too_late_are_announced() -> None:
    bench = Bench()
    bench.open()
    order = bench.take(Side.BUY, SPOT)
    bench.fill(order, D("0.3"))
    bench.end(order, D("0.5"))
    assert "was filled 0.5, its fills sum to 0.3" in bench.halts[0]
    bench.fill(order, D("0.2"), number=2)
    assert "after its final state" in bench.alarms[-1]


@pytest.mark.parametrize("instrument", [PERP, SPOT])
def test_fault_42_a_leg_that_was_traded_away_twice_is_evened_though_nothing_may_be_opened(
    instrument: Instrument,
) -> None:
    bench, pair = opened()
    bench.executor.close(pair, "edge_gone")
    back, across = (Side.BUY, Side.SELL) if instrument is PERP else (Side.SELL, Side.BUY)
    given_up = bench.take(back, instrument)
    bench.end(given_up, status=OrderStatus.REJECTED)
    bench.answer(across, SPOT if instrument is PERP else PERP)
    bench.wait_for_an_order()
    bench.answer(back, instrument)
    assert pair.state is PairState.CLOSED
    bench.may_open = False
    bench.fill(given_up)
    evening = bench.answer(across, instrument)
    assert (evening.quantity, evening.reduce_only) == (D("0.50"), instrument is PERP)
    assert pair.state is PairState.CLOSED
    assert pair.buy.held == pair.sell.held == 0


def test_orders_that_open_are_withheld_when_trading_stopped_before_they_were_durable() -> None:
    bench = Bench()
    bench.journal.is_slow = True
    bench.open()
    bench.may_open = False
    bench.journal.sync()
    assert bench.inbox == []
    assert bench.states == [PairState.OPENING, PairState.MISSED]
    assert bench.journal.statuses("run-1-1") == ["intent", "cancelled"]


def test_closing_orders_leave_when_nothing_may_be_opened() -> None:
    bench, pair = opened()
    bench.may_open = False
    bench.executor.close(pair, "max_holding")
    assert len(bench.inbox) == 2


@pytest.mark.parametrize("is_told_later", [False, True])
def test_without_a_journal_nothing_is_opened_and_open_pairs_are_still_closed(is_told_later: bool) -> None:
    bench, pair = opened()
    bench.journal.is_slow = is_told_later
    bench.journal.is_broken = not is_told_later
    bench.executor.close(pair, "max_holding")
    missed = bench.open()
    bench.executor.journal_failed("disk full")
    assert [(o.side, o.instrument) for o in bench.inbox] == [(Side.SELL, SPOT), (Side.BUY, PERP)]
    assert "disk full" in bench.halts[0]
    assert missed.state is PairState.MISSED
    bench.answer(Side.SELL, SPOT)
    bench.answer(Side.BUY, PERP)
    assert pair.state is PairState.CLOSED


def test_an_order_that_has_left_is_not_sent_again_although_nothing_could_be_written_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench, pair = opened()
    bench.journal.is_slow = True
    bench.executor.close(pair, "max_holding")

    def full(*_: object) -> None:
        raise StorageError("the disk does not keep up")

    with monkeypatch.context() as now:
        now.setattr(bench.journal, "record", full)
        with pytest.raises(StorageError):
            bench.journal.sync()
    bench.executor.journal_failed("disk full")
    assert [(o.side, o.instrument) for o in bench.inbox] == [(Side.SELL, SPOT), (Side.BUY, PERP)]
    bench.answer(Side.SELL, SPOT)
    bench.answer(Side.BUY, PERP)
    assert pair.state is PairState.CLOSED


def test_pairs_that_share_a_position_reduce_it_only_as_far_as_it_surely_shrinks() -> None:
    bench, long_spot = opened()
    other = bench.open("0.30", buy=PERP, sell=OTHER)  # the account now holds -0.50 + 0.30 of PERP
    bench.answer(Side.BUY, PERP)
    bench.answer(Side.SELL, OTHER)
    bench.executor.close(other, "edge_gone")
    assert not bench.answer(Side.SELL, PERP).reduce_only  # it makes the account's short larger
    assert bench.answer(Side.BUY, OTHER).reduce_only
    bench.executor.close(long_spot, "edge_gone")
    bench.answer(Side.SELL, SPOT)
    assert bench.answer(Side.BUY, PERP).reduce_only


def test_a_rest_that_cannot_be_sold_because_another_pair_holds_the_other_way_waits_for_it() -> None:
    bench, pair = opened()
    other = bench.open("0.30", buy=PERP, sell=OTHER)
    bench.answer(Side.BUY, PERP)
    bench.answer(Side.SELL, OTHER)
    bench.executor.close(other, "edge_gone")
    bench.answer(Side.SELL, PERP, "0.29")  # 0.01 stay: 10 USDT, below the minimum of 20, and it would open
    bench.answer(Side.BUY, OTHER)
    bench.wait(10_000)
    assert (bench.inbox, bench.halts) == ([], [])
    bench.executor.close(pair, "edge_gone")
    bench.answer(Side.SELL, SPOT)
    bench.answer(Side.BUY, PERP)
    assert pair.state is PairState.CLOSED
    bench.wait(200)
    assert bench.answer(Side.SELL, PERP).reduce_only
    assert other.state is PairState.CLOSED


def test_a_pair_that_is_not_open_is_not_closed_twice() -> None:
    bench, pair = opened()
    bench.executor.close(pair, "edge_gone")
    bench.executor.close(pair, "max_holding")
    assert len(bench.inbox) == 2
    assert pair.close_reason == "edge_gone"


def test_news_of_an_order_that_was_never_written_down_is_our_bug() -> None:
    bench = Bench()
    bench.open()
    stranger = bench.inbox[0].model_copy(update={"client_order_id": "someone-elses"})
    with pytest.raises(InvariantError, match="never wrote down"):
        bench.end(stranger)
