"""A tape of what the archive holds of some instruments in a span."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from bot.backtest.books import BookEvent
from bot.backtest.tape import Event, Piece
from bot.domain.instrument import Feed, Instrument
from bot.domain.market import FundingRate, PublicTrade
from bot.domain.order_book import BookChange
from bot.market.columns import Columns, read_only
from bot.ports import FeedState, MarketSink
from bot.storage.archive.channels import Channel
from bot.storage.archive.store import ArchiveStore
from bot.storage.book_replay import DepthRules

_Call = tuple[int, Callable[[MarketSink], None]]
"""When, and what is told."""
STEP_NS = 600_000_000_000
"""How much time a piece has."""


def archive_pieces(
    store: ArchiveStore,
    instruments: Sequence[Instrument],
    start_ns: int,
    stop_ns: int,
    depth_rules: Mapping[str, DepthRules],
    *,
    keeps_trades: bool = False,
) -> Iterator[Piece]:
    """Quotes, order books, funding and trade times of the instruments, ten minutes a piece; their place is their slot.

    With `keeps_trades` the trades themselves are told too: a strategy whose orders rest is filled by them.

    Where the archive marks a gap, the feed is SILENT for as long: nothing is decided on the quote before it. What a
    read batch was is not recorded, so each row is one.

    Raises:
        StorageError: If the archive cannot be read.
    """
    feeds = list(dict.fromkeys(instrument.feed for instrument in instruments))
    places = {feed: place for place, feed in enumerate(feeds)}
    gaps = _gap_events(store, instruments, start_ns, stop_ns)
    opening = [(start_ns, partial(_state, feed, FeedState.LIVE, "archived")) for feed in feeds]
    for low_ns in range(start_ns, stop_ns, STEP_NS):
        high_ns = min(low_ns + STEP_NS, stop_ns)
        quotes = [_columns(store.rows(Channel.QUOTES, one.id, low_ns, high_ns)) for one in instruments]
        timed = [
            (places[one.feed], store.rows(Channel.TRADES, one.id, low_ns, high_ns, ["ts_recv_ns", "ts_event_ns"]))
            for one in instruments
        ]
        calls = opening + [call for call in gaps if low_ns <= call[0] < high_ns]
        opening = []
        for slot, one in enumerate(instruments):
            calls += _funding(slot, store.rows(Channel.FUNDING, one.id, low_ns, high_ns))
            if keeps_trades:
                calls += _trades(slot, store.rows(Channel.TRADES, one.id, low_ns, high_ns))
        piece = _piece(quotes, timed, sorted(calls, key=lambda call: call[0]))
        books = [
            event
            for slot, one in enumerate(instruments)
            for event in _books(slot, store.rows(Channel.DEPTH, one.id, low_ns, high_ns), depth_rules.get(one.venue))
        ]
        yield replace(piece, books=_placed(books, piece))


def _piece(
    quotes: Sequence[Columns],
    timed: Sequence[tuple[int, pa.Table]],
    calls: Sequence[_Call],
) -> Piece:
    parts = [(slot, columns) for slot, columns in enumerate(quotes)]
    parts += [(-1 - place, _frames(table)) for place, table in timed]
    slots = np.repeat(np.array([slot for slot, _ in parts], np.int32), [columns.rows for _, columns in parts])
    joined = Columns(*(np.concatenate(column) for column in zip(*(columns for _, columns in parts), strict=True)))
    # A trade goes before a quote of the same nanosecond: it dates it.
    order = np.lexsort((slots >= 0, joined.ts_recv_ns))
    rows = joined.take(order)
    at = np.searchsorted(rows.ts_recv_ns, [ts_ns for ts_ns, _ in calls])
    events = tuple(Event(int(place), ts_ns, True, call) for place, (ts_ns, call) in zip(at, calls, strict=True))
    return Piece(slots[order], np.ones(len(order), np.bool_), rows, events)


def _books(slot: int, rows: pa.Table, rules: DepthRules | None) -> Iterator[BookEvent]:
    """What the rows say, message by message; places are not known yet."""
    if rules is None or not len(rows):
        return
    message = np.asarray(rows.column("message"))
    starts = np.flatnonzero(np.concatenate(([True], message[1:] != message[:-1]))).tolist()
    for low, high in zip(starts, [*starts[1:], len(rows)], strict=True):
        lines = rows.slice(low, high - low).to_pylist()
        yield BookEvent(
            at=0,
            slot=slot,
            ts_recv_ns=lines[0]["ts_recv_ns"],
            change=_change(lines),
            depth=rules.depth,
            is_window=rules.is_window,
        )


def _change(lines: Sequence[Mapping[str, Any]]) -> BookChange | None:
    first = lines[0]
    if first["kind"] == "invalid":
        return None
    levels = {
        side: tuple((repr(r["price"]), repr(r["quantity"])) for r in lines if r["side"] == side) for side in (1, -1)
    }
    return BookChange(
        bids=levels[1],
        asks=levels[-1],
        sequence=first["last_id"],
        ts_event_ns=first["ts_event_ns"],
        whole=first["kind"] == "snapshot",
    )


def _placed(books: Sequence[BookEvent], piece: Piece) -> tuple[BookEvent, ...]:
    """In order, each with the row that it comes before: a change goes before a quote of the same nanosecond."""
    ordered = sorted(books, key=lambda event: event.ts_recv_ns)
    at = np.searchsorted(piece.rows.ts_recv_ns, [event.ts_recv_ns for event in ordered])
    return tuple(event.model_copy(update={"at": place}) for event, place in zip(ordered, at.tolist(), strict=True))


def _columns(table: pa.Table) -> Columns:
    arrays = [
        np.asarray(table.column(name).fill_null(0) if name == "ts_event_ns" else table.column(name))
        for name in Columns._fields
    ]
    return read_only(np.array(array) for array in arrays)


def _frames(table: pa.Table) -> Columns:
    recv_ns, event_ns = (np.asarray(table.column(name)) for name in ("ts_recv_ns", "ts_event_ns"))
    nothing = np.zeros(len(table))
    return Columns(recv_ns, event_ns, np.zeros(len(table), np.int64), nothing, nothing, nothing, nothing)


def _funding(slot: int, table: pa.Table) -> list[_Call]:
    calls: list[_Call] = []
    for row in table.drop_columns(["instrument"]).to_pylist():
        ts_ns = row.pop("ts_recv_ns")
        funding = FundingRate.model_validate(row)
        calls.append((ts_ns, partial(_tell_funding, slot, funding, ts_ns)))
    return calls


def _tell_funding(slot: int, funding: FundingRate, ts_ns: int, sink: MarketSink) -> None:
    sink.on_funding(slot, funding, ts_ns)


def _trades(slot: int, table: pa.Table) -> list[_Call]:
    calls: list[_Call] = []
    for row in table.drop_columns(["instrument"]).to_pylist():
        ts_ns = row.pop("ts_recv_ns")
        calls.append((ts_ns, partial(_tell_trade, slot, PublicTrade.model_validate(row), ts_ns)))
    return calls


def _tell_trade(slot: int, trade: PublicTrade, ts_ns: int, sink: MarketSink) -> None:
    sink.on_trade(slot, trade, ts_ns)


def _gap_events(store: ArchiveStore, instruments: Sequence[Instrument], start_ns: int, stop_ns: int) -> list[_Call]:
    calls: list[_Call] = []
    seen: set[tuple[Feed, int, int]] = set()
    for one in instruments:
        for gap in store.gaps(one.id, Channel.QUOTES, start_ns, stop_ns):
            if (one.feed, gap.start_ns, gap.stop_ns) not in seen:
                seen.add((one.feed, gap.start_ns, gap.stop_ns))
                calls.append((max(gap.start_ns, start_ns), partial(_state, one.feed, FeedState.SILENT, gap.reason)))
                if gap.stop_ns < stop_ns:
                    calls.append((gap.stop_ns, partial(_state, one.feed, FeedState.LIVE, "recorded again")))
    return calls


def _state(feed: Feed, state: FeedState, detail: str, sink: MarketSink) -> None:
    sink.on_feed_state(feed, state, detail)
