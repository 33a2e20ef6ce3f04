"""Hears whether every stream delivers."""

import asyncio
from collections.abc import Collection, Sequence

from bot.domain.instrument import Feed, Instrument
from bot.domain.market import FundingRate, PublicTrade, TopOfBook
from bot.domain.order_book import BookChange, BookState, OrderBook
from bot.ports import FeedState
from bot.preflight.check import Check, failed, ok, warning


class StreamWatch:
    """A market sink that keeps nothing but whether something came, per instrument."""

    def __init__(self, instruments: Sequence[Instrument], books: Collection[int]) -> None:
        """Wait for a quote of every instrument, and for the order books of the slots in `books`."""
        self._instruments = instruments
        self._quiet = set(range(len(instruments)))
        self._no_book = set(books)
        self._books = frozenset(books)
        self._states: dict[Feed, str] = {}
        self.complete = asyncio.Event()
        """Set once everything has come."""
        self._tell()

    def on_quote(self, slot: int, quote: TopOfBook, ts_recv_ns: int, raw: bytes) -> None:
        """It delivers."""
        self._quiet.discard(slot)
        self._tell()

    def on_book(self, slot: int, book: OrderBook | None, change: BookChange, ts_recv_ns: int) -> None:
        """A book that can be read is one that is there."""
        if book is not None:
            self._no_book.discard(slot)
            self._tell()

    def _tell(self) -> None:
        if not self._quiet and not self._no_book:
            self.complete.set()

    def on_feed_state(self, feed: Feed, state: FeedState, detail: str) -> None:
        """Why a feed may say nothing."""
        if state in (FeedState.FAILED, FeedState.RECONNECTING):
            self._states[feed] = detail

    def on_trade(self, slot: int, trade: PublicTrade, ts_recv_ns: int) -> None:
        """No quote."""

    def on_funding(self, slot: int, funding: FundingRate, ts_recv_ns: int) -> None:
        """No quote."""

    def on_timed_frame(self, feed: Feed, ts_event_ns: int, ts_recv_ns: int) -> None:
        """No quote."""

    def on_malformed(self, feed: Feed, raw: bytes, reason: str) -> None:
        """What does not decode is nothing that came."""
        self._states[feed] = f"a frame does not decode: {reason}"

    def on_book_state(self, slot: int, state: BookState, reason: str) -> None:
        """A book that is lost now was there, and comes again."""

    def on_clock_offset(self, venue: str, offset_ns: int, round_trip_ns: int) -> None:
        """Measured apart."""

    def on_batch_end(self, ts_recv_ns: int) -> None:
        """Nothing is decided here."""

    def checks(self, waited_s: float) -> list[Check]:
        """A line a feed: one that says nothing at all has failed; an instrument that nobody trades may be quiet."""
        by_feed: dict[Feed, list[int]] = {}
        for slot, one in enumerate(self._instruments):
            by_feed.setdefault(one.feed, []).append(slot)
        return [check for feed, slots in by_feed.items() for check in self._of(feed, slots, waited_s)]

    def _of(self, feed: Feed, slots: Sequence[int], waited_s: float) -> list[Check]:
        where = str(feed)
        quiet = self._named(slots, self._quiet)
        if len(quiet) == len(slots):
            why = f" ({self._states[feed]})" if feed in self._states else ""
            said = f"no quote on any stream in {waited_s:g} s{why}"
            return [failed("streams", where, said, f"check venues.{where} in the settings, symbols and firewall")]
        quotes = (
            warning(
                "streams", where, f"no quote of {', '.join(quiet)} in {waited_s:g} s", "seldom traded? else check it"
            )
            if quiet
            else ok("streams", where, f"quotes of all {len(slots)}")
        )
        wanted = [slot for slot in slots if slot in self._books]
        if not wanted:
            return [quotes]
        missing = self._named(wanted, self._no_book)
        if missing:
            said = f"no order book of {', '.join(missing)} in {waited_s:g} s"
            return [quotes, warning("order books", where, said, "until they come, sizes follow the top of the book")]
        return [quotes, ok("order books", where, f"all {len(wanted)}")]

    def _named(self, slots: Sequence[int], which: Collection[int]) -> list[str]:
        return [self._instruments[slot].symbol for slot in slots if slot in which]
