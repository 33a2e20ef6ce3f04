"""What an instrument traded in each minute, by the taker's side; pure functions over rows of the trades channel.

A minute is the venue's: a trade belongs to the minute of its `ts_event_ns`, whenever it arrived. A trade that was
delivered twice counts once, by its id. A trade whose buyer was the maker was a sell. Prints that no trade can be (a
price or quantity that is not above zero, as Binance sends for some liquidations) are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bot.domain.instrument import Instrument, Segment
from bot.storage.minutes.exact import Scaled, to_decimal

MINUTE_NS = 60 * 1_000_000_000
COLUMNS = ("instrument", "ts_recv_ns", "ts_event_ns", "trade_id", "price", "quantity", "buyer_is_maker")
"""Of the trades channel; what is read of it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST = 1e15
"""No trade is so large; the sum of a minute's trades below it fits into the archive's column."""


@dataclass(frozen=True, slots=True)
class MinuteTotals:
    """Counts and sums of one minute; buys and sells are the taker's."""

    count_buy: int = 0
    count_sell: int = 0
    base_buy: Decimal = Decimal(0)
    """Base units. Exact; an inverse instrument's (quote over price) to 18 decimal places, rounded once."""
    base_sell: Decimal = Decimal(0)
    quote_buy: Decimal = Decimal(0)
    """Quote units, exact."""
    quote_sell: Decimal = Decimal(0)

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Self:
        """Out of a row of the minute_trades channel."""
        return cls(**{field.name: row[field.name] for field in fields(cls)})

    def to_row(self, instrument: str, minute_ns: int, revision: int) -> dict[str, Any]:
        """A row of the minute_trades channel."""
        totals = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"instrument": instrument, "ts_recv_ns": minute_ns, **totals, "revision": revision}


def minute_totals(trades: pa.Table, instrument: Instrument) -> dict[int, MinuteTotals]:
    """The totals by the minute's start (UTC ns), of minutes that have trades.

    Args:
        trades: One instrument's rows, in order of receipt; of rows with one id the first counts.
        instrument: Tells what a quantity stands for.
    """
    trades = _distinct(trades.filter(_possible(trades, instrument)))
    if not trades.num_rows:
        return {}
    minutes = trades.column("ts_event_ns").to_numpy() // MINUTE_NS * MINUTE_NS
    sells = trades.column("buyer_is_maker").to_numpy()
    amounts = _Amounts(trades, instrument)
    found: dict[int, MinuteTotals] = {}
    for minute in np.unique(minutes).tolist():
        inside = minutes == minute
        buy, sell = inside & ~sells, inside & sells
        (base_buy, quote_buy), (base_sell, quote_sell) = amounts.base_and_quote(buy), amounts.base_and_quote(sell)
        sums = map(to_decimal, (base_buy, base_sell, quote_buy, quote_sell))
        found[minute] = MinuteTotals(int(buy.sum()), int(sell.sum()), *sums)
    return found


def to_minute_trades_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the minute_trades channel under the names that its readers know.

    TIME is the minute's start, an aware UTC time; counts are `int`; sums are `Decimal` in base units (`BTC`) and quote
    units (`USD`), whatever the instrument's assets are.
    """
    return {
        "TIME": _EPOCH + timedelta(seconds=row["ts_recv_ns"] // 1_000_000_000),
        "TOTAL_COUNT_BUY": row["count_buy"],
        "TOTAL_COUNT_SELL": row["count_sell"],
        "TOTAL_BTC_BUY": row["base_buy"],
        "TOTAL_BTC_SELL": row["base_sell"],
        "TOTAL_USD_BUY": row["quote_buy"],
        "TOTAL_USD_SELL": row["quote_sell"],
    }


class _Amounts:
    """Base and quote units of each trade, summed over any of them."""

    def __init__(self, trades: pa.Table, instrument: Instrument) -> None:
        self._price = Scaled.of(trades.column("price").to_numpy())
        self._quantity = Scaled.of(trades.column("quantity").to_numpy())
        self._unit = Fraction(instrument.contract_multiplier) / 10**self._quantity.places
        self._is_inverse = instrument.segment is Segment.INVERSE

    def base_and_quote(self, chosen: NDArray[np.bool_]) -> tuple[Fraction, Fraction]:
        """Exact sums over the chosen trades."""
        price, quantity = self._price.units[chosen], self._quantity.units[chosen]
        plain = self._unit * int(quantity.sum())
        if self._is_inverse:
            return self._unit * _over(quantity, price) * 10**self._price.places, plain
        return plain, self._unit * int((quantity * price).sum()) / 10**self._price.places


def _over(quantity: NDArray[Any], price: NDArray[Any]) -> Fraction:
    """Sum of quantity over price; of one price at a time, since adding fractions is slow."""
    by_price: dict[int, int] = {}
    for traded, at in zip(quantity.tolist(), price.tolist(), strict=True):
        by_price[at] = by_price.get(at, 0) + traded
    return sum((Fraction(traded, at) for at, traded in by_price.items()), start=Fraction(0))


def _possible(trades: pa.Table, instrument: Instrument) -> pa.Array:
    price, quantity = trades.column("price").to_numpy(), trades.column("quantity").to_numpy()
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        other = quantity / price if instrument.segment is Segment.INVERSE else quantity * price
        largest = np.maximum(np.maximum(price, quantity), other)
        return pa.array((price > 0) & (quantity > 0) & (largest < _LARGEST))


def _distinct(trades: pa.Table) -> pa.Table:
    ids = pc.dictionary_encode(trades.column("trade_id").combine_chunks())
    _, firsts = np.unique(ids.indices.to_numpy(), return_index=True)
    return trades if len(firsts) == trades.num_rows else trades.take(pa.array(np.sort(firsts)))
