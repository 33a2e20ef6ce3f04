"""Backup and restore as a user runs them: a run, an archive, and the same answers on a machine that had nothing."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import main
from bot.storage.archive.channels import Channel
from bot.storage.archive.store import ArchiveStore
from bot.storage.instants import utc_text
from tests.integration.test_main_recorded import NO_FEES, SMALL, Ran, Tape, play, run, tape_lines
from tests.integration.test_main_recorded import write as write_tape
from tests.unit.queries_data import END, MINUTE, NOON, make, write

ONE = "binance:ETH/USDT:USDT"
SPAN = ("--since", utc_text(NOON), "--until", utc_text(END + MINUTE))
QUESTIONS = (
    ("--what", "quotes", "--instrument", ONE, *SPAN),
    ("--what", "minute-trades", "--instrument", ONE, *SPAN),
    ("--what", "book", "--instrument", ONE, "--at", utc_text(NOON + MINUTE)),
    ("--what", "fills"),
)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a run that traded, and five minutes of a market."""
    home = tmp_path_factory.mktemp("machine")
    spot, linear = tape_lines()
    tape = Tape(write_tape(home / "spot.gz", spot), write_tape(home / "linear.gz", linear), SMALL)
    ran = play(tape, home / "data", *NO_FEES)
    assert ran.code == 0, ran.err
    assert ran.summary["fills"] > 0
    with ArchiveStore.open(home / "data") as store:
        write(make(), store, home / "data")
    return home / "data"


@pytest.fixture
def data_dir(machine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(machine, tmp_path / "data"))


def answers(data_dir: Path) -> list[str]:
    told = []
    for words in (("--mode", "post-mortem"), *(("--mode", "query", "--market", "live", *asked) for asked in QUESTIONS)):
        done = run(data_dir, *words, "--json")
        assert done.code == 0, done.err
        assert len(done.out) > 100
        told.append(done.out)
    return told


Do = Callable[..., Ran]


@pytest.fixture
def do(capsys: pytest.CaptureFixture[str]) -> Do:
    """A mode in this process, which saves the seconds in which a new one begins."""

    def done(data_dir: Path, *words: str) -> Ran:
        code = main.main(["--data-dir", str(data_dir), "--mode", *words])
        return Ran(code, *capsys.readouterr())

    return done


def test_an_empty_machine_gives_the_same_answers_and_the_same_post_mortem(data_dir: Path, tmp_path: Path) -> None:
    before = answers(data_dir)
    made = run(data_dir, "--mode", "backup", "--to", str(tmp_path / "place"), "--json")
    assert made.code == 0, made.err
    told = json.loads(made.out)
    assert (told["backup"]["lost"], told["uploaded"] > 3) == ([], True)
    shutil.rmtree(data_dir)
    back = run(data_dir, "--mode", "restore", "--from", str(tmp_path / "place"), "--json")
    assert back.code == 0, back.err
    assert json.loads(back.out)["restored"] == told["backup"]
    assert answers(data_dir) == before


def test_backups_are_listed_verified_and_chosen(do: Do, data_dir: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    assert "holds no backup" in do(data_dir, "backup", "--to", str(place), "--list").out
    settings = ("--set", f"backup.url={place}", "--set", "backup.keep=2")
    for _ in range(3):
        assert do(data_dir, "backup", *settings).code == 0
    listed = json.loads(do(data_dir, "backup", "--list", "--json", *settings).out)["backups"]
    assert len(listed) == 2
    assert all(one["id"] in do(data_dir, "backup", "--to", str(place), "--list").out for one in listed)
    older = listed[0]["id"]
    verified = do(data_dir, "backup", "--to", str(place), "--verify", "--backup-id", older)
    assert (verified.code, verified.out.startswith(f"backup {older} is right")) == (0, True), verified.err
    back = do(tmp_path / "new", "restore", "--backup-id", older, *settings)
    assert back.code == 0, back.err
    assert f"(backup {older})" in back.out
    unknown = do(tmp_path / "newer", "restore", "--backup-id", "X", *settings)
    assert unknown.code == 2
    assert "holds no backup X" in unknown.err


def test_a_directory_that_holds_something_is_not_written_over(do: Do, data_dir: Path, tmp_path: Path) -> None:
    assert do(data_dir, "backup", "--to", str(tmp_path / "place")).code == 0
    before = sorted(path.name for path in data_dir.iterdir())
    done = do(data_dir, "restore", "--from", str(tmp_path / "place"))
    assert done.code == 2
    assert "is not empty" in done.err
    assert sorted(path.name for path in data_dir.iterdir()) == before


def test_what_is_lost_is_named_and_told_by_the_exit_code(do: Do, data_dir: Path, tmp_path: Path) -> None:
    with ArchiveStore.open(data_dir, read_only=True) as store:
        gone = store.segments(Channel.FUNDING)[0].path
    (data_dir / "archive" / gone).unlink()
    done = do(data_dir, "backup", "--to", str(tmp_path / "place"), "--json")
    assert done.code == 6
    assert json.loads(done.out)["backup"]["lost"] == [f"archive/{gone}"]
    assert f"archive/{gone} is lost" in done.err
    assert "1 files LOST" in do(data_dir, "backup", "--to", str(tmp_path / "place"), "--list").out
    back = do(tmp_path / "new", "restore", "--from", str(tmp_path / "place"))
    assert back.code == 6
    assert f"archive/{gone} is not in the backup" in back.err


def test_a_damaged_backup_is_found_and_nothing_is_restored(do: Do, data_dir: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    assert do(data_dir, "backup", "--to", str(place)).code == 0
    damaged = next(path for path in sorted((place / "objects").rglob("*")) if path.is_file())
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    for words in (("backup", "--to", str(place), "--verify"), ("restore", "--from", str(place))):
        done = do(tmp_path / "new", *words)
        assert done.code == 6
        assert damaged.name in done.err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("backup",), "Add --to DIRECTORY-OR-URL, or set backup.url"),
        (("restore",), "Add --from DIRECTORY-OR-URL, or set backup.url"),
        (("backup", "--to", "x", "--list", "--verify"), "leave one of them out"),
        (("backup", "--to", "x", "--backup-id", "y"), "a new one names itself"),
        (("restore", "--from", "nowhere"), "holds no backup"),
        (("restore", "--from", "s3://key:secret@bucket/x"), "holds credentials"),
    ],
)
def test_a_wrong_wish_is_one_line(words: tuple[str, ...], says: str, do: Do, tmp_path: Path) -> None:
    done = do(tmp_path / "data", *words)
    assert done.code == 2
    assert says in done.err
    assert "secret" not in done.err
    assert len(done.err.splitlines()) == 1
