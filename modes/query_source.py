"""Where a query's answers come from, and what is kept there: names, and from when to when."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from bot.command_values import choose
from bot.errors import SettingsError, StorageError
from bot.settings import Settings
from bot.storage.archive.channels import Channel
from bot.storage.archive.store import ArchiveStore
from bot.storage.archive_queries import archive_queries
from bot.storage.imports.ledger import imported_spans
from bot.storage.instants import utc_text
from bot.storage.market_queries import MarketQueries
from bot.storage.mongo.uri import MongoTarget
from bot.storage.mongo_queries import mongo_queries
from bot.storage.queries import JournalReader
from bot.suggestion import did_you_mean
from bot.text import clip, inert
from modes.archive_jobs import DEPTH_RULES
from modes.memory import LIVE, memory_dir, mongo_uri, open_archive

CHANNELS = {
    "quote": Channel.QUOTES,
    "quotes": Channel.QUOTES,
    "book": Channel.DEPTH,
    "trades": Channel.TRADES,
    "funding": Channel.FUNDING,
    "gaps": Channel.GAPS,
    "views": Channel.VIEWS,
    "minute-trades": Channel.MINUTE_TRADES,
    "minute-books": Channel.MINUTE_BOOKS,
    "klines": Channel.KLINES,
}
"""By what may be asked of the market."""
_SHOWN = 8
_MARKETS = (LIVE, "testnet", "simulated", "recorded")
_EVER = (-(2**63), 2**63 - 1)


@dataclass(frozen=True)
class KeptSource:
    """Answers, and the archive on this machine, which knows what there is."""

    market: MarketQueries
    name: str
    """For messages."""
    store: ArchiveStore
    is_archive: bool
    settings: Settings

    def names(self, wanted: Sequence[str], what: str) -> Sequence[str]:
        """The instruments that were asked for, each known to have something of the kind.

        Raises:
            SettingsError: If none was asked for, or one of them is not kept; the nearest name is told.
        """
        known = self._known(what)
        if not wanted:
            raise SettingsError(f"--what {what} needs --instrument{_listed(known, '; kept are ')}")
        if self.is_archive:
            for name in wanted:
                if name not in known:
                    self._refuse(name, what, known)
        return wanted

    def following(self, what: str, ts_ns: int) -> int | None:
        """The first moment from `ts_ns` on at which there may be rows of the kind; None: none follows."""
        if not self.is_archive:
            return ts_ns
        later = self.store.segments(CHANNELS[what], start_ns=ts_ns, stop_ns=_EVER[1])
        starts = [max(one.start_ns, ts_ns) for one in later if one.stop_ns > ts_ns]
        return min(starts, default=None)

    def nothing(self, name: str, what: str, when: str) -> NoReturn:
        """Say that nothing of it was kept then, and what was."""
        raise SettingsError(f"{self.name} has no {what} of {inert(name)} {when}{self._extent(name, what)}")

    def _known(self, what: str) -> Sequence[str]:
        return self.store.instruments(CHANNELS[what])

    def _refuse(self, name: str, what: str, known: Sequence[str]) -> NoReturn:
        hint = did_you_mean(name, known) or _listed(known, "; kept are ")
        raise SettingsError(f"{self.name} has no {what} of {clip(inert(name), 60)}{hint}{self._elsewhere(name, what)}")

    def _elsewhere(self, name: str, what: str) -> str:
        """Which other market's archive has the name."""
        for market in _MARKETS:
            there = self.settings.model_copy(update={"market": market})
            if market == self.settings.market or not (memory_dir(there) / "archive.db").exists():
                continue
            try:
                with open_archive(there, read_only=True) as store:
                    if name in store.instruments(CHANNELS[what]):
                        return f"; the {market} market's archive has it: add --market {market}"
            except StorageError:
                continue  # the question is about another one
        return ""

    def _extent(self, name: str, what: str) -> str:
        """From when to when the archive has rows of a name."""
        if not self.is_archive:
            return ""
        chunks = self.store.chunks(CHANNELS[what], name, *_EVER, ["ts_recv_ns"])
        first_ns = last_ns = None
        for chunk in chunks:
            if len(chunk):
                first_ns = chunk.column(0)[0].as_py() if first_ns is None else first_ns
                last_ns = chunk.column(0)[-1].as_py()
        if first_ns is None or last_ns is None:
            return ""
        return f"; what is kept reaches from {utc_text(first_ns)} to {utc_text(last_ns)}"


@contextmanager
def opened_source(source: str | None, settings: Settings) -> Iterator[KeptSource]:
    """The archive and journal on this machine, or the MongoDB that the settings name.

    Raises:
        SettingsError: If it is neither, or no MongoDB is named.
        StorageError: If it cannot be read.
    """
    try:
        is_archive = choose(source or "archive", ("archive", "mongo")) == "archive"
    except ValueError as error:
        raise SettingsError(f"--source of a query {error}") from None
    with open_archive(settings, read_only=True) as store:
        if is_archive:
            with JournalReader.open(settings.data_dir) as journal:
                imported = partial(imported_spans, memory_dir(settings))
                market = archive_queries(store, journal, DEPTH_RULES, imported)
                name = f"the {settings.market} market's archive in {inert(str(memory_dir(settings)))}"
                yield KeptSource(market, name, store, True, settings)
        else:
            target = _target(settings)
            with mongo_queries(target, DEPTH_RULES) as market:
                yield KeptSource(market, f"MongoDB {target.name}", store, False, settings)


def _target(settings: Settings) -> MongoTarget:
    uri = mongo_uri(settings, os.environ)
    if uri is None:
        raise SettingsError("--source mongo: no MongoDB is named; set MONGODB_URI or mongodb.uri")
    target = MongoTarget.of(uri)
    # As it is filled: prices that nobody ever paid never stand among real ones.
    return target if settings.market == LIVE else MongoTarget.of(uri, f"{target.database}_{settings.market}")


def _listed(names: Sequence[str], before: str) -> str:
    if not names:
        return "; nothing of the kind is kept there, and --mode record keeps it from now on"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return before + ", ".join(inert(name) for name in names[:_SHOWN]) + more
