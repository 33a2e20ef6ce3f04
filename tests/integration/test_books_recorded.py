"""Order books out of recordings: built beside the quotes, right wherever they are valid, followed by an engine."""

import asyncio
import os
from pathlib import Path

import pytest

from benchmarks.rig import temporary_journal
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed
from bot.domain.order_book import BookState
from bot.domain.route import Outcome
from bot.engine.engine import Engine, RunInfo
from bot.engine.slot import InstrumentSlot
from bot.settings import Settings
from exchanges.paper.actions import PaperActions
from exchanges.recorded.market import Recordings
from exchanges.registry import all_venues
from strategies.arbitrage.settings import ArbitrageSettings
from strategies.arbitrage.strategy import ArbitrageStrategy
from tests.unit.test_route_index import START_NS, AllAtEveryQuote, Bench

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("CRYPTO_PIPE_SHARED", ROOT.parent / "shared")) / "recordings" / "binance-2024-08-08"
FILES = {
    Feed.parse("binance.spot"): [FOLDER / "spot-ethusdt_20240808.gz"],
    Feed.parse("binance.linear"): [FOLDER / "usdm-ethusdt_20240808.gz"],
}
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no recordings in {FOLDER}; set CRYPTO_PIPE_SHARED")


class Watched:
    """A sink that hears of states and checks each book against the quotes of its instrument."""

    def __init__(self):
        self.states = []
        self.books = {}
        self.changes = 0

    def on_book(self, slot, book, change, ts_recv_ns):
        self.books[slot] = book
        self.changes += 1
        if book is not None:
            top = book.top()
            assert top.bid_price < top.ask_price

    def on_book_state(self, slot, state, reason):
        self.states.append((slot, state, reason))

    def on_malformed(self, feed, raw, reason):
        raise AssertionError(reason)

    def on_feed_state(self, feed, state, detail):
        pass

    def on_batch_end(self, ts_recv_ns):
        pass


def played(play_s, *, books=True, **risk):
    market = Recordings(FILES, all_venues(), speed="max", play_s=play_s)
    settings = Settings.model_validate(
        {
            "order_books": {"enabled": books},
            "paper": {"balances": {w: {"USDT": 1e7, "ETH": 3e3} for w in ("binance.spot", "binance.linear")}},
            "quote_gate": {"max_age_ms": 5000, "max_event_age_ms": 5000, "max_skew_ms": 5000},
            "risk": risk,
        }
    )
    fees = {feed: FeeSchedule(feed=feed, maker_bps=0, taker_bps=0, source="settings") for feed in FILES}
    decided = []
    with temporary_journal() as journal:
        engine = Engine(
            run=RunInfo("run", "arbitrage", "recorded", False, "", "0"),
            instruments=market.instruments,
            strategy=ArbitrageStrategy(ArbitrageSettings(warmup_s=20.0, min_net_edge_bps=0.2, adverse_moves=False)),
            venue=PaperActions(market.instruments, fees, settings.paper, market.clock),
            journal=journal,
            clock=market.clock,
            settings=settings,
            fees=fees,
            assumed_funding_bps_per_8h=dict.fromkeys(FILES, 0.0),
            log=lambda level, text: None,
            show_decision=decided.append,
        )
        watched = Watched()
        wanted = market.books.wanted(settings.order_books)
        if books:
            market.books.listen(wanted, engine.books)
            market.books.listen(wanted, watched)
        engine.start()
        asyncio.run(market.run(engine, asyncio.Event()))
        return engine, watched, decided


def test_both_books_are_right_soon_and_stay_so():
    engine, watched, _ = played(60.0)
    assert {slot for slot, state, _ in watched.states if state is BookState.VALID} == {0, 1}
    assert watched.states[-1][1] is BookState.VALID
    assert watched.changes > 500
    for slot in engine.slots:
        assert slot.book is watched.books[slot.index]
        assert len(slot.book.asks) > 400


WIDE = {
    "max_order_notional": 1e6,
    "max_position_notional": 1e7,
    "max_venue_notional": 1e8,
    "max_asset_notional": 1e8,
    "max_net_exposure_notional": 1e7,
}


def first_taken(decided):
    return next(one for one in decided if one.outcome is Outcome.TAKEN)


def test_a_size_takes_what_the_book_adds_to_the_top():
    """Without fees the first crossing is taken; the level behind the best one still earned enough."""
    _, _, with_books = played(60.0, **WIDE)
    _, _, without = played(60.0, books=False, **WIDE)
    deep, top = first_taken(with_books), first_taken(without)
    assert (deep.ts_ns, deep.route) == (top.ts_ns, top.route)
    assert deep.quantity > top.quantity


class Quotes:
    """A sink that keeps the quotes of a market."""

    def __init__(self):
        self.kept = []

    def on_quote(self, slot, quote, ts_recv_ns, raw):
        self.kept.append((ts_recv_ns, slot, quote))

    def __getattr__(self, name):
        return lambda *of: None


def among_six_venues():
    """The recorded quotes at six venues: each a little dearer and a little later than the one before it."""
    market = Recordings(FILES, all_venues(), speed="max", play_s=45.0)
    quotes = Quotes()
    asyncio.run(market.run(quotes, asyncio.Event()))
    arrivals = []
    for ts_ns, slot, quote in quotes.kept:
        for copy in range(3):
            by = 1 + copy * 3e-5
            moved = quote.model_copy(
                update={"bid_price": quote.bid_price * by, "ask_price": quote.ask_price * by, "ts_event_ns": None}
            )
            arrivals.append((ts_ns + copy * 40_000_000, 2 * copy + slot, moved))
    return sorted(arrivals, key=lambda arrival: arrival[0])


def decided_among(arrivals):
    with temporary_journal() as journal:
        bench = Bench(6, journal, min_net_edge_bps=0.5)
        start_ns = arrivals[0][0]
        for ts_ns, slot, quote in arrivals:
            at_ns = START_NS + ts_ns - start_ns
            bench.clock.advance_to(at_ns)
            bench.engine.on_quote(slot, quote, at_ns, b"")
            bench.engine.on_batch_end(at_ns)
        return bench


def test_an_index_decides_over_recorded_prices_what_asking_everybody_decides(monkeypatch):
    arrivals = among_six_venues()
    indexed = decided_among(arrivals)
    monkeypatch.setattr(InstrumentSlot, "ask_all", AllAtEveryQuote())
    in_full = decided_among(arrivals)
    assert indexed.engine.decisions.digest == in_full.engine.decisions.digest
    assert indexed.engine.decisions.taken
    assert indexed.asked < 0.5 * in_full.asked
