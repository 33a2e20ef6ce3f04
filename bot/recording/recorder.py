"""Market data as it comes in, in the archive within a minute: alone, or beside an engine.

    decoders -> Recorder -> rows in memory -> each minute a batch for each feed and channel -> ArchiveWriter -> disk

The thread that decodes only packs rows; tables are built and written by another one. What may be missing is written
down as a gap: the time between two runs, a lost connection, a frame that did not decode, rows that the disk refused.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bot.clock import Clock, Timer
from bot.domain.instrument import Feed, Instrument
from bot.domain.market import FundingRate, PublicTrade, TopOfBook
from bot.ports import FeedState
from bot.recording.batch import Batch
from bot.recording.depth import DepthRecorder
from bot.recording.directory import Directory
from bot.recording.engine_quotes import EngineSlot, WindowQuotes
from bot.recording.events import FundingRows, TradeRows
from bot.recording.gaps import Gap, GapLog
from bot.recording.quotes import OwnQuotes, QuoteSource
from bot.recording.restart import ended_books, recorded_until
from bot.recording.views import Printed, ViewSampler
from bot.recording.writer import ArchiveWriter, WriterStatus
from bot.storage.archive.channels import Channel
from bot.storage.archive.ports import SegmentStore

TICK_S = 1.0
_LOST = frozenset({FeedState.RECONNECTING, FeedState.FAILED})
_AWAY = "not recorded: the program did not run"
_STREAMED = (Channel.QUOTES, Channel.TRADES, Channel.FUNDING)


@dataclass(frozen=True, slots=True)
class RecorderLimits:
    """When rows leave memory, and how many may wait."""

    every_s: float = 60.0
    """Rows are handed to the disk at whole multiples of this time, UTC."""
    max_rows: int = 500_000
    """Rows that are handed over earlier, whatever the time."""
    max_waiting_rows: int = 5_000_000
    """Rows that may wait for a slow disk: 0.4 GB. Then the oldest are given up."""
    retry_s: float = 1.0
    """Between two tries of rows that the disk did not take."""
    silence_s: float = 10.0
    """A connection that is dead is noticed after this long at most; nothing older can be missing."""


class Recorder:
    """Implements `bot.ports.MarketSink`. Beside an engine, a `Fanout` tells it what the engine does not keep."""

    def __init__(
        self,
        store: SegmentStore,
        instruments: Sequence[Instrument],
        clock: Clock,
        *,
        engine: Sequence[EngineSlot] | None = None,
        limits: RecorderLimits = RecorderLimits(),
        log: Callable[[str, str], None] = lambda level, text: None,
    ) -> None:
        """Nothing happens before `start`.

        Args:
            store: The archive.
            instruments: Their place in this sequence is their slot.
            clock: Time and timers.
            engine: The slots of an engine that gets the same quotes first; None: there is none.
            limits: When rows leave memory.
            log: Takes a level (`info`, `warning`, `error`) and one line, on the caller's thread.
        """
        self.directory = Directory(instruments)
        self._store = store
        self._clock = clock
        self._limits = limits
        self._log = log
        self.quotes: QuoteSource = OwnQuotes(self.directory) if engine is None else WindowQuotes(self.directory, engine)
        self.trades = TradeRows(self.directory)
        self.funding = FundingRows(self.directory)
        self.gaps = GapLog(self.directory)
        self.states = dict.fromkeys(self.directory.slots_of, FeedState.CONNECTING)
        self.malformed = dict.fromkeys(self.directory.slots_of, 0)
        self.further: list[Callable[[int], list[Batch]]] = []
        """Hand over what else belongs into the archive; called with the time, UTC ns."""
        self._garbled: dict[Feed, tuple[int, int, int, str]] = {}
        self._writer = ArchiveWriter(
            store,
            lambda batch: self.directory.named_in(batch.table()),
            max_waiting_rows=limits.max_waiting_rows,
            retry_s=limits.retry_s,
        )
        self._books: DepthRecorder | None = None
        self._ended = GapLog(Directory(()))
        self._samplers: list[ViewSampler] = []
        self._timer: Timer | None = None
        self._is_stopped = False
        self._started_ns = 0
        self._minute = 0
        self._said: str | None = None

    def start(self) -> None:
        """Begin; the time since the archive's last rows is a gap until the feeds are live.

        Raises:
            StorageError: If the archive cannot be read.
        """
        self._started_ns = now_ns = self._clock.now_ns()
        self._minute = self._period(now_ns)
        for channel in _STREAMED:
            for one, until_ns in recorded_until(self._store, channel, self.directory, now_ns).items():
                self.gaps.open(one, channel, until_ns, _AWAY)
        kept = () if self._books is None else self._books.slots
        self._ended = ended_books(self._store, {self.directory.instruments[slot].id for slot in kept}, now_ns, _AWAY)
        if self._books is not None:
            self._books.start()
        self._writer.start(now_ns)
        self._timer = self._clock.call_later(TICK_S, self._tick)

    def sample_views(self, symbols: Sequence[str], printed: Printed, per_s: float = 1.0) -> ViewSampler:
        """Archive the combined view of these unified symbols, so many times a second, from now on."""
        sampler = ViewSampler(self.directory, symbols, self.quotes, printed, self._clock, per_s)
        self.further.append(lambda _: sampler.take())
        self._samplers.append(sampler)
        sampler.start()
        return sampler

    def keep_books(self, slots: Iterable[int]) -> DepthRecorder:
        """The sink for the order books of these slots, archived with everything else; call it before `start`."""
        self._books = DepthRecorder(self._store, self.directory, slots, self.gaps, self._clock)
        self.further.append(self._books.take)
        return self._books

    # bot.ports.MarketSink

    def on_quote(self, slot: int, quote: TopOfBook, ts_recv_ns: int, raw: bytes) -> None:
        """Keep a quote; beside an engine, one that the engine refused."""
        try:
            self.quotes.on_quote(slot, quote, ts_recv_ns, raw)
        except OverflowError as error:
            self.on_malformed(self.directory.instruments[slot].feed, raw, str(error))

    def on_trade(self, slot: int, trade: PublicTrade, ts_recv_ns: int) -> None:
        """Keep a trade."""
        try:
            self.trades.add(slot, trade, ts_recv_ns)
        except OverflowError as error:
            self.on_malformed(self.directory.instruments[slot].feed, b"", str(error))

    def on_funding(self, slot: int, funding: FundingRate, ts_recv_ns: int) -> None:
        """Keep a funding rate."""
        try:
            self.funding.add(slot, funding, ts_recv_ns)
        except OverflowError as error:
            self.on_malformed(self.directory.instruments[slot].feed, b"", str(error))

    def on_timed_frame(self, feed: Feed, ts_event_ns: int, ts_recv_ns: int) -> None:
        """Nothing to keep."""

    def on_malformed(self, feed: Feed, raw: bytes, reason: str) -> None:
        """Whatever the frame was of: every instrument of the feed may miss something at this moment."""
        self.malformed[feed] += 1
        now_ns = self._clock.now_ns()
        first_ns, _, count, first_reason = self._garbled.get(feed, (now_ns, now_ns, 0, reason))
        self._garbled[feed] = first_ns, now_ns, count + 1, first_reason

    def on_feed_state(self, feed: Feed, state: FeedState, detail: str) -> None:
        """A lost connection opens a gap in every channel of its feed, a live one ends it."""
        self.states[feed] = state
        if state in _LOST:
            self._open_gaps(feed, f"{state.value}: {detail}")
            self.quotes.forget(feed)
        elif state is FeedState.LIVE:
            now_ns = self._clock.now_ns()
            for slot in self.directory.slots_of[feed]:
                for channel in _STREAMED:
                    self.gaps.close(slot, channel, now_ns)

    def on_clock_offset(self, venue: str, offset_ns: int, round_trip_ns: int) -> None:
        """Nothing to keep: receive times are ours, as they were."""

    def on_batch_end(self, ts_recv_ns: int) -> None:
        """Nothing is decided here."""

    # The way to the disk

    def flush(self) -> None:
        """Hand everything that came to the writing thread now."""
        now_ns = self._clock.now_ns()
        self._end_garbled()
        batches = [*self.quotes.take(), *self.trades.take(), *self.funding.take()]
        for take in self.further:
            batches += take(now_ns)
        with self._writer.handing_over(now_ns):
            # Gaps first, and those of rows that are given up now as well: see `ArchiveWriter.put`.
            self._put_gaps(now_ns)
            dropped = [old for batch in batches for old in self._writer.put(batch)]
            if dropped:
                self._account(dropped, "given up: the disk did not take it in time")
                self._put_gaps(now_ns)

    def _put_gaps(self, now_ns: int) -> None:
        for batch in (*self._ended.take(now_ns), *self.gaps.take(now_ns)):
            self._writer.put(batch)

    def stop(self) -> None:
        """Take nothing more and hand over what came: on the thread of the clock, whose timers are its own to end."""
        if self._is_stopped:
            return
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
        for sampler in self._samplers:
            sampler.stop()
        self.flush()

    def close(self, patience_s: float = 30.0) -> int:
        """Make everything durable and end; after `stop` on any thread, else it does that itself.

        Returns:
            Rows that the disk did not take within `patience_s`: they are lost.
        """
        self.stop()
        unsaid_s = patience_s / 15  # two seconds of thirty: nobody waits longer without a word
        is_durable = self._writer.drain(unsaid_s)
        if not is_durable:
            self._log("warning", f"archive: what waits is tried for {patience_s - unsaid_s:g} s more, then given up")
            is_durable = self._writer.drain(patience_s - unsaid_s)
        self._tell_troubles()
        now_ns = self._clock.now_ns()
        with self._writer.handing_over(now_ns):
            self._put_gaps(now_ns)
        return self._writer.close(patience_s if is_durable else 0.0)

    def status(self) -> WriterStatus:
        """How the writing goes."""
        return self._writer.status()

    def lag_s(self) -> float:
        """Age of the oldest row that may not be durable yet, seconds."""
        waiting_ns = self._writer.status().oldest_ns
        since_ns = max(self._started_ns, self._minute * self._period_ns())
        return max(0, self._clock.now_ns() - (since_ns if waiting_ns is None else min(waiting_ns, since_ns))) / 1e9

    def durable_ns(self) -> int:
        """Up to when the archive has all that was received, or knows of the gap, UTC ns; may be asked on any thread."""
        return self._writer.durable_ns()

    def size_bytes(self, feed: Feed) -> int:
        """Bytes of the segments that this run wrote of the feed."""
        return self._writer.size_bytes(str(feed))

    def received(self, feed: Feed) -> int:
        """Rows of quotes, trades and funding that came of the feed."""
        return sum(source.received(feed) for source in (self.quotes, self.trades, self.funding))

    def _tick(self) -> None:
        self._tell_troubles()
        minute = self._period(self._clock.now_ns())
        waiting = self.quotes.waiting() + self.trades.waiting() + self.funding.waiting()
        if minute != self._minute or waiting >= self._limits.max_rows:
            self._minute = minute
            self.flush()
        self._timer = self._clock.call_later(TICK_S, self._tick)

    def _period_ns(self) -> int:
        return round(self._limits.every_s * 1e9)

    def _period(self, ts_ns: int) -> int:
        return ts_ns // self._period_ns()

    # What may be missing

    def _open_gaps(self, feed: Feed, reason: str) -> None:
        earliest_ns = max(self._started_ns, self._clock.now_ns() - round(self._limits.silence_s * 1e9))
        newest = {
            Channel.QUOTES: self.quotes.newest_ns(),
            Channel.TRADES: self.trades.newest_ns(),
            Channel.FUNDING: self.funding.newest_ns(),
        }
        for slot in self.directory.slots_of[feed]:
            for channel in _channels_of(self.directory.instruments[slot]):
                self.gaps.open(slot, channel, max(earliest_ns, int(newest[channel][slot])), reason)

    def _end_garbled(self) -> None:
        for feed, (first_ns, last_ns, count, reason) in self._garbled.items():
            words = f"{count} frames did not decode, the first: {reason}" if count > 1 else f"a frame: {reason}"
            for channel in _STREAMED:
                self._add_gaps(feed, channel, first_ns, last_ns + 1, words)
        self._garbled.clear()

    def _add_gaps(self, feed: Feed, channel: Channel, start_ns: int, stop_ns: int, reason: str) -> None:
        for slot in self.directory.slots_of[feed]:
            if channel in _channels_of(self.directory.instruments[slot]):
                self.gaps.add(Gap(slot, channel, start_ns, stop_ns, reason))
        if channel is Channel.DEPTH and self._books is not None:
            self._books.given_up(feed, start_ns, stop_ns, reason)

    def _account(self, dropped: Sequence[Batch], reason: str) -> None:
        """Rows that are gone become gaps."""
        feeds: Mapping[str, Feed] = {str(feed): feed for feed in self.directory.slots_of}
        for batch in dropped:
            self._log("error", f"archive: {batch.rows} rows of {batch.scope} {batch.channel}: {reason}")
            if batch.scope in feeds:
                self._add_gaps(feeds[batch.scope], batch.channel, batch.start_ns, batch.stop_ns, reason)

    def _tell_troubles(self) -> None:
        for batch, reason in self._writer.unusable():
            self._account([batch], f"no archive can take it: {reason}")
        trouble = self._writer.status().trouble
        if trouble is not None and trouble != self._said:
            self._log("error", f"archive: {trouble}; rows wait in memory")
        elif trouble is None and self._said is not None:
            self._log("info", "archive: it takes rows again")
        self._said = trouble


def _channels_of(instrument: Instrument) -> Sequence[Channel]:
    return _STREAMED if instrument.is_perpetual else _STREAMED[:2]
