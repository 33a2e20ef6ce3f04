"""A withdrawal that a venue took, or may have taken; how it ended; and what of it stands in the journal."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from bot.ports.transfers import MoveState, Withdrawal
from bot.transfers.allow_list import Entry
from bot.transfers.spent import Sent


@dataclass(frozen=True, slots=True)
class OnItsWay:
    """A withdrawal that a venue took, or may have taken."""

    withdrawal: Withdrawal
    venue: str
    to: Entry
    is_unknown: bool
    """Whether no answer came."""
    deadline_s: float | None = None
    """Of a carriage, as it was asked for; None: it moves no amount of a chain."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """How a withdrawal ended."""

    state: MoveState
    amount: Decimal
    """What arrived; 0 where it failed."""
    tx_id: str


def body_of(sent: OnItsWay) -> dict[str, Any]:
    """What is written down of it, but for its id and its state."""
    one, to = sent.withdrawal, sent.to
    return {"kind": "withdrawal", "venue": sent.venue, "asset": one.asset, "amount": f"{one.amount:f}", "to": to.name,
            "to_venue": to.venue, "chain": to.network, "address": one.address, "memo": one.memo,
            "network": one.network, "sent_ns": one.sent_ns, "deadline_s": sent.deadline_s}  # fmt: skip


def read_back(sent: Sent) -> OnItsWay:
    """The same, from what an earlier run wrote down."""
    body: Mapping[str, Any] = sent.body
    withdrawal = Withdrawal(sent.id, sent.asset, body["network"], sent.amount, sent.address, body["memo"], sent.sent_ns)
    to = Entry(
        name=body["to"],
        asset=sent.asset,
        network=body.get("chain") or body["network"],
        address=sent.address,
        memo=body["memo"],
        venue=body.get("to_venue"),
    )
    is_unknown = sent.state in ("intent", "unknown")
    return OnItsWay(withdrawal, sent.venue, to, is_unknown, deadline_s=body.get("deadline_s"))
