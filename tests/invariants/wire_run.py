"""A bot on simulated exchanges of a process of their own, killed time and again; what it does is left to its caller."""

import asyncio
import os
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

from bot.clock import SystemClock
from tests.integration.fault_rig import PATIENCE_S, ROOT, Bot

WAITS_FOR = "WIRE_KILLER_WAITS_FOR"
"""Names the file that a bot that kills itself lives until (`wire_killer`)."""

LONGEST_S = 30
"""A life that has not come to its step by then is ended there; nothing is concluded from it."""
SETTINGS = (
    "instruments={binance.linear: [BTC/USDT:USDT, ETH/USDT:USDT], bybit.linear: [BTC/USDT:USDT, ETH/USDT:USDT],"
    " binance.spot: [BTC/USDT]}",
    "arbitrage.kinds=[convergence,cash_and_carry]", "arbitrage.warmup_s=0", "arbitrage.min_net_edge_bps=-40",
    "arbitrage.cooldown_s=1", "arbitrage.exit_edge_bps=1000", "arbitrage.max_holding_s=2",
    "arbitrage.loss_stop_bps=1000", "execution.order_timeout_ms=5000", "execution.unhedged_alarm_s=10",
    "execution.unhedged_act_s=12", "execution.unhedged_halt_s=30", "quote_gate.max_age_ms=20000",
    "quote_gate.max_event_age_ms=20000", "quote_gate.max_skew_ms=20000", "risk.max_loop_lag_ms=60000",
    "risk.max_daily_loss=100000", "risk.max_cumulative_loss=100000", "risk.max_drift_bps=10000",
    "risk.max_rejects_per_minute=1000", "risk.max_reconnects_per_minute=1000", "risk.max_orders_per_minute=600",
)  # fmt: skip
"""So eager that pairs open and close all the time, at whatever loss, and patient with a machine that has no time."""


@asynccontextmanager
async def living(
    data_dir: Path, address: str, dies_at: str = "", waits_for: Path | None = None, more: Sequence[str] = ()
) -> AsyncIterator[Bot]:
    """A bot on the exchanges at `address`; killed at the end where it still runs.

    Args:
        data_dir: Of the bot.
        address: A setting.
        dies_at: The step (`wire_killer`) at which it kills itself; none: it does not.
        waits_for: It lives until this file is there.
        more: Settings that go before those of all bots here.
    """
    words = [word for setting in (*SETTINGS, address, *more) for word in ("--set", setting)]
    program = ["-m", "tests.integration.wire_killer", dies_at] if dies_at else [str(ROOT / "main.py")]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CRYPTO_PIPE__")}
    if waits_for is not None:
        environment[WAITS_FOR] = str(waits_for)
    process = await asyncio.create_subprocess_exec(
        sys.executable, *program, "--mode", "action", "--headless", "--data-dir", str(data_dir), *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=ROOT, env=environment, limit=1 << 20,
    )  # fmt: skip
    running = Bot(process, data_dir)
    try:
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await asyncio.gather(*running._reading)


def has_said(one: Bot, text: str) -> bool:
    """Whether a line of it has this text."""
    return any(text in line for line in one.said)


def is_halted(one: Bot) -> bool:
    """Whether it has said so."""
    return has_said(one, "HALTED")


async def until(one: Bot, condition: Callable[[], bool], at_most_s: float = PATIENCE_S) -> bool:
    """Wait for it, or for the end of the process: what the condition says then; a deadline that passes raises."""
    async with asyncio.timeout(at_most_s):
        while not condition() and one.process.returncode is None:
            await asyncio.sleep(0.02)
    return condition()


async def live_on(
    one: Bot, struck: Callable[[], Awaitable[int]] | None, records: int | None = None, armed: Path | None = None
) -> None:
    """Until it dies by itself, or is killed from outside: halted, old, or so many records after an accident struck.

    Args:
        one: The bot.
        struck: How often the accident did something; None: nothing is waited for but its own end.
        records: Of its journal, after that; None: it dies by itself.
        armed: The file that its killer waits for: made once the accident has struck.
    """
    clock = SystemClock()
    if struck is not None:
        async with asyncio.timeout(PATIENCE_S):
            while not await struck() and not is_halted(one) and one.process.returncode is None:
                await asyncio.sleep(0.02)
    if armed is not None:
        armed.touch()
    end_ns = clock.monotonic_ns() + LONGEST_S * 10**9
    last = written(one.data_dir) if records is not None else 0

    def is_enough() -> bool:
        if is_halted(one) or clock.monotonic_ns() > end_ns:
            return True
        return records is not None and written(one.data_dir) >= last + records

    await until(one, is_enough)
    if one.process.returncode is None:
        one.process.kill()
    await one.process.wait()


def written(data_dir: Path) -> int:
    """How many records are in the journal."""
    with closing(sqlite3.connect(f"file:{data_dir / 'journal.db'}?mode=ro", uri=True, timeout=30)) as file:
        return int(file.execute("SELECT count(*) FROM records").fetchone()[0])
