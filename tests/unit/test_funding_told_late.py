"""Funding is told of seconds after it was settled: it is whose the position was by then."""

import json
from collections.abc import Iterator
from decimal import Decimal

import pytest

from bot.domain.account import FundingPayment, Position
from bot.domain.fees import fee_asset
from bot.domain.instrument import Instrument
from bot.domain.order import Fill, Side
from bot.execution.journal_replay import JournalReplay
from bot.execution.ledger import Ledger
from bot.ports import RecordKind
from bot.risk.gate import TradingState
from bot.storage.schema import encode
from exchanges.bybit.account_requests import WALLET, funding_of
from exchanges.bybit.private_schemas import ExecutionRow
from exchanges.common.account.wallet_book import WalletBook
from tests.unit.test_engine_chains_adopted import Kept
from tests.unit.test_fault_45_48_52 import DEAR, LINEAR, Bench
from tests.unit.test_ledger import BUY, OTHER, PERP, SELL, route

D = Decimal
HOUR_NS = 1_000


def fill(name: str, instrument: Instrument, side: Side, quantity: str, ts_ns: int) -> Fill:
    return Fill(
        fill_id=name, client_order_id="o", instrument=instrument, side=side, price=D(1000), quantity=D(quantity),
        fee=D(0), fee_asset=fee_asset(instrument, side), is_maker=False, ts_event_ns=ts_ns,
    )  # fmt: skip


def payment(amount: str, ts_ns: int = HOUR_NS, rate: str = "0.0001", mark: str = "1000") -> FundingPayment:
    return FundingPayment(
        instrument=PERP, wallet="w", asset="USDT", amount=D(amount), quantity=D(0), rate=D(rate), mark_price=D(mark),
        ts_ns=ts_ns,
    )  # fmt: skip


def pair(ledger: Ledger, name: str, quantity: str, opened_ns: int, closed_ns: int | None = None) -> None:
    """One that sells PERP and buys OTHER."""
    ledger.open_pair(name, route(OTHER, PERP), opened_ns)
    ledger.on_fill(name, BUY, fill(f"{name}1", OTHER, BUY, quantity, opened_ns))
    ledger.on_fill(name, SELL, fill(f"{name}2", PERP, SELL, quantity, opened_ns))
    if closed_ns is not None:
        ledger.on_fill(name, BUY, fill(f"{name}3", OTHER, SELL, quantity, closed_ns))
        ledger.on_fill(name, SELL, fill(f"{name}4", PERP, BUY, quantity, closed_ns))
        ledger.close_pair(name)


def test_it_is_of_the_pair_that_held_the_position_and_not_of_those_that_came_after() -> None:
    ledger = Ledger()
    pair(ledger, "held", "2", HOUR_NS - 500, HOUR_NS + 1)
    pair(ledger, "before", "1", HOUR_NS - 500, HOUR_NS - 1)
    pair(ledger, "after", "3", HOUR_NS + 2)
    assert ledger.on_funding(payment("0.2")) == {"held": D("0.2")}
    assert ledger.unallocated_funding() == {}
    assert ledger.realised() == {"USDT": D("0.2")}
    assert ledger.pair("after").funding == {}


def test_what_is_still_held_at_that_moment_shares_with_what_is_gone() -> None:
    ledger = Ledger()
    pair(ledger, "gone", "2", HOUR_NS - 500, HOUR_NS)
    pair(ledger, "less", "4", HOUR_NS - 500)
    ledger.on_fill("less", SELL, fill("part", PERP, BUY, "3", HOUR_NS + 1))
    # What was traded at the very nanosecond is taken as it was after it.
    assert ledger.on_funding(payment("0.4")) == {"less": D("0.4")}


def test_a_venue_that_settles_what_was_traded_after_its_hour_is_believed() -> None:
    """It names the full hour, and charges some seconds later what is held by then."""
    ledger = Ledger()
    pair(ledger, "after", "3", HOUR_NS + 2)
    assert ledger.on_funding(payment("0.3")) == {"after": D("0.3")}
    assert ledger.unallocated_funding() == {}


def test_a_payment_without_a_rate_is_theirs_who_held_the_position() -> None:
    """Binance has not published the rate yet, and the position is gone: nothing else tells it."""
    ledger = Ledger()
    pair(ledger, "one", "2", HOUR_NS - 500, HOUR_NS + 1)
    pair(ledger, "other", "1", HOUR_NS - 500, HOUR_NS + 1)
    pair(ledger, "before", "1", HOUR_NS - 500, HOUR_NS - 1)
    shares = ledger.on_funding(payment("0.2", rate="0", mark="0"))
    assert shares.keys() == {"one", "other"}
    assert sum(shares.values()) == D("0.2")
    assert abs(shares["one"] - D("0.4") / 3) < D("1e-17")
    assert ledger.unallocated_funding() == {}
    assert ledger.on_funding(payment("0", HOUR_NS + 9, rate="0")) == {}, "a rate of zero pays nobody"


