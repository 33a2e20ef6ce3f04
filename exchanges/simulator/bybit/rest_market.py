"""`/v5/market`: what everybody may ask.

Source: https://bybit-exchange.github.io/docs/v5/market/instrument (and its neighbours).
"""

from decimal import Decimal
from typing import Any

from bot.domain.instrument import Instrument
from exchanges.simulator.bybit.catalogue import Entry, plain
from exchanges.simulator.bybit.errors import ApiError
from exchanges.simulator.bybit.ids import trade_id
from exchanges.simulator.bybit.live import INTERVALS, decimal_mid
from exchanges.simulator.bybit.params import page
from exchanges.simulator.bybit.requests import Call, Endpoint
from exchanges.simulator.bybit.tape import merged
from exchanges.simulator.bybit.tickers import candle_texts, rest_row
from exchanges.simulator.core.values import TradingStatus

_MS = 1_000_000
_SECOND_NS = 1_000_000_000
_MINUTE_MS = 60_000
_LAUNCHED_MS = "1585526400000"
_STATUS = {
    TradingStatus.TRADING: "Trading",
    TradingStatus.HALTED: "Closed",
    TradingStatus.SETTLING: "Delivering",
}
_EMPTY = ("inverse", "option")
_MOST_DEPTH = {"linear": 500, "spot": 200}
_MOST_LEVERAGE = 100


