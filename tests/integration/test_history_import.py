"""History into a real archive: from loopback servers that break, from processes that are killed."""

import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bot.clock import SystemClock
from bot.errors import RecordingError, SettingsError, StorageError, VenueUnavailable
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.archive.store import ArchiveStore
from bot.storage.archive_queries import archive_queries
from bot.storage.imports.importer import import_history
from bot.storage.imports.ledger import FILE_NAME, ImportLedger, imported_spans
from bot.storage.imports.ports import ImportProgress, ImportReport
from bot.storage.queries import JournalReader
from exchanges.binance.history import BinanceHistory
from exchanges.bybit.history import BybitHistory
from exchanges.common.history.download import Downloader
from exchanges.common.history.files import HistoryFile
from tests.unit.history_files import (
    BINANCE_LINEAR,
    BOOK_TICKER,
    BYBIT_LINEAR,
    BYBIT_TRADES,
    DAY_MS,
    DAY_NS,
    MS,
    TRADES,
    agg_trades,
    gzipped,
    zipped,
)

ROOT = Path(__file__).resolve().parents[2]
DAY = date(2024, 8, 8)
EVER = (-(2**63), 2**63 - 1)


class Server:
    """Serves a folder, with ranges; some answers can be broken off."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[tuple[str, str | None]] = []
        self.break_after: list[int] = []
        """Bytes after which the next answers are broken off."""
        self.fail_next = 0
        """How many answers are 503."""
        outer = self

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def answer(self, request: SimpleHTTPRequestHandler) -> None:
        asked_range = request.headers.get("Range")
        self.asked.append((request.path, asked_range))
        path = self.folder / request.path.lstrip("/")
        if self.fail_next:
            self.fail_next -= 1
            request.send_error(503)
            return
        if not path.is_file():
            request.send_error(404)
            return
        data = path.read_bytes()
        start = int(asked_range.removeprefix("bytes=").removesuffix("-")) if asked_range else 0
        if start >= len(data) and start:
            request.send_error(416)
            return
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(data) - start))
        request.end_headers()
        is_small = path.suffix == ".CHECKSUM"
        request.wfile.write(
            data[start:] if is_small or not self.break_after else data[start:][: self.break_after.pop(0)]
        )

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "published"
    folder.mkdir()
    running = Server(folder)
    yield running
    running.close()


class House:
    """A data directory with an archive and a ledger."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.scratch = data_dir / "downloads"
        self.store = ArchiveStore.open(data_dir)
        self.ledger = ImportLedger.open(data_dir)
        self.progress: list[ImportProgress] = []

    def take(self, *files: HistoryFile) -> ImportReport:
        return import_history(self.store, self.ledger, files, self.scratch, SystemClock(), self.progress.append)

    def rows(self, channel: Channel = Channel.TRADES, instrument: str = BINANCE_LINEAR.id) -> list[dict[str, Any]]:
        return self.store.rows(channel, instrument, *EVER).to_pylist()

    def close(self) -> None:
        self.ledger.close()
        self.store.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = House(tmp_path / "data")
    yield opened
    opened.close()


def binance(server: Server, *, attempts: int = 3, keep: bool = False) -> BinanceHistory:
    downloader = Downloader("binance", timeout_s=5, attempts=attempts, wait_s=0, pause=lambda _: None)
    return BinanceHistory(server.url, downloader, keep=keep)


def publish(server: Server, day: date = DAY, count: int = 100, name: str = "aggTrades") -> Path:
    start_ms = DAY_MS + (day - DAY) // timedelta(days=1) * 86_400_000
    path = server.folder / f"data/futures/um/daily/{name}/BTCUSDT/BTCUSDT-{name}-{day}.zip"
    return zipped(path, agg_trades(count, start_ms), checksum=True)


def agg_files(server: Server, first: date = DAY, last: date = DAY, **how: Any) -> list[HistoryFile]:
    return list(binance(server, **how).files(BINANCE_LINEAR, "aggTrades", first, last))


