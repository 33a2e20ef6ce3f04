"""Rows of the archive as documents. Their `_id`s come from the rows alone: whatever file they stand in, and however
often they are sent, they are the same documents.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Context, Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128

from bot.errors import StorageError
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.mongo.escaping import safe_key, safe_tree
from bot.storage.mongo.segment_rows import MINUTE_NS, Form, SegmentRows

COLLECTIONS: Mapping[Channel, str] = {
    Channel.QUOTES: "quotes",
    Channel.TRADES: "trades",
    Channel.FUNDING: "funding",
    Channel.DEPTH: "depth",
    Channel.GAPS: "gaps",
    Channel.VIEWS: "market_views",
    Channel.MINUTE_BOOKS: "minute_books",
    Channel.MINUTE_TRADES: "minute_trades",
    Channel.KLINES: "klines",
}
"""Where each channel goes."""

RAW = frozenset(
    {Channel.QUOTES, Channel.TRADES, Channel.FUNDING, Channel.DEPTH, Channel.GAPS, Channel.VIEWS},
)
"""Channels whose documents may have a time to live; minute rows stay."""

ONE_A_MINUTE = frozenset({Channel.MINUTE_BOOKS, Channel.MINUTE_TRADES})
"""Channels with one document for an instrument's minute."""

ROWS_PER_PART = 1_000
"""Of a minute of quotes in one document."""

_HEAD = ("instrument", "ts_recv_ns")
VIEW_HEAD = frozenset({"_id", *_HEAD, "time"})
_MS = 1_000_000
_PIECE = 100
_LEVEL = ("side", "price", "quantity")
_WIDE = Context(prec=60)
_ONE = Decimal(1)

Document = dict[str, Any]


def documents(channel: Channel, form: Form, rows: SegmentRows, start: int, stop: int) -> Iterator[Document]:
    """The documents of the rows from `start` to before `stop`, which are ends of documents; made as they are taken.

    Raises:
        StorageError: If a combined view is not the JSON of an object.
    """
    if form is Form.ROW:
        for first in range(start, stop, _PIECE):
            yield from _row_documents(channel, rows, first, min(first + _PIECE, stop))
        return
    for first, last in rows.units(start, stop):
        if form is Form.MINUTE:
            yield from _minute_parts(rows, first, last)
        else:
            yield _message(rows, first, last)


def _row_documents(channel: Channel, rows: SegmentRows, start: int, stop: int) -> Iterator[Document]:
    fields = [name for name in SCHEMAS[channel].names if name not in _HEAD]
    columns = [_values(rows, name, start, stop) for name in fields]
    body = _BODIES.get(channel)
    suffixes = [""] * (stop - start) if channel in ONE_A_MINUTE else [f"|{n}" for n in rows.ordinals(start, stop)]
    heads = zip(rows.instruments(start, stop), rows.ts[start:stop].tolist(), suffixes, strict=True)
    time_key = "TIME" if channel is Channel.MINUTE_TRADES else "time"
    for (instrument, ts, suffix), values in zip(heads, zip(*columns, strict=True), strict=True):
        document = _head(instrument, ts, f"{instrument}|{ts:019d}{suffix}", time_key)
        document.update(body(dict(zip(fields, values, strict=True))) if body else zip(fields, values, strict=True))
        yield document


