from math import isfinite

from hypothesis import given
from hypothesis import strategies as st

from bot.domain.market import TopOfBook
from bot.market.quote_gate import QuoteGate, RefusedQuote
from bot.settings import QuoteGateSettings

NUMBERS = st.floats() | st.sampled_from([0.0, -0.0, 1.0, 100.0, 100.1, 5e-324, 1.7e308])
QUOTES = st.builds(
    TopOfBook,
    bid_price=NUMBERS,
    bid_qty=NUMBERS,
    ask_price=NUMBERS,
    ask_qty=NUMBERS,
    sequence=st.integers(),
)


@given(st.lists(QUOTES, max_size=8))
def test_no_quote_passes_that_could_not_be_traded_on(quotes: list[TopOfBook]) -> None:
    gate = QuoteGate(QuoteGateSettings())
    for ts_ns, quote in enumerate(quotes):
        reason = gate.refuse(quote, ts_ns * 10**9, 0)
        numbers = (quote.bid_price, quote.bid_qty, quote.ask_price, quote.ask_qty)
        sound = all(isfinite(n) and n > 0 for n in numbers) and quote.bid_price < quote.ask_price
        assert reason in ((None, RefusedQuote.IMPLAUSIBLE_JUMP) if sound else tuple(RefusedQuote)[:5])
        if reason is None:
            assert isfinite(quote.mid)
            assert isfinite(quote.spread_bps)


@given(st.lists(st.tuples(st.integers(0, 2_000), st.floats(1.0, 200.0)), min_size=1, max_size=40))
def test_an_accepted_mid_is_near_the_last_one_or_has_held(steps: list[tuple[int, float]]) -> None:
    settings = QuoteGateSettings(max_jump_bps=500, jump_confirm_ms=1_000)
    gate, accepted, ts_ns = QuoteGate(settings), None, 0
    refused_since: list[tuple[int, float]] = []
    for gap_ms, mid in steps:
        ts_ns += gap_ms * 1_000_000
        quote = TopOfBook(bid_price=mid * 0.9999, bid_qty=1, ask_price=mid * 1.0001, ask_qty=1, sequence=1)
        reason = gate.refuse(quote, ts_ns, None)
        if reason is not None:
            refused_since.append((ts_ns, mid))
            continue
        near = accepted is None or abs(mid / accepted - 1) <= 0.05001
        held = any(
            ts_ns - since_ns >= 1_000_000_000 and all(abs(m / first - 1) <= 0.05001 for _, m in refused_since[i:])
            for i, (since_ns, first) in enumerate(refused_since)
            if abs(mid / first - 1) <= 0.05001
        )
        assert near or held
        accepted, refused_since = mid, []
