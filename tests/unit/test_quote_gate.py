from math import inf, nan

import pytest

from bot.domain.market import TopOfBook
from bot.market.quote_gate import QuoteGate, RefusedQuote
from bot.settings import QuoteGateSettings

MS = 1_000_000
START_NS = 1_723_161_254_000_000_000
SETTINGS = QuoteGateSettings(max_event_age_ms=1_000, max_jump_bps=500, jump_confirm_ms=1_000)


def tob(bid: float = 100.0, ask: float = 100.1, bid_qty: float = 1.0, ask_qty: float = 1.0) -> TopOfBook:
    return TopOfBook(bid_price=bid, bid_qty=bid_qty, ask_price=ask, ask_qty=ask_qty, sequence=1)


def around(mid: float) -> TopOfBook:
    return tob(mid - 0.05, mid + 0.05)


@pytest.fixture
def gate() -> QuoteGate:
    gate = QuoteGate(SETTINGS)
    assert gate.refuse(around(100.0), START_NS, 0) is None
    return gate


@pytest.mark.parametrize(
    ("quote", "reason"),
    [
        (tob(bid=nan), RefusedQuote.NON_FINITE),
        (tob(ask=nan), RefusedQuote.NON_FINITE),
        (tob(ask=inf), RefusedQuote.NON_FINITE),
        (tob(bid=-inf), RefusedQuote.NON_FINITE),
        (tob(bid_qty=nan), RefusedQuote.NON_FINITE),
        (tob(ask_qty=inf), RefusedQuote.NON_FINITE),
        (tob(bid_qty=0.0, ask=nan), RefusedQuote.NON_FINITE),
        (tob(bid_qty=0.0), RefusedQuote.EMPTY_SIDE),
        (tob(ask=0.0, ask_qty=0.0), RefusedQuote.EMPTY_SIDE),
        (tob(0.0, 0.0, 0.0, 0.0), RefusedQuote.EMPTY_SIDE),
        (tob(bid=-1.0, ask_qty=0.0), RefusedQuote.EMPTY_SIDE),
        (tob(bid=0.0), RefusedQuote.NON_POSITIVE),
        (tob(bid=-1.0), RefusedQuote.NON_POSITIVE),
        (tob(ask=-1.0), RefusedQuote.NON_POSITIVE),
        (tob(ask_qty=-1.0), RefusedQuote.NON_POSITIVE),
        (tob(bid=100.2), RefusedQuote.CROSSED),
        (tob(bid=100.1), RefusedQuote.LOCKED),
    ],
)
def test_a_quote_that_is_none_is_refused_by_its_name(gate: QuoteGate, quote: TopOfBook, reason: RefusedQuote) -> None:
    assert gate.refuse(quote, START_NS, 0) is reason
    assert gate.refuse(around(100.0), START_NS, 0) is None, "the next good quote passes"


def test_reasons_are_plain_words() -> None:
    assert [str(reason) for reason in RefusedQuote] == [
        "non_finite",
        "empty_side",
        "non_positive",
        "crossed",
        "locked",
        "stale",
        "implausible_jump",
    ]


def test_a_quote_that_was_old_on_arrival_is_stale(gate: QuoteGate) -> None:
    assert gate.refuse(around(100.0), START_NS, 1_000 * MS) is None
    assert gate.refuse(around(100.0), START_NS, 1_000 * MS + 1) is RefusedQuote.STALE
    assert gate.refuse(around(100.0), START_NS, None) is None


def test_fault_14_a_spike_is_refused_and_the_old_level_still_good(gate: QuoteGate) -> None:
    assert gate.refuse(around(1_000.0), START_NS + MS, 0) is RefusedQuote.IMPLAUSIBLE_JUMP
    assert gate.refuse(around(10.0), START_NS + 2 * MS, 0) is RefusedQuote.IMPLAUSIBLE_JUMP
    assert gate.refuse(around(100.0), START_NS + 3 * MS, 0) is None
    assert gate.refuse(around(104.9), START_NS + 4 * MS, 0) is None


def test_a_slow_move_is_no_jump(gate: QuoteGate) -> None:
    mid = 100.0
    for _ in range(50):
        mid *= 1.04
        assert gate.refuse(around(mid), START_NS, 0) is None


def test_a_new_level_is_believed_when_it_has_held(gate: QuoteGate) -> None:
    for ms, mid in ((0, 110.0), (300, 112.0), (999, 108.0)):
        assert gate.refuse(around(mid), START_NS + ms * MS, 0) is RefusedQuote.IMPLAUSIBLE_JUMP
    assert gate.refuse(around(111.0), START_NS + 1_000 * MS, 0) is None
    assert gate.refuse(around(100.0), START_NS + 1_001 * MS, 0) is RefusedQuote.IMPLAUSIBLE_JUMP


def test_the_trial_of_a_level_starts_anew_with_a_quote_that_is_not_at_it(gate: QuoteGate) -> None:
    assert gate.refuse(around(110.0), START_NS, 0) is RefusedQuote.IMPLAUSIBLE_JUMP
    assert gate.refuse(around(120.0), START_NS + 500 * MS, 0) is RefusedQuote.IMPLAUSIBLE_JUMP
    assert gate.refuse(around(120.0), START_NS + 1_499 * MS, 0) is RefusedQuote.IMPLAUSIBLE_JUMP
    assert gate.refuse(around(120.0), START_NS + 1_500 * MS, 0) is None


def test_an_accepted_quote_ends_a_trial_even_at_the_very_same_price(gate: QuoteGate) -> None:
    assert gate.refuse(around(110.0), START_NS, 0) is RefusedQuote.IMPLAUSIBLE_JUMP
    assert gate.refuse(around(100.0), START_NS + 500 * MS, 0) is None
    assert gate.refuse(around(110.0), START_NS + 1_200 * MS, 0) is RefusedQuote.IMPLAUSIBLE_JUMP


def test_refused_quotes_do_not_confirm_a_level(gate: QuoteGate) -> None:
    assert gate.refuse(around(110.0), START_NS, 0) is RefusedQuote.IMPLAUSIBLE_JUMP
    assert gate.refuse(around(110.0), START_NS + 2_000 * MS, 5_000 * MS) is RefusedQuote.STALE
    assert gate.refuse(tob(111.0, 110.0), START_NS + 2_000 * MS, 0) is RefusedQuote.CROSSED
    assert gate.refuse(around(100.0), START_NS + 2_000 * MS, 0) is None


def test_a_clock_set_back_restarts_the_trial(gate: QuoteGate) -> None:
    assert gate.refuse(around(110.0), START_NS, 0) is RefusedQuote.IMPLAUSIBLE_JUMP
    hour_ago_ns = START_NS - 3_600_000 * MS
    assert gate.refuse(around(110.0), hour_ago_ns, 0) is RefusedQuote.IMPLAUSIBLE_JUMP
    assert gate.refuse(around(110.0), hour_ago_ns + 1_000 * MS, 0) is None


def test_prices_whose_sum_is_infinite_never_pass() -> None:
    gate = QuoteGate(SETTINGS)
    huge = tob(1.0e308, 1.5e308)
    for ms in (0, 2_000, 4_000):
        assert gate.refuse(huge, START_NS + ms * MS, 0) is RefusedQuote.IMPLAUSIBLE_JUMP
    assert gate.refuse(around(100.0), START_NS, 0) is None