def test_a_day_from_a_server_is_in_the_archive_once(server: Server, house: House) -> None:
    publish(server)
    report = house.take(*agg_files(server))
    assert (report.imported, report.rows) == (("binance/um/aggTrades/BTCUSDT/2024-08-08",), 100)
    rows = house.rows()
    assert len(rows) == 100
    assert [row["trade_id"] for row in rows[:2]] == ["0-1", "2-3"]
    assert rows[7] == {
        "instrument": BINANCE_LINEAR.id,
        "ts_recv_ns": DAY_NS + 7_000 * MS,
        "ts_event_ns": DAY_NS + 7_000 * MS,
        "trade_id": "14-15",
        "price": 60_007.1,
        "quantity": 0.008,
        "buyer_is_maker": True,
    }
    assert house.store.instrument(BINANCE_LINEAR.id) == BINANCE_LINEAR
    assert list(house.scratch.rglob("*.zip")) == []


def test_a_gap_is_told_without_what_an_import_filled_later(server: Server, house: House) -> None:
    hour = 3_600 * 1_000 * MS
    gaps = [
        ("trades", DAY_NS - hour, DAY_NS + 30 * hour),
        ("trades", DAY_NS + 3 * hour, DAY_NS + 4 * hour),
        ("depth", DAY_NS + 3 * hour, DAY_NS + 4 * hour),
    ]
    rows = [
        {"instrument": BINANCE_LINEAR.id, "ts_recv_ns": stop_ns, "channel": channel, "start_ns": start_ns,
         "stop_ns": stop_ns, "reason": "the program did not run"}
        for channel, start_ns, stop_ns in sorted(gaps, key=lambda gap: gap[2])
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows, schema=SCHEMAS[Channel.GAPS])
    house.store.write(Channel.GAPS, "binance.linear", table, {BINANCE_LINEAR.id: BINANCE_LINEAR})

    def told(channel: Channel, start_ns: int = 0) -> list[tuple[int, int]]:
        with JournalReader.open(house.data_dir) as journal:
            queries = archive_queries(house.store, journal, None, partial(imported_spans, house.data_dir))
            found = queries.gaps(BINANCE_LINEAR.id, channel, start_ns, 2**62).to_pylist()
        return [(row["start_ns"], row["stop_ns"]) for row in found]

    assert told(Channel.TRADES) == [gaps[0][1:], gaps[1][1:]]
    publish(server)
    house.take(*agg_files(server))
    assert told(Channel.TRADES) == [(DAY_NS - hour, DAY_NS), (DAY_NS + 24 * hour, DAY_NS + 30 * hour)]
    assert told(Channel.TRADES, DAY_NS + hour) == [(DAY_NS + 24 * hour, DAY_NS + 30 * hour)]
    assert told(Channel.DEPTH) == [gaps[2][1:]]


def test_importing_again_downloads_a_checksum_and_nothing_else(server: Server, house: House) -> None:
    publish(server)
    house.take(*agg_files(server))
    server.asked.clear()
    report = house.take(*agg_files(server))
    assert (report.already, report.rows) == (("binance/um/aggTrades/BTCUSDT/2024-08-08",), 0)
    assert [path.rpartition(".")[2] for path, _ in server.asked] == ["CHECKSUM"]
    assert len(house.rows()) == 100


def test_a_download_that_breaks_goes_on_where_it_was(server: Server, house: House) -> None:
    path = publish(server, count=3_000)
    size = path.stat().st_size
    server.break_after = [1_000, 2_000, 5_000, 3_000]
    house.take(*agg_files(server))
    ranges = [asked for name, asked in server.asked if name.endswith(".zip")]
    assert ranges == [None, "bytes=1000-", "bytes=3000-", "bytes=8000-", "bytes=11000-"]
    assert size > 11_000
    assert len(house.rows()) == 3_000


def test_a_part_of_another_file_is_not_believed(server: Server, house: House) -> None:
    path = publish(server)
    part = house.scratch / path.relative_to(server.folder)
    part.parent.mkdir(parents=True)
    part.with_name(part.name + ".part").write_bytes(b"?" * 100)
    with pytest.raises(RecordingError, match="is not what its checksum says"):
        house.take(*agg_files(server))
    assert house.rows() == []
    assert house.take(*agg_files(server)).rows == 100


def test_a_part_that_is_longer_than_the_file_is_begun_anew(server: Server, house: House) -> None:
    path = publish(server)
    part = house.scratch / path.relative_to(server.folder)
    part.parent.mkdir(parents=True)
    part.with_name(part.name + ".part").write_bytes(b"?" * 1_000_000)
    assert house.take(*agg_files(server)).rows == 100


