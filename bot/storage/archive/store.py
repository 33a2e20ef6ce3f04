"""The archive: what was the market at any moment?

write    rows of a minute → one file, fsynced → its line in the manifest: only then it is returned
merge    minutes → hours → days
retain   the oldest go, by age and by size
read     by segment, or by instrument and time
"""

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from bot.domain.instrument import Instrument
from bot.errors import StorageError
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.archive.errors import FileGone
from bot.storage.archive.export import ExportFormat, export
from bot.storage.archive.files import EncodedFile, encoded
from bot.storage.archive.manifest import Manifest
from bot.storage.archive.manifest_file import WriterLock
from bot.storage.archive.merge import DAY_NS, mergeable, merged
from bot.storage.archive.ports import SegmentInfo, Span
from bot.storage.archive.reading import Reader
from bot.storage.archive.retention import expendable
from bot.storage.archive.roots import Root, open_root, shown
from bot.storage.archive.wide import to_wide

MERGE_LIMIT_BYTES = 64 << 20
_SCOPE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_FOREVER = (-(2**63), 2**63 - 1)


@dataclass(frozen=True, slots=True)
class Gap:
    """A span in which a channel may miss something."""

    start_ns: int
    stop_ns: int
    reason: str


class ArchiveStore:
    """Implements `SegmentStore`. Every method raises `StorageError` where the manifest or a file fails."""

    def __init__(self, manifest: Manifest, root: Root, lock: WriterLock | None, merge_limit_bytes: int) -> None:
        self._manifest = manifest
        self._root = root
        self._lock = lock
        self._reader = Reader(manifest, root)
        self._merge_limit_bytes = merge_limit_bytes
        self._writing = threading.Lock()
        self._tidying = threading.Lock()
        self._naming = threading.Lock()
        self._begun: set[int] = set()

    @classmethod
    def open(
        cls,
        data_dir: Path,
        root: str | None = None,
        *,
        read_only: bool = False,
        merge_limit_bytes: int = MERGE_LIMIT_BYTES,
    ) -> "ArchiveStore":
        """The archive of a data directory; what a crash left half done is removed.

        Args:
            data_dir: Holds the manifest, `archive.db`.
            root: Where the files lie: a directory, or a URL that fsspec knows; None: `<data_dir>/archive`.
            read_only: Changes nothing, and may be opened beside a writer; where nothing was written, nothing is read.
            merge_limit_bytes: Size above which files are not merged; merging holds one such file, and 100 MB.

        Raises:
            StorageError: If the archive is being written by another process, cannot be used, lies elsewhere, or was
                written by a newer version.
        """
        with ExitStack() as undo:
            lock = None if read_only else WriterLock(data_dir)
            if lock is not None:
                undo.callback(lock.release)
            manifest = Manifest.open(data_dir, read_only=read_only)
            undo.callback(manifest.close)
            store = cls(manifest, open_root(root, data_dir / "archive"), lock, merge_limit_bytes)
            store._settle(shown(root or ""))
            undo.pop_all()
        return store

    def close(self) -> None:
        """Let go of the manifest; calling it twice does nothing."""
        with self._tidying, self._writing:
            self._manifest.close()
            if self._lock is not None:
                self._lock.release()

    def __enter__(self) -> "ArchiveStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(
        self,
        channel: Channel,
        scope: str,
        table: pa.Table,
        instruments: Mapping[str, Instrument],
        unwritten: Span | None = None,
    ) -> SegmentInfo | None:
        """See `SegmentStore.write`."""
        self._may_write()
        if not _SCOPE.fullmatch(scope):
            raise ValueError(f"{scope!r} is no scope: write a feed such as binance.linear, or all")
        if not len(table):
            return None
        wide = to_wide(channel, table, instruments)
        file = encoded(channel, scope, wide)
        with self._writing:
            return self._put(channel, scope, file, (), instruments, _newest(wide), unwritten)

    def unwritten(self) -> Span | None:
        """See `SegmentStore.unwritten`."""
        return self._manifest.unwritten()

    def segments(
        self,
        channel: Channel | None = None,
        *,
        after: int = 0,
        start_ns: int | None = None,
        stop_ns: int | None = None,
        written: bool = False,
    ) -> Sequence[SegmentInfo]:
        """See `SegmentStore.segments`."""
        return self._manifest.segments(channel, after, start_ns, stop_ns, written=written)

    def read(self, segment: SegmentInfo, columns: Sequence[str] | None = None) -> pa.Table:
        """See `SegmentStore.read`; sorted by instrument, then by receive time.

        Raises:
            SegmentRemoved: If retention took it (a `StorageError`).
        """
        return self._reader.segment(segment, columns)

    def rows(
        self, channel: Channel, instrument: str, start_ns: int, stop_ns: int, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """See `SegmentStore.rows`."""
        schema = SCHEMAS[channel]
        empty = schema.empty_table().select(list(columns or schema.names))
        return pa.concat_tables([empty, *self.chunks(channel, instrument, start_ns, stop_ns, columns)])

    def chunks(
        self, channel: Channel, instrument: str, start_ns: int, stop_ns: int, columns: Sequence[str] | None = None
    ) -> Iterator[pa.Table]:
        """The same as `rows` in tables that follow one another: any span, in little memory."""
        return self._reader.chunks(channel, instrument, start_ns, stop_ns, columns)

    def gaps(self, instrument: str, channel: Channel, start_ns: int, stop_ns: int) -> list[Gap]:
        """Spans that touch this one and in which the channel may miss something of the instrument, oldest first."""
        rows = self.rows(Channel.GAPS, instrument, *_FOREVER).to_pylist()
        return sorted(
            (
                Gap(row["start_ns"], row["stop_ns"], row["reason"])
                for row in rows
                if row["channel"] == channel and row["start_ns"] < stop_ns and row["stop_ns"] > start_ns
            ),
            key=lambda gap: (gap.start_ns, gap.stop_ns),
        )

    def instrument(self, instrument_id: str) -> Instrument | None:
        """See `SegmentStore.instrument`."""
        return self._manifest.instrument(instrument_id)

    def instruments(self, channel: Channel) -> Sequence[str]:
        """See `SegmentStore.instruments`."""
        return list(self._manifest.newest(channel))

    def newest(self, channel: Channel) -> Mapping[str, int]:
        """See `SegmentStore.newest`."""
        return self._manifest.newest(channel)

    def merge(self, now_ns: int) -> list[SegmentInfo]:
        """Merge what belongs to hours and days that are over; the new segments.

        Raises:
            StorageError: If a file cannot be read: the others of its group stay as they are, all other groups are
                merged.
        """
        self._may_write()
        with self._tidying:
            written: list[SegmentInfo] = []
            failure: StorageError | None = None
            live = self._manifest.segments(None, 0, None, None, written=False)
            for group in mergeable(live, now_ns, self._merge_limit_bytes):
                try:
                    written.append(self._merge(group))
                except StorageError as error:
                    failure = failure or error
            self._sweep()
            if failure is not None:
                raise failure
            return written

    def retain(self, now_ns: int, max_age_ns: Mapping[Channel, int], max_bytes: int | None) -> list[SegmentInfo]:
        """Remove what is older than its channel is kept, then the oldest until all fits `max_bytes`; what went.

        The newest hour stays in any case. Numbers of removed segments stay known, see `segments(written=True)`.
        """
        self._may_write()
        with self._tidying:
            live = self._manifest.segments(None, 0, None, None, written=False)
            removed = expendable(live, now_ns, max_age_ns, max_bytes)
            if removed:
                self._manifest.remove(removed)
            self._sweep()
            return removed

    def export(
        self,
        channel: Channel,
        instruments: Sequence[str] | None,
        start_ns: int,
        stop_ns: int,
        path: Path,
        file_format: ExportFormat,
        progress: Callable[[float], None] | None = None,
    ) -> int:
        """Write rows to one plain file with the channel's own columns, by instrument and time; how many.

        Args:
            channel: Of which.
            instruments: Ids; None: all that the channel has.
            start_ns: UTC, of the first row.
            stop_ns: UTC, behind the last one.
            path: Replaced when the new file is whole. Without rows a CSV has its header row alone, and there is no file
                of another format, not even an earlier one.
            file_format: Feather, Parquet or CSV.
            progress: Hears the part that is done, 0 to 1.

        Raises:
            StorageError: If the archive cannot be read, or the file not be written.
        """
        ids = sorted(self.instruments(channel) if instruments is None else instruments)
        return export(self.chunks, channel, ids, (start_ns, stop_ns), path, file_format, progress)

    def _put(
        self,
        channel: Channel,
        scope: str,
        file: EncodedFile,
        replaces: Sequence[SegmentInfo],
        instruments: Mapping[str, Instrument] | None = None,
        newest: Mapping[str, int] | None = None,
        unwritten: Span | None = None,
    ) -> SegmentInfo:
        starts = [block.min_ns for block in file.blocks]
        stops = [block.max_ns for block in file.blocks]
        with self._naming:
            token, path = self._manifest.reserve(_name(channel, scope, min(starts), max(stops), bool(replaces)))
            self._begun.add(token)
        try:
            self._root.put(path, memoryview(file.data))
            return self._manifest.add(token, path, channel, scope, file, replaces, instruments, newest, unwritten)
        finally:
            self._begun.discard(token)

    def _may_write(self) -> None:
        if self._lock is None:
            raise StorageError("the archive is open for reading only")

    def _merge(self, group: Sequence[SegmentInfo]) -> SegmentInfo:
        file = merged(group, self._manifest, self._reader)
        return self._put(group[0].channel, group[0].scope, file, group)

    def _sweep(self) -> None:
        """Remove the files that are no part of the archive, but those that are being written."""
        with self._naming:  # litter that nobody writes at this moment nobody will ever name
            # Before the litter is read: a file that gets its place in between is litter no more, and must not go.
            begun = self._begun.copy()
            litter = [(token, path) for token, path in self._manifest.litter() if token not in begun]
        for token, path in litter:
            self._root.remove(path)
            self._manifest.forget(token)

    def _settle(self, root: str) -> None:
        """Clean up after a crash; make sure that the files are here and not under the root of another day."""
        if self._lock is None:
            return
        if self._manifest.fact("root") != root:
            for segment in self._manifest.segments(None, 0, None, None, written=False)[:1]:
                try:
                    self._root.get(segment.path, 0, 1)
                except FileGone as error:
                    was = self._manifest.fact("root") or "the data directory"
                    raise StorageError(f"{error}; the archive was last written to {was}") from error
            self._manifest.set_fact("root", root)
        self._sweep()


def _newest(wide: pa.Table) -> dict[str, int]:
    """By instrument: its newest receive time."""
    names = wide.column("instrument").chunk(0)
    recv = np.asarray(wide.column("ts_recv_ns"))
    last = np.flatnonzero(np.diff(np.asarray(names.indices), append=-1))
    return {names.dictionary[int(names.indices[at].as_py())].as_py(): int(recv[at]) for at in last.tolist()}


def _name(channel: Channel, scope: str, start_ns: int, stop_ns: int, is_merged: bool) -> str:
    moment = datetime.fromtimestamp(start_ns // 10**9, UTC)
    is_day = is_merged and stop_ns - start_ns > DAY_NS // 24
    label = "day" if is_day else f"{moment:%H}h" if is_merged else f"{moment:%H%M}"
    return f"{channel.value}/{scope}/{moment:%Y-%m-%d}/{label}"
