"""Bybit's public history: trades as gzipped CSV, order books as zipped lines of JSON. It publishes no checksums.

https://public.bybit.com/trading/{SYMBOL}/{SYMBOL}2024-08-08.csv.gz                            linear
https://public.bybit.com/spot/{SYMBOL}/{SYMBOL}_2024-08-08.csv.gz                              spot
https://quote-saver.bycsi.com/orderbook/{linear,spot}/{SYMBOL}/2024-08-08_{SYMBOL}_ob500.data.zip
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path

import pyarrow as pa

from bot.domain.instrument import Feed, Instrument, Segment
from bot.errors import SettingsError
from exchanges.bybit.history_books import book_rows
from exchanges.bybit.history_rows import linear_trades, spot_trades
from exchanges.bybit.normalize import VENUE
from exchanges.common.history.download import Downloader, Local, Published, address
from exchanges.common.history.files import HistoryFile, Origin, Span, days

TRADES_URL = "https://public.bybit.com"
BOOKS_URL = "https://quote-saver.bycsi.com"
BOOK_DEPTH = 50
"""Levels a side that are kept, as of the live books."""
_PUBLISHED_DEPTHS = (500, 200, 1000)
"""Files have 500 levels up to 2025 and 200 since then."""
_KINDS = {"trades": "trades", "orderbook": "depth"}
_DAY = r"(?P<span>\d{4}-\d\d-\d\d)"
_NAMES = {
    ("trades", Segment.LINEAR): re.compile(rf"(?P<symbol>.+?){_DAY}\.csv(\.gz)?"),
    ("trades", Segment.SPOT): re.compile(rf"(?P<symbol>.+)_{_DAY}\.csv(\.gz)?"),
    ("orderbook", None): re.compile(rf"{_DAY}_(?P<symbol>.+)_ob\d+\.data(\.zip)?"),
}


class BybitHistory:
    """A `VenueHistory`."""

    def __init__(
        self,
        trades_url: str = TRADES_URL,
        books_url: str = BOOKS_URL,
        downloader: Downloader | None = None,
        *,
        book_depth: int = BOOK_DEPTH,
        keep: bool = False,
    ) -> None:
        """Nothing is asked for before a file is fetched.

        Args:
            trades_url: Of a server with the layout of public.bybit.com.
            books_url: Of one with the layout of quote-saver.bycsi.com.
            downloader: Fetches the files.
            book_depth: Levels a side that are kept of order books; the files have 200 or 500.
            keep: Whether downloads stay when they have been used.
        """
        self._trades_url = trades_url
        self._books_url = books_url
        self._downloader = downloader or Downloader(VENUE)
        self._book_depth = book_depth
        self._keep = keep

    def feeds(self) -> Sequence[Feed]:
        """Spot and linear perpetuals."""
        return [Feed(venue=VENUE, segment=segment) for segment in (Segment.SPOT, Segment.LINEAR)]

    def kinds(self, feed: Feed) -> Mapping[str, str]:
        """`trades` and `orderbook`."""
        return _KINDS

    def files(self, instrument: Instrument, kind: str, first: date, last: date) -> Sequence[HistoryFile]:
        """A file a day."""
        urls = self._book_urls if kind == "orderbook" else self._trade_urls
        return [
            self._file(instrument, kind, span, Published(self._downloader, urls(instrument, span), False, self._keep))
            for span in days(first, last)
        ]

    def local(self, path: Path, instrument: Instrument) -> HistoryFile:
        """A file named as Bybit named it; one that was unpacked will do."""
        symbol = _symbol(instrument)
        for (kind, segment), pattern in _NAMES.items():
            found = pattern.fullmatch(path.name)
            if found is not None and segment in (None, instrument.segment):
                return self._local(path, instrument, kind, found)
        raise SettingsError(
            f"{path.name} is no name of Bybit's files of {instrument.feed}, as {symbol}2024-08-08.csv.gz (linear), "
            f"{symbol}_2024-08-08.csv.gz (spot) and 2024-08-08_{symbol}_ob500.data.zip are"
        )

    def _local(self, path: Path, instrument: Instrument, kind: str, found: "re.Match[str]") -> HistoryFile:
        if found["symbol"] != _symbol(instrument):
            raise SettingsError(f"{path.name} is of {found['symbol']}, and {instrument.id} is {_symbol(instrument)}")
        try:
            span = Span.parse(found["span"])
        except ValueError as error:
            raise SettingsError(f"{path.name}: {error}") from error
        return self._file(instrument, kind, span, Local(path))

    def _trade_urls(self, instrument: Instrument, span: Span) -> Sequence[str]:
        symbol = _symbol(instrument)
        is_spot = instrument.segment is Segment.SPOT
        name = f"spot/{symbol}/{symbol}_{span.name}" if is_spot else f"trading/{symbol}/{symbol}{span.name}"
        return (address(self._trades_url, f"{name}.csv.gz"),)

    def _book_urls(self, instrument: Instrument, span: Span) -> Sequence[str]:
        symbol = _symbol(instrument)
        start = f"orderbook/{instrument.segment}/{symbol}/{span.name}_{symbol}_ob"
        return tuple(address(self._books_url, f"{start}{depth}.data.zip") for depth in _PUBLISHED_DEPTHS)

    def _file(self, instrument: Instrument, kind: str, span: Span, origin: Origin) -> HistoryFile:
        if kind not in _KINDS or instrument.segment is Segment.INVERSE:
            raise SettingsError(f"{instrument.feed} has no history of kind {kind}: it has {', '.join(_KINDS)}")
        return HistoryFile(
            source=f"{VENUE}/{instrument.segment}/{kind}/{_symbol(instrument)}/{span.name}",
            channel=_KINDS[kind],
            instrument=instrument,
            start_ns=span.start_ns,
            stop_ns=span.stop_ns,
            origin=origin,
            read=self._reader(instrument, kind, span),
        )

    def _reader(self, instrument: Instrument, kind: str, span: Span) -> Callable[[Path], Iterator[pa.Table]]:
        if kind == "orderbook":
            return partial(book_rows, symbol=_symbol(instrument), span=span, depth=self._book_depth)
        if instrument.segment is Segment.SPOT:
            return partial(spot_trades, span=span)
        return partial(linear_trades, symbol=_symbol(instrument), span=span)


def _symbol(instrument: Instrument) -> str:
    return f"{instrument.base}{instrument.quote}"
