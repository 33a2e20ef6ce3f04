"""Candles and 24-hour figures, as REST and streams spell them."""

import json
from collections.abc import Mapping
from decimal import Decimal

from exchanges.simulator.binance.desk import Line
from exchanges.simulator.binance.numbers import milliseconds
from exchanges.simulator.binance.tape import MINUTE_NS, Candle

SPANS: Mapping[str, int] = {
    name: minutes * MINUTE_NS
    for name, minutes in {
        "1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "6h": 360, "8h": 480,
        "12h": 720, "1d": 1440, "3d": 4320, "1w": 10080,
    }.items()
}  # fmt: skip
"""Kline intervals by name; `1s` and `1M` are not simulated."""


def turnover(line: Line, ticks_lots: int) -> str:
    """Ticks × lots as quote units."""
    instrument = line.instrument
    value = Decimal(ticks_lots) * instrument.tick_size * instrument.lot_size
    return f"{value:.8f}" if line.is_spot else f"{value:.5f}"


def kline_row(line: Line, candle: Candle, span_ns: int) -> list[object]:
    """A row of the klines endpoint."""
    price, quantity = line.printer.prices.text, line.printer.quantities.text
    return [
        milliseconds(candle.start_ns),
        price(candle.open),
        price(candle.high),
        price(candle.low),
        price(candle.close),
        quantity(candle.volume),
        milliseconds(candle.start_ns + span_ns) - 1,
        turnover(line, candle.turnover),
        candle.count,
        quantity(candle.taker_volume),
        turnover(line, candle.taker_turnover),
        "0",
    ]


def kline_text(line: Line, name: str, ts_ns: int) -> str:
    """A `kline` event of the current candle."""
    span_ns = SPANS[name]
    candle = line.tape.candles(span_ns, ts_ns)[-1]
    row = kline_row(line, candle, span_ns)
    body = {
        "t": row[0], "T": row[6], "s": line.symbol, "i": name, "f": candle.first_id, "L": candle.last_id,
        "o": row[1], "c": row[4], "h": row[2], "l": row[3], "v": row[5], "n": row[8],
        "x": False, "q": row[7], "V": row[9], "Q": row[10], "B": "0",
    }  # fmt: skip
    event: dict[str, object] = {"e": "kline", "E": milliseconds(ts_ns), "s": line.symbol, "k": body}
    return _text(line, event)


def mini_ticker_text(line: Line, ts_ns: int) -> str:
    """A `24hrMiniTicker` event."""
    return _text(line, _mini(line, ts_ns, line.tape.day(ts_ns)))


def _mini(line: Line, ts_ns: int, day: Candle) -> dict[str, object]:
    price = line.printer.prices.text
    return {
        "e": "24hrMiniTicker", "E": milliseconds(ts_ns), "s": line.symbol, "c": price(day.close), "o": price(day.open),
        "h": price(day.high), "l": price(day.low), "v": line.printer.quantities.text(day.volume),
        "q": turnover(line, day.turnover),
    }  # fmt: skip


def ticker_text(line: Line, ts_ns: int) -> str:
    """A `24hrTicker` event."""
    day = line.tape.day(ts_ns)
    figures = day_figures(line, ts_ns)
    event = {
        **_mini(line, ts_ns, day), "e": "24hrTicker", "p": figures["priceChange"], "P": figures["priceChangePercent"],
        "w": figures["weightedAvgPrice"], "Q": figures["lastQty"], "O": figures["openTime"], "C": figures["closeTime"],
        "F": figures["firstId"], "L": figures["lastId"], "n": figures["count"],
    }  # fmt: skip
    if line.is_spot:
        event |= {"x": figures["prevClosePrice"], **dict(zip("bBaA", _top(line), strict=True))}
    return _text(line, event)


def _text(line: Line, event: dict[str, object]) -> str:
    if not line.is_spot:
        event |= {"ps": line.symbol, "st": 1}
    return json.dumps(event, separators=(",", ":"))


def _top(line: Line) -> tuple[str, str, str, str]:
    (bid, bid_lots), (ask, ask_lots) = line.mirror.top()
    price, quantity = line.printer.prices.text, line.printer.quantities.text
    return price(bid), quantity(bid_lots), price(ask), quantity(ask_lots)


def day_figures(line: Line, now_ns: int) -> dict[str, object]:
    """A row of `ticker/24hr`."""
    day = line.tape.day(now_ns)
    tick, printer = line.instrument.tick_size, line.printer
    average = Decimal(day.turnover) / day.volume * tick if day.volume else day.close * tick
    change = Decimal(day.close - day.open) / day.open * 100 if day.open else Decimal(0)
    figures: dict[str, object] = {
        "symbol": line.symbol,
        "priceChange": printer.price((day.close - day.open) * tick),
        "priceChangePercent": f"{change:.3f}",
        "weightedAvgPrice": printer.price(average),
        "lastPrice": printer.prices.text(day.close),
        "lastQty": printer.quantities.text(line.tape.trades[-1].lots if line.tape.trades else 0),
        "openPrice": printer.prices.text(day.open),
        "highPrice": printer.prices.text(day.high),
        "lowPrice": printer.prices.text(day.low),
        "volume": printer.quantities.text(day.volume),
        "quoteVolume": turnover(line, day.turnover),
        "openTime": milliseconds(day.start_ns),
        "closeTime": milliseconds(now_ns),
        "firstId": day.first_id,
        "lastId": day.last_id,
        "count": day.count,
    }
    if line.is_spot:
        names = ("bidPrice", "bidQty", "askPrice", "askQty")
        figures |= {"prevClosePrice": figures["openPrice"], **dict(zip(names, _top(line), strict=True))}
    return figures
