"""The lines of Binance's history files as columns of the archive.

Futures files begin with a header since 2022 or so, spot files have none; spot counts time in µs since 2025-01-01 and
writes `True` where futures write `true`. All of that is told from the file itself.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from exchanges.common.history.files import Span
from exchanges.common.history.history_csv import INTEGER, NUMBER, TRUTH, CsvForm, CsvRows, csv_rows, only

_QUOTE_NUMBERS = ("best_bid_price", "best_bid_qty", "best_ask_price", "best_ask_qty")
BOOK_TICKER = CsvForm(
    {
        "update_id": INTEGER,
        **dict.fromkeys(_QUOTE_NUMBERS, NUMBER),
        "transaction_time": INTEGER,
        "event_time": INTEGER,
    },
    ("update_id", *_QUOTE_NUMBERS, "transaction_time", "event_time"),
)
AGG_TRADES = CsvForm(
    {
        "price": NUMBER,
        "quantity": NUMBER,
        "first_trade_id": INTEGER,
        "last_trade_id": INTEGER,
        "transact_time": INTEGER,
        "is_buyer_maker": TRUTH,
    },
    ("agg_trade_id", "price", "quantity", "first_trade_id", "last_trade_id", "transact_time", "is_buyer_maker"),
)
TRADES = CsvForm(
    {"id": INTEGER, "price": NUMBER, "qty": NUMBER, "time": INTEGER, "is_buyer_maker": TRUTH},
    ("id", "price", "qty", "quote_qty", "time", "is_buyer_maker"),
)
FUNDING_RATE = CsvForm(
    {"calc_time": INTEGER, "funding_interval_hours": INTEGER, "last_funding_rate": NUMBER},
    ("calc_time", "funding_interval_hours", "last_funding_rate"),
)
_KLINE_NUMBERS = ("volume", "quote_volume", "taker_buy_volume", "taker_buy_quote_volume")
_KLINE_PRICES = ("open", "high", "low", "close")
KLINES = CsvForm(
    {
        "open_time": INTEGER,
        **dict.fromkeys(_KLINE_PRICES, NUMBER),
        "close_time": INTEGER,
        **dict.fromkeys(_KLINE_NUMBERS, NUMBER),
        "count": INTEGER,
    },
    (
        "open_time",
        *_KLINE_PRICES,
        "volume",
        "close_time",
        "quote_volume",
        "count",
        "taker_buy_volume",
        "taker_buy_quote_volume",
        "ignore",
    ),
)


def book_ticker(path: Path, span: Span) -> Iterator[pa.Table]:
    """Quotes: `ts_event_ns` is the matching engine's time, `ts_recv_ns` when Binance sent it (`event_time`)."""
    for rows in csv_rows(path, BOOK_TICKER):
        # A side of a new or a halted market is empty, with zeros; whoever trades on it judges.
        rows.not_negative("update_id", *_QUOTE_NUMBERS)
        bid_price, bid_qty, ask_price, ask_qty = (rows.column(name) for name in _QUOTE_NUMBERS)
        yield pa.table(
            {
                "ts_recv_ns": rows.times_ns("event_time", span),
                "ts_event_ns": rows.times_ns("transaction_time", span),
                "sequence": rows.column("update_id"),
                "bid_price": bid_price,
                "bid_qty": bid_qty,
                "ask_price": ask_price,
                "ask_qty": ask_qty,
            }
        )


def agg_trades(path: Path, span: Span) -> Iterator[pa.Table]:
    """Trades: one row for the fills of a taker order at one price, under the ids of the first and the last of them.

    Binance fills holes of spot's early years with lines of price 0 and trade id -1: they are no trades, and left out.
    """
    for rows in csv_rows(path, AGG_TRADES):
        trades = CsvRows(path, rows.first_line, rows.table)
        filler = (np.asarray(rows.column("first_trade_id")) == -1) & (np.asarray(rows.column("price")) == 0)
        times = trades.times_ns("transact_time", span)
        _positive(trades, ("price", "quantity"), filler)
        table = only(trades, ~filler)
        ids = [pc.cast(table.column(name), pa.string()) for name in ("first_trade_id", "last_trade_id")]
        yield _trades(
            times[~filler],
            pc.binary_join_element_wise(*ids, "-"),
            table.column("price"),
            table.column("quantity"),
            table.column("is_buyer_maker"),
        )


def trades(path: Path, span: Span) -> Iterator[pa.Table]:
    """Trades, each under its id."""
    for rows in csv_rows(path, TRADES):
        rows.positive("price", "qty")
        ids = pc.cast(rows.column("id"), pa.string())
        times = rows.times_ns("time", span)
        yield _trades(times, ids, rows.column("price"), rows.column("qty"), rows.column("is_buyer_maker"))


def funding_rate(path: Path, span: Span) -> Iterator[pa.Table]:
    """Funding that was settled: `next_funding_ns` is the settlement that the rate is of, as is the time of the row."""
    for rows in csv_rows(path, FUNDING_RATE):
        rates = np.asarray(rows.column("last_funding_rate"))
        rows.require(np.isfinite(rates), "last_funding_rate is no number")
        rows.positive("funding_interval_hours")
        times = rows.times_ns("calc_time", span)
        yield pa.table(
            {
                "ts_recv_ns": times,
                "ts_event_ns": times,
                "rate": rates,
                "next_funding_ns": times,
                "interval_h": pc.cast(rows.column("funding_interval_hours"), pa.float64()),
                "mark_price": pa.nulls(len(times), pa.float64()),
            }
        )


def klines(path: Path, span: Span) -> Iterator[pa.Table]:
    """Bars of a minute; the time of a row is the bar's end."""
    for rows in csv_rows(path, KLINES):
        rows.positive(*_KLINE_PRICES)
        rows.not_negative("count", *_KLINE_NUMBERS)
        yield pa.table(
            {
                "ts_recv_ns": rows.times_ns("close_time", span),
                "open_ns": rows.times_ns("open_time", span),
                **{name: rows.column(name) for name in (*_KLINE_PRICES, *_KLINE_NUMBERS)},
                "trades": rows.column("count"),
            }
        )


FORMS: dict[str, Callable[..., Iterator[pa.Table]]] = {
    "bookTicker": book_ticker,
    "aggTrades": agg_trades,
    "trades": trades,
    "fundingRate": funding_rate,
    "klines": klines,
}
"""By Binance's name of the kind."""


def _positive(rows: CsvRows, names: tuple[str, ...], but: NDArray[np.bool_]) -> None:
    for name in names:
        numbers = np.asarray(rows.column(name))
        rows.require(but | (np.isfinite(numbers) & (numbers > 0)), f"{name} is not above zero")


def _trades(times: NDArray[np.int64], ids: Any, price: Any, quantity: Any, buyer_is_maker: Any) -> pa.Table:
    return pa.table(
        {
            "ts_recv_ns": times,
            "ts_event_ns": times,
            "trade_id": ids,
            "price": price,
            "quantity": quantity,
            "buyer_is_maker": buyer_is_maker,
        }
    )
