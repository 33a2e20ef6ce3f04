"""What becomes of requests while faults are active, by a clock that the test moves."""

from bot.clock import VirtualClock
from bot.domain.instrument import Segment
from exchanges.simulator.faults.catalogue import FaultKind
from exchanges.simulator.faults.desk import FaultDesk
from exchanges.simulator.faults.request_fates import UNHARMED, Asked, Fate, RequestFates
from exchanges.simulator.faults.values import fault_from_text

S = 1_000_000_000
ORDER = Asked("binance", Segment.SPOT, "POST /api/v3/order", changes=True)
READ = Asked("binance", Segment.SPOT, "GET /api/v3/account", changes=False)


class Bench:
    def __init__(self) -> None:
        self.clock = VirtualClock(1_700_000_000 * S)
        self.desk = FaultDesk(self.clock)
        self.fates = RequestFates(self.desk, self.clock)

    def order(self, line: str) -> int:
        return self.desk.order(fault_from_text(line))

    def struck(self) -> list[int]:
        return [one.struck for one in self.desk.orders]

    def advance(self, seconds: float) -> None:
        self.clock.advance_to(self.clock.now_ns() + round(seconds * S))


def test_nothing_happens_to_requests_while_all_is_quiet() -> None:
    assert Bench().fates.of(ORDER) is UNHARMED


def test_a_bans_retry_after_counts_down_and_one_more_ban_does_not_disturb_it() -> None:
    bench = Bench()
    bench.order("http-418,venue=binance,amount=3,for_s=10")
    bench.advance(0.5)
    assert bench.fates.of(ORDER) == Fate(FaultKind.HTTP_418, wait_s=3)
    bench.order("http-418,venue=binance,amount=3,for_s=1")
    bench.advance(1.5)
    assert bench.fates.of(READ).wait_s == 1
    bench.advance(5)
    assert bench.fates.of(READ).wait_s == 1
    bench.advance(5)
    assert bench.fates.of(READ) is UNHARMED


def test_a_429_names_the_same_time_again() -> None:
    bench = Bench()
    bench.order("http-429,venue=binance,amount=2.5")
    assert bench.fates.of(ORDER).wait_s == 3
    bench.advance(2)
    assert bench.fates.of(ORDER).wait_s == 3


def test_who_is_refused_loses_nothing_and_what_never_arrives_has_no_answer_to_lose() -> None:
    bench = Bench()
    bench.order("lost-answer,venue=binance")
    bench.order("lost-order,venue=binance")
    bench.order("http-503,venue=binance,match=/account")
    assert bench.fates.of(ORDER) == Fate(is_lost=True)
    assert bench.fates.of(READ) == Fate(FaultKind.HTTP_503)
    assert bench.struck() == [0, 1, 1]


def test_late_answers_may_be_refusals() -> None:
    bench = Bench()
    bench.order("latency,venue=binance,amount=250")
    bench.order("http-403,venue=binance")
    assert bench.fates.of(READ) == Fate(FaultKind.HTTP_403, delay_s=0.25)


def test_reads_are_lost_only_by_name_and_are_not_counted_otherwise() -> None:
    bench = Bench()
    first = bench.order("lost-answer,venue=binance,match=/api/v3,count=1")
    assert bench.fates.of(READ) == UNHARMED
    assert bench.struck() == [0]
    assert bench.fates.of(ORDER) == Fate(is_answer_lost=True)
    assert bench.desk.end(first) is False
    bench.order("lost-order,venue=binance,match=GET /api/v3/account")
    assert bench.fates.of(READ) == Fate(is_lost=True)


def test_maintenance_tells_when_it_began_and_will_end() -> None:
    bench = Bench()
    began_ns = bench.clock.now_ns()
    bench.order("maintenance,venue=binance,segment=spot,for_s=60")
    bench.advance(20)
    assert bench.fates.maintenance("binance", Segment.SPOT) == (began_ns, began_ns + 60 * S)
    assert bench.fates.maintenance("binance", Segment.LINEAR) is None
    assert bench.fates.maintenance("bybit", None) is None
    assert bench.fates.of(READ) == Fate(FaultKind.MAINTENANCE)
    bench.advance(40)
    assert bench.fates.maintenance("binance", Segment.SPOT) is None


def test_answers_are_given_now_or_later() -> None:
    bench = Bench()
    said: list[str] = []
    bench.fates.later(0.0, lambda: said.append("now"))
    bench.fates.later(0.5, lambda: said.append("later"))
    assert said == ["now"]
    bench.advance(0.5)
    assert said == ["now", "later"]