def time(call: Call) -> dict[str, str]:
    """The exchange's clock."""
    return {"timeSecond": str(call.now_ns // _SECOND_NS), "timeNano": str(call.now_ns)}


def entries_of(call: Call, category: str) -> list[Entry]:
    """The listings of a category; none of those that Bybit has and this one does not.

    Raises:
        ApiError: There is no such category.
    """
    return [] if category in _EMPTY else call.venue.catalogue.of(category)


def instruments(call: Call) -> dict[str, Any]:
    """Listings and their grids, a page at a time."""
    category = call.params.text("category")
    entries = entries_of(call, category)
    symbol, base = call.params.text("symbol", ""), call.params.text("baseCoin", "")
    if symbol:
        entries = [call.venue.catalogue.find(category, symbol)]
    # Without a symbol, only what trades is told; other states are asked for by name.
    status = call.params.text("status", "" if symbol else "Trading")
    rows = [_instrument(call, entry) for entry in entries if not base or entry.instrument.base == base]
    rows = [row for row in rows if not status or row["status"] == status]
    if category == "spot":
        return {"category": category, "list": rows}
    rows, cursor = page(rows, call.params, default=500, most=1000, is_end_told=True)
    return {"category": category, "list": rows, "nextPageCursor": cursor}


def _instrument(call: Call, entry: Entry) -> dict[str, Any]:
    own = entry.instrument
    row = {
        "symbol": entry.symbol,
        "baseCoin": own.base,
        "quoteCoin": own.quote,
        "status": _STATUS[call.venue.exchange.market.status(entry.index)],
    }
    price, size = entry.grid.decimal_price, entry.grid.decimal_quantity
    return {**row, **(_spot(own) if entry.is_spot else _linear(own, price(own.tick_size), size(own.lot_size)))}


def _spot(own: Instrument) -> dict[str, Any]:
    return {
        "innovation": "0",
        "marginTrading": "utaOnly",
        "stTag": "0",
        "symbolId": 1,
        "lotSizeFilter": {
            "basePrecision": plain(own.lot_size),
            "quotePrecision": "0.0000001",
            "minOrderQty": plain(own.min_quantity),
            "maxOrderQty": _most(own.max_quantity),
            "minOrderAmt": plain(own.min_notional),
            "maxOrderAmt": _most(own.max_notional),
            "maxLimitOrderQty": _most(own.max_quantity),
            "maxMarketOrderQty": _most(own.max_market_quantity),
            "postOnlyMaxLimitOrderSize": _most(own.max_quantity),
        },
        "priceFilter": {"tickSize": plain(own.tick_size)},
        "riskParameters": {"priceLimitRatioX": "0.05", "priceLimitRatioY": "0.05"},
    }


def _linear(own: Instrument, tick: str, lot: str) -> dict[str, Any]:
    return {
        "contractType": "LinearPerpetual",
        "launchTime": _LAUNCHED_MS,
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(len(tick.partition(".")[2])),
        "leverageFilter": {"minLeverage": "1", "maxLeverage": f"{_MOST_LEVERAGE}.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": tick, "maxPrice": "1999999.80", "tickSize": tick},
        "lotSizeFilter": {
            "maxOrderQty": _most(own.max_quantity),
            "minOrderQty": plain(own.min_quantity),
            "qtyStep": lot,
            "postOnlyMaxOrderQty": _most(own.max_quantity),
            "maxMktOrderQty": _most(own.max_market_quantity),
            "minNotionalValue": plain(own.min_notional),
        },
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
        "settleCoin": own.settle,
        "copyTrading": "both",
        "upperFundingRate": "0.005",
        "lowerFundingRate": "-0.005",
        "isPreListing": False,
        "preListingInfo": None,
        "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"},
        "displayName": "",
        "symbolType": "",
    }


def _most(number: Decimal | None) -> str:
    return plain(number or Decimal(0))


def orderbook(call: Call) -> dict[str, Any]:
    """The book now."""
    category = call.params.text("category")
    entry = call.venue.catalogue.find(category, call.params.text("symbol"))
    depth = call.params.integer("limit", 1 if category == "spot" else 25, least=1, most=_MOST_DEPTH[category])
    mirror = call.venue.hub.live(entry.index).mirror
    bids, asks = call.venue.exchange.market.levels(entry.index, depth)
    grid = entry.grid
    return {
        "s": entry.symbol,
        "b": [[grid.price(ticks), grid.quantity(lots)] for ticks, lots in bids],
        "a": [[grid.price(ticks), grid.quantity(lots)] for ticks, lots in asks],
        "ts": call.now_ms,
        "u": mirror.seq,
        "seq": mirror.seq,
        "cts": mirror.cts_ns // _MS,
    }


def tickers(call: Call) -> dict[str, Any]:
    """Best prices and 24 hours of statistics."""
    category = call.params.text("category")
    symbol = call.params.text("symbol", "")
    catalogue = call.venue.catalogue
    entries = [catalogue.find(category, symbol)] if symbol else catalogue.of(category)
    rows = []
    for entry in entries:
        live = call.venue.hub.live(entry.index)
        rows.append(rest_row(entry, live.mirror, live.tape, decimal_mid(live)))
    return {"category": category, "list": rows}


def kline(call: Call) -> dict[str, Any]:
    """Candles since the simulation began, newest first."""
    category = call.params.text("category", "linear")
    entry = call.venue.catalogue.find(category, call.params.text("symbol"))
    minutes = INTERVALS[call.params.choice("interval", INTERVALS)]
    start, end = call.params.integer("start", 0), call.params.integer("end", 2**53)
    limit = call.params.integer("limit", 200, least=1, most=1000)
    candles = merged(call.venue.hub.live(entry.index).tape.candles, minutes)
    wanted = [one for one in reversed(candles) if start <= one.minute * _MINUTE_MS <= end][:limit]
    return {"symbol": entry.symbol, "category": category, "list": [candle_texts(entry, one) for one in wanted]}


def recent_trades(call: Call) -> dict[str, Any]:
    """Public trades, newest first."""
    category = call.params.text("category")
    entry = call.venue.catalogue.find(category, call.params.text("symbol"))
    limit = call.params.integer("limit", 60 if category == "spot" else 500, least=1, most=1000)
    live = call.venue.hub.live(entry.index)
    newest = list(live.tape.trades)[: -limit - 1 : -1]
    rows = [
        {
            "execId": trade_id(entry.segment, entry.index, trade.trade_id),
            "symbol": entry.symbol,
            "price": entry.grid.price(trade.ticks),
            "size": entry.grid.quantity(trade.lots),
            "side": "Sell" if trade.buyer_is_maker else "Buy",
            "time": str(trade.ts_ns // _MS),
            "isBlockTrade": False,
            "isRPITrade": False,
            "seq": str(live.mirror.seq),
        }
        for trade, _ in newest
    ]
    return {"category": category, "list": rows}


def funding_history(call: Call) -> dict[str, Any]:
    """Funding settled since the simulation began, newest first."""
    entry = _contract(call)
    start, end = call.params.integer("startTime", 0), call.params.integer("endTime", 2**53)
    limit = call.params.integer("limit", 200, least=1, most=200)
    settled = reversed(call.venue.hub.live(entry.index).tape.fundings)
    rows = [
        {
            "symbol": entry.symbol,
            "fundingRate": plain(one.rate),
            "fundingRateTimestamp": str(one.ts_ns // _MS),
        }
        for one in settled
        if start <= one.ts_ns // _MS <= end
    ]
    return {"category": "linear", "list": rows[:limit]}


def risk_limit(call: Call) -> dict[str, Any]:
    """The one tier that is simulated."""
    category = call.params.text("category")
    symbol = call.params.text("symbol", "")
    catalogue = call.venue.catalogue
    if category == "spot":
        raise ApiError(10001, "params error: Category is invalid")
    entries = [catalogue.find(category, symbol)] if symbol else catalogue.of(category)
    rows = [
        {
            "id": 1,
            "symbol": entry.symbol,
            "riskLimitValue": "2000000",
            "maintenanceMargin": "0.005",
            "initialMargin": "0.01",
            "isLowestRisk": 1,
            "maxLeverage": f"{_MOST_LEVERAGE}.00",
            "mmDeduction": "",
        }
        for entry in entries
    ]
    return {"category": category, "list": rows, "nextPageCursor": ""}


def _contract(call: Call) -> Entry:
    category = call.params.text("category")
    if category == "spot":
        raise ApiError(10001, "params error: Category is invalid")
    return call.venue.catalogue.find(category, call.params.text("symbol"))


ENDPOINTS = (
    Endpoint("GET", "/v5/market/time", time),
    Endpoint("GET", "/v5/market/instruments-info", instruments),
    Endpoint("GET", "/v5/market/orderbook", orderbook),
    Endpoint("GET", "/v5/market/tickers", tickers),
    Endpoint("GET", "/v5/market/kline", kline),
    Endpoint("GET", "/v5/market/recent-trade", recent_trades),
    Endpoint("GET", "/v5/market/funding/history", funding_history),
    Endpoint("GET", "/v5/market/risk-limit", risk_limit),
)
