"""Whether this machine is fit: disk, journal, halt flag, user."""

import os
import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from bot.clock import Clock
from bot.errors import AlreadyRunning, StorageError
from bot.preflight.check import Check, failed, ok, warning
from bot.risk.halt_flag import read_flag, way_out
from bot.settings import JournalSettings
from bot.single_writer import SingleWriter
from bot.storage.queries import JournalReader
from bot.storage.schema import FILE_NAME
from bot.storage.torn_tail import examine

HALT_FLAG = "halt flag"
"""The check that a start does not fail for: it opens nothing, and looks after what is open."""
_SYNCS = 5
_SLOW_MS = 50.0
_PROBE = b"\0" * 4096


def look_at_machine(data_dir: Path, journal: JournalSettings, clock: Clock) -> list[Check]:
    """Every look at the machine; makes the data directory if it is missing. Blocks for as long as the disk does."""
    return [*_disk(data_dir, journal, clock), _halt(data_dir), _journal(data_dir), _user()]


def _disk(data_dir: Path, journal: JournalSettings, clock: Clock) -> Sequence[Check]:
    where = str(data_dir)
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        free = shutil.disk_usage(data_dir).free
        took_ms = _sync_ms(data_dir, clock)
    except OSError as error:
        return [failed("disk", where, f"cannot be written: {error.strerror}", "use another --data-dir")]
    room = f"{free / 1e9:.1f} GB free"
    if free < journal.min_free_bytes:
        advice = f"make room: less than journal.min_free_bytes ({journal.min_free_bytes / 1e9:.1f} GB) is an alarm"
        checks = [failed("disk room", where, room, advice)]
    else:
        checks = [ok("disk room", where, room)]
    said = f"{took_ms:.1f} ms until a record is safe"
    if took_ms > journal.max_behind_ms:
        return [*checks, failed("disk speed", where, said, "use a faster disk: every order waits for its record")]
    if took_ms > _SLOW_MS:
        return [*checks, warning("disk speed", where, said, "every order waits so long; a local SSD needs a few ms")]
    return [*checks, ok("disk speed", where, said)]


def _sync_ms(data_dir: Path, clock: Clock) -> float:
    """The middle one of a few small writes with fsync, ms."""
    path = data_dir / f".preflight-{os.getpid()}"
    took: list[float] = []
    try:
        with path.open("wb") as file:
            for _ in range(_SYNCS):
                begun_ns = clock.monotonic_ns()
                file.write(_PROBE)
                file.flush()
                os.fsync(file.fileno())
                took.append((clock.monotonic_ns() - begun_ns) / 1e6)
    finally:
        path.unlink(missing_ok=True)
    return sorted(took)[_SYNCS // 2]


def _halt(data_dir: Path) -> Check:
    flag = read_flag(data_dir)
    if flag is not None:
        return failed(HALT_FLAG, str(data_dir), flag.words(), f"look at the venues, then: {way_out(data_dir)}")
    return ok(HALT_FLAG, str(data_dir), "none")


def _journal(data_dir: Path) -> Check:
    name, where = "journal", str(data_dir / FILE_NAME)
    try:
        lock = SingleWriter(data_dir)
    except AlreadyRunning as error:
        return warning(name, where, str(error), "its engine writes it; it was not looked at")
    except StorageError as error:
        return failed(name, where, str(error), "let this user write the directory, or use another --data-dir")
    try:
        return _readable(name, where, data_dir)
    except StorageError as error:
        return failed(
            name, where, str(error), "keep the file, and restore a backup (docs/backup.md) or use another --data-dir"
        )
    finally:
        lock.release()


def _readable(name: str, where: str, data_dir: Path) -> Check:
    path = data_dir / FILE_NAME
    if not path.exists():
        return ok(name, where, "not begun yet")
    dropped = examine(path.with_name(f"{FILE_NAME}-wal"))
    with JournalReader.open(data_dir) as reader:
        runs = len(reader.runs())
    damage = _damage(path)
    if damage:
        raise StorageError(f"{path} is damaged: {damage}")
    if dropped is not None:
        return warning(name, where, dropped, "a crash left it; it was never promised, and is dropped")
    return ok(name, where, f"whole, {runs} runs")


def _damage(path: Path) -> str:
    """What SQLite finds wrong; empty for nothing."""
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StorageError(f"{path} cannot be read: {error}") from error
    return "" if found == "ok" else found


def _user() -> Check:
    if os.geteuid() == 0:
        advice = "run it as a user of its own: a bug, or whoever breaks in, then owns less"
        return warning("user", "", "root", advice)
    return ok("user", "", "not root")