def test_a_disk_that_fails_is_no_fault_of_the_server(server: Server, house: House) -> None:
    path = publish(server)
    part = house.scratch / path.relative_to(server.folder)
    part.with_name(part.name + ".part").mkdir(parents=True)
    with pytest.raises(StorageError, match="cannot be written: Is a directory"):
        house.take(*agg_files(server))


def test_a_local_file_that_cannot_be_read_is_named(house: House, tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-aggTrades-2024-08-08.zip"
    file = BinanceHistory().local(path, BINANCE_LINEAR)
    assert [one.reason for one in house.take(file).missing] == [f"{path} is not there"]
    path.mkdir()
    with pytest.raises(RecordingError, match="cannot be read: Is a directory"):
        house.take(file)


def test_a_busy_server_is_asked_again_and_a_dead_one_given_up(server: Server, house: House) -> None:
    publish(server)
    server.fail_next = 2
    assert house.take(*agg_files(server)).rows == 100
    publish(server, DAY + timedelta(days=1))
    server.fail_next = 3
    with pytest.raises(VenueUnavailable, match="HTTP 503"):
        house.take(*agg_files(server, DAY + timedelta(days=1), DAY + timedelta(days=1)))


def test_days_that_are_not_published_are_told_and_the_others_imported(server: Server, house: House) -> None:
    publish(server)
    publish(server, DAY + timedelta(days=2))
    report = house.take(*agg_files(server, DAY, DAY + timedelta(days=2)))
    assert [one.source for one in report.missing] == ["binance/um/aggTrades/BTCUSDT/2024-08-09"]
    assert "404" in report.missing[0].reason
    assert len(report.imported) == 2
    assert len(house.rows()) == 200


def test_bytes_that_are_not_those_of_the_checksum_are_refused(server: Server, house: House) -> None:
    path = publish(server)
    checksum = path.with_name(path.name + ".CHECKSUM")
    checksum.write_text("0" * 64 + "  x\n")
    with pytest.raises(RecordingError, match="is not what its checksum says"):
        house.take(*agg_files(server))
    checksum.write_text("<html>")
    with pytest.raises(RecordingError, match="holds no SHA-256"):
        house.take(*agg_files(server))
    assert house.rows() == []


def test_a_bad_last_line_leaves_nothing_behind(house: House, tmp_path: Path) -> None:
    path = zipped(tmp_path / "BTCUSDT-aggTrades-2024-08-08.zip", [*agg_trades(150_000, step_ms=500), "oops"])
    file = BinanceHistory().local(path, BINANCE_LINEAR)
    with pytest.raises(RecordingError, match="line 150002: 1 columns instead of 7"):
        house.take(file)
    assert house.store.segments() == []
    assert list(house.scratch.iterdir()) == []
    zipped(path, agg_trades(150_000, step_ms=500))
    assert house.take(file).rows == 150_000


def test_local_files_are_checked_and_stay(house: House, tmp_path: Path) -> None:
    path = zipped(tmp_path / "BTCUSDT-aggTrades-2024-08-08.zip", agg_trades(5), checksum=True)
    file = BinanceHistory().local(path, BINANCE_LINEAR)
    assert house.take(file).rows == 5
    assert path.is_file()
    path.with_name(path.name + ".CHECKSUM").write_text("1" * 64)
    with pytest.raises(RecordingError, match="is not what its checksum says"):
        house.take(file)


def test_rows_of_another_instrument_are_not_taken_for_those_of_an_import_that_was_broken_off(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    eth = BINANCE_LINEAR.model_copy(update={"symbol": "ETH/USDT:USDT", "base": "ETH"})
    of_btc, of_eth = (
        BinanceHistory().local(zipped(tmp_path / f"{name}-aggTrades-2024-08-08.zip", lines), one)
        for name, one, lines in (
            ("BTCUSDT", BINANCE_LINEAR, agg_trades(5)),
            ("ETHUSDT", eth, [line.replace("60", "30") for line in agg_trades(5)]),
        )
    )

    def full(*_: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(house.store, "write", full)
        with pytest.raises(StorageError, match="is full"):
            house.take(of_btc)
    assert house.take(of_eth).rows == 5
    assert house.take(of_btc).rows == 5
    assert len(house.rows()) == len(house.rows(instrument=eth.id)) == 5


def test_a_ledger_that_is_older_than_the_archive_doubles_nothing(house: House, tmp_path: Path) -> None:
    # As a backup has them that was made during an import: the ledger is copied first.
    day_ms = 86_400_000
    month = zipped(tmp_path / "BTCUSDT-aggTrades-2024-08.zip", agg_trades(40, DAY_MS, day_ms // 10))
    file, older = BinanceHistory().local(month, BINANCE_LINEAR), tmp_path / "older.db"
    wrote = house.ledger.wrote

    def then_copied(sha256: str, written: int, after: int) -> None:
        wrote(sha256, written, after)
        if written == 1:
            with closing(sqlite3.connect(older)) as copy, closing(sqlite3.connect(house.data_dir / FILE_NAME)) as now:
                now.backup(copy)

    house.ledger.wrote = then_copied  # type: ignore[method-assign]
    assert house.take(file).rows == 40
    assert len(house.store.segments()) == 4
    house.ledger.close()
    for path in house.data_dir.glob(f"{FILE_NAME}*"):
        path.unlink()
    older.rename(house.data_dir / FILE_NAME)
    house.ledger = ImportLedger.open(house.data_dir)
    assert house.take(file).rows == 0
    assert len(house.rows()) == 40


def test_rows_that_are_there_are_not_imported_from_another_file(house: House, tmp_path: Path) -> None:
    history = BinanceHistory()
    day = zipped(tmp_path / "BTCUSDT-aggTrades-2024-08-08.zip", agg_trades(5))
    month = zipped(tmp_path / "BTCUSDT-aggTrades-2024-08.zip", agg_trades(6))
    single = zipped(tmp_path / "BTCUSDT-trades-2024-08-08.zip", [TRADES, f"1,2,3,6,{DAY_MS},true"])
    house.take(history.local(day, BINANCE_LINEAR))
    report = house.take(history.local(month, BINANCE_LINEAR), history.local(single, BINANCE_LINEAR))
    assert [one.source.rpartition("/")[2] for one in report.skipped] == ["2024-08", "2024-08-08"]
    covered = "its time is covered by binance/um/aggTrades/BTCUSDT/2024-08-08, and its rows would stand"
    assert all(one.reason.startswith(covered) for one in report.skipped)
    zipped(day, agg_trades(7))
    (again,) = house.take(history.local(day, BINANCE_LINEAR)).skipped
    assert again.reason.startswith("it was imported with other content")
    assert len(house.rows()) == 5


def test_logs_of_two_servers_that_interleave_are_brought_into_order(house: House, tmp_path: Path) -> None:
    def line(u: int, ms: int) -> str:
        return f"{u},60000.0,1,60000.1,2,{DAY_MS + ms},{DAY_MS + ms + 5}"

    early = [line(u, u) for u in range(1, 2_000)]
    late = [line(u, 60_000_000 + u) for u in range(5_000, 7_000)]
    lines = [BOOK_TICKER, *(one for pair in zip(late, early, strict=False) for one in pair)]
    path = zipped(tmp_path / "BTCUSDT-bookTicker-2024-08-08.zip", lines)
    house.take(BinanceHistory().local(path, BINANCE_LINEAR))
    sequences = [row["sequence"] for row in house.rows(Channel.QUOTES)]
    assert sequences == sorted(sequences)
    assert len(sequences) == len(lines) - 1


def test_bybit_trades_go_in_beside_binances(server: Server, house: House) -> None:
    path = server.folder / "trading/BTCUSDT/BTCUSDT2024-08-08.csv.gz"
    gzipped(path, [BYBIT_TRADES, "1723075200.5,BTCUSDT,Buy,0.02,57199.5,PlusTick,abc,0,0,0,0"])
    history = BybitHistory(server.url, server.url, Downloader("bybit", attempts=2, pause=lambda _: None))
    files = history.files(BYBIT_LINEAR, "trades", DAY, DAY)
    assert house.take(*files).rows == 1
    assert house.take(*files).already == ("bybit/linear/trades/BTCUSDT/2024-08-08",)
    (row,) = house.rows(instrument=BYBIT_LINEAR.id)
    assert (row["price"], row["buyer_is_maker"]) == (57199.5, False)


def test_a_channel_that_the_archive_does_not_have_is_refused_before_anything_is_done(house: House) -> None:
    (file,) = BinanceHistory("http://127.0.0.1:9").files(BINANCE_LINEAR, "trades", DAY, DAY)
    odd = HistoryFile("x", "candles", file.instrument, 0, 1, file.origin, file.read)
    with pytest.raises(SettingsError, match="has no channel candles"):
        house.take(file, odd)


def test_progress_tells_files_rows_and_speed(server: Server, house: House) -> None:
    publish(server)
    house.take(*agg_files(server))
    first = house.progress[0]
    assert (first.files, first.files_done, first.step) == (1, 0, "download")
    assert first.source == "binance/um/aggTrades/BTCUSDT/2024-08-08"


def test_a_ledger_of_a_newer_version_is_refused(house: House) -> None:
    house.ledger._connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match="newer version"):
        ImportLedger.open(house.data_dir)


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from bot.clock import SystemClock
    from bot.storage.archive.store import ArchiveStore
    from bot.storage.imports import spool
    from bot.storage.imports.importer import import_history
    from bot.storage.imports.ledger import ImportLedger
    from exchanges.binance.history import BinanceHistory
    from tests.unit.history_files import BINANCE_LINEAR

    data_dir, path, when, count = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    spool.PIECE_ROWS = 60
    store, ledger = ArchiveStore.open(data_dir), ImportLedger.open(data_dir)
    calls = 0

    def dying(call):
        def wrapped(*arguments):
            global calls
            if when.startswith("before"):
                calls += 1
                if calls > count:
                    os.kill(os.getpid(), signal.SIGKILL)
            answer = call(*arguments)
            if when.startswith("after"):
                calls += 1
                if calls > count:
                    os.kill(os.getpid(), signal.SIGKILL)
            return answer
        return wrapped

    if when.endswith("write"):
        store.write = dying(store.write)
    elif when.endswith("note"):
        ledger.wrote = dying(ledger.wrote)
    elif when.endswith("begin"):
        ledger.begin = dying(ledger.begin)
    elif when.endswith("finish"):
        ledger.finish = dying(ledger.finish)
    files = [BinanceHistory().local(path, BINANCE_LINEAR)]
    report = import_history(store, ledger, files, data_dir / "x", SystemClock())
    print(report.rows, len(report.already))
    ledger.close()
    store.close()
"""


def attempt(data_dir: Path, path: Path, when: str, count: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(data_dir), str(path), when, str(count)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)


@pytest.mark.parametrize(
    ("when", "count"),
    [
        ("after begin", 0), ("before write", 0), ("after write", 0), ("before note", 2), ("after write", 3),
        ("before finish", 0),
    ],
)  # fmt: skip
def test_an_import_that_is_killed_goes_on_and_doubles_nothing(tmp_path: Path, when: str, count: int) -> None:
    path = zipped(tmp_path / "BTCUSDT-aggTrades-2024-08-08.zip", agg_trades(300))
    data_dir = tmp_path / "data"
    killed = attempt(data_dir, path, when, count)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    again = attempt(data_dir, path, "never", 0)
    assert again.returncode == 0, again.stderr
    with ArchiveStore.open(data_dir, read_only=True) as store:
        rows = store.rows(Channel.TRADES, BINANCE_LINEAR.id, *EVER).to_pylist()
        assert [row["trade_id"] for row in rows] == [f"{2 * at}-{2 * at + 1}" for at in range(300)]
        assert len(store.segments()) == 5
    with ImportLedger.open(data_dir) as ledger:
        assert ledger.unfinished() == []


def test_a_part_that_another_version_wrote_is_not_gone_on_with(tmp_path: Path, house: House) -> None:
    path = zipped(tmp_path / "BTCUSDT-aggTrades-2024-08-08.zip", agg_trades(300))
    house.close()
    assert attempt(house.data_dir, path, "after note", 1).returncode == -signal.SIGKILL
    again = House(house.data_dir)
    with pytest.raises(StorageError, match="begun by another version"):
        again.take(BinanceHistory().local(path, BINANCE_LINEAR))
    assert again.ledger.unfinished() == ["binance/um/aggTrades/BTCUSDT/2024-08-08"]
    again.close()
