"""Binance's public data: https://data.binance.vision, zipped CSV with a `.CHECKSUM` beside every file.

    data/{spot,futures/um,futures/cm}/daily/{kind}/{SYMBOL}/{SYMBOL}-{kind}-2024-08-08.zip
    data/{spot,futures/um,futures/cm}/daily/klines/{SYMBOL}/1m/{SYMBOL}-1m-2024-08-08.zip
    data/futures/{um,cm}/monthly/fundingRate/{SYMBOL}/{SYMBOL}-fundingRate-2024-08.zip

Source: https://github.com/binance/binance-public-data
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path

from bot.domain.instrument import Feed, Instrument, Segment
from bot.errors import SettingsError
from exchanges.binance.endpoints import VENUE
from exchanges.binance.history_rows import FORMS
from exchanges.binance.normalize import venue_symbol
from exchanges.common.history.download import Downloader, Local, Published, address
from exchanges.common.history.files import HistoryFile, Origin, Span, days, months

BASE_URL = "https://data.binance.vision"
_PLACES = {Segment.SPOT: "spot", Segment.LINEAR: "futures/um", Segment.INVERSE: "futures/cm"}
_TRADES = {"aggTrades": "trades", "trades": "trades"}
_BARS = {"klines": "klines"}
_DERIVATIVE = {"bookTicker": "quotes", **_TRADES, "fundingRate": "funding", **_BARS}
_KINDS = {Segment.SPOT: {**_TRADES, **_BARS}, Segment.LINEAR: _DERIVATIVE, Segment.INVERSE: _DERIVATIVE}
_INTERVAL = "1m"
"""The finest of klines; coarser bars are sums of these."""
_MONTHLY = "fundingRate"
_NAME = re.compile(r"(?P<symbol>.+)-(?P<kind>[A-Za-z]+|1m)-(?P<span>\d{4}-\d\d(-\d\d)?)\.(zip|csv)")


class BinanceHistory:
    """A `VenueHistory`."""

    def __init__(self, base_url: str = BASE_URL, downloader: Downloader | None = None, *, keep: bool = False) -> None:
        """Nothing is asked for before a file is fetched.

        Args:
            base_url: Of a server with the same layout.
            downloader: Fetches the files.
            keep: Whether downloads stay when they have been used.
        """
        self._base_url = base_url
        self._downloader = downloader or Downloader(VENUE)
        self._keep = keep

    def feeds(self) -> Sequence[Feed]:
        """All three segments."""
        return [Feed(venue=VENUE, segment=segment) for segment in _KINDS]

    def kinds(self, feed: Feed) -> Mapping[str, str]:
        """`bookTicker`, `aggTrades`, `trades`, `fundingRate`, `klines`; spot has trades and klines."""
        return _KINDS[feed.segment]

    def files(self, instrument: Instrument, kind: str, first: date, last: date) -> Sequence[HistoryFile]:
        """A file a day; of `fundingRate` a file a month."""
        self._check(instrument, kind)
        spans = months(first, last) if kind == _MONTHLY else days(first, last)
        return [self._file(instrument, kind, span, self._published(instrument, kind, span)) for span in spans]

    def local(self, path: Path, instrument: Instrument) -> HistoryFile:
        """A file named as Binance named it, daily or monthly; a `.csv` that was unpacked will do."""
        found = _NAME.fullmatch(path.name)
        if found is None:
            raise SettingsError(f"{path.name} is no name of Binance's files, as BTCUSDT-aggTrades-2024-08-08.zip is")
        symbol = venue_symbol(instrument.symbol, instrument.feed)
        if found["symbol"] != symbol:
            raise SettingsError(f"{path.name} is of {found['symbol']}, and {instrument.id} is {symbol}")
        kind = "klines" if found["kind"] == _INTERVAL else found["kind"]
        if found["kind"] == "klines":
            raise SettingsError(
                f"{path.name}: files of klines are named after their interval, as {symbol}-1m-2024-08-08.zip"
            )
        self._check(instrument, kind)
        try:
            span = Span.parse(found["span"])
        except ValueError as error:
            raise SettingsError(f"{path.name}: {error}") from error
        return self._file(instrument, kind, span, Local(path))

    def _check(self, instrument: Instrument, kind: str) -> None:
        kinds = self.kinds(instrument.feed)
        if kind not in kinds:
            raise SettingsError(f"{instrument.feed} has no history of kind {kind}: it has {', '.join(kinds)}")

    def _published(self, instrument: Instrument, kind: str, span: Span) -> Published:
        symbol = venue_symbol(instrument.symbol, instrument.feed)
        rhythm = "monthly" if kind == _MONTHLY else "daily"
        folder = f"data/{_PLACES[instrument.segment]}/{rhythm}/{kind}/{symbol}"
        is_bars = kind == "klines"
        name = f"{_INTERVAL}/{symbol}-{_INTERVAL}" if is_bars else f"{symbol}-{kind}"
        path = f"{folder}/{name}-{span.name}.zip"
        return Published(self._downloader, (address(self._base_url, path),), has_checksum=True, keep=self._keep)

    def _file(self, instrument: Instrument, kind: str, span: Span, origin: Origin) -> HistoryFile:
        symbol = venue_symbol(instrument.symbol, instrument.feed)
        place = _PLACES[instrument.segment].rpartition("/")[2]
        return HistoryFile(
            source=f"{VENUE}/{place}/{kind}/{symbol}/{span.name}",
            channel=self.kinds(instrument.feed)[kind],
            instrument=instrument,
            start_ns=span.start_ns,
            stop_ns=span.stop_ns,
            origin=origin,
            read=partial(FORMS[kind], span=span),
        )
