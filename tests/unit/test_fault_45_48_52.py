"""Faults 45, 48 and 52: a pair on top of an unfinished one, a venue run dry, funding that comes between the legs."""

from decimal import Decimal

from bot.domain.order import Order, Side
from bot.domain.route import Outcome
from bot.ports import RecordKind
from tests.unit.test_engine_decisions import BALANCES, EVEN, LINEAR, SPOT, Bench

D = Decimal
DEAR = ("1003.41", "1003.61")


def submitted(bench: Bench) -> list[Order]:
    """Every order that leaves from now on, while it still goes to the venue."""
    sent: list[Order] = []
    submit = bench.paper.submit

    def note(order: Order) -> None:
        sent.append(order)
        submit(order)

    bench.paper.submit = note  # type: ignore[method-assign]
    return sent


def test_fault_45_nothing_new_on_an_instrument_before_the_pair_there_is_resolved() -> None:
    bench = Bench(paper={"latency_ms": 500.0, "balances": BALANCES})
    sent = submitted(bench)
    bench.warm()
    bench.linear(2_010, *DEAR)
    assert len(sent) == 2
    for at_ms in range(2_020, 2_400, 20):  # the same edge again and again, while both answers are on their way
        bench.spot(at_ms, *EVEN)
        bench.linear(at_ms + 5, *DEAR)
    assert len(sent) == 2
    assert bench.engine.decisions.taken == 1


def test_fault_48_a_wallet_that_is_dry_is_refused_before_the_first_leg() -> None:
    bench = Bench(paper={"balances": {"binance.spot": {"USDT": 100_000}, "binance.linear": {"USDT": 0}}})
    sent = submitted(bench)
    bench.warm()
    bench.linear(2_010, *DEAR)
    assert sent == []
    refused = [one for one in bench.decisions if one.outcome is Outcome.REFUSED and one.ts_ns == bench.clock.now_ns()]
    assert [one.reason for one in refused] == ["balance binance.linear"]


def test_fault_48_money_of_an_order_on_its_way_is_not_spent_twice() -> None:
    wallets = {"binance.spot": {"USDT": 1_500}, "binance.linear": {"USDT": 100_000}}
    bench = Bench(paper={"latency_ms": 500.0, "balances": wallets})
    before = bench.paper.affordable_notional(SPOT, Side.BUY, 1_000.0)
    bench.warm()
    bench.linear(2_010, *DEAR)
    after = bench.paper.affordable_notional(SPOT, Side.BUY, 1_000.0)
    assert before > 1_400
    assert after < 600


def test_fault_52_funding_between_the_legs_is_booked_to_what_was_held() -> None:
    """One leg is filled when the venue settles: what it pays is the pair's, and the cash adds up."""
    bench = Bench()
    bench.warm()
    bench.linear(2_010, *DEAR)
    bench.clock.advance_to(bench.clock.now_ns() + 30_000_000)
    assert bench.paper.accounts.position(LINEAR).quantity < 0
    (pair,) = bench.engine.desk.executor.pairs.values()
    payment = bench.paper.settle_funding(LINEAR, D("0.001"), D("1003.5"))
    assert payment is not None
    bench.engine.desk.on_funding(payment)
    bench.engine.desk.on_funding(payment)  # told twice
    booked = bench.journal.of(RecordKind.FUNDING)
    assert [(body["pair"], D(body["payment"])) for body in booked] == [(pair.id, payment.amount)]
    assert payment.amount == D("0.996") * D("1003.5") * D("0.001")
    flows = bench.engine.desk.ledger.pair(pair.id).flows
    wallets = sum((one.total for one in bench.paper.balances() if one.asset == "USDT"), D(0))
    position = bench.paper.accounts.position(LINEAR)
    assert wallets - D(300_000) == flows["USDT"] + position.quantity * position.average_price
