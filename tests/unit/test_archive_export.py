import csv
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest

from bot.errors import StorageError
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.archive.export import ExportFormat
from bot.storage.archive.store import ArchiveStore
from tests.unit.archive_rows import BTC, ETH, KNOWN, MINUTE_NS, START_NS, by_instrument, quotes, views

ALWAYS = (0, 2**62)
SHOWN = {
    "=1+1": "'=1+1",
    "+1": "'+1",
    "-1": "'-1",
    "@SUM(A1)": "'@SUM(A1)",
    "\t=1": "' =1",
    "\r=1": "' =1",
    "\x00=1": "'=1",
    "\u200b=1": "'=1",
    "'=1": "'=1",
    'a"b': 'a"b',
    "a,b\nc": "a,b c",
    "\x1b[2J": "[2J",
    '{"$where": "1"}': '{"$where": "1"}',
    "ok": "ok",
}
HOSTILE = list(SHOWN)


@pytest.fixture
def archive(tmp_path: Path) -> ArchiveStore:
    with ArchiveStore.open(tmp_path) as store:
        for minute in range(3):
            store.write(Channel.QUOTES, "binance.spot", quotes(START_NS + minute * MINUTE_NS), KNOWN)
        store.write(Channel.VIEWS, "all", views(START_NS, HOSTILE, "=cmd"), {})
    return ArchiveStore.open(tmp_path, read_only=True)


def read(path: Path) -> pa.Table:
    if path.suffix == ".feather":
        return pyarrow.feather.read_table(path)
    if path.suffix == ".parquet":
        return pyarrow.parquet.read_table(path)
    return pyarrow.csv.read_csv(path).cast(SCHEMAS[Channel.QUOTES])


@pytest.mark.parametrize("file_format", list(ExportFormat))
def test_every_format_holds_the_channels_own_columns(
    archive: ArchiveStore, tmp_path: Path, file_format: ExportFormat
) -> None:
    path = tmp_path / f"quotes.{file_format}"
    heard: list[float] = []
    rows = archive.export(Channel.QUOTES, None, *ALWAYS, path, file_format, heard.append)
    expected = by_instrument(pa.concat_tables([quotes(START_NS + at * MINUTE_NS) for at in range(3)]))
    assert rows == 60
    assert read(path).combine_chunks().equals(expected)
    assert heard == sorted(heard)
    assert heard[-1] == 1.0
    assert len(heard) > 2
    assert not list(tmp_path.glob("*.part"))


def test_some_instruments_of_some_time(archive: ArchiveStore, tmp_path: Path) -> None:
    path = tmp_path / "some.feather"
    start_ns, stop_ns = START_NS + MINUTE_NS, START_NS + 2 * MINUTE_NS
    assert archive.export(Channel.QUOTES, [ETH.id], start_ns, stop_ns, path, ExportFormat.FEATHER) == 10
    table = read(path)
    assert set(table.column("instrument").to_pylist()) == {ETH.id}
    assert table.equals(archive.rows(Channel.QUOTES, ETH.id, start_ns, stop_ns))


@pytest.mark.parametrize("file_format", ExportFormat)
def test_without_rows_no_file_passes_for_data(archive: ArchiveStore, tmp_path: Path, file_format: ExportFormat) -> None:
    path = tmp_path / f"none.{file_format}"
    path.write_text("rows of an earlier export")
    assert archive.export(Channel.QUOTES, [BTC.id], 0, 1, path, file_format) == 0
    if file_format is ExportFormat.CSV:
        (header,) = path.read_text().splitlines()
        assert header.replace('"', "").split(",") == SCHEMAS[Channel.QUOTES].names
    else:
        assert not path.exists()
    assert not list(tmp_path.glob("*.part"))


def test_no_cell_of_a_csv_is_a_formula(archive: ArchiveStore, tmp_path: Path) -> None:
    path = tmp_path / "views.csv"
    archive.export(Channel.VIEWS, None, *ALWAYS, path, ExportFormat.CSV)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["view"] for row in rows] == list(SHOWN.values())
    assert {row["instrument"] for row in rows} == {"'=cmd"}
    assert [int(row["ts_recv_ns"]) for row in rows] == [START_NS + at * 10**9 for at in range(len(HOSTILE))]


def test_lists_stand_in_a_csv_as_json(tmp_path: Path) -> None:
    row = {
        "instrument": ETH.id,
        "ts_recv_ns": START_NS,
        "event_time_ns": START_NS,
        "last_transaction_time_ns": None,
        "bids": [{"price": "1.0", "quantity": "2"}],
        "offers": [],
    }
    path = tmp_path / "books.csv"
    with ArchiveStore.open(tmp_path) as store:
        store.write(Channel.MINUTE_BOOKS, "all", pa.Table.from_pylist([row], SCHEMAS[Channel.MINUTE_BOOKS]), {})
        store.export(Channel.MINUTE_BOOKS, None, *ALWAYS, path, ExportFormat.CSV)
    with path.open(newline="") as file:
        (read_back,) = csv.DictReader(file)
    assert (read_back["bids"], read_back["offers"]) == ('[{"price":"1.0","quantity":"2"}]', "[]")
    assert read_back["last_transaction_time_ns"] == ""


def test_a_negative_number_is_no_formula(tmp_path: Path) -> None:
    row = {"instrument": ETH.id, "ts_recv_ns": 1, "ts_event_ns": 1, "rate": -0.0001, "next_funding_ns": 2}
    path = tmp_path / "funding.csv"
    with ArchiveStore.open(tmp_path) as store:
        store.write(Channel.FUNDING, "all", pa.Table.from_pylist([row], SCHEMAS[Channel.FUNDING]), {})
        store.export(Channel.FUNDING, None, *ALWAYS, path, ExportFormat.CSV)
    with path.open(newline="") as file:
        (read_back,) = csv.DictReader(file)
    assert float(read_back["rate"]) == -0.0001
    assert (read_back["interval_h"], read_back["mark_price"]) == ("", "")


def test_an_export_that_fails_leaves_the_file_before_it(archive: ArchiveStore, tmp_path: Path) -> None:
    path = tmp_path / "quotes.csv"
    path.write_text("before")
    broken = archive.segments(Channel.QUOTES)[1]
    (tmp_path / "archive" / broken.path).unlink()
    with pytest.raises(StorageError, match=broken.path):
        archive.export(Channel.QUOTES, None, *ALWAYS, path, ExportFormat.CSV)
    assert path.read_text() == "before"
    assert not list(tmp_path.glob("*.part"))
    with pytest.raises(StorageError, match="cannot be written"):
        archive.export(Channel.QUOTES, [], *ALWAYS, tmp_path / "no" / "where.csv", ExportFormat.CSV)
