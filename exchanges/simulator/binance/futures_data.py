"""`/futures/data`: statistics of the perpetual market, as far as a simulated one has them.

Nobody but the customers holds contracts here, so open interest is zero, and of whom there is nobody no share is long.
"""

from collections.abc import Callable

from exchanges.simulator.binance.desk import Line
from exchanges.simulator.binance.errors import Rejected
from exchanges.simulator.binance.gateway import Call
from exchanges.simulator.binance.numbers import money
from exchanges.simulator.binance.orders import time_filter
from exchanges.simulator.binance.tape import Candle
from exchanges.simulator.binance.tickers import SPANS

_PERIODS = ("5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")
_MOST = 500
_NS_IN_MS = 1_000_000
Row = dict[str, object]


def basis(call: Call) -> list[Row]:
    """The perpetual against its index, now: what was before is not kept."""
    line = call.desk.line(call.segment, call.parameters.symbol("pair"))
    if call.parameters.required("contractType") != "PERPETUAL":
        raise Rejected(-1130, "Data sent for parameter 'contractType' is not valid.")
    now_ns = call.desk.now_ns()
    price, mark = call.desk.mark(line), line.mark
    index = mark.index if mark is not None else price
    return [
        {
            "indexPrice": money(index),
            "contractType": "PERPETUAL",
            "basisRate": f"{(price - index) / index:.4f}",
            "futuresPrice": line.printer.price(price),
            "annualizedBasisRate": "",
            "basis": money(price - index),
            "pair": line.symbol,
            "timestamp": (now_ns - now_ns % _period(call)) // _NS_IN_MS,
        }
    ]


def taker_volume(call: Call) -> list[Row]:
    """What takers bought and sold, oldest first."""
    return _periods(call, call.line(), lambda one: _taken(call.line(), one))


def _taken(line: Line, candle: Candle) -> Row:
    bought, sold = candle.taker_volume, candle.volume - candle.taker_volume
    lot = line.instrument.lot_size
    return {
        "buySellRatio": f"{bought / sold:.4f}" if sold else "0.0000",
        "buyVol": f"{bought * lot:.4f}",
        "sellVol": f"{sold * lot:.4f}",
    }


def open_interest_history(call: Call) -> list[Row]:
    """Zero in every period, oldest first."""
    zero = {"sumOpenInterest": "0.00000000", "sumOpenInterestValue": "0.00000000"}
    line = call.line()
    return _periods(call, line, lambda _: {"symbol": line.symbol, **zero})


def nobody(call: Call) -> list[Row]:
    """Shares of long and short accounts: there are none to count."""
    call.line()
    _period(call)
    return []


def _period(call: Call) -> int:
    name = call.parameters.required("period")
    if name not in _PERIODS:
        raise Rejected(-1130, "Data sent for parameter 'period' is not valid.")
    return SPANS[name]


def _periods(call: Call, line: Line, make: Callable[[Candle], Row]) -> list[Row]:
    within = time_filter(call)
    candles = [one for one in line.tape.candles(_period(call), call.desk.now_ns()) if within(one.start_ns)]
    limit = call.parameters.limit(30, _MOST)
    return [make(one) | {"timestamp": one.start_ns // _NS_IN_MS} for one in candles[-limit:]]
