"""MongoDB beside a run: filled while it runs, where the settings name one."""

from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from bot.clock import Clock
from bot.settings import Settings
from bot.storage.archive.ports import SegmentStore
from bot.storage.mongo.archive_source import ArchiveSource
from bot.storage.mongo.collections import Layout
from bot.storage.mongo.cursors import CursorFile
from bot.storage.mongo.journal_source import JournalSource
from bot.storage.mongo.segment_rows import Form
from bot.storage.mongo.shipper import MongoShipper
from bot.storage.mongo.uri import MongoTarget

_DAY_S = 86_400


class Shipping:
    """A shipper, or nothing where no MongoDB is named."""

    def __init__(self, shipper: MongoShipper | None, cursors: CursorFile | None) -> None:
        self._shipper = shipper
        self._cursors = cursors

    @classmethod
    def of(
        cls,
        settings: Settings,
        uri: SecretStr | None,
        data_dir: Path,
        store: SegmentStore,
        clock: Clock,
        log: Callable[[str, str], None],
    ) -> "Shipping":
        """The journal of `data_dir` and the archive, to the database that `uri` names.

        Raises:
            SettingsError: If the URI is none.
            StorageError: If our own file of cursors cannot be used.
        """
        if uri is None:
            return cls(None, None)
        target = MongoTarget.of(uri)
        if settings.market != "live":
            # Prices that nobody ever paid never stand among real ones.
            target = MongoTarget.of(uri, f"{target.database}_{settings.market}")
        raw_days = settings.mongodb.raw_days
        raw_ttl_s = None if raw_days is None else round(raw_days * _DAY_S)
        form = Form.MINUTE if settings.mongodb.quotes == "minute" else Form.ROW
        cursors = CursorFile.open(data_dir)
        shipper = MongoShipper(
            target,
            [JournalSource(data_dir), ArchiveSource(store, clock.now_ns, quotes=form, raw_ttl_s=raw_ttl_s)],
            cursors,
            clock,
            layout=Layout(form, raw_ttl_s, settings.mongodb.time_series),
            log=log,
        )
        return cls(shipper, cursors)

    async def start(self) -> None:
        """Begin; a database that must not be written to is an error at once, one that is away is not.

        Raises:
            StorageError: If a newer program wrote the database, or its quotes have the other form.
        """
        if self._shipper is not None:
            await self._shipper.check()
            self._shipper.start()

    async def stop(self) -> None:
        """Deliver what waits, for a few seconds at most; the rest goes at the next start."""
        if self._shipper is not None and self._cursors is not None:
            await self._shipper.stop()
            self._cursors.close()
