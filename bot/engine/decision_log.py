"""Every decision of a run: counted, hashed, journaled, shown."""

import hashlib
from collections import Counter
from collections.abc import Callable
from decimal import Decimal

from bot.domain.route import Decision, Outcome
from bot.ports import Journal, RecordKind


class DecisionLog:
    """Counts decisions and keeps the digest that two runs over the same market must share."""

    def __init__(self, journal: Journal, show: Callable[[Decision], None] | None) -> None:
        """Write to `journal`; `show`, where given, gets every decision as a value."""
        self._journal = journal
        self._show = show
        self._hash = hashlib.sha256()
        self.taken = 0
        self.refused: Counter[str] = Counter()
        self.closed: Counter[str] = Counter()

    def add(
        self,
        ts_ns: int,
        route: str,
        outcome: Outcome,
        reason: str,
        figures: tuple[float, float, str] | None,
        quantity: Decimal,
        gross_bps: float | None,
        needed_bps: float | None,
        net_bps: float | None,
    ) -> None:
        """Record a decision; `figures` are observed, allowed and their unit."""
        if outcome is Outcome.TAKEN:
            self.taken += 1
        else:
            (self.refused if outcome is Outcome.REFUSED else self.closed)[reason] += 1
        observed, allowed, unit = figures if figures is not None else (None, None, "")
        decision = Decision(
            ts_ns=ts_ns,
            route=route,
            outcome=outcome,
            reason=reason,
            observed=observed,
            allowed=allowed,
            unit=unit,
            quantity=quantity,
            gross_bps=gross_bps,
            needed_bps=needed_bps,
            net_bps=net_bps,
        )
        self._hash.update(decision.digest_line().encode() + b"\n")
        self._journal.record(RecordKind.DECISION, route, ts_ns, lambda: decision.model_dump(mode="json"))
        if self._show is not None:
            self._show(decision)

    @property
    def digest(self) -> str:
        """SHA-256 over every decision's `digest_line` and a newline, in order."""
        return self._hash.hexdigest()
