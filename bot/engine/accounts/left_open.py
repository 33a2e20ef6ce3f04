"""What the run before this one left open: for the person who starts the bot again after it was killed."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from bot.domain.order import OrderStatus, Side
from bot.execution.pair import PairState
from bot.ports import RecordKind
from bot.storage.queries import JournalReader, Record


@dataclass(slots=True)
class _Rest:
    """A pair as the journal last knew it."""

    state: str
    at: str | None = None
    """Where a chain is, in words."""
    held: dict[str, Decimal] = field(default_factory=dict)
    """By instrument, in its venue's units."""
    statuses: dict[str, str] = field(default_factory=dict)
    """By client order id."""

    def take(self, record: Record) -> None:
        body = record.body
        if record.kind is RecordKind.ORDER:
            self.statuses[record.key] = body["status"]
            return
        instrument = f"{body['instrument']['venue']}:{body['instrument']['symbol']}"
        signed = Side(body["side"]).sign * Decimal(body["quantity"])
        self.held[instrument] = self.held.get(instrument, Decimal(0)) + signed

    def words(self) -> str:
        held = ", ".join(f"{quantity:+f} on {instrument}" for instrument, quantity in self.held.items() if quantity)
        # A state is written before an order leaves, but only the intent is waited for: any that is not final may live.
        unknown = [order for order, status in self.statuses.items() if not OrderStatus(status).is_terminal]
        orders = f"; orders without a known end: {', '.join(unknown)}" if unknown else ""
        state = self.state if self.at is None else f"{self.state} ({self.at})"
        return f"was {state}, and held {held or 'nothing'}{orders}"


def left_open(data_dir: Path) -> list[str]:
    """A line for each pair that the newest run in the journal did not end; none where there is none.

    Raises:
        StorageError: If the journal cannot be read.
    """
    with JournalReader.open(data_dir) as reader:
        runs = reader.runs()
        if not runs:
            return []
        run = runs[-1]
        rests = _unended(reader.records(run.run_id, RecordKind.PAIR))
        for record in reader.records(run.run_id, RecordKind.ORDER, RecordKind.FILL) if rests else ():
            if (rest := rests.get(record.body["pair"])) is not None:
                rest.take(record)
    how = "was killed" if run.end is None else "ended"
    where = f"run {run.run_id} on the {run.start.get('market', 'unknown')} market {how}"
    return [f"{where}, and left a pair open: {pair} {rest.words()}" for pair, rest in rests.items()]


def _unended(pairs: Iterable[Record]) -> dict[str, _Rest]:
    newest = {record.key: record.body for record in pairs}
    rests = {pair: _Rest(body["state"], body.get("at")) for pair, body in newest.items()}
    return {pair: rest for pair, rest in rests.items() if not PairState(rest.state).is_over}
