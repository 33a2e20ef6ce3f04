"""`--mode kill` as a process of its own against simulated exchanges: what is cancelled, what is said, what it loads."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bot.domain.instrument import Segment
from bot.domain.order import Side, TimeInForce
from bot.errors import ExitCode
from bot.risk.halt_flag import FLAG, read_flag
from exchanges.accounts import order_accounts
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.emergency import Account
from modes.kill_accounts import remember_accounts
from tests.integration.actions_rig import BY_FEED, VENUES, Rig, an_order, of, rig, started, until

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120
SEGMENTS = (Segment.SPOT, Segment.LINEAR)
SLOW_OR_FRAGILE = {
    "aiohttp", "binance", "ccxt", "picows", "pybit", "pydantic", "pydantic_settings", "pymongo", "pyarrow", "requests",
    "sqlite3", "textual", "uvloop", "websockets",
}  # fmt: skip


def remember(here: Rig, data_dir: Path, keys: ApiKeys | None = None) -> None:
    accounts = []
    for venue in VENUES:
        own = {feed: found for feed, found in BY_FEED.items() if feed.venue == venue}
        accounts += order_accounts(own, here.settings(), {venue: keys or here.keys(venue)}, "simulated")
    remember_accounts(data_dir, "simulated", accounts)


async def kill(data_dir: Path, *words: str, python: Sequence[str] = ()) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, *python, str(ROOT / "main.py"), "--mode", "kill", "--data-dir", str(data_dir), *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def killed(data_dir: Path, *words: str) -> tuple[int, dict[str, Any]]:
    code, out, err = await kill(data_dir, "--json", *words)
    assert "Traceback" not in err, err
    told: dict[str, Any] = json.loads(out)
    assert told["exit_code"] == code
    return code, told


def resting(here: Rig, venue: str) -> int:
    return len(here.exchanges[venue].accounts[0].open_orders(None))


async def place(here: Rig, venue: str, actions: Any) -> None:
    before = resting(here, venue)
    for number, segment in enumerate(SEGMENTS):
        what = of(venue, segment)
        actions.submit(
            an_order(f"{venue}-{before}-{number}", what, quantity="0.01", price="40000", time_in_force=TimeInForce.GTC)
        )
    await until(lambda: resting(here, venue) == before + len(SEGMENTS))


async def test_every_order_is_cancelled_and_the_flag_stands(tmp_path: Path) -> None:
    async with rig() as here, started(here, "binance") as one, started(here, "bybit") as other:
        await place(here, "binance", one)
        await place(here, "binance", one)
        await place(here, "bybit", other)
        remember(here, tmp_path)
        code, told = await killed(tmp_path)
        assert [resting(here, venue) for venue in VENUES] == [0, 0]
    assert code == ExitCode.OK
    assert [(row["venue"], row["is_silent"], row["open_orders"]) for row in told["venues"]] == [
        ("binance", True, []), ("bybit", True, []),
    ]  # fmt: skip
    flag = read_flag(tmp_path)
    assert flag is not None
    assert "--mode kill" in flag.why
    assert (tmp_path / FLAG).stat().st_mode & 0o777 == 0o600


async def test_it_says_what_is_held_and_closes_it_when_asked(tmp_path: Path) -> None:
    async with rig() as here, started(here, "binance") as one, started(here, "bybit") as other:
        for venue, actions, side, price in (("binance", one, Side.BUY, "51000"), ("bybit", other, Side.SELL, "49000")):
            actions.submit(an_order(f"{venue}-1", of(venue, Segment.LINEAR), side, "0.02", price))
            await until(lambda venue=venue: bool(here.exchanges[venue].accounts[0].positions()))
        remember(here, tmp_path)
        code, told = await killed(tmp_path)
        assert code == ExitCode.OK
        held = {row["venue"]: [(p["symbol"], float(p["quantity"])) for p in row["positions"]] for row in told["venues"]}
        assert held == {"binance": [("BTCUSDT", 0.02)], "bybit": [("BTCUSDT", -0.02)]}
        code, told = await killed(tmp_path, "--flatten")
        assert [row["positions"] for row in told["venues"]] == [[], []]
        closed = {row["venue"]: [(p["symbol"], float(p["quantity"])) for p in row["closed"]] for row in told["venues"]}
        assert closed == held, "and says what it was"
        for venue in VENUES:
            assert all(position.quantity == 0 for position in here.exchanges[venue].accounts[0].positions())
    assert code == ExitCode.OK


@pytest.mark.parametrize("fault", ["fail", "lose", "lose_answer"])
async def test_a_venue_that_stumbles_is_asked_again(tmp_path: Path, fault: str) -> None:
    async with rig() as here, started(here, "binance") as one, started(here, "bybit") as other:
        await place(here, "binance", one)
        await place(here, "bybit", other)
        remember(here, tmp_path)
        for path in ("DELETE /fapi/v1/allOpenOrders", "GET /api/v3/openOrders", "POST /v5/order/cancel-all"):
            getattr(here.requests, fault).append((path, 503) if fault == "fail" else path)
        code, told = await killed(tmp_path)
        assert not here.requests.fail + here.requests.lose + here.requests.lose_answer
        assert [resting(here, venue) for venue in VENUES] == [0, 0]
    assert (code, [row["is_silent"] for row in told["venues"]]) == (ExitCode.OK, [True, True])


async def test_a_key_that_is_refused_is_said_and_the_other_venue_is_silenced_all_the_same(tmp_path: Path) -> None:
    async with rig() as here, started(here, "binance") as one, started(here, "bybit") as other:
        await place(here, "binance", one)
        await place(here, "bybit", other)
        remember(here, tmp_path, keys=here.keys("bybit"))
        code, told = await killed(tmp_path)
        assert [resting(here, venue) for venue in VENUES] == [2, 0]
        refused, silent = told["venues"]
        assert (refused["is_silent"], silent["is_silent"], code) == (False, True, ExitCode.VENUE)
        assert "refused" in refused["trouble"]
        asked = here.requests.count("GET", "/openOrders")
        assert asked <= 2, "a key that is refused once is refused again"
        code, out, _ = await kill(tmp_path)
        assert code == ExitCode.VENUE
        assert re.search(r"NOT CONFIRMED: binance \(simulated\): .*refused", out)


async def test_with_a_full_disk_the_orders_go_all_the_same_and_a_flag_of_no_content_is_left(tmp_path: Path) -> None:
    async with rig() as here, started(here, "binance") as one:
        await place(here, "binance", one)
        remember(here, tmp_path)
        limit = "import resource,runpy,sys; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); "
        main = f"sys.argv[1:] = ['--mode', 'kill', '--json', '--data-dir', {str(tmp_path)!r}]; "
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", f"{limit}{main}runpy.run_path({str(ROOT / 'main.py')!r}, run_name='__main__')",
            stdout=asyncio.subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip
        out, _ = await process.communicate()
        assert resting(here, "binance") == 0
    told = json.loads(out)
    assert process.returncode == ExitCode.STORAGE
    assert told["flag_durable"] is False
    flag = read_flag(tmp_path)
    assert flag is not None
    assert "says nothing" in flag.why


async def test_exchanges_that_have_ended_are_silent_for_good(tmp_path: Path) -> None:
    async with rig() as here:
        remember(here, tmp_path)
    code, told = await killed(tmp_path)
    assert (code, [row["is_gone"] for row in told["venues"]]) == (ExitCode.OK, [True, True])


async def test_the_exit_code_is_told_though_nobody_reads_the_words(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "venues-live.json").write_text("{")
    reads, writes = os.pipe()
    os.close(reads)
    words = ["--mode", "kill", "--data-dir", str(tmp_path)]
    process = await asyncio.create_subprocess_exec(sys.executable, str(ROOT / "main.py"), *words, stdout=writes)
    os.close(writes)
    async with asyncio.timeout(PATIENCE_S):
        assert await process.wait() == ExitCode.VENUE, "a script goes on by it: nothing is confirmed"


async def test_a_terminal_that_is_closed_takes_no_cancel_back(tmp_path: Path) -> None:
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await may_answer.wait()
        body = b'{"retCode": 0, "result": {"list": []}}'
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    account = Account("bybit", "simulated", {"linear": url}, {"linear": ["BTCUSDT"]}, ["USDT"], "a-key", "a-secret")
    remember_accounts(tmp_path, "simulated", [account])
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "main.py"), "--mode", "kill", "--data-dir", str(tmp_path),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(PATIENCE_S):
        await asked.wait()
        process.send_signal(signal.SIGHUP)
        may_answer.set()
        out, _ = await process.communicate()
    server.close()
    assert process.returncode == 0
    assert "no order is open" in out.decode()


async def test_a_directory_that_is_not_there_gets_its_flag(tmp_path: Path) -> None:
    code, out, _ = await kill(tmp_path / "new" / "data")
    assert code == ExitCode.OK
    assert "paper orders" in out
    assert (tmp_path / "new" / "data" / FLAG).exists()
    meant = f"{tmp_path / 'new' / 'data'} was made now: a bot on another directory trades on"
    assert meant in out, "a name may be mistyped"
    assert "was made now" not in (await kill(tmp_path / "new" / "data"))[1]


async def test_where_the_orders_are_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "venues-live.json").write_text("{")
    code, told = await killed(tmp_path)
    assert code == ExitCode.VENUE
    assert "venues-live.json" in told["troubles"][0]
    assert (tmp_path / FLAG).exists()


async def test_settings_that_do_not_hold_stop_nobody(tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"data_dir: {tmp_path / 'here'}  # of ours\nrisk: {{max_order_notional: -1\n")
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "main.py"), "--mode", "kill", "--settings", str(settings),
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await process.wait() == ExitCode.OK
    assert (tmp_path / "here" / FLAG).exists()


async def test_it_loads_nothing_that_is_slow_or_may_be_broken(tmp_path: Path) -> None:
    async with rig() as here:
        remember(here, tmp_path)
        code, _, err = await kill(tmp_path, python=("-X", "importtime"))
    assert code == ExitCode.OK
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in err.splitlines() if "|" in line}
    assert "hmac" in loaded, "modules are told"
    assert not loaded & SLOW_OR_FRAGILE


async def test_a_run_does_not_start_beside_the_flag(tmp_path: Path) -> None:
    await kill(tmp_path)
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "main.py"), "--headless", "--for", "1s", "--data-dir", str(tmp_path),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == ExitCode.RISK_HALT
    assert out == b""
    lines = err.decode().splitlines()
    assert len(lines) == 1
    assert "HALTED since" in lines[0]
    assert f"--mode resume --halt --data-dir {tmp_path}" in lines[0]
