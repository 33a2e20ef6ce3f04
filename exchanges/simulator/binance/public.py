"""Public market data over REST and the WebSocket API: books, tickers, trades, candles, mark prices, funding."""

from decimal import Decimal

from bot.domain.instrument import Segment
from exchanges.simulator.binance.desk import Line
from exchanges.simulator.binance.errors import Rejected
from exchanges.simulator.binance.gateway import Call
from exchanges.simulator.binance.numbers import milliseconds, money
from exchanges.simulator.binance.orders import time_filter
from exchanges.simulator.binance.parameters import Parameters
from exchanges.simulator.binance.tickers import SPANS, day_figures, kline_row
from exchanges.simulator.core.values import MarkPriced, TradePrinted

_LINEAR_DEPTHS = (5, 10, 20, 50, 100, 500, 1000)
_INTEREST = "0.00010000"
_FUNDING_NS = 8 * 3_600_000_000_000


def ping(_: Call) -> dict[str, object]:
    """`{}`."""
    return {}


def server_time(call: Call) -> dict[str, object]:
    """The exchange's clock."""
    return {"serverTime": call.desk.now_ms()}


def depth_weight(segment: Segment, parameters: Parameters) -> int:
    """What a book of that depth costs."""
    levels = parameters.integer("limit", 100 if segment is Segment.SPOT else 500)
    assert levels is not None
    steps = ((100, 5), (500, 25), (1000, 50)) if segment is Segment.SPOT else ((50, 2), (100, 5), (500, 10))
    for most, weight in steps:
        if levels <= most:
            return weight
    return 250 if segment is Segment.SPOT else 20


def depth(call: Call) -> dict[str, object]:
    """The book now, its id, best first."""
    line = call.line()
    if line.is_spot:
        levels = call.parameters.limit(100, 5000)
    else:
        levels = call.parameters.limit(500, 1000)
        if levels not in _LINEAR_DEPTHS:
            raise Rejected(-4021, f"{levels} is not valid depth limit.")
    bids, asks = call.desk.exchange.market.levels(line.index, levels)
    body: dict[str, object] = {"lastUpdateId": call.desk.exchange.market.book_id(line.index)}
    if not line.is_spot:
        body |= {"E": call.desk.now_ms(), "T": call.desk.now_ms()}
    return body | {"bids": line.printer.levels(bids), "asks": line.printer.levels(asks)}


def book_ticker(call: Call) -> object:
    """Best prices of one symbol, or of all."""
    rows = [_book_ticker(call, line) for line in call.lines()]
    return rows[0] if call.parameters.has("symbol") else rows


def _book_ticker(call: Call, line: Line) -> dict[str, object]:
    market = call.desk.exchange.market
    bids, asks = market.levels(line.index, 1)
    nothing = (0, 0)
    (bid, bid_lots), (ask, ask_lots) = bids[0] if bids else nothing, asks[0] if asks else nothing
    price, quantity = line.printer.prices.text, line.printer.quantities.text
    row: dict[str, object] = {
        "symbol": line.symbol,
        "bidPrice": price(bid),
        "bidQty": quantity(bid_lots),
        "askPrice": price(ask),
        "askQty": quantity(ask_lots),
    }
    if not line.is_spot:
        row |= {"time": call.desk.now_ms(), "lastUpdateId": market.book_id(line.index)}
    return row


def last_price(call: Call) -> object:
    """Last traded price of one symbol, or of all."""
    rows = []
    for line in call.lines():
        row: dict[str, object] = {"symbol": line.symbol, "price": line.printer.prices.text(line.tape.last_ticks)}
        rows.append(row if line.is_spot else row | {"time": call.desk.now_ms()})
    return rows[0] if call.parameters.has("symbol") else rows


def average_price(call: Call) -> dict[str, object]:
    """Spot's five-minute average."""
    line, now_ns = call.line(), call.desk.now_ns()
    candles = line.tape.candles(SPANS["1m"], now_ns)[-5:]
    volume = sum(one.volume for one in candles)
    ticks = Decimal(sum(one.turnover for one in candles)) / volume if volume else Decimal(line.tape.last_ticks)
    price = line.printer.price(ticks * line.instrument.tick_size)
    return {"mins": 5, "price": price, "closeTime": milliseconds(now_ns)}


def day_ticker(call: Call) -> object:
    """24-hour figures of one symbol, or of all."""
    now_ns = call.desk.now_ns()
    rows = [day_figures(line, now_ns) for line in call.lines()]
    return rows[0] if call.parameters.has("symbol") else rows


def trades(call: Call) -> list[dict[str, object]]:
    """The newest trades."""
    line, limit = call.line(), call.parameters.limit(500, 1000)
    return [_trade(line, trade) for trade in list(line.tape.trades)[-limit:]]


