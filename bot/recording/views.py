"""The combined view of an asset across venues, sampled at a steady rate."""

import json
from collections.abc import Callable, Sequence

import pyarrow as pa

from bot.clock import Clock, Timer
from bot.domain.instrument import Feed
from bot.domain.market import PrintedQuote, combined_view
from bot.recording.batch import Batch
from bot.recording.directory import Directory
from bot.recording.quotes import QuoteSource
from bot.storage.archive.channels import SCHEMAS, Channel

Printed = Callable[[Feed, bytes], PrintedQuote]
SCOPE = "all"


class ViewSampler:
    """Samples the views of some unified symbols; a venue without a usable quote is not in the view."""

    def __init__(
        self,
        directory: Directory,
        symbols: Sequence[str],
        quotes: QuoteSource,
        printed: Printed,
        clock: Clock,
        per_s: float,
    ) -> None:
        """Nothing happens before `start`; `printed` gives a payload the venue's digits again."""
        listed = list(enumerate(directory.instruments))
        self._directory = directory
        self._slots = {symbol: [slot for slot, one in listed if one.symbol == symbol] for symbol in symbols}
        self._quotes = quotes
        self._printed = printed
        self._clock = clock
        self._wait_s = 1 / per_s
        self._timer: Timer | None = None
        self._rows: list[tuple[str, int, str]] = []

    def start(self) -> None:
        """Sample from now on."""
        self._timer = self._clock.call_later(self._wait_s, self._sample_again)

    def stop(self) -> None:
        """Sample no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _sample_again(self) -> None:
        self.sample()
        self.start()

    def sample(self) -> None:
        """Take every view now; a symbol that no venue quotes has none."""
        now_ns = max(self._clock.now_ns(), self._rows[-1][1] if self._rows else 0)
        for symbol, slots in self._slots.items():
            newest = [(slot, found) for slot in slots if (found := self._quotes.newest(slot)) is not None]
            if newest:
                view = self._view(newest)
                self._rows.append((symbol, now_ns, json.dumps(view, separators=(",", ":"))))

    def _view(self, newest: Sequence[tuple[int, tuple[int, bytes]]]) -> dict[str, object]:
        instruments = self._directory.instruments
        quotes = {instruments[slot].venue: self._printed(instruments[slot].feed, raw) for slot, (_, raw) in newest}
        return combined_view(max(event_ns for _, (event_ns, _) in newest) // 1_000_000, quotes)

    def take(self) -> list[Batch]:
        """The views since this was asked last."""
        rows, self._rows = self._rows, []
        if not rows:
            return []
        return [Batch(Channel.VIEWS, SCOPE, len(rows), rows[0][1], rows[-1][1] + 1, lambda: _table(rows))]


def _table(rows: Sequence[tuple[str, int, str]]) -> pa.Table:
    schema = SCHEMAS[Channel.VIEWS]
    columns = zip(*rows, strict=True)
    return pa.table([pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)], schema=schema)
