"""`--mode backtest` as a user runs it: the decisions of the full loop, from recordings and from the archive."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bot.backtest.archive_tape import archive_pieces
from bot.backtest.books import BookPlayer
from bot.domain.order_book import BookChange, BookState, OrderBook
from bot.storage.archive.channels import Channel
from bot.storage.archive.store import ArchiveStore
from bot.storage.archive_queries import archive_queries
from exchanges.simulator.sample_recording import write_sample
from modes.archive_jobs import DEPTH_RULES

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("CRYPTO_PIPE_SHARED", ROOT.parent / "shared"))
REAL = SHARED / "recordings" / "binance-2024-08-08"
WAIT_S = 180


def main(data_dir: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "main.py"), "--data-dir", str(data_dir), *words]
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "MONGODB_URI" and not name.startswith("CRYPTO_PIPE__")
    }
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, env=environment, check=False)


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    files = write_sample(tmp_path_factory.mktemp("sample"))
    return [word for feed, path in files.items() for word in ("--recording", f"{feed}={path}")]


def test_the_decisions_are_those_of_the_loop_over_every_quote(sample: list[str], tmp_path: Path) -> None:
    loop = told(main(tmp_path / "loop", *sample, "--headless", "--json"))
    backtest = told(main(tmp_path / "backtest", "--mode", "backtest", *sample, "--json"))["summary"]
    assert loop["fills"] > 0
    for key in ("decision_digest", "decisions", "orders", "fills", "pnl", "unrealised", "quotes", "opportunities"):
        assert backtest[key] == loop[key], key


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no recorded markets in {REAL}: set CRYPTO_PIPE_SHARED")
@pytest.mark.parametrize("taker_bps", ["0", "2", "10"])
def test_the_decisions_on_real_markets_are_the_same_at_every_fee(taker_bps: str, tmp_path: Path) -> None:
    words = [
        "--recording", f"binance.spot={REAL / 'spot-ethusdt_20240808.gz'}",
        "--recording", f"binance.linear={REAL / 'usdm-ethusdt_20240808.gz'}",
        "--set", f"fees.binance.spot.taker_bps={taker_bps}",
        "--set", f"fees.binance.linear.taker_bps={taker_bps}",
        "--json",
    ]  # fmt: skip
    loop = told(main(tmp_path / "loop", "--headless", *words))
    backtest = told(main(tmp_path / "backtest", "--mode", "backtest", *words))["summary"]
    assert (backtest["decision_digest"], backtest["pnl"]) == (loop["decision_digest"], loop["pnl"])
    assert sum(backtest["quotes"].values()) == 78_069


def test_it_ends_with_its_post_mortem_which_its_own_journal_tells_again(sample: list[str], tmp_path: Path) -> None:
    answer = told(main(tmp_path, "--mode", "backtest", *sample, "--json"))
    (market,) = answer["report"]["markets"]
    assert (market["market"], answer["report"]["residual"]) == ("backtest", "0")
    (returned,) = market["returns"]
    assert returned["quote_asset"] == "USDT"
    assert float(returned["peak_locked"]) > 0
    assert float(returned["max_drawdown"]) >= 0
    again = told(main(Path(answer["data_dir"]), "--mode", "post-mortem", "--json"))
    assert again["markets"] == answer["report"]["markets"]


def test_people_get_tables_and_the_time_that_was_asked_for(sample: list[str], tmp_path: Path) -> None:
    done = main(tmp_path, "--mode", "backtest", *sample, "--for", "60s")
    assert done.returncode == 0, done.stderr
    assert "BACKTEST market, no real money" in done.stdout
    assert "rows a second; its journal is in" in done.stderr


def test_what_was_recorded_a_moment_ago_can_be_played(tmp_path: Path) -> None:
    recorded = told(main(tmp_path, "--mode", "record", "--for", "6s", "--json", "--set", "archive.every_s=2"))
    answer = told(main(tmp_path, "--mode", "backtest", "--market", "simulated", "--since", "1h", "--json"))
    assert sum(answer["summary"]["quotes"].values()) > 100
    assert answer["summary"]["complete"] is True
    assert recorded["complete"] is True


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "needs a market of the past"),
        (["--run", "nonsense"], "no run of any strategy starts so"),
        (["--since", "1h"], "the archive holds no quotes; --mode import or --mode record fill it"),
    ],
)
def test_what_cannot_be_played_is_said_in_one_line(words: list[str], said: str, tmp_path: Path) -> None:
    done = main(tmp_path, "--mode", "backtest", *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


class LastBook:
    """What an engine's book desk is told."""

    def __init__(self) -> None:
        self.book: OrderBook | None = None

    def on_book(self, slot: int, book: OrderBook | None, change: BookChange, ts_recv_ns: int) -> None:
        self.book = book

    def on_book_state(self, slot: int, state: BookState, reason: str) -> None:
        self.book = None


def test_order_books_come_back_from_the_archive(tmp_path: Path) -> None:
    told(main(tmp_path, "--mode", "record", "--for", "6s", "--json", "--set", "archive.every_s=2"))
    name, until_ns = "binance:BTC/USDT:USDT", 2**62
    with ArchiveStore.open(tmp_path / "simulated", read_only=True) as store:
        instrument = store.instrument(name)
        assert instrument is not None
        rows = store.rows(Channel.DEPTH, name, 0, until_ns, ["ts_recv_ns", "kind"]).to_pylist()
        # Not the very end, where the recorder itself stops to know its books.
        deltas = [row["ts_recv_ns"] for row in rows if row["kind"] == "delta"]
        first_ns, last_ns = rows[0]["ts_recv_ns"], deltas[len(deltas) * 2 // 3]
        asked = archive_queries(store, None, DEPTH_RULES).order_book(name, last_ns)
        desk = LastBook()
        player = BookPlayer(desk)  # type: ignore[arg-type]
        for piece in archive_pieces(store, [instrument], first_ns, last_ns + 1, DEPTH_RULES):
            player.begin(piece.books)
            player.catch_up(len(piece))
    assert desk.book is not None
    assert [level[0] for level in desk.book.bids.levels(10)] == [level[0] for level in asked.bids[:10]]
    assert [level[0] for level in desk.book.asks.levels(10)] == [level[0] for level in asked.asks[:10]]
