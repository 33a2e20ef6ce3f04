"""Rows of the archive as windows take them, and which of them are quotes at all."""

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bot.market.columns import Columns, read_only
from bot.market.funding_history import FundingColumns
from bot.market.trade_window import TradeColumns


def quotes_of(table: pa.Table) -> Columns:
    """Quotes; 0 where the venue told no time."""
    event_ns = pc.fill_null(table.column("ts_event_ns"), 0)
    arrays = [event_ns if name == "ts_event_ns" else table.column(name) for name in Columns._fields]
    return read_only(column.to_numpy() for column in arrays)


def trades_of(table: pa.Table) -> TradeColumns:
    """Public trades."""
    arrays = [table.column(name) for name in TradeColumns._fields]
    return TradeColumns(*(one.to_pylist() if pa.types.is_string(one.type) else one.to_numpy() for one in arrays))


def rates_of(table: pa.Table) -> FundingColumns:
    """Funding rates; 0 where a message did not say."""
    arrays = (pc.fill_null(table.column(name), 0) for name in FundingColumns._fields)
    return FundingColumns(*(one.to_numpy() for one in arrays))


def usable_quotes(columns: Columns) -> Columns:
    """Those that are quotes by themselves, late copies left out."""
    return chosen(columns, _usable(columns) & _newer(columns.sequence))


def chosen(columns: Columns, rows: NDArray[np.bool_]) -> Columns:
    """These rows; nothing is copied where they are all."""
    return columns if rows.all() else columns.take(np.flatnonzero(rows))


def _usable(columns: Columns) -> NDArray[np.bool_]:
    """What the quote gate asks of a quote by itself; comparisons with NaN are false."""
    bid, ask = columns.bid_price, columns.ask_price
    prices = (bid > 0) & (bid < ask) & (ask < np.inf)
    sizes = [(size > 0) & (size < np.inf) for size in (columns.bid_qty, columns.ask_qty)]
    usable: NDArray[np.bool_] = prices & sizes[0] & sizes[1]
    return usable


def _newer(sequence: NDArray[Any]) -> NDArray[np.bool_]:
    """Which rows are no late copies: an id below the one before is one, unless it is 1, the venue's restart."""
    if not len(sequence) or (sequence[1:] >= sequence[:-1]).all():
        return np.ones(len(sequence), np.bool_)
    restarts = [0, *np.flatnonzero(sequence == 1).tolist(), len(sequence)]
    pieces = [sequence[start:stop] for start, stop in pairwise(restarts)]
    return np.concatenate([piece >= np.maximum.accumulate(piece) for piece in pieces if len(piece)])
