"""Records of the journal as documents: a collection for each kind, a document for each record."""

from collections.abc import Mapping
from typing import Any

from bson.datetime_ms import DatetimeMS

from bot.ports import RecordKind
from bot.storage.mongo.escaping import plain_tree, safe_tree
from bot.storage.schema import Record

COLLECTIONS: Mapping[RecordKind, str] = {
    RecordKind.RUN: "runs",
    RecordKind.DECISION: "decisions",
    RecordKind.PAIR: "pairs",
    RecordKind.ORDER: "orders",
    RecordKind.FILL: "fills",
    RecordKind.FUNDING: "funding_payments",
    RecordKind.BALANCE: "balances",
    RecordKind.DUST: "dust",
    RecordKind.TRANSFER: "transfers",
    RecordKind.EVENT: "events",
    RecordKind.JOB: "jobs",
    RecordKind.SHADOW: "shadow_fills",
}
"""Where each kind goes. `funding` is the market's; what was paid on a position stands apart from it."""


def journal_document(record: Record) -> dict[str, Any]:
    """The record under `run_id:seq`; what the record says stands in `body`, with its keys made safe."""
    return {
        "_id": f"{record.run_id}:{record.seq}",
        "run_id": record.run_id,
        "seq": record.seq,
        "kind": record.kind.value,
        "ts_ns": record.ts_ns,
        "time": DatetimeMS(record.ts_ns // 1_000_000),
        "key": safe_tree(record.key),
        "body": safe_tree(dict(record.body)),
    }


def record_of(document: Mapping[str, Any]) -> Record:
    """The record that a document was made of."""
    return Record(
        seq=document["seq"],
        run_id=document["run_id"],
        kind=RecordKind(document["kind"]),
        ts_ns=document["ts_ns"],
        key=plain_tree(document["key"]),
        body=plain_tree(document["body"]),
    )
