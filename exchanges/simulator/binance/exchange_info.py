"""`exchangeInfo` of both segments: grids, limits and what orders are taken."""

from decimal import Decimal

from exchanges.simulator.binance.desk import Line
from exchanges.simulator.binance.gateway import Call
from exchanges.simulator.binance.numbers import plain
from exchanges.simulator.core.values import TradingStatus

_SPOT_STATUS = {TradingStatus.TRADING: "TRADING", TradingStatus.HALTED: "HALT", TradingStatus.SETTLING: "BREAK"}
_LINEAR_STATUS = {TradingStatus.TRADING: "TRADING", TradingStatus.HALTED: "PENDING_TRADING"}
_STP = ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"]
_PERPETUAL_END = 4133404800000
_ONBOARD = 1569398400000


def _head(call: Call) -> dict[str, object]:
    limits = call.desk.limits[call.segment]
    rates = [limits.weight, *limits.orders, *([limits.raw] if limits.raw else [])]
    return {
        "timezone": "UTC",
        "serverTime": call.desk.now_ms(),
        "rateLimits": [rate.row() for rate in rates],
        "exchangeFilters": [],
    }


def spot_info(call: Call) -> dict[str, object]:
    """`GET /api/v3/exchangeInfo`, of one symbol or all."""
    return _head(call) | {"symbols": [_spot_symbol(call, line) for line in call.lines()]}


def linear_info(call: Call) -> dict[str, object]:
    """`GET /fapi/v1/exchangeInfo`."""
    lines = call.desk.segment_lines(call.segment)
    quotes = sorted({line.instrument.quote for line in lines})
    assets = [{"asset": one, "marginAvailable": True, "autoAssetExchange": "-10000"} for one in quotes]
    symbols = [_linear_symbol(call, line) for line in lines]
    return {"futuresType": "U_MARGINED", **_head(call), "assets": assets, "symbols": symbols}


def _eight(number: Decimal | None) -> str:
    return f"{number or 0:.8f}"


def _most(number: Decimal | None) -> str:
    return plain(number or Decimal(0))


def _spot_filters(line: Line) -> list[dict[str, object]]:
    one = line.instrument
    return [
        {"filterType": "PRICE_FILTER", "minPrice": _eight(one.tick_size), "maxPrice": "1000000.00000000",
         "tickSize": _eight(one.tick_size)},
        {"filterType": "LOT_SIZE", "minQty": _eight(one.min_quantity), "maxQty": _eight(one.max_quantity),
         "stepSize": _eight(one.lot_size)},
        {"filterType": "ICEBERG_PARTS", "limit": 10},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": _eight(one.max_market_quantity),
         "stepSize": "0.00000000"},
        {"filterType": "TRAILING_DELTA", "minTrailingAboveDelta": 10, "maxTrailingAboveDelta": 2000,
         "minTrailingBelowDelta": 10, "maxTrailingBelowDelta": 2000},
        {"filterType": "PERCENT_PRICE_BY_SIDE", "bidMultiplierUp": "5", "bidMultiplierDown": "0.2",
         "askMultiplierUp": "5", "askMultiplierDown": "0.2", "avgPriceMins": 5},
        {"filterType": "NOTIONAL", "minNotional": _eight(one.min_notional), "applyMinToMarket": True,
         "maxNotional": _eight(one.max_notional), "applyMaxToMarket": False, "avgPriceMins": 5},
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
    ]  # fmt: skip


def _spot_symbol(call: Call, line: Line) -> dict[str, object]:
    one = line.instrument
    return {
        "symbol": line.symbol,
        "status": _SPOT_STATUS[call.desk.exchange.market.status(line.index)],
        "baseAsset": one.base,
        "baseAssetPrecision": 8,
        "quoteAsset": one.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "amendAllowed": False,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": _spot_filters(line),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": _STP,
    }


def _linear_filters(line: Line) -> list[dict[str, object]]:
    one, price = line.instrument, line.printer.price
    step = plain(one.lot_size)
    return [
        {"filterType": "PRICE_FILTER", "minPrice": price(one.tick_size), "maxPrice": "4529764",
         "tickSize": price(one.tick_size)},
        {"filterType": "LOT_SIZE", "minQty": plain(one.min_quantity), "maxQty": _most(one.max_quantity),
         "stepSize": step},
        {"filterType": "MARKET_LOT_SIZE", "minQty": plain(one.min_quantity), "maxQty": _most(one.max_market_quantity),
         "stepSize": step},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
        {"filterType": "MIN_NOTIONAL", "notional": plain(one.min_notional)},
        {"filterType": "PERCENT_PRICE", "multiplierUp": "1.0500", "multiplierDown": "0.9500", "multiplierDecimal": "4"},
        {"filterType": "POSITION_RISK_CONTROL", "positionControlSide": "NONE"},
    ]  # fmt: skip


def _linear_symbol(call: Call, line: Line) -> dict[str, object]:
    one = line.instrument
    status = call.desk.exchange.market.status(line.index)
    return {
        "symbol": line.symbol,
        "pair": line.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": _PERPETUAL_END,
        "onboardDate": _ONBOARD,
        "status": _LINEAR_STATUS.get(status, "SETTLING"),
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": one.base,
        "quoteAsset": one.quote,
        "marginAsset": one.settle or one.quote,
        "pricePrecision": line.listing.price_digits,
        "quantityPrecision": line.listing.quantity_digits,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": _linear_filters(line),
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
        "permissionSets": ["GRID", "COPY"],
    }