def test_a_payment_of_bybit_is_not_turned_round_by_a_position_that_came_after() -> None:
    """Its row does not say whether a long or a short was settled: 2 were held long, and paid; 1 is held short now."""
    perp = PERP.model_copy(update={"venue": "bybit"})
    told = {
        "symbol": "ETHUSDT", "execType": "Funding", "execId": "x", "orderId": "", "orderLinkId": "", "side": "Sell",
        "execPrice": "1000", "execQty": "2", "execFee": "0.2", "feeRate": "0.0001", "feeCurrency": "", "isMaker": False,
        "execTime": "1",
    }  # fmt: skip
    row = ExecutionRow.model_validate(told)
    wallets = WalletBook(lambda _: WALLET, {}, D("0.2"), locks_margin=False)
    wallets.set_position(Position(instrument=perp, quantity=D(2), average_price=D(1000)))
    at_once = funding_of(perp, row, wallets)
    assert (at_once.amount, at_once.rate, at_once.mark_price) == (D("-0.2"), D("0.0001"), 1000)
    wallets.set_position(Position(instrument=perp, quantity=D(-1), average_price=D(1000)))
    late = funding_of(perp, row, wallets).model_copy(update={"instrument": PERP, "ts_ns": HOUR_NS})
    assert (late.amount, late.rate) == (D("-0.2"), 0)
    ledger = Ledger()
    ledger.open_pair("held", route(PERP, OTHER), 1)
    ledger.on_fill("held", BUY, fill("1", PERP, BUY, "2", HOUR_NS - 500))
    ledger.on_fill("held", BUY, fill("2", PERP, SELL, "2", HOUR_NS + 1))
    ledger.close_pair("held")
    pair(ledger, "after", "1", HOUR_NS + 2)
    assert ledger.on_funding(late) == {"held": D("-0.2")}


def closing(bench: Bench) -> Iterator[None]:
    """Let the market and the clock go on until nothing is open."""
    at_ms = 2_100
    while bench.engine.desk.executor.pairs:
        at_ms += 100
        assert at_ms < 60_000, "it was to be closed"
        bench.linear(at_ms, *DEAR)
        yield


def test_the_result_of_a_pair_that_is_over_is_counted_anew() -> None:
    bench = Bench()
    bench.warm()
    bench.linear(2_010, *DEAR)
    bench.clock.advance_to(bench.clock.now_ns() + 90_000_000)
    desk = bench.engine.desk
    (held,) = desk.executor.pairs.values()
    told = bench.paper.settle_funding(LINEAR, D("0.001"), D("1003.5"))
    assert told is not None
    bench.clock.advance_to(bench.clock.now_ns() + 1_000_000)
    desk.executor.flatten()
    for _ in closing(bench):
        pass
    now_ns = bench.clock.now_ns()
    before = desk.portfolio.realised_today(now_ns)
    desk.on_funding(told)
    desk.on_funding(told)
    assert [body["pair"] for body in bench.journal.of(RecordKind.FUNDING)] == [held.id]
    assert desk.ledger.unallocated_funding() == {}
    assert abs(desk.portfolio.realised_today(now_ns) - before - float(told.amount)) < 1e-9


def test_a_pair_that_was_over_before_a_restart_has_what_is_told_after_it() -> None:
    before = Bench()
    before.warm()
    before.linear(2_010, *DEAR)
    before.clock.advance_to(before.clock.now_ns() + 90_000_000)
    (held,) = before.engine.desk.executor.pairs.values()
    told = before.paper.settle_funding(LINEAR, D("0.001"), D("1003.5"))
    assert told is not None
    before.clock.advance_to(before.clock.now_ns() + 1_000_000)
    before.engine.desk.executor.flatten()
    for _ in closing(before):
        pass
    replay = JournalReplay({one.id: one for one in before.instruments})
    for kind, key, body in before.journal.records:
        replay.take(Kept(kind, key, json.loads(encode(body))))
    ended_ns = held.closed_ns
    assert ended_ns is not None
    assert replay.over_since(ended_ns + 1) == []
    bench = Bench()
    bench.warm()
    desk = bench.engine.desk
    desk.remember([replay.rebuilt(pair_id) for pair_id in replay.over_since(ended_ns)])
    assert (desk.ledger.realised(), desk.portfolio.realised_total()) == ({}, 0), "it was counted where it ended"
    desk.on_funding(told)
    desk.on_funding(told)
    assert [body["pair"] for body in bench.journal.of(RecordKind.FUNDING)] == [held.id]
    assert desk.ledger.unallocated_funding() == {}
    assert desk.ledger.realised() == {"USDT": told.amount}
    assert desk.portfolio.realised_total() == pytest.approx(float(told.amount))
    assert list(desk.ledger.pairs()) == []


def test_a_pair_that_a_late_fill_has_opened_again_has_no_result_before_it_is_over() -> None:
    """What it holds by then is bought or sold, and not lost or earned: counted as that, it would halt."""
    bench = Bench()
    bench.warm()
    bench.linear(2_010, *DEAR)
    bench.clock.advance_to(bench.clock.now_ns() + 90_000_000)
    desk = bench.engine.desk
    (held,) = desk.executor.pairs.values()
    told = bench.paper.settle_funding(LINEAR, D("0.001"), D("1003.5"))
    assert told is not None
    desk.executor.flatten()
    for _ in closing(bench):
        pass
    before = desk.portfolio.realised_today(bench.clock.now_ns())
    sale = next(order for order, name, _ in held.orders.values() if name == "open_sell")
    desk.on_fill(fill("late", LINEAR, SELL, "1", bench.clock.now_ns()).model_copy(
        update={"client_order_id": sale.client_order_id}
    ))  # fmt: skip
    assert held.id in desk.executor.pairs
    desk.on_funding(told)
    assert desk.portfolio.realised_today(bench.clock.now_ns()) == before
    assert desk.gate.state is TradingState.ACTIVE


def test_a_payment_of_many_digits_leaves_no_rest_that_is_nobodys() -> None:
    bench = Bench()
    bench.warm()
    bench.linear(2_010, *DEAR)
    bench.clock.advance_to(bench.clock.now_ns() + 30_000_000)
    told = bench.paper.settle_funding(LINEAR, D("0.00012345678901234567"), D("1003.5123456789012"))
    assert told is not None
    assert len(told.amount.as_tuple().digits) > 28
    bench.engine.desk.on_funding(told)
    (body,) = bench.journal.of(RecordKind.FUNDING)
    assert D(body["payment"]) == told.amount
    assert body["pair"] is not None
