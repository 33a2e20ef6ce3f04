"""Why a run opens nothing new, in words: what it was halted for and what ends that, or what makes it REDUCING."""

from bot.masking import masked
from bot.risk.gate import RiskGate, TradingState


def halt_words(gate: RiskGate, *, is_kept: bool) -> str:
    """One line; empty unless it is HALTED. `is_kept`: a flag on the disk halts the next start too."""
    if gate.state is not TradingState.HALTED:
        return ""
    ends = "--mode resume --halt and a restart end it" if is_kept else "a restart ends it"
    # A bug of ours may quote what it stumbled over, and that may have been a signed request.
    return f"HALTED ({ends}): {masked(gate.halted_because)}"


def reducing_words(gate: RiskGate) -> str:
    """One line with every cause, the oldest first; empty unless it is REDUCING."""
    if gate.state is not TradingState.REDUCING:
        return ""
    return f"REDUCING ({', '.join(gate.causes)}): {masked('; '.join(gate.causes.values()))}"


def causes_by_name(gate: RiskGate) -> dict[str, str]:
    """Why nothing new may be opened, by what stands now, the oldest first; beside a halt, too."""
    return {cause.value: masked(why) for cause, why in gate.causes.items()}
