"""Rows of a tape, one after another, as a market delivers them."""

from collections.abc import Sequence

from bot.backtest.books import BookPlayer
from bot.backtest.tape import Piece
from bot.clock import VirtualClock
from bot.domain.instrument import Feed
from bot.market.columns import RowValues
from bot.market.window import quote_of
from bot.ports import MarketSink


class Feeder:
    """For each row the clock is advanced, the sink called, the batch ended."""

    def __init__(
        self, sink: MarketSink, clock: VirtualClock, feeds: Sequence[Feed], books: BookPlayer | None = None
    ) -> None:
        self._sink = sink
        self.clock = clock
        """What is advanced."""
        self._feeds = feeds
        self._books = books
        self._piece: Piece | None = None

    def begin(self, piece: Piece) -> None:
        """The piece whose rows are fed from now on."""
        self._piece = piece
        if self._books is not None:
            self._books.begin(piece.books)

    def feed_one(self, at: int) -> None:
        """One row that decides nothing; order books are left behind."""
        piece = self._piece
        assert piece is not None, "a piece was begun"
        self._deliver(int(piece.slot[at]), bool(piece.ends[at]), piece.rows.row(at))

    def feed(self, start: int, stop: int) -> None:
        """Rows `start` to before `stop`."""
        piece = self._piece
        assert piece is not None, "a piece was begun"
        rows = zip(*(column.tolist() for column in piece.rows.slice(start, stop)), strict=True)
        books = self._books
        for at, (slot, ends, row) in enumerate(
            zip(piece.slot[start:stop].tolist(), piece.ends[start:stop].tolist(), rows, strict=True), start
        ):
            if books is not None:
                books.catch_up(at)
            self._deliver(slot, ends, row)

    def _deliver(self, slot: int, ends: bool, row: RowValues) -> None:
        ts_ns = row[0]
        self.clock.advance_to(ts_ns)
        if slot >= 0:
            # Its digits are not known any more: what a venue prints is not on the tape.
            self._sink.on_quote(slot, quote_of(row), ts_ns, b"")
        else:
            self._sink.on_timed_frame(self._feeds[-1 - slot], row[1], ts_ns)
        if ends:
            self._sink.on_batch_end(ts_ns)
