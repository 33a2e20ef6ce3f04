"""`--mode export` as a person or a program hears of it."""

import json
from pathlib import Path

import pytest

import main
from bot.errors import ExitCode
from bot.storage.archive.channels import Channel
from bot.storage.archive.store import ArchiveStore
from tests.unit.archive_rows import KNOWN, START_NS, quotes


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    with ArchiveStore.open(tmp_path) as store:
        store.write(Channel.QUOTES, "binance.spot", quotes(START_NS), KNOWN)
    return tmp_path


def export(data_dir: Path, path: Path, *more: str) -> int:
    words = ["--mode", "export", "--market", "live", "--to", str(path), "--data-dir", str(data_dir), *more]
    return main.main(words)


@pytest.mark.parametrize(
    ("name", "left"), [("none.csv", "holds the header row alone"), ("none.parquet", "is not written")]
)
def test_an_export_without_rows_says_so_in_one_line(
    data_dir: Path, capsys: pytest.CaptureFixture[str], name: str, left: str
) -> None:
    path = data_dir / name
    assert export(data_dir, path, "--until", "2001-01-01T00:00:00Z") == ExitCode.OK
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", f"crypto-pipe: no rows of quotes for what was asked; {path} {left}\n")
    assert export(data_dir, path, "--until", "2001-01-01T00:00:00Z", "--json") == ExitCode.OK
    told = capsys.readouterr()
    there = str(path) if path.exists() else None
    assert json.loads(told.out) == {"channel": "quotes", "rows": 0, "path": there}
    assert told.err.count("\n") == 1


def test_an_export_with_rows_says_how_many(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = data_dir / "some.csv"
    assert export(data_dir, path) == ExitCode.OK
    told = capsys.readouterr()
    rows = len(path.read_text().splitlines()) - 1
    assert rows > 0
    assert told.err == f"{rows:,} rows of quotes in {path}\n"
