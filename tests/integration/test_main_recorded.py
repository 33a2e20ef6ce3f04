"""`python main.py` as a process on recorded markets: small ones made here, and the shared real ones where present."""

import gzip
import json
import os
import pty
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("CRYPTO_PIPE_SHARED", ROOT.parent / "shared"))
REAL = SHARED / "recordings" / "binance-2024-08-08"
START_NS = 1_723_161_600_000_000_000
STEP_NS = 50_000_000
BEHIND_MS = 1_270
"""The recording host's clock is that much behind the exchange's."""
NO_FEES = [
    word
    for feed in ("binance.spot", "binance.linear")
    for rate in ("taker_bps", "maker_bps")
    for word in ("--set", f"fees.{feed}.{rate}=0")
]
KEYS = {
    "schema_version", "run_id", "market", "real_money", "complete", "quotes", "quotes_refused", "opportunities",
    "decisions", "orders", "fills", "pnl", "unrealised", "decision_digest",
}  # fmt: skip


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def summary(self) -> dict[str, Any]:
        parsed = json.loads(self.out)
        assert isinstance(parsed, dict)
        return parsed


@dataclass(frozen=True)
class Tape:
    """A recording of both feeds, and the settings that it is played with."""

    spot: Path
    linear: Path
    words: Sequence[str] = ()

    @property
    def recordings(self) -> list[str]:
        return ["--recording", f"binance.spot={self.spot}", "--recording", f"binance.linear={self.linear}"]


def command(data_dir: Path, *words: str) -> list[str]:
    return [sys.executable, str(ROOT / "main.py"), "--data-dir", str(data_dir), *words]


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("CRYPTO_PIPE__")}


