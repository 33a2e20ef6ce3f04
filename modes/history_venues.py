"""Whose history can be imported, and the instruments that it is of."""

import asyncio
import time
from collections.abc import Callable, Sequence

from bot.domain.instrument import Feed, Instrument
from bot.settings import Settings
from bot.storage.archive.store import ArchiveStore
from exchanges.binance import history as binance
from exchanges.bybit import history as bybit
from exchanges.common.history.download import Downloader
from exchanges.common.history.files import VenueHistory
from exchanges.registry import all_venues


def histories(settings: Settings, tell: Callable[[str], None]) -> dict[str, VenueHistory]:
    """By venue, from the addresses that the settings name; a server that is waited for is told of."""
    wanted = settings.import_history
    keep = wanted.keep_downloads
    return {
        "binance": binance.BinanceHistory(
            wanted.binance_url or binance.BASE_URL, _downloader("binance", settings, tell), keep=keep
        ),
        "bybit": bybit.BybitHistory(
            wanted.bybit_url or bybit.TRADES_URL,
            wanted.bybit_books_url or bybit.BOOKS_URL,
            _downloader("bybit", settings, tell),
            book_depth=wanted.book_depth,
            keep=keep,
        ),
    }


def _downloader(venue: str, settings: Settings, tell: Callable[[str], None]) -> Downloader:
    def pause(wait_s: float) -> None:
        tell(f"{venue}'s files cannot be had just now: asked again in {wait_s:g} s")
        time.sleep(wait_s)

    return Downloader(venue, wait_s=settings.import_history.retry_wait_s, pause=pause)


def known_instruments(feed: Feed, symbols: Sequence[str], store: ArchiveStore, settings: Settings) -> list[Instrument]:
    """The instruments with these unified symbols: as the archive or this program knows them, else the venue is asked.

    Raises:
        SettingsError: If one of them does not trade there; the nearest is named.
        VenueError: If the venue is away.
    """
    venue = all_venues()[feed.venue]
    known = {one.symbol: one for one in venue.shipped_instruments(feed).values()}
    for symbol in symbols:
        kept = store.instrument(f"{feed.venue}:{symbol}")
        if kept is not None and kept.feed == feed:
            known[symbol] = kept
    unknown = [symbol for symbol in symbols if symbol not in known]
    if unknown:
        asked = asyncio.run(venue.instruments(feed, unknown, settings))
        known |= {one.symbol: one for one in asked.values()}
    return [known[symbol] for symbol in dict.fromkeys(symbols)]
