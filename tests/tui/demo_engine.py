"""A fake engine with prepared snapshots: `python -m tests.tui.demo_engine DATA_DIR`, then attach a UI to it.

Also the helper of the tests in this folder.
"""

import asyncio
import itertools
import math
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from bot.clock import SystemClock
from bot.control import Command, ControlServer
from bot.domain.snapshot import FeedRow, RouteRow, Snapshot, TopRow

START_NS = 1_723_111_200_000_000_000  # 2024-08-08 10:00 UTC
SUMMARY: dict[str, Any] = {
    "schema_version": 1,
    "run_id": "20240808-100000-7f3a",
    "market": "recorded",
    "real_money": False,
    "complete": True,
    "quotes": {"binance.spot": 1_204_331, "binance.linear": 2_877_120, "bybit.linear": 1_990_034},
    "quotes_refused": {"stale": 12, "crossed": 1},
    "opportunities": 42,
    "decisions": {"taken": 3, "refused": {"edge below break-even": 18_220, "max_open_pairs": 4}},
    "orders": 12,
    "fills": 14,
    "pnl": {"USDT": "3.4183", "BNB": "-0.00012000"},
    "unrealised": {},
    "decision_digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}


def top(feed: str, symbol: str, mid: float, tick: int, step: int, **changes: Any) -> TopRow:
    half = 0.5 * 10**-tick
    wave = math.sin(step / 7 + len(feed)) * mid * 3e-5
    fields: dict[str, Any] = {
        "venue": feed.partition(".")[0], "symbol": symbol, "feed": feed,
        "bid": f"{mid + wave - half:.{tick}f}", "bid_qty": f"{4.2 + math.sin(step):.3f}",
        "ask": f"{mid + wave + half:.{tick}f}", "ask_qty": f"{12.7 + math.cos(step):.3f}",
        "spread_bps": 2 * half / mid * 1e4, "age_ms": 3.0 + 40 * abs(math.sin(step * len(feed))), "status": "ok",
    }  # fmt: skip
    return TopRow(**(fields | changes))


def route(kind: str, buy: str, sell: str, gross: float | None, needed: float, **changes: Any) -> RouteRow:
    net = None if gross is None else gross - needed
    fields: dict[str, Any] = {
        "route": f"{kind}:{buy}>{sell}", "kind": kind, "buy": buy, "sell": sell, "gross_bps": gross,
        "needed_bps": needed, "net_bps": net, "best_gross_bps": None if gross is None else gross + 2.4,
        "why_not": "edge below break-even", "open_quantity": None, "assumed": False,
    }  # fmt: skip
    return RouteRow(**(fields | changes))


def feed(name: str, step: int, state: str = "live", **changes: Any) -> FeedRow:
    fields: dict[str, Any] = {
        "feed": name, "state": state, "quotes": 120_000 + step * 180, "quotes_per_s": 640 + 80 * math.sin(step),
        "refused": 0, "malformed": 0, "reconnects": 0, "last_frame_age_ms": 4.0, "clock_offset_ms": -1270.4,
    }  # fmt: skip
    return FeedRow(**(fields | changes))


def prepared(step: int = 0, **changes: Any) -> Snapshot:
    """The engine after `step` quarter seconds."""
    wave = math.sin(step / 9)
    fields: dict[str, Any] = {
        "run_id": "20240808-100000-7f3a", "strategy": "arbitrage", "market": "recorded", "real_money": False,
        "state": "ACTIVE", "now_ns": START_NS + step * 250_000_000, "started_ns": START_NS - 754_000_000_000,
        "progress": min(1.0, 0.31 + step / 2_000), "open_pairs": 1, "taken": 3,
        "realised": {"USDT": Decimal("3.41830000"), "BNB": Decimal("-0.00012000")},
        "unrealised": {"USDT": Decimal("-0.2210")},
        "refused": {"edge below break-even": 18_220 + step, "max_open_pairs": 4, "quote too old": 12},
        "closed": {"edge_gone": 1, "longest_hold": 1},
        "headline": f"needs 21.0 bps, best now {0.8 + wave:.1f}",
        "tops": (
            top("binance.spot", "ETH/USDT", 2421.35, 2, step),
            top("binance.linear", "ETH/USDT:USDT", 2420.11, 2, step),
            top("bybit.linear", "ETH/USDT:USDT", 2420.32, 2, step),
            top("bybit.spot", "ETH/USDT", 2421.4, 3, step, age_ms=5_230.0, status="older than 500 ms"),
        ),
        "routes": (
            route("convergence", "binance:ETH/USDT:USDT", "bybit:ETH/USDT:USDT", 0.8 + wave, 21.0),
            route("convergence", "bybit:ETH/USDT:USDT", "binance:ETH/USDT:USDT", -0.9 - wave, 21.0),
            route("cash_and_carry", "binance:ETH/USDT", "bybit:ETH/USDT:USDT", 34.2 + wave, 28.1,
                  open_quantity="0.412", why_not=""),
            route("cash_and_carry", "binance:ETH/USDT", "binance:ETH/USDT:USDT", -5.1, 30.0, assumed=True),
            route("cash_and_carry", "bybit:ETH/USDT", "bybit:ETH/USDT:USDT", None, 31.5,
                  why_not="no fresh quote on bybit.spot"),
        ),
        "feeds": (
            feed("binance.spot", step), feed("binance.linear", step, quotes=2_877_120),
            feed("bybit.linear", step, clock_offset_ms=0.4),
            feed("bybit.spot", step, "reconnecting", quotes_per_s=0.0, refused=12, malformed=1, reconnects=2,
                 last_frame_age_ms=5_230.0, clock_offset_ms=None),
        ),
        "log": (),
    }  # fmt: skip
    return Snapshot(**(fields | changes))


class DemoEngine:
    """Serves `prepared` snapshots on a real socket and keeps the commands."""

    def __init__(self, path: Path, **changes: Any) -> None:
        self.changes = changes
        self.commands: list[str] = []
        self.asked: list[tuple[str, str | None]] = []
        self.stopped = asyncio.Event()
        self._steps = itertools.count()
        self.server = ControlServer(path, self._snapshot, self._obey, SystemClock())

    def _snapshot(self) -> Snapshot:
        return prepared(next(self._steps), **self.changes)

    def _obey(self, command: Command) -> None:
        self.commands.append(command.command)
        self.asked.append((command.command, command.route))
        self.server.log("info", f"a person asked to {command.command}")
        if command.command == "stop":
            self.stopped.set()
        else:
            states = {"pause": "REDUCING", "resume": "ACTIVE", "flatten": "REDUCING", "halt": "HALTED"}
            self.changes["state"] = states[command.command]
            if command.command != "halt":
                self.changes["paused"] = () if command.command == "resume" else (command.route or "",)


async def main(data_dir: Path) -> None:
    demo = DemoEngine(data_dir / "run" / "engine.sock")
    await demo.server.start()
    demo.server.log("info", "run started on a recorded market; no money is real", START_NS)
    demo.server.log(
        "warning", "bybit.spot: no frame for 5.0 s on the whole connection, reconnecting in 0.3 s", START_NS
    )
    demo.server.log(
        "error", "binance.linear: one malformed frame was kept: expected a number at 'b', got null", START_NS
    )
    chatter = asyncio.create_task(_chatter(demo))
    await demo.stopped.wait()
    chatter.cancel()
    await asyncio.sleep(0.5)
    demo.server.finished(SUMMARY)
    await demo.server.stop()


async def _chatter(demo: DemoEngine) -> None:
    for step in itertools.count():
        await asyncio.sleep(2)
        demo.server.log("info", f"pair {step}: opened 0.412 ETH at 2,421.35 / 2,420.32, edge 34.2 bps", START_NS + step)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
