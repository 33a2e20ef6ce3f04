"""Legs that do not fit together are refused, and the net edge is checked again right before the orders leave, when
the intents are durable. The tests of the latter also take their guard away and see the orders leave.
"""

from collections.abc import Callable

import pytest

from bot.domain.instrument import ListingStatus
from bot.domain.order import Side
from bot.domain.route import Outcome, Route
from bot.ports import RecordKind
from bot.risk.limits import OppositeSides, Refused
from tests.unit.risk_rig import A, B, Held, linear, proposal, route
from tests.unit.test_engine_decisions import EVEN, LINEAR, MS, START_MS, Bench
from tests.unit.test_risk_gate import gate

DECIDED_MS = 2_050


class SlowDisk(Bench):
    """Decides at once, and has its intents durable when the test says so."""

    def __init__(self, *, guarded: bool = True) -> None:
        super().__init__()
        self.waiting: list[Callable[[], None]] = []
        self.journal.when_durable = self.waiting.append  # type: ignore[method-assign]
        if not guarded:
            self.engine.desk.executor.why_not_now = lambda pair: None
        self.warm()
        self.linear(DECIDED_MS, "1010.00", "1010.20")
        assert [decision.outcome for decision in self.decisions[-1:]] == [Outcome.TAKEN]

    def durable(self, at_ms: float) -> None:
        self.clock.advance_to(START_MS * MS + round(at_ms * MS))
        while self.waiting:
            self.waiting.pop(0)()

    @property
    def sent(self) -> int:
        return self.engine.desk.orders

    @property
    def last_pair(self) -> tuple[object, object]:
        body = self.journal.of(RecordKind.PAIR)[-1]
        return body["state"], body["close_reason"]


@pytest.mark.parametrize(
    "wrong", [route(A, B, (Side.BUY, Side.BUY)), route(A, A), route(A, linear("bybit", "1000BTC"))]
)
def test_fault_44_legs_on_one_side_on_one_feed_or_of_two_coins_are_refused(wrong: Route) -> None:
    door = gate(Held())
    assert not isinstance(door.check(proposal()), Refused)
    assert isinstance(door.check(proposal(route=wrong)), Refused)
    refused = OppositeSides().check(proposal(route=wrong), Held())
    assert refused is not None
    assert refused.limit == "leg_sides"


def test_fault_44_an_edge_that_stands_is_sent() -> None:
    bench = SlowDisk()
    bench.linear(2_080, "1009.00", "1009.20")
    bench.durable(2_090)
    assert bench.sent == 2


def _gone(bench: Bench) -> None:
    bench.linear(2_080, *EVEN)


def _stale(bench: Bench) -> None:
    bench.clock.advance_to((START_MS + 2_900) * MS)


def _no_quote(bench: Bench) -> None:
    bench.linear(2_080, "1010.00", "1009.00")  # crossed: the quote gate refuses it


def _delisted(bench: Bench) -> None:
    bench.engine.desk.on_listing(LINEAR.model_copy(update={"status": ListingStatus.SETTLING}))


@pytest.mark.parametrize(
    ("happens", "limit"),
    [
        (_gone, "net_edge"),
        (_stale, "quote_age"),
        (_no_quote, "no_quote"),
        (_delisted, f"instrument_status {LINEAR.id}"),
    ],
)
def test_fault_44_what_is_refused_by_now_is_missed_and_nothing_is_sent(
    happens: Callable[[Bench], None], limit: str
) -> None:
    bench = SlowDisk()
    happens(bench)
    bench.durable(bench.ms + 1)
    assert bench.sent == 0
    assert bench.last_pair == ("missed", limit)
    assert [(one.outcome, one.reason) for one in bench.decisions[-1:]] == [(Outcome.REFUSED, limit)]
    orders = bench.journal.of(RecordKind.ORDER)[-2:]
    assert [(one["status"], one["reason"]) for one in orders] == [("cancelled", f"not sent: {limit}")] * 2
    assert bench.engine.desk.portfolio.realised_total() == 0
    assert not bench.engine.desk.executor.pairs

    unguarded = SlowDisk(guarded=False)
    happens(unguarded)
    unguarded.durable(unguarded.ms + 1)
    assert unguarded.sent == 2


def test_fault_44_a_price_that_rises_while_the_disk_writes_makes_no_order_too_large() -> None:
    bench = SlowDisk()
    bench.spot(2_080, "1001.00", "1001.20")
    bench.linear(2_080, "1012.00", "1012.20")  # the decided quantity is above 1000 at this price
    bench.durable(2_090)
    assert bench.sent == 2


def test_fault_44_both_legs_of_a_pair_that_was_missed_may_be_tried_again() -> None:
    bench = SlowDisk()
    _gone(bench)
    bench.durable(2_100)
    for at_ms in range(2_200, 3_300, 100):
        bench.spot(at_ms, *EVEN)
        bench.linear(at_ms, *EVEN)
    bench.linear(3_350, "1010.00", "1010.20")
    bench.durable(3_360)
    assert bench.sent == 2
