"""MongoDB beside a run: filled while it runs, where the settings name one."""

from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from bot.clock import Clock
from bot.domain.snapshot import ShipperRow, ShipperSourceRow
from bot.settings import Settings
from bot.storage.archive.channels import Channel
from bot.storage.archive.ports import SegmentStore
from bot.storage.mongo.archive_source import ArchiveSource
from bot.storage.mongo.collections import Layout
from bot.storage.mongo.cursors import CursorFile
from bot.storage.mongo.journal_source import JournalSource
from bot.storage.mongo.outlet import SourceStatus
from bot.storage.mongo.segment_rows import Form
from bot.storage.mongo.shipper import MongoShipper
from bot.storage.mongo.uri import MongoTarget
from bot.text import clip, inert

_DAY_S = 86_400
_MESSAGE_LENGTH = 200


class Shipping:
    """A shipper and its cursors, from start to stop."""

    def __init__(self, shipper: MongoShipper, cursors: CursorFile) -> None:
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
    ) -> "Shipping | None":
        """The journal of `data_dir` and the archive, to the database that `uri` names; None where it names none.

        Raises:
            SettingsError: If the URI is none.
            StorageError: If our own file of cursors cannot be used.
        """
        if uri is None:
            return None
        target = MongoTarget.of(uri)
        if settings.market != "live":
            # Prices that nobody ever paid never stand among real ones.
            target = MongoTarget.of(uri, f"{target.database}_{settings.market}")
        cursors = CursorFile.open(data_dir)
        shipper = MongoShipper(
            target,
            [
                JournalSource(data_dir),
                archive_source(settings, store, clock),
            ],
            cursors,
            clock,
            layout=Layout(_form(settings), _raw_ttl_s(settings), settings.mongodb.time_series),
            log=log,
        )
        return cls(shipper, cursors)

    async def start(self) -> None:
        """Begin; a database that must not be written to is an error at once, one that is away is not.

        Raises:
            StorageError: If a newer program wrote the database, or its quotes have the other form.
        """
        await self._shipper.check()
        self._shipper.start()

    async def stop(self) -> None:
        """Deliver what waits, for a few seconds at most; the rest goes at the next start."""
        await self._shipper.stop()
        self._cursors.close()

    def wake(self) -> None:
        """There is something new: deliver it now, and not at the next look."""
        self._shipper.wake()

    def row(self) -> ShipperRow:
        """How it stands, for the screen; what servers and files said is inert."""
        status = self._shipper.status()
        return ShipperRow(
            target=inert(status.target),
            state=status.state.value,
            message=_shown(status.message),
            lag_s=max((one.lag_s for one in status.sources), default=0.0),
            sources=tuple(_source_row(one) for one in status.sources),
        )


def archive_source(settings: Settings, store: SegmentStore, clock: Clock) -> ArchiveSource:
    """What of the archive is delivered, and how."""
    channels = frozenset(Channel(name) for name in settings.mongodb.channels)
    return ArchiveSource(store, clock.now_ns, channels=channels, quotes=_form(settings), raw_ttl_s=_raw_ttl_s(settings))


def _form(settings: Settings) -> Form:
    return Form.MINUTE if settings.mongodb.quotes == "minute" else Form.ROW


def _raw_ttl_s(settings: Settings) -> int | None:
    raw_days = settings.mongodb.raw_days
    return None if raw_days is None else round(raw_days * _DAY_S)


def _source_row(status: SourceStatus) -> ShipperSourceRow:
    return ShipperSourceRow(
        name=status.name,
        rows_waiting=status.rows_waiting,
        lag_s=status.lag_s,
        documents=status.documents,
        duplicates=status.duplicates,
        rows_missing=status.rows_missing,
        aside=status.aside,
        message=_shown(status.message),
    )


def _shown(text: str) -> str:
    return clip(inert(text), _MESSAGE_LENGTH)