def run(data_dir: Path, *words: str) -> Ran:
    done = subprocess.run(
        command(data_dir, *words), capture_output=True, text=True, timeout=120, check=False, env=environment()
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def play(tape: Tape, data_dir: Path, *words: str) -> Ran:
    fixed = ["--strategy", "arbitrage", "--mode", "action", "--market", "recorded", "--headless", "--json"]
    return run(data_dir, *fixed, *tape.recordings, *tape.words, *words)


def spot_line(ts_ns: int, number: int, bid: str, ask: str) -> str:
    data = f'{{"u":{number},"s":"ETHUSDT","b":"{bid}","B":"9.0000","a":"{ask}","A":"9.0000"}}'
    return f'{ts_ns} {{"stream":"ethusdt@bookTicker","data":{data}}}\n'


def linear_line(ts_ns: int, number: int, bid: str, ask: str) -> str:
    event = ts_ns // 1_000_000 + BEHIND_MS
    data = (
        f'{{"e":"bookTicker","u":{number},"s":"ETHUSDT","b":"{bid}","B":"9.000","a":"{ask}","A":"9.000",'
        f'"T":{event},"E":{event}}}'
    )
    return f'{ts_ns} {{"stream":"ethusdt@bookTicker","data":{data}}}\n'


def tape_lines(seconds: float = 12.5) -> tuple[list[str], list[str]]:
    """Spot stands at 2000; every two seconds the perpetual is 8 USDT (40 bps) above it for half a second."""
    spot, linear = [], []
    for number in range(round(seconds * 1e9) // STEP_NS):
        ts_ns = START_NS + number * STEP_NS
        lifted = 8.0 if number % 40 >= 30 and number >= 40 else 0.0
        bid, ask = f"{1999.99 + lifted:.2f}", f"{2000.01 + lifted:.2f}"
        spot.append(spot_line(ts_ns, 1000 + number, "1999.99", "2000.01"))
        linear.append(linear_line(ts_ns + 1_000_000, 1000 + number, bid, ask))
    return spot, linear


def write(path: Path, lines: Sequence[str]) -> Path:
    with gzip.open(path, "wt") as file:
        file.writelines(lines)
    return path


SMALL = ("--set", "arbitrage.warmup_s=1")


@pytest.fixture
def small(tmp_path: Path) -> Tape:
    spot, linear = tape_lines()
    return Tape(write(tmp_path / "spot.gz", spot), write(tmp_path / "linear.gz", linear), SMALL)


@pytest.fixture(params=["made here", "real"])
def tape(request: pytest.FixtureRequest, small: Tape) -> Tape:
    if request.param == "made here":
        return small
    real = Tape(REAL / "spot-ethusdt_20240808.gz", REAL / "usdm-ethusdt_20240808.gz")
    if not real.spot.is_file() or not real.linear.is_file():
        pytest.skip(f"no shared recordings in {REAL} (CRYPTO_PIPE_SHARED names another place)")
    return real


def lines_of(path: Path, word: bytes) -> int:
    with gzip.open(path) as file:
        return sum(word in line for line in file)


def journal(data_dir: Path) -> list[tuple[str, dict[str, Any]]]:
    with sqlite3.connect(data_dir / "journal.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = connection.execute("SELECT kind, body FROM records ORDER BY seq").fetchall()
    connection.close()
    return [(kind, json.loads(body)) for kind, body in rows]


def test_ordinary_fees_count_every_quote_and_take_nothing_that_expects_to_lose(tape: Tape, tmp_path: Path) -> None:
    ran = play(tape, tmp_path / "data", "--speed", "max")
    assert ran.code == 0, ran.err
    summary = ran.summary
    assert set(summary) >= KEYS
    assert summary["quotes"] == {
        "binance.spot": lines_of(tape.spot, b"@bookTicker"),
        "binance.linear": lines_of(tape.linear, b"@bookTicker"),
    }
    assert (summary["market"], summary["real_money"], summary["complete"]) == ("recorded", False, True)
    # The host's clock is 1.27 s behind: neither is every quote refused, nor would a stale one pass.
    assert sum(summary["quotes_refused"].values()) <= 0.01 * sum(summary["quotes"].values())
    decisions = [body for kind, body in journal(tmp_path / "data") if kind == "decision"]
    taken = [body for body in decisions if body["outcome"] == "taken"]
    assert len(taken) == summary["decisions"]["taken"]
    for body in taken:
        assert body["net_bps"] >= 1.0 - 1e-9
        assert body["needed_bps"] > 30.0  # fees of 2 × (10 + 5)


def test_the_same_market_gives_the_same_decisions_in_every_run_and_at_every_speed(tape: Tape, tmp_path: Path) -> None:
    words = [*NO_FEES, "--set", "arbitrage.warmup_s=1"]
    whole = [play(tape, tmp_path / "data", *words, "--for", "60s", "--speed", "max").summary for _ in range(2)]
    assert whole[0]["decision_digest"] == whole[1]["decision_digest"]
    assert whole[0]["run_id"] != whole[1]["run_id"]
    part = [play(tape, tmp_path / "data", *words, "--for", "3s", "--speed", speed).summary for speed in ("max", "10x")]
    assert part[0]["decision_digest"] == part[1]["decision_digest"] != whole[0]["decision_digest"]
    assert part[0]["quotes"] == part[1]["quotes"] != whole[0]["quotes"]
    assert part[0]["pnl"] == part[1]["pnl"]


def test_without_fees_it_trades_and_the_post_mortem_accounts_for_every_cent(tape: Tape, tmp_path: Path) -> None:
    ran = play(tape, tmp_path / "data", *NO_FEES, "--speed", "max")
    summary = ran.summary
    assert summary["decisions"]["taken"] > 0
    assert summary["fills"] >= 4
    report = run(tmp_path / "data", "--mode", "post-mortem", "--json")
    assert report.code == 0, report.err
    (market,) = json.loads(report.out)["markets"]
    assert [(r["run_id"], r["problems"], r["unexplained"], r["differs_from_run"]) for r in market["runs"]] == [
        (summary["run_id"], [], {}, {})
    ]
    assert summary["open_pairs"] == 0
    (money,) = market["money"]
    assert Decimal(money["bridge"]["residual"]) == 0
    assert Decimal(money["bridge"]["profit"]) == Decimal(summary["pnl"]["USDT"]) == Decimal(market["profit"]["USDT"])
    records = journal(tmp_path / "data")
    balances = [body["balances"] for kind, body in records if kind == "balance"]
    start, end = (sum(Decimal(b["total"]) for b in at if b["asset"] == "USDT") for at in (balances[0], balances[-1]))
    assert end - start == Decimal(summary["pnl"]["USDT"])


def test_profit_of_the_market_made_here_is_what_a_hand_works_out(small: Tape, tmp_path: Path) -> None:
    summary = play(small, tmp_path / "data").summary
    # Offered (2007.99 / 2000.01 − 1) = 39.9 bps, needed 30 of fees and the basis at the exit.
    taken = summary["decisions"]["taken"]
    assert taken >= 3
    records = journal(tmp_path / "data")
    decided = [body for kind, body in records if kind == "decision" and body["outcome"] == "taken"]
    assert decided[0]["gross_bps"] == pytest.approx((2007.99 / 2000.01 - 1) * 1e4)
    assert decided[0]["quantity"] == "0.498"  # 1000 / 2007.99, on the perpetual's lot
    # A pair: bought at 2000.01, sold at 2007.99, sold again at 1999.99 less the fee in ETH, bought back at 2000.01.
    sold = Decimal("0.4975")  # 0.498 − 0.000498, on the lot of 0.0001
    spot = -Decimal("0.498") * Decimal("2000.01") + sold * Decimal("1999.99") * Decimal("0.999")
    perp = Decimal("0.498") * (Decimal("2007.99") - Decimal("2000.01"))
    perp -= Decimal("0.498") * (Decimal("2007.99") + Decimal("2000.01")) * Decimal("0.0005")
    assert summary["open_pairs"] == 0
    assert Decimal(summary["pnl"]["USDT"]) == taken * (spot + perp)
    assert Decimal(summary["pnl"]["ETH"]) == taken * (Decimal("0.498") * Decimal("0.999") - sold)


def test_malformed_lines_are_skipped_named_and_counted(small: Tape, tmp_path: Path) -> None:
    spot, linear = tape_lines()
    linear[100] = linear[100].replace('"b":', '"b')
    linear[101] = "not a line of a recording\n"
    broken = Tape(small.spot, write(tmp_path / "broken.gz", linear), SMALL)
    ran = play(broken, tmp_path / "data")
    assert ran.code == 0, ran.err
    assert ran.summary["complete"] is True
    assert ran.summary["malformed"] == {"binance.spot": 0, "binance.linear": 2}
    assert ran.summary["quotes"] == {"binance.spot": len(spot), "binance.linear": len(linear) - 2}
    named = [line for line in ran.err.splitlines() if "malformed" in line]
    assert len(named) == 2
    assert any("broken.gz:101" in line for line in named)
    assert any("broken.gz:102" in line for line in named)


def test_a_truncated_file_ends_incomplete_and_everything_before_it_is_kept(small: Tape, tmp_path: Path) -> None:
    whole = small.linear.read_bytes()
    cut = tmp_path / "cut.gz"
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    ran = play(Tape(small.spot, cut, SMALL), tmp_path / "data")
    assert ran.code == 2
    summary = ran.summary
    assert summary["complete"] is False
    assert "cut.gz" in " ".join(summary["incomplete_because"])
    assert 0 < summary["quotes"]["binance.linear"] < 250
    assert summary["quotes"]["binance.spot"] == 250
    assert journal(tmp_path / "data")[-1][1]["summary"]["decision_digest"] == summary["decision_digest"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--recording", "binance.spot=/no/such/file.gz"], "/no/such/file.gz"),
        (["--recording", "binance.sport=x.gz"], "did you mean spot?"),
        (["--recording", "nowhere.spot=x.gz"], "nowhere"),
        (["--set", "risk.max_open_pears=1"], "max_open_pairs"),
        (["--set", "arbitrage.min_net_edge_bps=nan"], "min_net_edge_bps"),
        (["--set", "fees.binance.spot.taker_bps=much"], "taker_bps"),
        (["--settings", "/no/such/settings.yaml"], "/no/such/settings.yaml"),
        (["--speed", "fast"], "one of max, 1x, 10x"),
        (["--speed", "10x"], "--market recorded"),
    ],
)
def test_what_cannot_be_used_is_one_line_that_names_it(words: list[str], told: str, tmp_path: Path) -> None:
    ran = run(tmp_path / "data", "--headless", "--json", *words)
    assert ran.code == 2
    assert ran.out == ""
    (line,) = [line for line in ran.err.splitlines() if line.strip()]
    assert told in line


def test_ctrl_c_stops_in_order_and_leaves_the_journal_whole(small: Tape, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    words = command(data_dir, "--headless", "--json", "--speed", "1x", *small.recordings, *small.words)
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "binance.linear: live" in line:
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    summary = json.loads(out)
    assert summary["complete"] is False
    kind, body = journal(data_dir)[-1]
    assert (kind, body["complete"]) == ("run", False)
    assert body["summary"]["decision_digest"] == summary["decision_digest"]


def through_shell(data_dir: Path, redirection: str, *words: str) -> Ran:
    """`main.py` with its output going where a shell sends it."""
    line = f"{shlex.join(command(data_dir, *words))} {redirection}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, timeout=180, check=False,
        env=environment() | {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", [["--headless"], ["--headless", "--json"], ["--show-config"]])
def test_output_that_cannot_be_written_is_one_line_and_the_journal_stays_whole(
    small: Tape, tmp_path: Path, words: list[str]
) -> None:
    ran = through_shell(tmp_path, ">/dev/full", *words, *small.recordings, *small.words)
    assert ran.code == 6
    assert ran.err.splitlines()[-1] == "crypto-pipe: the output cannot be written: No space left on device"
    assert "Traceback" not in ran.err
    if "--show-config" not in words:
        assert "finished_ns" in journal(tmp_path)[-1][1]


def test_a_reader_that_leaves_ends_the_run_in_order(small: Tape, tmp_path: Path) -> None:
    ran = through_shell(tmp_path, "| head -1", "--headless", *small.recordings, *small.words)
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 1
    assert "Traceback" not in ran.err
    assert "finished_ns" in journal(tmp_path)[-1][1]


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_stop_nothing(small: Tape, tmp_path: Path, redirection: str) -> None:
    ran = through_shell(tmp_path, redirection, "--headless", *small.recordings, *small.words)
    assert ran.code == 0, ran.err
    assert journal(tmp_path)[-1][1]["complete"] is True


def test_a_terminal_without_unicode_shows_the_post_mortem(small: Tape, tmp_path: Path) -> None:
    assert play(small, tmp_path).code == 0
    ran = through_shell(tmp_path, "", "--mode", "post-mortem")
    assert ran.code == 0, ran.err
    assert "RECORDED market, no real money" in ran.out


def test_people_are_told_what_could_not_be_used(small: Tape, tmp_path: Path) -> None:
    _, linear = tape_lines()
    linear[100] = "not a line of a recording\n"
    linear[101] = re.sub('"b":"[^"]*"', '"b":"0"', linear[101])
    broken = Tape(small.spot, write(tmp_path / "broken.gz", linear), SMALL)
    ran = run(tmp_path / "data", "--headless", *broken.recordings, *broken.words)
    assert "quotes refused: non_positive 1\n" in ran.out
    assert "malformed frames: binance.linear 1\n" in ran.out


def test_a_data_dir_that_cannot_be_written_is_one_line_on_a_terminal_too(tmp_path: Path) -> None:
    """With a UI the engine's log is opened before the engine is started."""
    occupied = tmp_path / "file"
    occupied.write_text("")
    master, slave = pty.openpty()
    try:
        code = subprocess.run(
            command(occupied), stdout=slave, stderr=slave, timeout=60, check=False, env=environment()
        ).returncode
        told = os.read(master, 65_536).decode()
    finally:
        os.close(master)
        os.close(slave)
    assert code == 6
    assert told.startswith(f"crypto-pipe: {occupied}")
    assert len(told.splitlines()) == 1


def test_with_no_recording_given_it_plays_the_market_that_it_makes_itself(tmp_path: Path) -> None:
    ran = run(tmp_path / "data", "--market", "recorded", "--headless", "--json", "--for", "20s")
    assert ran.code == 0, ran.err
    assert all(count > 0 for count in ran.summary["quotes"].values())
    assert "generating the sample market" in ran.err
