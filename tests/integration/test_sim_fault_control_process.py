"""Faults as a person orders them: command line, settings file and environment of a real process."""

import asyncio
import contextlib
import json
import os
import sys
import urllib.request
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from exchanges.simulator.faults.catalogue import CATALOGUE

ROOT = Path(__file__).resolve().parents[2]
SIMULATE = ("--mode", "simulate", "--scenario", "calm")
PASSWORD = "CRYPTO_PIPE_SIMULATOR_PASSWORD"


async def start(*words: str, cwd: Path | None = None, **variables: str) -> asyncio.subprocess.Process:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CRYPTO_PIPE_")}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "main.py"), *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment | variables,
        cwd=cwd,
    )


async def run(*words: str, cwd: Path | None = None, **variables: str) -> tuple[int | None, str, str]:
    process = await start(*words, cwd=cwd, **variables)
    stdout, stderr = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, stdout.decode(), stderr.decode()


@contextlib.asynccontextmanager
async def simulator(*words: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    process = await start(*SIMULATE, *words)
    assert process.stdout is not None
    try:
        yield process, json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def lines_with(process: asyncio.subprocess.Process, text: str, count: int) -> list[str]:
    """The next `count` lines of stderr that have `text`."""
    assert process.stderr is not None
    found: list[str] = []
    async with asyncio.timeout(60):
        while len(found) < count:
            line = (await process.stderr.readline()).decode()
            assert line, f"it ended after {found}"
            found += [line.rstrip("\n")] if text in line else []
    return found


async def status(told: Mapping[str, str]) -> Any:
    request = urllib.request.Request(
        told["url"] + "/control/status", headers={"Authorization": f"Bearer {told['api_secret']}"}
    )

    def ask() -> Any:
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    return await asyncio.to_thread(ask)


async def test_each_begin_and_end_is_told_on_stderr() -> None:
    orders = ("--fault", "gap,venue=bybit,at_s=0.2,for_s=0.2", "--fault", "cut,venue=binance,segment=spot")
    async with simulator(*orders) as (process, _):
        told = await lines_with(process, "SIMULATED FAULT", 4)
        assert told == [
            "SIMULATED FAULT 2 begins: cut,venue=binance,segment=spot",
            "SIMULATED FAULT 2 ended: cut, struck 0",
            "SIMULATED FAULT 1 begins: gap,venue=bybit,at_s=0.2,for_s=0.2",
            "SIMULATED FAULT 1 ended: gap, struck 0",
        ]


async def test_the_schedule_of_a_seed_is_the_same_in_two_processes() -> None:
    rate = ("--set", "simulator.faults_per_hour=1000")
    async with (
        simulator(*rate, "--seed", "57") as (process, one),
        simulator(*rate, "--seed", "57") as (_, same),
        simulator(*rate, "--seed", "6") as (_, other),
    ):
        # How long the processes have run differs, and with it where their lists end.
        seen = [(await status(told))["schedule"][:500] for told in (one, same, other)]
        assert len(seen[0]) == 500
        assert seen[0] == seen[1]
        assert seen[0] != seen[2]
        (begun,) = await lines_with(process, "begins", 1)
        assert begun.startswith(f"SIMULATED FAULT 1 begins: {seen[0][0]['fault']},venue={seen[0][0]['venue']}")


async def test_chaos_draws_faults_by_itself_and_can_be_told_not_to() -> None:
    async with simulator("--scenario", "chaos") as (_, told):
        assert (await status(told))["faults_per_hour"] == 120
    async with simulator("--scenario", "chaos", "--set", "simulator.faults_per_hour=0") as (_, told):
        answer = await status(told)
        assert (answer["faults_per_hour"], answer["schedule"]) == (0, [])


async def test_the_settings_file_orders_them_too(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("simulator:\n  faults: ['gap,venue=bybit,for_s=60']\n")
    async with simulator("--settings", str(file)) as (process, _):
        assert await lines_with(process, "FAULT", 1) == ["SIMULATED FAULT 1 begins: gap,venue=bybit,for_s=60.0"]


BAD = [
    (("--fault", "gab,venue=bybit"), "no fault 'gab'"),
    (("--fault", "gap"), "venue: Field required"),
    (("--fault", "gap,venue=bybit", "--fault", "gap,venue=bybit,at_s=soon"), "at_s"),
    (("--set", "simulator.faults=[gap]"), "venue: Field required"),
    (("--set", "simulator.faults_per_hour=-1"), "simulator.faults_per_hour"),
    (("--set", "simulator.faults_per_hour=1001"), "simulator.faults_per_hour"),
    (("--scenario", "livly"), "no scenario 'livly'; there are calm, lively, crash, chaos; did you mean lively?"),
    (("--host", "0.0.0.0"), PASSWORD),
    (("--host", "example.com"), "must be an IP address"),
    (("--host", "192.0.2.77"), "192.0.2.77 is open to other machines"),
]


@pytest.mark.parametrize(("words", "says"), BAD)
async def test_a_wrong_wish_is_one_line_before_anything_starts(words: tuple[str, ...], says: str) -> None:
    code, stdout, stderr = await run(*SIMULATE, *words)
    assert (code, stdout) == (2, "")
    assert says in stderr
    assert stderr.count("\n") == 1


@pytest.mark.parametrize("mode", ["action", "doctor", "record", "scan"])
async def test_a_day_that_there_is_not_is_refused_before_the_exchanges_start(mode: str, tmp_path: Path) -> None:
    ask = ("--scenario", "choas") if mode == "action" else ("--set", "simulator.scenario=choas")
    words = ("--mode", mode, "--market", "simulated", "--data-dir", str(tmp_path / "data"))
    code, stdout, stderr = await run(*words, *ask)
    assert (code, stdout) == (2, "")
    refused = "no scenario 'choas'; there are calm, lively, crash, chaos; did you mean chaos?"
    assert stderr == f"crypto-pipe: {refused}\n", "nothing was started"
    assert not (tmp_path / "data").exists()


async def test_a_day_that_is_not_played_stops_nobody(tmp_path: Path) -> None:
    data = ("--data-dir", str(tmp_path), "--set", "simulator.scenario=choas")
    code, stdout, stderr = await run("--mode", "post-mortem", *data)
    assert (code, stdout, stderr) == (0, "no runs recorded for arbitrage\n", "")


async def test_a_post_mortem_of_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    code, stdout, stderr = await run("--mode", "post-mortem", "--data-dir", str(tmp_path / "dta"))
    assert (code, stdout) == (2, "")
    assert stderr == f"crypto-pipe: there is no directory {tmp_path / 'dta'}: no bot has run on it (--data-dir)\n"


async def test_a_screen_without_a_terminal_says_how_a_run_is_looked_at(tmp_path: Path) -> None:
    code, stdout, stderr = await run("--mode", "attach", "--data-dir", str(tmp_path))
    assert (code, stdout) == (2, "")
    assert stderr.startswith("crypto-pipe: the screen needs a terminal")
    assert "--mode status of a run that goes on" in stderr
    assert stderr.count("\n") == 1


async def test_a_password_that_is_too_short_is_not_repeated() -> None:
    code, stdout, stderr = await run(*SIMULATE, "--host", "0.0.0.0", **{PASSWORD: "canary"})
    assert (code, stdout) == (2, "")
    assert "at least 12 characters" in stderr
    assert "canary" not in stderr


async def test_an_address_of_another_machine_cannot_be_had() -> None:
    code, stdout, stderr = await run(*SIMULATE, "--host", "203.0.113.1", **{PASSWORD: "long enough for it"})
    assert (code, stdout) == (2, "")
    assert "203.0.113.1" in stderr
    assert stderr.count("\n") == 1


async def test_only_simulated_exchanges_can_be_ordered_to_fail() -> None:
    words = ("--fault", "gap,venue=bybit", "--market", "recorded", "--headless")
    code, stdout, stderr = await run(*words)
    assert (code, stdout) == (2, "")
    assert "--fault is for the simulated exchanges" in stderr


async def test_what_can_go_wrong_is_listed_for_people_and_programs() -> None:
    code, stdout, stderr = await run("--fault", "list")
    assert (code, stderr) == (0, "")
    assert all(kind in stdout for kind in CATALOGUE)
    code, stdout, stderr = await run("--fault", "list", "--json")
    assert (code, stderr) == (0, "")
    assert [one["fault"] for one in json.loads(stdout)] == list(CATALOGUE)


async def test_the_bot_hands_faults_to_the_exchanges_it_starts(tmp_path: Path) -> None:
    # A host or a password for others must not open what belongs to this bot alone.
    others = {PASSWORD: "long enough for it", "CRYPTO_PIPE__SIMULATOR__HOST": "0.0.0.0"}
    words = ("--market", "simulated", "--scenario", "calm", "--for", "2s", "--json", "--data-dir", str(tmp_path))
    code, stdout, stderr = await run(*words, "--fault", "latency,venue=bybit,amount=1,for_s=60", **others)
    assert code == 0, stderr
    assert json.loads(stdout)["market"] == "simulated"
    assert "SIMULATED FAULT 1 begins: latency,venue=bybit,for_s=60.0,amount=1.0" in stderr
    assert "SIMULATED Binance and Bybit on http://127.0.0.1:" in stderr
