"""The lines of Bybit's trade files as columns of the archive. `side` is the taker's."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exchanges.common.history.files import Span
from exchanges.common.history.history_csv import INTEGER, NUMBER, SECONDS, TEXT, CsvForm, CsvRows, csv_rows, is_text

LINEAR_TRADES = CsvForm(
    {"timestamp": SECONDS, "symbol": TEXT, "side": TEXT, "size": NUMBER, "price": NUMBER, "trdMatchID": TEXT}
)
SPOT_TRADES = CsvForm({"id": INTEGER, "timestamp": INTEGER, "price": NUMBER, "volume": NUMBER, "side": TEXT})


def linear_trades(path: Path, symbol: str, span: Span) -> Iterator[pa.Table]:
    """Trades of a perpetual. Files of the first years go back in time; each is brought into order."""
    for rows in csv_rows(path, LINEAR_TRADES):
        rows.require(np.asarray(pc.equal(rows.column("symbol"), symbol)), f"symbol is not {symbol}")
        yield _trades(rows, span, rows.column("trdMatchID"), "size")


def spot_trades(path: Path, span: Span) -> Iterator[pa.Table]:
    """Trades of a spot pair. Their ids count within the file."""
    for rows in csv_rows(path, SPOT_TRADES):
        yield _trades(rows, span, pc.cast(rows.column("id"), pa.string()), "volume")


def _trades(rows: CsvRows, span: Span, ids: pa.Array, quantity: str) -> pa.Table:
    rows.positive("price", quantity)
    is_sell = is_text(rows.column("side"), "sell")
    rows.require(is_sell | is_text(rows.column("side"), "buy"), "side is neither Buy nor Sell")
    times = rows.times_ns("timestamp", span)
    table = pa.table(
        {
            "ts_recv_ns": times,
            "ts_event_ns": times,
            "trade_id": ids,
            "price": rows.column("price"),
            "quantity": rows.column(quantity),
            "buyer_is_maker": is_sell,
        }
    )
    goes_back = len(times) > 1 and times[0] > times[-1]
    return table.take(pa.array(np.arange(len(times))[::-1])) if goes_back else table
