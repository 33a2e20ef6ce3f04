"""Documents back into what they were made of: rows in the archive's schema."""

import json
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

import pyarrow as pa
from bson.decimal128 import Decimal128

from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.mongo.escaping import plain_key, plain_tree
from bot.storage.mongo.market_documents import VIEW_HEAD
from bot.storage.mongo.segment_rows import MINUTE_NS, Form

Document = Mapping[str, Any]
_Rows = dict[str, list[Any]]


def filter_of(channel: Channel, quotes: Form, instrument: str, start_ns: int, stop_ns: int) -> dict[str, Any]:
    """The filter that finds all documents with rows received from `start_ns` to before `stop_ns`.

    Quotes by the minute may bring rows from outside the span: the whole minutes at its ends.
    """
    if channel is Channel.QUOTES and quotes is Form.MINUTE:
        first_ns = start_ns // MINUTE_NS * MINUTE_NS
        return {"instrument": {"$eq": instrument}, "minute_ns": {"$gte": first_ns, "$lt": stop_ns}}
    return {"instrument": {"$eq": instrument}, "ts_recv_ns": {"$gte": start_ns, "$lt": stop_ns}}


def table_of(channel: Channel, documents: Iterable[Document]) -> pa.Table:
    """Rows in the channel's schema, by instrument and receipt, in the order in which they were received.

    A view's JSON has the separators of `json.dumps(separators=(",", ":"))`; everything else is value by value what
    the archive holds. Of `minute_trades` the newest revision alone is there.
    """
    schema = SCHEMAS[channel]
    rows: _Rows = {name: [] for name in schema.names}
    add = _ADD.get(channel, _add_row)
    for document in sorted(documents, key=_place):
        (_add_minute if "minute_rows" in document else add)(rows, document)
    return pa.table(rows, schema=schema)


def _place(document: Document) -> tuple[str, int, int]:
    """Instrument, time, and what comes last in the `_id`: the ordinal, the message or the part."""
    time_ns = document["minute_ns"] if "minute_rows" in document else document["ts_recv_ns"]
    return document["instrument"], time_ns, int(document["_id"].rpartition("|")[2])


def _add_row(rows: _Rows, document: Document) -> None:
    for name, column in rows.items():
        column.append(document[name])


def _add_minute(rows: _Rows, document: Document) -> None:
    for name, column in rows.items():
        column.extend([document["instrument"]] * document["rows"] if name == "instrument" else document[name])


def _add_message(rows: _Rows, document: Document) -> None:
    levels = {name: document[name] or [0] for name in ("side", "price", "quantity")}
    for name, column in rows.items():
        column.extend(levels[name] if name in levels else [document[name]] * len(levels["side"]))


def _add_view(rows: _Rows, document: Document) -> None:
    view = {plain_key(key): plain_tree(value) for key, value in document.items() if key not in VIEW_HEAD}
    text = json.dumps(view, separators=(",", ":"))
    _add_row(rows, {**document, "view": text})


def _add_minute_trades(rows: _Rows, document: Document) -> None:
    counts = {"count_buy": document["TOTAL_COUNT_BUY"], "count_sell": document["TOTAL_COUNT_SELL"]}
    sums = {name: number(document[key]) for name, key in _SUMS.items()}
    _add_row(rows, {**document, **counts, **sums})


def number(value: Decimal128 | str | None) -> Decimal | None:
    """What `exact` was given."""
    return value.to_decimal() if isinstance(value, Decimal128) else None if value is None else Decimal(value)


_SUMS = {
    "base_buy": "TOTAL_BTC_BUY",
    "base_sell": "TOTAL_BTC_SELL",
    "quote_buy": "TOTAL_USD_BUY",
    "quote_sell": "TOTAL_USD_SELL",
}
_ADD: Mapping[Channel, Callable[[_Rows, Document], None]] = {
    Channel.DEPTH: _add_message,
    Channel.VIEWS: _add_view,
    Channel.MINUTE_TRADES: _add_minute_trades,
}
