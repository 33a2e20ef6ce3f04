"""Bots that are killed at a step of their journal, over and over, beside exchanges that outlive them."""

import asyncio
import os
import signal
import sys
from collections import Counter
from pathlib import Path

from tests.integration.fault_rig import IN_AND_OUT, ROOT, records
from tests.integration.standing_exchanges import what_venues_know

KILLS = int(os.environ.get("CRYPTO_PIPE_WIRE_KILLS", "3"))
OVER = {"closed", "missed", "failed"}
NOTHING_NEW = "arbitrage.min_net_edge_bps=100000"
LEAVING = (*(word for word in IN_AND_OUT if "min_net_edge" not in word), NOTHING_NEW)


def states(data_dir: Path) -> dict[str, str]:
    return {key: str(body["state"]) for _, _, key, body in records(data_dir, "pair")}


def all_over(data_dir: Path) -> bool:
    return set(states(data_dir).values()) <= OVER


async def killed_run(data_dir: Path, step: int, settings: list[str], *more: str) -> None:
    """A run that kills itself when it writes its `step`-th record; `more` are words of its command line."""
    words = [word for setting in settings for word in ("--set", setting)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.wire_killer", str(step), "--headless", *more),
        *("--data-dir", str(data_dir), *words), cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, words_said = await asyncio.wait_for(process.communicate(), 180)
    assert process.returncode == -signal.SIGKILL, words_said.decode()[-2000:]


async def assert_accounts_agree(told: dict[str, str], data_dir: Path) -> None:
    """Flat at the venues; every trade there is in the journal once, and of an order that was written down first."""
    fills = records(data_dir, "fill")
    first_ns = min((body["ts_event_ns"] for *_, body in fills), default=0)
    known = await what_venues_know(told, data_dir, first_ns - 60 * 10**9 if first_ns else 0) if fills else {}
    traded = Counter(
        (fill.instrument.id, fill.fill_id, fill.client_order_id) for one in known.values() for fill in one.trades
    )
    journalled = Counter(
        (f"{body['instrument']['venue']}:{body['instrument']['symbol']}", body["fill_id"], body["client_order_id"])
        for *_, body in fills
        if body["client_order_id"] != "netted"
    )
    assert traded == journalled
    assert all(not one.positions and not one.open_orders for one in known.values())
    orders = records(data_dir, "order")
    intents = Counter(key for _, _, key, body in orders if body["status"] == "intent")
    sent = Counter(key for _, _, key, body in orders if body["status"] == "sent")
    assert set(intents.values()) <= {1}
    assert set(sent.values()) <= {1}
    assert {order_id for _, _, order_id in traded} <= set(intents)
