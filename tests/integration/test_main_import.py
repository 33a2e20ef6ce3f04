"""`--mode import` as a user runs it: a loopback server with the venue's layout, an archive that is read back."""

import json
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import date
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import pytest

import main
from bot.storage.archive.channels import Channel
from bot.storage.archive.store import ArchiveStore
from bot.storage.imports.ledger import ImportLedger
from tests.integration.test_history_import import Server, publish
from tests.integration.test_main_recorded import Ran, command, environment, run
from tests.unit.history_files import (
    BINANCE_LINEAR,
    BYBIT_SPOT,
    BYBIT_SPOT_TRADES,
    DAY_MS,
    FUNDING,
    KLINES,
    gzipped,
    zipped,
)

WAIT_S = 60
SECOND_DAY = date(2024, 8, 9)
LINEAR = ("--mode", "import", "--source", "binance.linear", "--instrument", "BTC/USDT:USDT")
TWO_DAYS = ("--since", "2024-08-08", "--until", "2024-08-10")


class Waiting(Server):
    """Holds one answer back until it is let go."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.held = "no path"
        self.is_asked = threading.Event()
        self.go = threading.Event()

    def answer(self, request: SimpleHTTPRequestHandler) -> None:
        if request.path.endswith(self.held):
            self.is_asked.set()
            self.go.wait(WAIT_S)
        super().answer(request)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Waiting]:
    folder = tmp_path / "published"
    folder.mkdir()
    running = Waiting(folder)
    yield running
    running.go.set()
    running.close()


def at(url: str, *words: str) -> list[str]:
    return [*words, "--set", f"import_history.binance_url={url}", "--set", "import_history.retry_wait_s=0"]


Take = Callable[..., Ran]


@pytest.fixture
def take(capsys: pytest.CaptureFixture[str]) -> Take:
    """An import in this process, which saves the seconds in which a new one begins."""

    def taken(data_dir: Path, url: str, *words: str) -> Ran:
        code = main.main(["--data-dir", str(data_dir), *at(url, *LINEAR), *words])
        return Ran(code, *capsys.readouterr())

    return taken


def rows(data_dir: Path, channel: Channel = Channel.TRADES, instrument: str = BINANCE_LINEAR.id) -> int:
    with ArchiveStore.open(data_dir, read_only=True) as store:
        return store.rows(channel, instrument, 0, 2**63 - 1).num_rows


def test_days_are_in_the_live_archive_once_and_can_be_asked_for(server: Waiting, take: Take, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    publish(server)
    publish(server, SECOND_DAY)
    lines = [FUNDING, *(f"{DAY_MS + hours * 3_600_000},8,0.0001" for hours in (0, 8, 16))]
    path = server.folder / "data/futures/um/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2024-08.zip"
    zipped(path, lines, checksum=True)
    words = ("--kind", "aggTrades,fundingRate", *TWO_DAYS)
    first = run(data_dir, *at(server.url, *LINEAR), *words, "--json")
    assert first.code == 0, first.err
    assert (first.summary["complete"], first.summary["rows"], len(first.summary["imported"])) == (True, 203, 3)
    assert (rows(data_dir), rows(data_dir, Channel.FUNDING)) == (200, 3)
    again = take(data_dir, server.url, *words)
    assert again.code == 0
    assert again.out == "0 files imported: 0 rows, 0 bytes in the archive; 3 were there already\n"
    assert rows(data_dir) == 200
    assert list((data_dir / "downloads").rglob("*.zip")) == []
    question = ("--mode", "query", "--market", "live", "--what", "trades", "--instrument", BINANCE_LINEAR.id)
    answer = run(data_dir, *question, "--since", "2024-08-09", "--until", "2024-08-09T00:00:02Z", "--json")
    assert [json.loads(line)["trade_id"] for line in answer.out.splitlines()] == ["0-1", "2-3"]


def test_bars_can_be_imported_asked_for_and_exported(server: Waiting, take: Take, tmp_path: Path) -> None:
    data_dir, table = tmp_path / "data", tmp_path / "bars.csv"
    bar = f"{DAY_MS},60000.1,60010.0,59990.5,60001.0,12.5,{DAY_MS + 59_999},750012.5,321,6.25,375006.0,0"
    path = server.folder / "data/futures/um/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-08-08.zip"
    zipped(path, [KLINES, bar], checksum=True)
    done = take(data_dir, server.url, "--kind", "klines", "--since", "2024-08-08", "--until", "2024-08-09")
    assert done.code == 0, done.err
    live = ("--market", "live", "--instrument", BINANCE_LINEAR.id, "--since", "2024-08-08")
    answer = run(data_dir, "--mode", "query", "--what", "klines", *live, "--json")
    (row,) = [json.loads(line) for line in answer.out.splitlines()]
    assert (row["open_ns"], row["high"], row["trades"]) == (DAY_MS * 10**6, 60_010.0, 321)
    assert run(data_dir, "--mode", "export", "--channel", "klines", *live, "--to", str(table)).code == 0
    assert len(table.read_text().splitlines()) == 2


def test_a_day_that_is_not_published_is_named_and_the_others_are_imported(
    server: Waiting, take: Take, tmp_path: Path
) -> None:
    publish(server, SECOND_DAY)
    done = take(tmp_path / "data", server.url, "--kind", "aggTrades", *TWO_DAYS, "--json")
    assert done.code == 2
    assert [one["source"] for one in done.summary["missing"]] == ["binance/um/aggTrades/BTCUSDT/2024-08-08"]
    assert "binance/um/aggTrades/BTCUSDT/2024-08-08 is missing" in done.err
    assert rows(tmp_path / "data") == 100


def test_a_file_that_is_not_what_its_checksum_says_is_refused(server: Waiting, take: Take, tmp_path: Path) -> None:
    path = publish(server)
    path.with_name(path.name + ".CHECKSUM").write_text("0" * 64 + "  x\n")
    done = take(tmp_path / "data", server.url, "--kind", "aggTrades", "--since", "2024-08-08", "--until", "2024-08-09")
    assert done.code == 2
    assert "is not what its checksum says" in done.err
    assert rows(tmp_path / "data") == 0


def test_a_venue_that_is_away_and_an_archive_that_is_in_use_are_told_apart(
    server: Waiting, take: Take, tmp_path: Path
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}"
        words = ("--kind", "aggTrades", *TWO_DAYS)
        away = take(tmp_path / "data", nobody, *words)
    assert away.code == 5
    assert "cannot be downloaded" in away.err
    assert "binance's files cannot be had just now: asked again in 0 s" in away.err, "nobody waits without a word"
    publish(server)
    with ArchiveStore.open(tmp_path / "data"):
        used = take(tmp_path / "data", server.url, *words)
    assert used.code == 3
    assert len(used.err.splitlines()) == 1


def test_an_import_that_was_killed_goes_on_and_doubles_nothing(server: Waiting, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    publish(server)
    server.held = publish(server, SECOND_DAY).name
    words = [*at(server.url, *LINEAR), "--kind", "aggTrades", *TWO_DAYS, "--json"]
    with subprocess.Popen(command(data_dir, *words), env=environment(), stdout=subprocess.PIPE) as process:
        assert server.is_asked.wait(WAIT_S)
        process.send_signal(signal.SIGKILL)
    with ImportLedger.open(data_dir) as ledger:
        assert ledger.is_done("binance/um/aggTrades/BTCUSDT/2024-08-08")
    assert rows(data_dir) == 100
    server.go.set()
    (data_dir / "downloads").mkdir(exist_ok=True)
    (data_dir / "downloads" / "import.spool").write_bytes(b"left by the killed one")
    asked = len(server.asked)
    done = run(data_dir, *words)
    assert done.code == 0, done.err
    assert (len(done.summary["already"]), len(done.summary["imported"])) == (1, 1)
    assert rows(data_dir) == 200
    days = [path for path, _ in server.asked[asked:] if path.endswith(".zip")]
    # The request that was held back is answered now, too; the first day is not asked for again.
    assert {path.rpartition("-aggTrades-")[2] for path in days} == {f"{SECOND_DAY}.zip"}
    assert not (data_dir / "downloads" / "import.spool").exists()


def test_files_that_are_here_need_no_network(tmp_path: Path) -> None:
    lines = [BYBIT_SPOT_TRADES, f"1,{DAY_MS},60000.5,0.5,buy,0", f"2,{DAY_MS + 5},60000.4,0.25,sell,0"]
    path = gzipped(tmp_path / "BTCUSDT_2024-08-08.csv.gz", lines)
    words = ("--mode", "import", "--source", "bybit.spot", "--instrument", "bybit:BTC/USDT", "--file", str(path))
    done = run(tmp_path / "data", *words)
    assert done.code == 0, done.err
    assert done.out.startswith("1 files imported: 2 rows,")
    assert rows(tmp_path / "data", Channel.TRADES, BYBIT_SPOT.id) == 2
    assert path.exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--mode", "import"), "needs --source, one of binance.spot, binance.linear"),
        (("--mode", "import", "--source", "binance.liner"), "did you mean binance.linear?"),
        (("--mode", "import", "--source", "binance.linear"), "needs --instrument"),
        ((*LINEAR[:-1], "BTCUSDT", "--kind", "trades", *TWO_DAYS), "write the unified symbol"),
        ((*LINEAR[:-1], "bybit:BTC/USDT:USDT", "--kind", "trades", *TWO_DAYS), "write the unified symbol"),
        (LINEAR, "needs --kind; binance.linear has bookTicker, aggTrades"),
        ((*LINEAR, "--kind", "aggTrade", *TWO_DAYS), "did you mean aggTrades?"),
        ((*LINEAR, "--kind", "aggTrades"), "needs --since"),
        ((*LINEAR, "--kind", "aggTrades", "--since", "2024-08-08", "--until", "2024-08-08"), "has no day"),
        ((*LINEAR, "--kind", "aggTrades", "--since", "2024-08-08", "--until", "2200-01-01"), "is not over yet"),
        ((*LINEAR, "--file", "a.zip", "--kind", "trades"), "leave --kind, --since and --until out"),
        ((*LINEAR, "--file", "notes.zip"), "is no name of Binance's files"),
        ((*LINEAR, "--kind", "trades", *TWO_DAYS, "--market", "simulated"), "history is of the live market"),
    ],
)
def test_a_wrong_wish_is_one_line(
    words: tuple[str, ...], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["--data-dir", str(tmp_path / "data"), *words]) == 2
    told = capsys.readouterr().err
    assert says in told
    assert len(told.splitlines()) == 1
