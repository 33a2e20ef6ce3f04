"""A start beside the HALT flag: nothing is opened, and what earlier runs left open is looked after, or at least shown.

nothing is left open      the start ends (exit code 4)
the bot halted itself     pairs are evened and closed as in any halted run
a person did, or nobody
knows who                 pairs are adopted and shown; nothing of them is sent until a person says flatten
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from bot.errors import Halted
from bot.execution.journal_replay import LeftPair
from bot.risk.gate import RiskGate
from bot.risk.halt_flag import HaltFlag, way_out


def refused(flag: HaltFlag, data_dir: Path) -> Halted:
    """Why a start beside the flag ends: nothing is open that had to be looked after."""
    return Halted(f"{flag.words()}; look at the venues first, then: {way_out(data_dir)}")


def stay_halted(
    flag: HaltFlag,
    left: Sequence[LeftPair],
    gate: RiskGate,
    wants_closed: Callable[[str, int | None], bool],
    event: Callable[[str, str], None],
) -> None:
    """Halt a run before it adopts what was left, and freeze what a person has halted.

    Args:
        flag: What stands in the data directory.
        left: The pairs that are about to be adopted.
        gate: Of the run.
        wants_closed: Whether a person has asked since some time (UTC ns) that the pairs of a route be closed.
        event: Takes a level and a line for a person; for the journal too.
    """
    gate.halt(f"before this run: {flag.words()}", lasting=False)
    if flag.is_bots:
        event("warning", "pairs that are left are evened and closed; nothing is opened")
        return
    frozen = [one.pair for one in left if not wants_closed(one.pair.opportunity.route.id, flag.since_ns)]
    for pair in frozen:
        pair.is_frozen = True
    if frozen:
        names = ", ".join(pair.id for pair in frozen)
        event("error", f"ALARM: left alone until a person says --mode flatten: {names}")