def _minute_parts(rows: SegmentRows, first: int, last: int) -> Iterator[Document]:
    """One instrument's minute: columns as arrays, so many rows a document."""
    instrument = rows.instrument(first)
    minute_ns = int(rows.ts[first]) // MINUTE_NS * MINUTE_NS
    names = [name for name in SCHEMAS[Channel.QUOTES].names if name != "instrument"]
    for part, start in enumerate(range(first, last, ROWS_PER_PART)):
        stop = min(start + ROWS_PER_PART, last)
        document = {
            "_id": f"{instrument}|{minute_ns:019d}|{part}",
            "instrument": instrument,
            "time": DatetimeMS(minute_ns // _MS),
            "minute_ns": minute_ns,
            "minute_rows": last - first,
            "rows": stop - start,
        }
        yield document | {name: _values(rows, name, start, stop) for name in names}


def _message(rows: SegmentRows, first: int, last: int) -> Document:
    """A depth message; its levels as three arrays, empty where it has none."""
    instrument, ts = rows.instrument(first), int(rows.ts[first])
    alone = ("ts_event_ns", "message", "kind", "first_id", "last_id")
    facts = {name: rows.table[name][first].as_py() for name in alone}
    sides, prices, quantities = (_values(rows, name, first, last) for name in _LEVEL)
    has_levels = sides != [0]
    levels = {"side": sides, "price": prices, "quantity": quantities} if has_levels else {name: [] for name in _LEVEL}
    return _head(instrument, ts, f"{instrument}|{ts:019d}|{facts['message']}") | facts | levels


def _head(instrument: str, ts: int, identity: str, time_key: str = "time") -> Document:
    return {"_id": identity, "instrument": instrument, "ts_recv_ns": ts, time_key: DatetimeMS(ts // _MS)}


def _values(rows: SegmentRows, name: str, start: int, stop: int) -> list[Any]:
    column = rows.table[name].slice(start, stop - start)
    is_plain = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    values: list[Any] = column.to_numpy().tolist() if is_plain and not column.null_count else column.to_pylist()
    return values


def _view(row: Mapping[str, Any]) -> Document:
    try:
        view = json.loads(row["view"])
    except ValueError as error:
        raise StorageError(f"a combined view is not JSON: {error}") from error
    if not isinstance(view, dict):
        raise StorageError("a combined view is not an object")
    return {view_key(key): safe_tree(value) for key, value in view.items()}


def view_key(key: str) -> str:
    """A venue's key; one that is called like a field of ours is written with its first character escaped."""
    return f"%{ord(key[0]):X};{key[1:]}" if key in VIEW_HEAD else safe_key(key)


def _minute_book(row: Mapping[str, Any]) -> Document:
    bids, offers = row["bids"], row["offers"]
    bid, ask = _best(bids), _best(offers)
    mid = spread = None
    if bid is not None and ask is not None:
        mid, spread = (bid + ask) / 2, ask - bid
    last_ns = row["last_transaction_time_ns"]
    return {
        "event_time": DatetimeMS(row["event_time_ns"] // _MS),
        "event_time_ns": row["event_time_ns"],
        "last_transaction_time": None if last_ns is None else DatetimeMS(last_ns // _MS),
        "last_transaction_time_ns": last_ns,
        "mid": exact(mid),
        "bid": exact(bid),
        "ask": exact(ask),
        "spread": exact(spread),
        "bids": bids,
        "offers": offers,
    }


def _best(levels: Sequence[Mapping[str, str]]) -> Decimal | None:
    if not levels:
        return None
    try:
        return Decimal(levels[0]["price"])
    except InvalidOperation as error:
        raise StorageError("a price in a minute book is no number") from error


def _minute_trades(row: Mapping[str, Any]) -> Document:
    return {
        "TOTAL_COUNT_BUY": row["count_buy"],
        "TOTAL_COUNT_SELL": row["count_sell"],
        "TOTAL_BTC_BUY": _trimmed(row["base_buy"]),
        "TOTAL_BTC_SELL": _trimmed(row["base_sell"]),
        "TOTAL_USD_BUY": _trimmed(row["quote_buy"]),
        "TOTAL_USD_SELL": _trimmed(row["quote_sell"]),
        "revision": row["revision"],
    }


def _trimmed(number: Decimal) -> Decimal128 | str | None:
    short = number.normalize(_WIDE)  # under the usual context it would round to 28 digits
    return exact(short.quantize(_ONE, context=_WIDE) if short == short.to_integral_value() else short)


def exact(number: Decimal | None) -> Decimal128 | str | None:
    """The number so that the database can compute with it; beyond its 34 digits as text, never rounded."""
    if number is None:
        return None
    try:
        return Decimal128(number)
    except ArithmeticError:
        return str(number)


_BODIES: Mapping[Channel, Callable[[Mapping[str, Any]], Document]] = {
    Channel.VIEWS: _view,
    Channel.MINUTE_BOOKS: _minute_book,
    Channel.MINUTE_TRADES: _minute_trades,
}
