import pytest

from bot.clock import VirtualClock
from bot.domain.instrument import Segment
from bot.errors import SettingsError
from exchanges.simulator.faults.catalogue import CATALOGUE, FaultKind
from exchanges.simulator.faults.desk import FaultDesk
from exchanges.simulator.faults.values import Fault, fault_from_json, fault_from_text

S = 1_000_000_000


def desk() -> tuple[FaultDesk, VirtualClock]:
    clock = VirtualClock()
    return FaultDesk(clock), clock


def test_every_fault_is_in_the_catalogue() -> None:
    assert set(CATALOGUE) == set(FaultKind)


def test_a_line_and_a_json_object_say_the_same() -> None:
    line = "gap,venue=bybit,segment=linear,at_s=30,for_s=5,count=3,match=BTCUSDT,amount=7"
    fields = {"fault": "gap", "venue": "bybit", "segment": "linear", "at_s": 30, "for_s": 5, "count": 3}
    assert fault_from_text(line) == fault_from_json(fields | {"match": "BTCUSDT", "amount": 7})
    assert fault_from_text(fault_from_text(line).words()) == fault_from_text(line)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("gab,venue=bybit", "no fault 'gab'"),
        ("lost-anwser", "; did you mean lost-answer?"),
        ("gap", "venue: Field required"),
        ("gap,venue=kraken", "has no gap; binance and bybit have"),
        ("listen-key-expiry,venue=bybit", "bybit"),
        ("cut,venue=bybit,amount=3", "takes no amount"),
        ("gap,venue=bybit,amount=nan", "finite number"),
        ("gap,venue=bybit,amount=0", "above 0"),
        ("gap,venue=bybit,for_s=-1", "greater than or equal to 0"),
        ("gap,venue=bybit,venue=bybit", "each key once"),
        ("gap,venue", "key=value"),
        ("gap,venue=bybit,often=3", "Extra inputs"),
    ],
)
def test_a_bad_order_is_one_clear_line(line: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as told:
        fault_from_text(line)
    assert "\n" not in str(told.value)


def test_a_fault_strikes_between_its_begin_and_its_end() -> None:
    faults, clock = desk()
    faults.order(Fault(fault=FaultKind.GAP, venue="bybit", at_s=2, for_s=3))
    seen = []
    for second in range(7):
        clock.advance_to(second * S)
        seen.append(faults.strike(FaultKind.GAP, "bybit") is not None)
    assert seen == [False, False, True, True, True, False, False]
    assert faults.orders[0].struck == 3


def test_it_strikes_only_what_it_names() -> None:
    faults, _ = desk()
    faults.order(Fault(fault=FaultKind.GAP, venue="bybit", segment=Segment.LINEAR, match="BTC"))
    assert faults.strike(FaultKind.GAP, "bybit", Segment.LINEAR, "BTCUSDT")
    assert faults.strike(FaultKind.GAP, "bybit", None, "BTCUSDT"), "what has no segment belongs to all"
    assert not faults.strike(FaultKind.GAP, "bybit", Segment.SPOT, "BTCUSDT")
    assert not faults.strike(FaultKind.GAP, "bybit", Segment.LINEAR, "ETHUSDT")
    assert not faults.strike(FaultKind.GAP, "binance", Segment.LINEAR, "BTCUSDT")
    assert not faults.strike(FaultKind.CUT, "bybit", Segment.LINEAR, "BTCUSDT")


@pytest.mark.parametrize(("for_s", "count", "most"), [(0, None, 1), (0, 2, 2), (100, 3, 3)])
def test_its_count_ends_it(for_s: float, count: int | None, most: int) -> None:
    faults, _ = desk()
    faults.order(Fault(fault=FaultKind.LOST_ORDER, venue="bybit", for_s=for_s, count=count))
    strikes = [faults.strike(FaultKind.LOST_ORDER, "bybit") is not None for _ in range(5)]
    assert strikes == [True] * most + [False] * (5 - most)
    assert faults.is_quiet


def test_what_a_begin_returns_undoes_it_once() -> None:
    faults, clock = desk()
    done: list[str] = []

    def begin(_: Fault) -> object:
        done.append("begun")
        return lambda: done.append("undone")

    faults.on(FaultKind.CLOCK_DRIFT, begin)  # type: ignore[arg-type]
    number = faults.order(Fault(fault=FaultKind.CLOCK_DRIFT, venue="bybit", for_s=5))
    assert faults.end(number)
    assert not faults.end(number)
    clock.advance_to(20 * S)
    assert done == ["begun", "undone"]


def test_what_happens_once_is_over_at_once() -> None:
    faults, _ = desk()
    done: list[Fault] = []
    faults.on(FaultKind.CUT, done.append)
    faults.order(Fault(fault=FaultKind.CUT, venue="bybit"))
    assert len(done) == 1
    assert faults.is_quiet


def test_an_order_that_waits_can_be_taken_back() -> None:
    faults, clock = desk()
    faults.order(Fault(fault=FaultKind.GAP, venue="bybit", at_s=5))
    faults.end_all()
    clock.advance_to(6 * S)
    assert faults.is_quiet


def test_listeners_hear_of_begin_and_end() -> None:
    faults, clock = desk()
    heard: list[bool] = []
    faults.on_change(lambda: heard.append(faults.is_quiet))
    faults.order(Fault(fault=FaultKind.GAP, venue="bybit", at_s=1, for_s=1))
    clock.advance_to(3 * S)
    assert heard == [False, True]
