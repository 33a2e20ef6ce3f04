"""Backups and what comes back: incremental, killed, damaged, pruned, of a directory in use, of a real run."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.clock import SystemClock
from bot.errors import ExitCode, SettingsError, StorageError
from bot.ports import RecordKind
from bot.storage.archive.channels import Channel
from bot.storage.archive.store import ArchiveStore
from bot.storage.backup import contents
from bot.storage.backup.backup import BackupProgress, BackupReport, backup, backups
from bot.storage.backup.contents import FileKind, Part, StoredFile
from bot.storage.backup.restore import restore, verify
from bot.storage.backup.shelf import open_shelf
from bot.storage.imports.importer import import_history
from bot.storage.imports.ledger import ImportLedger
from bot.storage.journal import SqliteJournal
from exchanges.binance.history import BinanceHistory
from tests.integration.test_main_recorded import NO_FEES, SMALL, Tape, play, tape_lines, write
from tests.integration.test_main_recorded import run as main_run
from tests.unit.backup_house import (
    AN_HOUR_LATER_NS,
    DAY_NS,
    facts,
    merge,
    objects,
    write_journal,
    write_minute,
)
from tests.unit.history_files import BINANCE_LINEAR, agg_trades, zipped

ROOT = Path(__file__).resolve().parents[2]
NOW_NS = 1_795_320_000_000_000_000
HOUR_NS = 3_600_000_000_000


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    write_journal(directory, range(100))
    for minute in range(3):
        write_minute(directory, minute)
    return directory


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def take(data_dir: Path, place: Path, hours: int = 0, **how: Any) -> BackupReport:
    return backup(data_dir, str(place), NOW_NS + hours * HOUR_NS, **how)


def test_what_comes_back_is_what_was_there(data_dir: Path, place: Path, tmp_path: Path) -> None:
    zips = zipped(tmp_path / "BTCUSDT-aggTrades-2024-08-08.zip", agg_trades(10))
    with ArchiveStore.open(data_dir) as store, ImportLedger.open(data_dir) as ledger:
        file = BinanceHistory().local(zips, BINANCE_LINEAR)
        import_history(store, ledger, [file], data_dir / "x", SystemClock())
    report = take(data_dir, place)
    assert (report.backup.files, report.backup.lost) == (3 + 4, ())
    before = facts(data_dir)
    back = tmp_path / "elsewhere" / "data"
    assert restore(str(place), back) == report.backup
    assert facts(back) == before
    assert len(before[0]) == 100
    assert len(before[1]) == 160
    assert (back.stat().st_mode & 0o777, (back / "journal.db").stat().st_mode & 0o777) == (0o700, 0o600)
    with ArchiveStore.open(back) as store, ImportLedger.open(back) as ledger:
        assert import_history(store, ledger, [file], back / "x", SystemClock()).already == (file.source,)
    assert [path.name for path in back.parent.iterdir()] == ["data"]


def test_a_second_backup_brings_only_what_is_new(data_dir: Path, place: Path, tmp_path: Path) -> None:
    write_journal(data_dir, range(100, 20_000), "run-2")
    first = take(data_dir, place)
    assert first.uploaded == len(objects(place))
    assert (take(data_dir, place, 1).uploaded, take(data_dir, place, 2).uploaded) == (0, 0)
    before = facts(data_dir)
    write_journal(data_dir, range(20_000, 20_010), "run-3")
    write_minute(data_dir, 3)
    more = take(data_dir, place, 3)
    journal_blocks = (data_dir / "journal.db").stat().st_size >> 20
    assert journal_blocks >= 4
    assert more.uploaded < 2 + journal_blocks
    ids = [one.id for one in backups(str(place))]
    assert len(set(ids)) == 4
    assert ids == sorted(ids)
    restore(str(place), tmp_path / "old", backup_id=first.backup.id)
    restore(str(place), tmp_path / "new")
    assert facts(tmp_path / "old") == before
    assert facts(tmp_path / "new") == facts(data_dir)
    assert len(facts(data_dir)[0]) == 20_010


def test_merged_files_replace_those_that_they_were_made_of(data_dir: Path, place: Path, tmp_path: Path) -> None:
    take(data_dir, place)
    rows = facts(data_dir)
    merge(data_dir)
    assert take(data_dir, place, 1, keep=1).removed > 3
    restore(str(place), tmp_path / "back")
    assert facts(tmp_path / "back") == rows
    shelf = open_shelf(str(place))
    needed = {Path(part.path).name for file in shelf.files(shelf.backups()[0]) for part in file.parts}
    assert objects(place) == needed


def test_old_backups_go_and_what_only_they_held(data_dir: Path, place: Path, tmp_path: Path) -> None:
    for hours in range(4):
        write_journal(data_dir, range(100 * (hours + 1), 100 * (hours + 2)), f"run-{hours + 2}")
        take(data_dir, place, hours, keep=2)
    left = backups(str(place))
    assert len(left) == 2
    assert sorted(path.name for path in (place / "backups").iterdir()) == sorted(f"{one.id}.json.z" for one in left)
    for one in left:
        assert verify(str(place), one.id) == one
    assert not (place / "pending.json").exists()


class _Killed(BaseException):
    """Stands for the end of the process."""


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from bot.storage.archive.roots import LocalRoot
    from bot.storage.backup.backup import backup

    steps = int(sys.argv[4])
    def dying(call):
        def wrapped(*arguments):
            global steps
            steps -= 1
            if steps < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments)
        return wrapped
    LocalRoot.put, LocalRoot.remove = dying(LocalRoot.put), dying(LocalRoot.remove)
    backup(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), keep=1)
"""