def _trade(line: Line, trade: TradePrinted) -> dict[str, object]:
    quote = Decimal(trade.ticks * trade.lots) * line.instrument.tick_size * line.instrument.lot_size
    row: dict[str, object] = {
        "id": trade.trade_id,
        "price": line.printer.prices.text(trade.ticks),
        "qty": line.printer.quantities.text(trade.lots),
        "quoteQty": f"{quote:.8f}" if line.is_spot else f"{quote:.2f}",
        "time": milliseconds(trade.ts_ns),
        "isBuyerMaker": trade.buyer_is_maker,
    }
    return row | {"isBestMatch": True} if line.is_spot else row


def aggregate_trades(call: Call) -> list[dict[str, object]]:
    """Aggregated trades: the newest, or those from `fromId` on."""
    within = time_filter(call)
    line, limit = call.line(), call.parameters.limit(500, 1000)
    least = call.parameters.integer("fromId")
    found = [one for one in line.tape.aggregates if within(one.ts_ns)]
    chosen = found[-limit:] if least is None else [one for one in found if one.number >= least][:limit]
    rows: list[dict[str, object]] = [
        {
            "a": one.number,
            "p": line.printer.prices.text(one.ticks),
            "q": line.printer.quantities.text(one.lots),
            "f": one.first_id,
            "l": one.last_id,
            "T": milliseconds(one.ts_ns),
            "m": one.buyer_is_maker,
        }
        for one in chosen
    ]
    return [row | {"M": True} for row in rows] if line.is_spot else rows


def klines(call: Call) -> list[list[object]]:
    """Candles since the server started."""
    within = time_filter(call)
    line, limit = call.line(), call.parameters.limit(500, 1500)
    name = call.parameters.required("interval")
    if name not in SPANS:
        raise Rejected(-1120, "Invalid interval.")
    candles = line.tape.candles(SPANS[name], call.desk.now_ns())
    found = [one for one in candles if within(one.start_ns)]
    chosen = found[:limit] if call.parameters.has("startTime") else found[-limit:]
    return [kline_row(line, one, SPANS[name]) for one in chosen]


# Perpetuals


def premium_index(call: Call) -> object:
    """Mark, index and next funding of one symbol, or of all."""
    rows = [_premium(call, line) for line in call.lines()]
    return rows[0] if call.parameters.has("symbol") else rows


def _premium(call: Call, line: Line) -> dict[str, object]:
    mark = line.mark or _first_mark(call, line)
    return {
        "symbol": line.symbol,
        "markPrice": money(call.desk.mark(line)),
        "indexPrice": money(mark.index),
        "estimatedSettlePrice": money(mark.index),
        "lastFundingRate": money(mark.rate),
        "interestRate": _INTEREST,
        "nextFundingTime": milliseconds(mark.next_funding_ns),
        "time": milliseconds(mark.ts_ns),
    }


def _first_mark(call: Call, line: Line) -> MarkPriced:
    """Before the first mark of the market was heard: its price now, Binance's usual funding times, and the interest."""
    now_ns, price = call.desk.now_ns(), call.desk.mark(line)
    next_ns = now_ns - now_ns % _FUNDING_NS + _FUNDING_NS
    return MarkPriced(line.index, now_ns, price, price, Decimal(_INTEREST), next_ns, 8)


def funding_rates(call: Call) -> list[dict[str, object]]:
    """Settled fundings since the server started, oldest first."""
    within = time_filter(call)
    limit = call.parameters.limit(100, 1000)
    found = [(due.ts_ns, line, due) for line in call.lines() for due in line.fundings if within(due.ts_ns)]
    found.sort(key=lambda row: (row[0], row[1].index))
    return [
        {
            "symbol": line.symbol,
            "fundingTime": milliseconds(ts_ns),
            "fundingRate": money(due.rate),
            "markPrice": money(due.mark),
        }
        for ts_ns, line, due in found[-limit:]
    ]


def funding_info(call: Call) -> list[dict[str, object]]:
    """Caps and intervals. Binance lists the adjusted symbols only; here every one is listed."""
    return [
        {
            "symbol": line.symbol,
            "adjustedFundingRateCap": "0.00300000",
            "adjustedFundingRateFloor": "-0.00300000",
            "fundingIntervalHours": line.mark.interval_h if line.mark else 8,
            "disclaimer": False,
            "updateTime": 0,
        }
        for line in call.desk.segment_lines(Segment.LINEAR)
    ]


def open_interest(call: Call) -> dict[str, object]:
    """Nobody else holds contracts here: zero."""
    line = call.line()
    return {"symbol": line.symbol, "openInterest": line.printer.quantity(None), "time": call.desk.now_ms()}
