"""How long pairs are uneven after each fault, over real sockets: a table for docs/reliability.md.

    python -m tests.invariants.flat_times --seconds 40
    python -m tests.invariants.flat_times --only 36

A bot with the shipped budgets trades on simulated exchanges of a process of their own; fault after fault strikes it,
at one venue and the other. What is counted is every episode of being uneven that ended meanwhile, by the journal file.
"""

import argparse
import asyncio
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from tests.integration.fault_rig import Bot, bot
from tests.integration.standing_exchanges import at, exchanges
from tests.invariants.checks import JournalFile
from tests.invariants.distribution import distribution
from tests.invariants.venue_truth import VenueTruth
from tests.invariants.wire_checks import why_halted
from tests.invariants.wire_run import SETTINGS, is_halted

_EVERY_S = 4
_FAULTS: Sequence[tuple[str, Mapping[str, Any]]] = (
    ("26 429, Retry-After 2 s", {"fault": "http-429", "match": "order", "for_s": 3, "amount": 2, "count": 1}),
    ("27 418, banned for 4 s", {"fault": "http-418", "match": "order", "for_s": 3, "amount": 4, "count": 1}),
    ("28 a firewall's page", {"fault": "http-403", "match": "order", "for_s": 2}),
    ("29 503, unavailable", {"fault": "http-503", "match": "order", "for_s": 2}),
    ("29 maintenance for 2 s", {"fault": "maintenance", "for_s": 2}),
    ("31 listen key expired", {"fault": "listen-key-expiry"}),
    ("32 a fill is never told", {"fault": "missing-fill", "count": 1, "for_s": 4}),
    ("33 fills told twice", {"fault": "duplicate-fill", "for_s": 4}),
    ("36 the answer is lost", {"fault": "lost-answer", "count": 1, "for_s": 4}),
    ("37 it never arrives", {"fault": "lost-order", "count": 1, "for_s": 4}),
    ("38, 42 filled 1 s late", {"fault": "late-fill", "amount": 1, "count": 1, "for_s": 4}),
    ("40, 41 a third is filled, the rest rejected", {"fault": "partial-then-reject", "count": 1, "for_s": 4}),
    ("50 liquidation", {"fault": "liquidation"}),
    ("51 deleveraged (ADL)", {"fault": "deleveraging"}),
)
_SHIPPED = ("execution.order_timeout_ms", "execution.unhedged_")
_EAGER = [one for one in SETTINGS if not one.startswith(_SHIPPED)]
"""The eager bot of the chaos over the wire, and the budgets as they are shipped."""


def _episodes(data_dir: Path) -> dict[tuple[str, int], tuple[float, float | None]]:
    """By pair and number: seconds uneven, and the loss of getting even in bps, of those that are over."""
    file = JournalFile(data_dir)
    try:
        newest: dict[str, Any] = dict(file.bodies("pair"))
    finally:
        file.close()
    return {
        (pair, number): (one["seconds"], one["loss_bps"])
        for pair, body in newest.items()
        for number, one in enumerate(body.get("unhedged", ()))
        if one["seconds"] is not None
    }


async def _strike(truth: VenueTruth, fault: Mapping[str, Any], running: Bot, seconds: float) -> int:
    """Order it every few seconds, at one venue and the other; how often it did something."""
    venues = ("binance",) if fault["fault"] == "listen-key-expiry" else ("binance", "bybit")
    numbers: list[int] = []
    for turn in range(max(2, round(seconds / _EVERY_S))):
        numbers += await truth.order_faults([{**fault, "venue": venues[turn % len(venues)], "at_s": 0}])
        await asyncio.sleep(_EVERY_S)
        if is_halted(running) or running.process.returncode is not None:
            break
    struck = sum([await truth.struck(number) for number in numbers])
    await truth.peace()
    await asyncio.sleep(2 * _EVERY_S)
    return struck


def _row(name: str, struck: int, found: Sequence[tuple[float, float | None]], end: str) -> str:
    took = distribution([seconds for seconds, _ in found])
    lost = distribution([loss for _, loss in found if loss is not None])
    figures = [f"{took[part]:.2f} s" if took["n"] else "" for part in ("p50", "p90", "worst")]
    bps = [f"{lost[part]:.1f} bps" if lost["n"] else "" for part in ("p50", "worst")]
    return f"| {name} | {struck} | {took['n']} | {' | '.join(figures)} | {' | '.join(bps)} | {end} |"


async def _measure(seconds: float, only: str) -> None:
    print("| Fault | Struck | Episodes | Uneven p50 | p90 | Most | Loss p50 | Most | Ended |\n" + "|---" * 9 + "|")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = f"{folder}/state"
        for name, fault in (one for one in _FAULTS if one[0].startswith(only)):
            async with exchanges("--scenario", "lively", "--seed", "3") as told, aiohttp.ClientSession() as session:
                os.environ["CRYPTO_PIPE_SIMULATED_KEY"] = told["api_key"]
                os.environ["CRYPTO_PIPE_SIMULATED_SECRET"] = told["api_secret"]
                data_dir = Path(folder) / name.partition(" ")[0].rstrip(",") / str(fault["fault"])
                async with bot(data_dir, *_EAGER, at(told)) as running:
                    await running.says("closed  ")
                    struck = await _strike(VenueTruth(told, session), fault, running, seconds)
                    file = JournalFile(data_dir)
                    end = f"HALTED: {why_halted(file)}" if is_halted(running) else "trades on"
                    file.close()
                    print(_row(name, struck, list(_episodes(data_dir).values()), end), flush=True)


def main() -> None:
    """Measure and print."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--seconds", type=float, default=40, help="how long each fault strikes again and again (40)")
    words.add_argument("--only", default="", help="faults whose number this is, or begins with it")
    told = words.parse_args()
    asyncio.run(_measure(told.seconds, told.only))


if __name__ == "__main__":
    main()
