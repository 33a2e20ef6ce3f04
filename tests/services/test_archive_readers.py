"""The lines of docs/archive.md with which pandas, polars and DuckDB read a file of the archive, as they stand there."""

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.archive.export import ExportFormat
from bot.storage.archive.store import ArchiveStore
from tests.unit.archive_rows import KNOWN, MINUTE_NS, START_NS, by_instrument, quotes

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("archive_readers")]

DOCS = Path(__file__).parents[2] / "docs" / "archive.md"
COLUMNS = SCHEMAS[Channel.QUOTES].names
ROWS = 3_000


def rows() -> list[pa.Table]:
    """Two minutes of two instruments; a few quotes of the first carry no time of the venue's, from its first row on."""
    first = quotes(START_NS, ROWS)
    times = [None if at % 7 == 0 else value for at, value in enumerate(first.column("ts_event_ns").to_pylist())]
    field = SCHEMAS[Channel.QUOTES].field("ts_event_ns")
    first = first.set_column(COLUMNS.index(field.name), field, pa.array(times, pa.int64()))
    return [first, quotes(START_NS + MINUTE_NS, ROWS)]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    with ArchiveStore.open(tmp_path) as store:
        for table in rows():
            store.write(Channel.QUOTES, "binance.spot", table, KNOWN)
        store.merge(2**62)
    return tmp_path


def plain(kind: str, read: Any) -> list[dict[str, Any]]:
    if kind == "DuckDB":
        table: pa.Table = read.to_arrow_table()
        return table.select(COLUMNS).to_pylist()
    if kind == "polars":
        selected: list[dict[str, Any]] = read.select(COLUMNS).to_dicts()
        return selected
    return pa.Table.from_pandas(read[COLUMNS], preserve_index=False).to_pylist()


@pytest.mark.parametrize("kind", ["pandas", "polars", "DuckDB"])
def test_a_file_is_read_in_two_lines(archive: Path, kind: str) -> None:
    found = re.search(rf"### {kind}\n+```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert found is not None
    code = found[1]
    assert len(code.strip().splitlines()) == 3, "the import and two lines"
    (path,) = (archive / "archive").rglob("*.arrow")
    scope: dict[str, Any] = {"path": str(path)}
    exec(code, scope)
    assert plain(kind, scope["quotes"]) == by_instrument(pa.concat_tables(rows())).to_pylist()


@pytest.mark.parametrize("file_format", list(ExportFormat))
def test_an_export_is_read_in_one(archive: Path, tmp_path: Path, file_format: ExportFormat) -> None:
    import duckdb
    import pandas as pd
    import polars as pl

    path = tmp_path / f"quotes.{file_format}"
    with ArchiveStore.open(archive, read_only=True) as store:
        assert store.export(Channel.QUOTES, None, 0, 2**62, path, file_format) == 2 * ROWS
    expected = by_instrument(pa.concat_tables(rows())).to_pylist()
    if file_format is ExportFormat.FEATHER:
        assert plain("polars", pl.read_ipc(path)) == expected
        assert plain("pandas", pd.read_feather(path, dtype_backend="pyarrow")) == expected
    elif file_format is ExportFormat.PARQUET:
        assert plain("polars", pl.read_parquet(path)) == expected
        assert plain("DuckDB", duckdb.sql(f"FROM '{path}'")) == expected
    else:
        assert plain("polars", pl.read_csv(path)) == expected
        assert plain("DuckDB", duckdb.sql(f"FROM '{path}'")) == expected
