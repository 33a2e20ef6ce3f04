"""A halted run in words: what ends the halt, and what it was for."""

from bot.masking import masked
from bot.risk.gate import RiskGate, TradingState


def halt_words(gate: RiskGate, *, is_kept: bool) -> str:
    """One line; empty unless it is HALTED. `is_kept`: a flag on the disk halts the next start too."""
    if gate.state is not TradingState.HALTED:
        return ""
    ends = "--mode resume --halt and a restart end it" if is_kept else "a restart ends it"
    # A bug of ours may quote what it stumbled over, and that may have been a signed request.
    return f"HALTED ({ends}): {masked(gate.halted_because)}"
