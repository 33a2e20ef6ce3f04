"""`--mode import`: history files, one after another, into the archive.

A file is downloaded and checked, read to its last line into a spool, and written from there, segment by segment. The
ledger notes every segment, so that an import which was killed goes on where it was, and doubles nothing.
"""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bot.clock import Clock
from bot.errors import SettingsError, StorageError
from bot.storage.archive.channels import Channel
from bot.storage.archive.errors import SegmentRemoved
from bot.storage.archive.ports import SegmentInfo, SegmentStore
from bot.storage.imports.ledger import Begun, ImportLedger
from bot.storage.imports.ports import ImportProgress, ImportReport, Skipped, SourceFile
from bot.storage.imports.spool import Piece, Spool, digest

SPOOL_NAME = "import.spool"
Tell = Callable[[ImportProgress], None]


def import_history(
    store: SegmentStore,
    ledger: ImportLedger,
    files: Sequence[SourceFile],
    scratch: Path,
    clock: Clock,
    tell: Tell | None = None,
) -> ImportReport:
    """Import files into an archive that nobody else writes to. It blocks until all are done.

    A file that cannot be used ends it; what was imported before stays, and the same call goes on from there.

    Args:
        store: The archive.
        ledger: Of the same data directory.
        files: In this order.
        scratch: Directory for downloads and the spool; on a disk that holds an unpacked file.
        clock: Tells how fast it goes.
        tell: Hears how it goes, a few times a second at most.

    Raises:
        RecordingError: If a line, a checksum or a file is not what it should be; nothing of that file is kept.
        SettingsError: If a file belongs to a channel that the archive does not have.
        StorageError: If disk or archive fail.
        VenueError: If something cannot be downloaded.
    """
    return _Import(store, ledger, scratch, clock, _Teller(len(files), clock, tell)).run(files)


@dataclass(slots=True)
class _Done:
    imported: list[str] = field(default_factory=list)
    segments: list[SegmentInfo] = field(default_factory=list)
    already: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    missing: list[Skipped] = field(default_factory=list)


