"""`python -m tests.integration.memory_child DATA_DIR SECONDS`: a virtual day that is traded, with a journal on disk.

Prints the virtual second, the resident memory in MB and the rows in the windows, every ten virtual seconds.
"""

import asyncio
import gc
import os
import sys
from pathlib import Path
from typing import Any

from bot.storage.journal import SqliteJournal
from modes import calm_day

WORDS = (
    "window.hold_h=0.03", "window.rolling_s=60", "arbitrage.warmup_s=1", "arbitrage.min_net_edge_bps=-40",
    "arbitrage.exit_edge_bps=1000", "arbitrage.cooldown_s=20", "risk.max_daily_loss=1000000",
)  # fmt: skip


def tell(teller: Any) -> None:
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    rows = sum(len(slot.window) for slot in teller._engine.slots)
    print(round(teller._at_s()), round(resident, 2), rows, teller._engine.decisions.taken, flush=True)


def main(data_dir: Path, seconds: float) -> None:
    calm_day.NoJournal = lambda: SqliteJournal(data_dir, "r1", deliver=None)  # type: ignore[assignment, misc]
    calm_day._Teller.tell = tell  # type: ignore[method-assign]
    words = [word for setting in WORDS for word in ("--set", setting)]
    asyncio.run(calm_day.play("lively", seconds, os.getppid(), words))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
