"""Fault 59 at live prices with paper money: killed with -9 while a pair is open, and started again on what it left."""

import asyncio
import signal
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path

from tests.integration.fault_rig import PATIENCE_S, STAYING, Bot, records
from tests.integration.killed_runs import NOTHING_NEW, states
from tests.integration.live_rig import REPO, Exchanges, exchanges

D = Decimal
HELD = (*(word for word in STAYING if "min_net_edge" not in word), NOTHING_NEW)


async def started(here: Exchanges, data_dir: Path, *settings: str) -> Bot:
    """A bot that takes the exchanges for the real ones, and has no key."""
    words = [word for setting in settings for word in ("--set", setting)]
    environment = {key: value for key, value in here.environment().items() if not key.startswith("CRYPTO_PIPE_B")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(REPO / "main.py"), "--headless", *here.words(data_dir), *words),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment, limit=1 << 20,
    )  # fmt: skip
    return Bot(process, data_dir)


def held(data_dir: Path) -> dict[str, Decimal]:
    """Signed, by instrument: what all fills in the journal come to."""
    found: dict[str, Decimal] = {}
    for *_, body in records(data_dir, "fill"):
        name = f"{body['instrument']['venue']}:{body['instrument']['symbol']}"
        found[name] = found.get(name, D(0)) + D(body["quantity"]) * (1 if body["side"] == "buy" else -1)
    return {name: quantity for name, quantity in found.items() if quantity}


async def test_fault_59_paper_money_holds_a_pair_over_a_kill_and_closes_it(tmp_path: Path) -> None:
    with exchanges() as here:
        first = await started(here, tmp_path, *STAYING)
        await first.says("taken")
        await first.until(lambda: "open" in states(tmp_path).values())
        await first.end(signal.SIGKILL)
        pair = next(pair for pair, state in states(tmp_path).items() if state == "open")
        before = held(tmp_path)
        assert len(before) == 2
        second = await started(here, tmp_path, *HELD)
        await second.says("LIVE market, paper money")
        await second.says(f"adopted pair {pair}, which was open")
        await second.says("routes over")
        second.process.send_signal(signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_S):
            await second.process.wait()
        assert (states(tmp_path)[pair], held(tmp_path)) == ("open", before)
        third = await started(here, tmp_path, *HELD, "arbitrage.exit_edge_bps=1000")
        await third.until(lambda: states(tmp_path)[pair] == "closed")
        assert await third.end(signal.SIGINT) == 130
    assert held(tmp_path) == {}
    assert not any("HALTED" in line for line in third.said), third.said[-20:]
    intents = Counter(key for _, _, key, body in records(tmp_path, "order") if body["status"] == "intent")
    assert set(intents.values()) == {1}
    balances = [body for _, _, _, body in records(tmp_path, "balance")][-1]["balances"]
    assert all(D(one["total"]) >= 0 for one in balances)