class _Import:
    def __init__(
        self, store: SegmentStore, ledger: ImportLedger, scratch: Path, clock: Clock, teller: "_Teller"
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._scratch = scratch
        self._clock = clock
        self._teller = teller
        self._done = _Done()

    def run(self, files: Sequence[SourceFile]) -> ImportReport:
        for file in files:
            _channel(file)
        for file in files:
            self._teller.begin(file.source)
            try:
                self._file(file)
            except FileNotFoundError as error:
                self._done.missing.append(Skipped(file.source, str(error)))
            self._teller.files_done += 1
        done = self._done
        return ImportReport(
            imported=tuple(done.imported),
            rows=self._teller.rows,
            segments=tuple(done.segments),
            already=tuple(done.already),
            skipped=tuple(done.skipped),
            missing=tuple(done.missing),
            unfinished=tuple(self._ledger.unfinished()),
        )

    def _file(self, file: SourceFile) -> None:
        if self._is_known(file):
            self._done.already.append(file.source)
            return
        path = file.origin.fetched(self._scratch, self._teller.downloaded)
        sha256 = _sha256(path)
        begun = self._ledger.begun(sha256)
        others = self._ledger.others(file, sha256)
        if begun is not None and begun.is_done:
            self._done.already.append(file.source)
        elif others:
            self._done.skipped.append(Skipped(file.source, _why_skipped(file, others)))
        else:
            self._import(file, path, sha256, begun)
            self._done.imported.append(file.source)
        file.origin.discard(path)

    def _is_known(self, file: SourceFile) -> bool:
        """Whether there is nothing to download."""
        told = file.origin.told_sha256()
        if told is None:
            return self._ledger.is_done(file.source)
        begun = self._ledger.begun(told)
        return begun is not None and begun.is_done

    def _import(self, file: SourceFile, path: Path, sha256: str, begun: Begun | None) -> None:
        spool = Spool(self._scratch / SPOOL_NAME, _channel(file), file.instrument.id)
        try:
            for table in file.read(path):
                spool.add(table)
                self._teller.read(spool.rows)
            pieces = spool.pieces()
            plan = digest(pieces)
            if begun is None:
                begun = self._ledger.begin(file, sha256, plan, self._newest(), self._clock.now_ns())
            if begun.plan != plan:
                raise StorageError(
                    f"{file.source} was begun by another version of this program, and {begun.written} of its segments "
                    "are in the archive: go on with that version, or import into another --data-dir"
                )
            self._write(file, sha256, spool, pieces, begun)
            self._ledger.finish(sha256, spool.rows)
        finally:
            spool.close()

    def _write(self, file: SourceFile, sha256: str, spool: Spool, pieces: Sequence[Piece], begun: Begun) -> None:
        channel, scope, after = _channel(file), str(file.instrument.feed), begun.after
        for number, piece in enumerate(pieces[begun.written :], begun.written):
            table = spool.table(piece)
            # Written before a kill that its note did not outlive, or before a backup that copied the ledger earlier.
            segment = self._found(file, piece, after)
            if segment is None:
                segment = self._store.write(channel, scope, table, {file.instrument.id: file.instrument})
                assert segment is not None
                self._done.segments.append(segment)
                self._teller.wrote(piece.rows)
            after = segment.number
            self._ledger.wrote(sha256, number + 1, after)

    def _found(self, file: SourceFile, piece: Piece, after: int) -> SegmentInfo | None:
        """A segment with the piece's rows that was written after the ledger's last word."""
        written = self._store.segments(
            _channel(file), after=after, start_ns=piece.start_ns, stop_ns=piece.stop_ns, written=True
        )
        for one in written:
            inside = piece.start_ns <= one.start_ns and one.stop_ns <= piece.stop_ns
            if one.scope == str(file.instrument.feed) and one.rows == piece.rows and inside and self._is_of(file, one):
                return one
        return None

    def _is_of(self, file: SourceFile, segment: SegmentInfo) -> bool:
        """Whether its rows are of the file's instrument: another one has as many bars in a day."""
        try:
            names = self._store.read(segment, ["instrument"]).column("instrument").unique().to_pylist()
        except SegmentRemoved:
            return False
        return bool(names == [file.instrument.id])

    def _newest(self) -> int:
        return max((segment.number for segment in self._store.segments(written=True)), default=0)


class _Teller:
    """Counts, and tells a few times a second."""

    _EVERY_NS = 250_000_000

    def __init__(self, files: int, clock: Clock, tell: Tell | None) -> None:
        self.files_done = 0
        self.rows = 0
        self._files = files
        self._clock = clock
        self._tell = tell
        self._begun_ns = clock.monotonic_ns()
        self._told_ns = self._begun_ns - self._EVERY_NS
        self._source = ""
        self._bytes = 0
        self._file_rows = 0

    def begin(self, source: str) -> None:
        """A new file."""
        self._source, self._bytes, self._file_rows = source, 0, 0

    def downloaded(self, have: int, total: int | None) -> None:
        """So many bytes are here."""
        self._bytes = have
        self._say("download")

    def read(self, rows: int) -> None:
        """So many rows have been read."""
        self._file_rows = rows
        self._say("read")

    def wrote(self, rows: int) -> None:
        """So many more rows are in the archive."""
        self.rows += rows
        self._say("write")

    def _say(self, step: str) -> None:
        now_ns = self._clock.monotonic_ns()
        if self._tell is None or now_ns - self._told_ns < self._EVERY_NS:
            return
        self._told_ns = now_ns
        rate = self.rows / max((now_ns - self._begun_ns) / 1e9, 1e-9)
        self._tell(
            ImportProgress(
                self.files_done, self._files, self._source, step, self._bytes, self._file_rows, self.rows, rate
            )
        )


def clear_scratch(scratch: Path) -> None:
    """Remove what imports have left there: downloads, also half ones, and the spool of one that was killed."""
    shutil.rmtree(scratch, ignore_errors=True)


def _channel(file: SourceFile) -> Channel:
    try:
        return Channel(file.channel)
    except ValueError:
        raise SettingsError(f"{file.source}: this archive has no channel {file.channel}") from None


def _why_skipped(file: SourceFile, others: Sequence[str]) -> str:
    if file.source in others:
        return "it was imported with other content: the venue has replaced the file since, or the import was broken off"
    return f"its time is covered by {others[0]}, and its rows would stand in the archive twice"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
