"""A bot as a person starts it, on the simulated exchanges, and what its journal and its words tell."""

import asyncio
import json
import os
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120
NOT_KEPT = "not in the journal: "
# So eager that it trades within seconds, and patient with a machine that has no time for it.
_EAGER = (
    "arbitrage.warmup_s=1", "arbitrage.min_net_edge_bps=-40", "arbitrage.cooldown_s=0.1",
    "arbitrage.loss_stop_bps=1000", "execution.order_timeout_ms=60000", "execution.unhedged_alarm_s=60",
    "execution.unhedged_act_s=60", "execution.unhedged_halt_s=60", "quote_gate.max_age_ms=20000",
    "quote_gate.max_event_age_ms=20000", "quote_gate.max_skew_ms=20000", "risk.max_loop_lag_ms=60000",
)  # fmt: skip
IN_AND_OUT = (*_EAGER, "arbitrage.exit_edge_bps=1000")
"""A pair is left as soon as it is open."""
STAYING = (*_EAGER, "arbitrage.exit_edge_bps=-1000")
"""A pair that is open stays so."""


class Bot:
    """A running bot; what it says is read all the time."""

    def __init__(self, process: asyncio.subprocess.Process, data_dir: Path) -> None:
        self.process = process
        self.data_dir = data_dir
        self.said: list[str] = []
        self._reading = [asyncio.create_task(self._read(stream)) for stream in (process.stdout, process.stderr)]

    async def _read(self, stream: asyncio.StreamReader | None) -> None:
        assert stream is not None
        while line := await stream.readline():
            self.said.append(line.decode().rstrip())

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                assert self.process.returncode is None, "\n".join(self.said[-20:])
                await asyncio.sleep(0.02)

    async def says(self, text: str, since: int = 0) -> int:
        """Wait for a line with this text; where the next one will stand."""
        await self.until(lambda: any(text in line for line in self.said[since:]))
        return next(at for at, line in enumerate(self.said) if at >= since and text in line) + 1

    async def end(self, number: int) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE_S):
            code = await self.process.wait()
            await asyncio.gather(*self._reading)
        return code

    def not_kept(self) -> Counter[tuple[str, str]]:
        """Kind and key of each record that was handed out because it could not be durable."""
        lines = [line.partition(NOT_KEPT)[2] for line in self.said if NOT_KEPT in line]
        return Counter((body["kind"], body["key"]) for body in map(json.loads, lines))


@asynccontextmanager
async def bot(data_dir: Path, *settings: str, said: tuple[str, ...] = ()) -> AsyncIterator[Bot]:
    """A bot with these settings, and what else is `said`; killed at the end where it still runs."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CRYPTO_PIPE__")}
    words = [word for setting in settings for word in ("--set", setting)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "main.py"), "--headless", "--data-dir", str(data_dir), *said, *words),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment, limit=1 << 20,
    )  # fmt: skip
    running = Bot(process, data_dir)
    try:
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await asyncio.gather(*running._reading)


def records(data_dir: Path, kind: str | None = None) -> list[tuple[int, str, str, dict[str, Any]]]:
    """`seq`, kind, key and body of what is in the journal, in its order; it may be in use."""
    address = f"file:{data_dir / 'journal.db'}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=30)) as connection:
        rows = connection.execute("SELECT seq, kind, key, body FROM records ORDER BY seq").fetchall()
    return [(seq, kind_, key, json.loads(body)) for seq, kind_, key, body in rows if kind in (None, kind_)]


def assert_whole(data_dir: Path) -> None:
    """Every number is there once, and the file is sound."""
    with closing(sqlite3.connect(data_dir / "journal.db", timeout=30)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        numbers = [seq for (seq,) in connection.execute("SELECT seq FROM records ORDER BY seq")]
    assert numbers == list(range(1, len(numbers) + 1))


def sent_to_open(data_dir: Path) -> int:
    """How many orders that add to a pair have left."""
    return sum(body["status"] == "sent" and body["leg"].startswith("open_") for *_, body in records(data_dir, "order"))


def assert_kept_after_all(running: Bot) -> None:
    """What was handed out is in the journal too, as often as it was handed out."""
    kept = Counter((kind, key) for _, kind, key, _ in records(running.data_dir))
    told = running.not_kept()
    assert told, "something waited"
    assert {what for what in told if kept[what] < told[what]} == set()