@pytest.mark.parametrize("steps", [0, 1, 2, 4, 6, 7, 8, 9])
def test_a_backup_that_is_killed_leaves_the_one_before(data_dir: Path, place: Path, tmp_path: Path, steps: int) -> None:
    take(data_dir, place)
    before = facts(data_dir)
    write_journal(data_dir, range(100, 200), "run-2")
    write_minute(data_dir, 7)
    after = facts(data_dir)
    words = [str(data_dir), str(place), str(NOW_NS + HOUR_NS), str(steps)]
    command = [sys.executable, "-c", textwrap.dedent(KILLED), *words]
    died = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    (whole,) = backups(str(place))
    restore(str(place), tmp_path / "back")
    assert facts(tmp_path / "back") == (before if whole.created_ns == NOW_NS else after)
    take(data_dir, place, 2, keep=1)
    shelf = open_shelf(str(place))
    (newest,) = shelf.backups()
    assert objects(place) == {Path(part.path).name for file in shelf.files(newest) for part in file.parts}
    assert [path.name for path in (place / "backups").iterdir()] == [f"{newest.id}.json.z"]
    assert not (data_dir / ".backup").exists()


def test_what_a_killed_backup_brought_is_used_and_what_it_half_brought_is_not(data_dir: Path, place: Path) -> None:
    def die(progress: BackupProgress) -> None:
        if progress.objects_done == 3:
            raise _Killed

    with pytest.raises(_Killed):
        take(data_dir, place, tell=die)
    brought = objects(place)
    assert len(brought) == 3
    torn = next(path for path in (place / "objects").rglob("*") if path.is_file())
    torn.write_bytes(torn.read_bytes()[:-1])
    report = take(data_dir, place, 1)
    assert report.uploaded == len(objects(place)) - 2
    assert verify(str(place)) == report.backup


