"""What the archive keeps, and the columns that writers hand over and readers get back.

How a file holds them inside (ticks and lots, differences, compression) is the archive's own business: what is read
equals what was written, value by value. Prices and quantities are `float64` as everywhere in market data; they are
exact to fifteen digits, so whole ticks and lots come back unchanged.
"""

from collections.abc import Mapping
from enum import StrEnum

import pyarrow as pa


class Channel(StrEnum):
    """One kind of row."""

    QUOTES = "quotes"
    """Every top of book."""
    TRADES = "trades"
    """Every public trade; a trade that was delivered twice stands here twice, under the same id."""
    FUNDING = "funding"
    DEPTH = "depth"
    """Order books: a row per level of every snapshot and every delta that was applied."""
    GAPS = "gaps"
    """Spans in which a channel may miss something, and why; never bridged."""
    VIEWS = "views"
    """The combined view of one asset across venues, sampled."""
    MINUTE_BOOKS = "minute_books"
    MINUTE_TRADES = "minute_trades"
    KLINES = "klines"
    """Bars as the venue itself made them, of its own history: never of what the bot recorded."""


def _field(name: str, kind: pa.DataType, *, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable)


_INSTRUMENT = _field("instrument", pa.string())
"""`binance:BTC/USDT:USDT`: `Instrument.id`."""
_RECV = _field("ts_recv_ns", pa.int64())
"""Ours, UTC ns; rows of one instrument stand in this order."""
_LEVELS = pa.list_(pa.struct([_field("price", pa.string()), _field("quantity", pa.string())]))
_EXACT = pa.decimal128(38, 18)

SCHEMAS: Mapping[Channel, pa.Schema] = {
    Channel.QUOTES: pa.schema(
        [
            _INSTRUMENT,
            _RECV,
            _field("ts_event_ns", pa.int64(), nullable=True),
            _field("sequence", pa.int64()),
            _field("bid_price", pa.float64()),
            _field("bid_qty", pa.float64()),
            _field("ask_price", pa.float64()),
            _field("ask_qty", pa.float64()),
        ]
    ),
    Channel.TRADES: pa.schema(
        [
            _INSTRUMENT,
            _RECV,
            _field("ts_event_ns", pa.int64()),
            _field("trade_id", pa.string()),
            _field("price", pa.float64()),
            _field("quantity", pa.float64()),
            _field("buyer_is_maker", pa.bool_()),
        ]
    ),
    Channel.FUNDING: pa.schema(
        [
            _INSTRUMENT,
            _RECV,
            _field("ts_event_ns", pa.int64()),
            _field("rate", pa.float64()),
            _field("next_funding_ns", pa.int64()),
            _field("interval_h", pa.float64(), nullable=True),
            _field("mark_price", pa.float64(), nullable=True),
        ]
    ),
    Channel.DEPTH: pa.schema(
        [
            _INSTRUMENT,
            _RECV,
            _field("ts_event_ns", pa.int64(), nullable=True),
            # Rows of one message share a number, which grows by one from message to message of an instrument.
            _field("message", pa.int64()),
            # "snapshot": the book before it is forgotten; "delta": absolute quantities, 0 removes;
            # "invalid": from here to the next snapshot the book is not known (no level; side and numbers are 0).
            _field("kind", pa.string()),
            _field("first_id", pa.int64()),
            _field("last_id", pa.int64()),
            # 1 bid, -1 ask, 0 none: a message without levels is one row.
            _field("side", pa.int8()),
            _field("price", pa.float64()),
            _field("quantity", pa.float64()),
        ]
    ),
    Channel.GAPS: pa.schema(
        [
            _INSTRUMENT,
            _RECV,
            _field("channel", pa.string()),
            _field("start_ns", pa.int64()),
            _field("stop_ns", pa.int64()),
            _field("reason", pa.string()),
        ]
    ),
    Channel.VIEWS: pa.schema(
        [
            # The unified symbol, `BTC/USDT:USDT`: a view belongs to no one venue.
            _INSTRUMENT,
            _RECV,
            # The JSON object of DESIGN's combined view.
            _field("view", pa.string()),
        ]
    ),
    Channel.MINUTE_BOOKS: pa.schema(
        [
            _INSTRUMENT,
            # The minute's end, UTC ns.
            _RECV,
            _field("event_time_ns", pa.int64()),
            _field("last_transaction_time_ns", pa.int64(), nullable=True),
            _field("bids", _LEVELS),
            _field("offers", _LEVELS),
        ]
    ),
    Channel.MINUTE_TRADES: pa.schema(
        [
            _INSTRUMENT,
            # The minute's start, UTC ns.
            _RECV,
            _field("count_buy", pa.int64()),
            _field("count_sell", pa.int64()),
            _field("base_buy", _EXACT),
            _field("base_sell", _EXACT),
            _field("quote_buy", _EXACT),
            _field("quote_sell", _EXACT),
            # 0 at first; grows when late trades changed a row that was written before.
            _field("revision", pa.int32()),
        ]
    ),
    Channel.KLINES: pa.schema(
        [
            _INSTRUMENT,
            # The bar's end, when it was known; UTC ns, as the venue prints it (its last millisecond).
            _RECV,
            _field("open_ns", pa.int64()),
            _field("open", pa.float64()),
            _field("high", pa.float64()),
            _field("low", pa.float64()),
            _field("close", pa.float64()),
            # Base and quote units, or contracts and base units of an inverse instrument.
            _field("volume", pa.float64()),
            _field("quote_volume", pa.float64()),
            _field("trades", pa.int64()),
            _field("taker_buy_volume", pa.float64()),
            _field("taker_buy_quote_volume", pa.float64()),
        ]
    ),
}
"""Of every channel; `ts_recv_ns` is the time that ranges and retention go by."""
