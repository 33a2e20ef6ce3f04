"""What the journal keeps of a pair that a person has told the bot to forget."""

from typing import Any

from bot.execution.chain import Chain
from bot.execution.journal_replay import LeftPair
from bot.execution.pair import PairState
from bot.execution.pair_record import pair_record

ABANDONED = "abandoned"
"""Why such a pair ended: its `close_reason`."""


def abandon(left: LeftPair, now_ns: int) -> tuple[dict[str, Any], str]:
    """End it as it stands: nothing is sent, and what is still held is nobody's business but the person's.

    Args:
        left: A pair of an earlier run.
        now_ns: When the person's word was heard, UTC ns.

    Returns:
        Its record, and for a person what it held and which of its orders have no known end, as far as the journal
        knows: no venue was asked about it.
    """
    pair = left.pair
    was, held, orders = pair.state.value, left.held_words(), sorted(pair.pending)
    pair.state, pair.close_reason, pair.closed_ns = PairState.FAILED, ABANDONED, now_ns
    unknown = f"; orders without a known end: {', '.join(orders)}" if orders else ""
    known = {"was": was, "held": held, "orders": orders}
    record = pair.record() if isinstance(pair, Chain) else pair_record(pair)()
    return {**record, "abandoned": known}, f"it was {was} and held {held}{unknown}"