@pytest.mark.parametrize("kind", list(FileKind))
@pytest.mark.parametrize("harm", ["gone", "damaged", "short"])
def test_a_missing_or_damaged_object_is_named_and_nothing_is_left(
    data_dir: Path, place: Path, tmp_path: Path, kind: FileKind, harm: str
) -> None:
    chosen = tmp_path / "settings.yaml"
    chosen.write_text("market: simulated\n")
    take(data_dir, place, settings_file=chosen)
    shelf = open_shelf(str(place))
    file = next(one for one in shelf.files(shelf.backups()[0]) if one.kind is kind)
    target = place / file.parts[0].path
    data = bytearray(target.read_bytes())
    if harm == "gone":
        target.unlink()
    else:
        data[len(data) // 2] ^= 1
        target.write_bytes(data if harm == "damaged" else data[:-1])
    for attempt in (lambda: verify(str(place)), lambda: restore(str(place), tmp_path / "back")):
        with pytest.raises(StorageError) as caught:
            attempt()
        assert file.parts[0].path in str(caught.value)
        assert file.name in str(caught.value)
        assert ("is missing" if harm == "gone" else "is damaged") in str(caught.value)
        assert caught.value.exit_code == ExitCode.STORAGE
    assert not (tmp_path / "back").exists()
    assert not list(tmp_path.glob(".back*"))


def test_an_object_that_has_gone_is_brought_again(data_dir: Path, place: Path) -> None:
    take(data_dir, place)
    for path in [path for path in (place / "objects").rglob("*") if path.is_file()][:3]:
        path.unlink()
    assert take(data_dir, place, 1).uploaded == 3
    assert verify(str(place)).id


@pytest.mark.parametrize("name", ["index.json", "backups"])
def test_a_damaged_index_or_list_is_named(data_dir: Path, place: Path, tmp_path: Path, name: str) -> None:
    take(data_dir, place)
    path = place / name if name == "index.json" else next((place / name).iterdir())
    path.write_bytes(path.read_bytes()[:-9] + b"?" * 9)
    with pytest.raises(StorageError, match=rf"{path.name} is damaged"):
        restore(str(place), tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_it_is_refused_where_something_is(data_dir: Path, place: Path, tmp_path: Path) -> None:
    take(data_dir, place)
    before = facts(data_dir)
    with pytest.raises(SettingsError, match="is not empty"):
        restore(str(place), data_dir)
    assert facts(data_dir) == before
    with pytest.raises(SettingsError, match="is no directory"):
        restore(str(place), data_dir / "journal.db")
    with pytest.raises(SettingsError, match="holds no backup 2020"):
        restore(str(place), tmp_path / "back", backup_id="2020")
    with pytest.raises(SettingsError, match="holds no backup"):
        restore(str(tmp_path / "nothing"), tmp_path / "back")
    (tmp_path / "empty").mkdir()
    restore(str(place), tmp_path / "empty")
    assert facts(tmp_path / "empty") == before


def test_settings_are_not_in_it_unless_asked(data_dir: Path, place: Path, tmp_path: Path) -> None:
    (data_dir / "settings.yaml").write_text("market: live\n")
    take(data_dir, place)
    restore(str(place), tmp_path / "without")
    assert not (tmp_path / "without" / "settings.yaml").exists()
    take(data_dir, place, 1, settings_file=data_dir / "settings.yaml")
    restore(str(place), tmp_path / "with")
    assert (tmp_path / "with" / "settings.yaml").read_text() == "market: live\n"


def test_a_journal_that_is_being_written_is_whole_at_some_record(data_dir: Path, place: Path, tmp_path: Path) -> None:
    stop = threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        journal = SqliteJournal(data_dir, "run-2", group_commit_ms=0)
        while not stop.is_set():
            journal.record(RecordKind.DECISION, "k", DAY_NS, {"number": written, "text": "y" * 3_000})
            journal.when_durable(lambda: None)
            written += 1
        journal.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        counts = []
        for hours in range(3):
            least = written
            take(data_dir, place, hours)
            counts.append(least)
    finally:
        stop.set()
        writer.join()
    for number, (one, least) in enumerate(zip(backups(str(place)), counts, strict=True)):
        restore(str(place), tmp_path / f"back{number}", backup_id=one.id)
        records, _ = facts(tmp_path / f"back{number}")
        assert [record[0] for record in records] == list(range(1, len(records) + 1))
        assert len(records) >= 100 + least


def test_an_archive_that_is_tidied_meanwhile_is_listed_anew(data_dir: Path, place: Path, tmp_path: Path) -> None:
    rows = facts(data_dir)
    merged = False

    def tidy(progress: BackupProgress) -> None:
        nonlocal merged
        if not merged and progress.bytes_done > 0:
            merged = True
            merge(data_dir)

    report = take(data_dir, place, tell=tidy)
    assert report.backup.lost == ()
    assert merged
    restore(str(place), tmp_path / "back")
    assert facts(tmp_path / "back") == rows
    with ArchiveStore.open(tmp_path / "back", read_only=True) as store:
        assert len(store.segments()) == 1


def test_a_lost_file_of_the_archive_is_told_and_all_else_is_saved(data_dir: Path, place: Path, tmp_path: Path) -> None:
    first = take(data_dir, place)
    write_minute(data_dir, 9)
    with ArchiveStore.open(data_dir, read_only=True) as store:
        kept, lost = store.segments()[0], store.segments()[-1]
    (data_dir / "archive" / kept.path).write_bytes(b"damaged")
    (data_dir / "archive" / lost.path).unlink()
    report = take(data_dir, place, 1)
    # The first one is in the backup before, and comes back from there.
    assert report.backup.lost == (f"archive/{lost.path}",)
    restore(str(place), tmp_path / "back")
    with ArchiveStore.open(tmp_path / "back", read_only=True) as store:
        assert len(store.read(kept)) == kept.rows
        with pytest.raises(StorageError, match="is gone"):
            store.read(lost)
    assert verify(str(place), first.backup.id) == first.backup


def test_a_damaged_journal_is_not_backed_up_over_a_good_one(data_dir: Path, place: Path) -> None:
    first = take(data_dir, place)
    path = data_dir / "journal.db"
    data = bytearray(path.read_bytes())
    data[4096 * 2 : 4096 * 2 + 200] = b"\xff" * 200
    path.write_bytes(data)
    with pytest.raises(StorageError, match=r"journal\.db"):
        take(data_dir, place, 1)
    assert backups(str(place)) == [first.backup]


def test_archives_of_other_markets_lie_beside(data_dir: Path, place: Path, tmp_path: Path) -> None:
    write_minute(data_dir / "simulated", 5)
    take(data_dir, place)
    restore(str(place), tmp_path / "back")
    with ArchiveStore.open(tmp_path / "back" / "simulated", read_only=True) as store:
        (segment,) = store.segments()
        assert len(store.read(segment)) == 50


def test_a_filesystem_of_fsspec_will_do(data_dir: Path, tmp_path: Path) -> None:
    url = f"memory://backups-{os.getpid()}"
    report = backup(data_dir, url, NOW_NS)
    assert backup(data_dir, url, NOW_NS + 1).uploaded == 0
    assert [one.id for one in backups(url)] == [report.backup.id, f"{report.backup.id}-2"]
    restore(url, tmp_path / "back")
    assert facts(tmp_path / "back") == facts(data_dir)


def test_an_archive_at_a_url_goes_and_comes(tmp_path: Path, place: Path) -> None:
    data_dir, root, other = tmp_path / "data", f"memory://archive-{os.getpid()}", f"memory://other-{os.getpid()}"
    write_journal(data_dir, range(3))
    with ArchiveStore.open(data_dir, root) as store:
        table = _rows()
        store.write(Channel.TRADES, "binance.linear", table, {BINANCE_LINEAR.id: BINANCE_LINEAR})
    backup(data_dir, str(place), NOW_NS, archive_url=root)
    restore(str(place), tmp_path / "back", archive_url=other)
    with ArchiveStore.open(tmp_path / "back", other) as store:
        assert store.read(store.segments()[0]) == table
    assert not (tmp_path / "back" / "archive").exists()


def _rows() -> Any:
    with tempfile.TemporaryDirectory() as directory:
        write_minute(Path(directory), 0)
        with ArchiveStore.open(Path(directory), read_only=True) as store:
            return store.read(store.segments()[0])


def test_credentials_in_a_url_are_refused_and_not_repeated(data_dir: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        backup(data_dir, "s3://key:hushhush@bucket/prefix", NOW_NS)
    assert "hushhush" not in str(caught.value)


def test_two_backups_at_once_are_refused(data_dir: Path, place: Path) -> None:
    def again(_: BackupProgress) -> None:
        with pytest.raises(StorageError, match="is running"):
            take(data_dir, place, 1)
        again.called = True  # type: ignore[attr-defined]

    take(data_dir, place, tell=again)
    assert again.called  # type: ignore[attr-defined]


def test_an_empty_directory_has_nothing_to_back_up(tmp_path: Path, place: Path) -> None:
    with pytest.raises(StorageError, match="no journal and no archive"):
        backup(tmp_path, str(place), NOW_NS)


def test_what_a_newer_program_wrote_is_refused(data_dir: Path, place: Path) -> None:
    take(data_dir, place)
    (place / "index.json").write_bytes(contents.sealed({"version": 99, "backups": []}))
    with pytest.raises(StorageError, match="newer version"):
        take(data_dir, place, 1)


@pytest.mark.parametrize(("home", "path"), [("", "../x.db"), ("..", "x.db"), ("", "/etc/x"), ("a/../..", "x")])
def test_a_list_that_leads_out_of_the_directory_is_refused(home: str, path: str) -> None:
    part = Part("0" * 64, 1, is_packed=False)
    data = contents.encode_manifest([StoredFile(FileKind.DATABASE, home, path, 1, "0" * 64, (part,))])
    with pytest.raises(StorageError, match="leads out of"):
        contents.decode_manifest(data, "somewhere")


KILLED_RESTORE = """
    import os, signal, sys
    from pathlib import Path
    from bot.storage.backup.restore import restore

    restore(sys.argv[1], Path(sys.argv[2]), tell=lambda progress: os.kill(os.getpid(), signal.SIGKILL))
"""


def test_a_restore_that_is_killed_leaves_an_empty_place(data_dir: Path, place: Path, tmp_path: Path) -> None:
    take(data_dir, place)

    words = [sys.executable, "-c", textwrap.dedent(KILLED_RESTORE), str(place), str(tmp_path / "back")]
    died = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert not (tmp_path / "back").exists()
    restore(str(place), tmp_path / "back")
    assert facts(tmp_path / "back") == facts(data_dir)
    assert not list(tmp_path.glob(".back*"))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(["journal", "minute", "merge", "backup", "keep"]), min_size=3, max_size=9))
def test_every_backup_that_is_kept_gives_back_its_own_moment(steps: list[str]) -> None:
    place = Path(tempfile.mkdtemp())
    try:
        data_dir, moments = place / "data", {}
        write_journal(data_dir, range(5))
        write_minute(data_dir, 0)
        for number, step in enumerate([*steps, "backup"]):
            if step == "journal":
                write_journal(data_dir, range(number * 50, number * 50 + 40), f"run-{number}")
            elif step == "minute":
                write_minute(data_dir, number + 1)
            elif step == "merge":
                merge(data_dir)
            else:
                keep = 2 if step == "keep" else None
                report = backup(data_dir, str(place / "b"), AN_HOUR_LATER_NS + number * 10**9, keep=keep)
                moments[report.backup.id] = facts(data_dir)
        for one in backups(str(place / "b")):
            restore(str(place / "b"), place / one.id, backup_id=one.id)
            assert facts(place / one.id) == moments[one.id]
    finally:
        shutil.rmtree(place)


def post_mortem(data_dir: Path) -> str:
    ran = main_run(data_dir, "--mode", "post-mortem", "--json")
    assert ran.code == 0, ran.err
    return ran.out


def test_a_run_has_the_same_post_mortem_after_it_came_back(tmp_path: Path, place: Path) -> None:
    spot, linear = tape_lines()
    tape = Tape(write(tmp_path / "spot.gz", spot), write(tmp_path / "linear.gz", linear), SMALL)
    data_dir = tmp_path / "data"
    ran = play(tape, data_dir, *NO_FEES)
    assert ran.code == 0, ran.err
    assert ran.summary["fills"] > 0
    write_minute(data_dir, 0)
    take(data_dir, place)
    told, before = post_mortem(data_dir), facts(data_dir)
    shutil.rmtree(data_dir)
    restore(str(place), tmp_path / "elsewhere")
    assert post_mortem(tmp_path / "elsewhere") == told
    assert json.loads(told)
    assert facts(tmp_path / "elsewhere") == before
