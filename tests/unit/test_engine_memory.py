"""What an engine keeps beside quotes, where it may have missed something, and what it values positions at."""

from decimal import Decimal
from typing import Any

from bot.domain.market import FundingRate, PublicTrade, TopOfBook
from bot.engine.slot import MARK_NS
from bot.engine.terms.funding import FundingClock
from bot.execution.ledger import Ledger
from bot.market.columns import Columns
from bot.market.gap_marks import FOR_EVER_NS
from bot.market.window import Window
from bot.ports import FeedState
from tests.unit.test_engine_decisions import EVEN, LINEAR, MS, START_MS, Bench

SPOT_SLOT, LINEAR_SLOT = 0, 1
START_NS = START_MS * MS
S = 1_000 * MS


def trade(number: int, event_ns: int = START_NS) -> PublicTrade:
    return PublicTrade(price=1000.5, quantity=0.2, buyer_is_maker=False, trade_id=str(number), ts_event_ns=event_ns)


def rate(event_ns: int = START_NS) -> FundingRate:
    return FundingRate(rate=1e-4, next_funding_ns=START_NS + 3_600 * S, interval_h=8.0, ts_event_ns=event_ns)


def yesterday(window: Window, ended_ns: int) -> None:
    """As after a restart: a quote out of the archive."""
    past = Window()
    quote = TopOfBook(bid_price=900.0, bid_qty=1.0, ask_price=901.0, ask_qty=1.0, sequence=1)
    past.append(ended_ns, quote)
    columns: Columns = past.between(0, ended_ns + 1)
    window.load(columns)


def test_trades_and_rates_are_kept_and_those_of_no_time_are_malformed() -> None:
    bench = Bench()
    slot = bench.engine.slots[LINEAR_SLOT]
    for number in range(3):
        bench.engine.on_trade(LINEAR_SLOT, trade(number), START_NS + number)
        bench.engine.on_funding(LINEAR_SLOT, rate(START_NS + number), START_NS + number)
    kept = slot.trades.between(0, START_NS + 10)
    assert (kept.trade_id, kept.ts_recv_ns.tolist()) == (["0", "1", "2"], [START_NS, START_NS + 1, START_NS + 2])
    assert slot.funding_rates.as_of(START_NS + 1) == (START_NS + 1, rate(START_NS + 1))
    assert slot.funding == rate(START_NS + 2)
    bench.engine.on_trade(LINEAR_SLOT, trade(3, event_ns=2**70), START_NS + 5)
    bench.engine.on_funding(LINEAR_SLOT, rate(event_ns=2**70), START_NS + 5)
    assert bench.engine.feeds[LINEAR.feed].malformed == 2
    assert (len(slot.trades), len(slot.funding_rates), slot.funding) == (3, 3, rate(START_NS + 2))
    assert len(bench.engine.slots[SPOT_SLOT].trades) == 0


def test_a_lost_connection_marks_a_gap_in_the_memory_of_its_feed_alone() -> None:
    bench = Bench()
    bench.linear(1_000, *EVEN)
    bench.spot(1_000, *EVEN)
    slot, other = bench.engine.slots[LINEAR_SLOT], bench.engine.slots[SPOT_SLOT]
    bench.clock.advance_to(START_NS + 3 * S)
    bench.engine.on_feed_state(LINEAR.feed, FeedState.SILENT, "")
    assert slot.window.gaps(0, FOR_EVER_NS) == []
    bench.engine.on_feed_state(LINEAR.feed, FeedState.RECONNECTING, "pulled")
    bench.engine.on_feed_state(LINEAR.feed, FeedState.RECONNECTING, "again")
    began = START_NS + 1 * S + 1
    assert slot.window.gaps(0, FOR_EVER_NS) == [(began, FOR_EVER_NS, "reconnecting: pulled")]
    # Nothing had been traded yet: since the start, and not since 1970.
    assert slot.trades.gaps(0, FOR_EVER_NS) == [(START_NS, FOR_EVER_NS, "reconnecting: pulled")]
    bench.clock.advance_to(START_NS + 5 * S)
    bench.engine.on_feed_state(LINEAR.feed, FeedState.LIVE, "")
    assert slot.trades.gaps(0, FOR_EVER_NS) == [(START_NS, START_NS + 5 * S, "reconnecting: pulled")]
    assert slot.funding_rates.gaps(0, FOR_EVER_NS) == slot.trades.gaps(0, FOR_EVER_NS)
    assert slot.window.gaps(0, FOR_EVER_NS)[0].stop_ns == FOR_EVER_NS, "what is quoted now is not known yet"
    bench.linear(6_000, *EVEN)
    assert slot.window.gaps(0, FOR_EVER_NS) == [(began, START_NS + 6 * S, "reconnecting: pulled")]
    assert other.window.gaps(0, FOR_EVER_NS) == other.trades.gaps(0, FOR_EVER_NS) == []


def test_a_quote_of_yesterday_is_no_price_of_today() -> None:
    bench = Bench()
    slot = bench.engine.slots[SPOT_SLOT]
    yesterday(slot.window, START_NS - 30 * S)
    assert slot.quote is None
    last = slot.newest(START_NS)
    assert last is not None
    assert last.mid == 900.5, "half a minute ago"
    assert slot.newest(START_NS - 30 * S + MARK_NS) == last
    assert slot.newest(START_NS - 30 * S + MARK_NS + 1) is None
    bench.spot(1_000, *EVEN)
    standing = slot.newest(START_NS + 3_600 * S)
    assert standing is not None
    assert standing.mid == 1000.0, "nobody said that it does not stand any more"


class Settling:
    """A venue that writes down at what mark it was told to settle."""

    def __init__(self) -> None:
        self.marks: list[Decimal] = []

    def settle_funding(self, instrument: Any, rate: Decimal, mark: Decimal) -> None:
        self.marks.append(mark)


def test_funding_is_never_settled_at_a_price_from_before_the_restart() -> None:
    bench = Bench()
    slot, venue = bench.engine.slots[LINEAR_SLOT], Settling()
    clock = FundingClock(bench.engine.slots, venue, Ledger(), bench.journal, bench.clock)  # type: ignore[arg-type]
    yesterday(slot.window, START_NS - 7_200 * S)
    slot.on_funding(FundingRate(rate=1e-4, next_funding_ns=START_NS + 10 * S, interval_h=8.0, ts_event_ns=START_NS))
    clock.watch()
    bench.clock.advance_to(START_NS + 11 * S)
    clock.watch()
    assert venue.marks == [], "nobody knows what the position was worth"
    slot.on_funding(
        FundingRate(rate=1e-4, next_funding_ns=START_NS + 100 * S, interval_h=8.0, ts_event_ns=START_NS + 11 * S)
    )
    bench.linear(12_000, "999.90", "1000.20")
    clock.watch()
    bench.engine.on_feed_state(LINEAR.feed, FeedState.RECONNECTING, "pulled")
    bench.clock.advance_to(START_NS + 90 * S)
    clock.watch()
    bench.clock.advance_to(START_NS + 101 * S)
    clock.watch()
    assert venue.marks == [Decimal("1000.05")], "what was known of this settlement before the connection went"
