"""Every endpoint: path to function, with what it needs and what it costs (weights of 2026)."""

from collections.abc import Callable, Mapping

from bot.domain.instrument import Segment
from exchanges.simulator.binance import (
    capital,
    exchange_info,
    futures_data,
    linear_account,
    linear_income,
    linear_orders,
    linear_settings,
    public,
    spot_account,
    spot_orders,
    wallet,
)
from exchanges.simulator.binance.gateway import Access, Endpoint
from exchanges.simulator.binance.parameters import Parameters

Table = Mapping[tuple[str, str], Endpoint]
"""Method and path, below the segment's prefix."""

_KEY, _SIGNED, _TRADES, _WITHDRAWS = Access.KEY, Access.SIGNED, Access.TRADES, Access.WITHDRAWS


def _depth(segment: Segment) -> Callable[[Parameters], int]:
    return lambda parameters: public.depth_weight(segment, parameters)


def _symbol(one: int, every: int) -> Callable[[Parameters], int]:
    return lambda parameters: one if parameters.has("symbol") else every


def _my_trades(parameters: Parameters) -> int:
    return 5 if parameters.has("orderId") else 20


SPOT: Table = {
    ("GET", "/api/v3/ping"): Endpoint(public.ping),
    ("GET", "/api/v3/time"): Endpoint(public.server_time),
    ("GET", "/api/v3/exchangeInfo"): Endpoint(exchange_info.spot_info, weight=20),
    ("GET", "/api/v3/depth"): Endpoint(public.depth, weight=_depth(Segment.SPOT)),
    ("GET", "/api/v3/trades"): Endpoint(public.trades, weight=25),
    ("GET", "/api/v3/historicalTrades"): Endpoint(public.trades, weight=25),
    ("GET", "/api/v3/aggTrades"): Endpoint(public.aggregate_trades, weight=4),
    ("GET", "/api/v3/klines"): Endpoint(public.klines, weight=2),
    ("GET", "/api/v3/uiKlines"): Endpoint(public.klines, weight=2),
    ("GET", "/api/v3/avgPrice"): Endpoint(public.average_price, weight=2),
    ("GET", "/api/v3/ticker/24hr"): Endpoint(public.day_ticker, weight=_symbol(2, 80)),
    ("GET", "/api/v3/ticker/price"): Endpoint(public.last_price, weight=_symbol(2, 4)),
    ("GET", "/api/v3/ticker/bookTicker"): Endpoint(public.book_ticker, weight=_symbol(2, 4)),
    ("POST", "/api/v3/order"): Endpoint(spot_orders.new_order, _TRADES, is_order=True),
    ("POST", "/api/v3/order/test"): Endpoint(spot_orders.test_order, _TRADES),
    ("GET", "/api/v3/order"): Endpoint(spot_orders.query_order, _SIGNED, 4),
    ("DELETE", "/api/v3/order"): Endpoint(spot_orders.cancel_order, _TRADES),
    ("DELETE", "/api/v3/openOrders"): Endpoint(spot_orders.cancel_all, _TRADES),
    ("GET", "/api/v3/openOrders"): Endpoint(spot_orders.open_orders, _SIGNED, _symbol(6, 80)),
    ("GET", "/api/v3/allOrders"): Endpoint(spot_orders.all_orders, _SIGNED, 20),
    ("GET", "/api/v3/myTrades"): Endpoint(spot_orders.my_trades, _SIGNED, _my_trades),
    ("GET", "/api/v3/account"): Endpoint(spot_account.account, _SIGNED, 20),
    ("GET", "/api/v3/account/commission"): Endpoint(spot_account.commission, _SIGNED, 20),
    ("GET", "/api/v3/rateLimit/order"): Endpoint(spot_account.order_limits, _SIGNED, 40),
}
WALLET: Table = {
    ("GET", "/sapi/v1/system/status"): Endpoint(wallet.system_status),
    ("GET", "/sapi/v1/account/status"): Endpoint(wallet.account_status, _SIGNED),
    ("GET", "/sapi/v1/account/apiRestrictions"): Endpoint(wallet.restrictions, _SIGNED),
    ("GET", "/sapi/v1/capital/config/getall"): Endpoint(capital.coins, _SIGNED, 10),
    ("POST", "/sapi/v1/capital/withdraw/apply"): Endpoint(capital.withdraw, _WITHDRAWS),
    ("GET", "/sapi/v1/capital/withdraw/history"): Endpoint(capital.withdrawals, _SIGNED),
    ("GET", "/sapi/v1/capital/deposit/hisrec"): Endpoint(capital.deposits, _SIGNED),
    ("GET", "/sapi/v1/capital/deposit/address"): Endpoint(capital.deposit_address, _SIGNED, 10),
    ("POST", "/sapi/v1/asset/transfer"): Endpoint(wallet.transfer, _SIGNED, 900),
    ("GET", "/sapi/v1/asset/transfer"): Endpoint(wallet.transfers, _SIGNED),
    ("GET", "/sapi/v1/asset/tradeFee"): Endpoint(wallet.trade_fees, _SIGNED),
    ("GET", "/sapi/v1/bnbBurn"): Endpoint(wallet.bnb_burn, _SIGNED),
    ("POST", "/sapi/v1/bnbBurn"): Endpoint(wallet.set_bnb_burn, _SIGNED),
    ("POST", "/sapi/v1/asset/getUserAsset"): Endpoint(wallet.user_assets, _SIGNED, 5),
    ("POST", "/sapi/v3/asset/getUserAsset"): Endpoint(wallet.user_assets, _SIGNED, 5),
    ("GET", "/sapi/v1/margin/allPairs"): Endpoint(wallet.nothing, _KEY),
    ("GET", "/sapi/v1/margin/isolated/allPairs"): Endpoint(wallet.nothing, _SIGNED, 10),
    ("GET", "/sapi/v1/margin/allAssets"): Endpoint(wallet.nothing, _KEY),
}
LINEAR: Table = {
    ("GET", "/fapi/v1/ping"): Endpoint(public.ping),
    ("GET", "/fapi/v1/time"): Endpoint(public.server_time),
    ("GET", "/fapi/v1/exchangeInfo"): Endpoint(exchange_info.linear_info),
    ("GET", "/fapi/v1/depth"): Endpoint(public.depth, weight=_depth(Segment.LINEAR)),
    ("GET", "/fapi/v1/trades"): Endpoint(public.trades, weight=5),
    ("GET", "/fapi/v1/historicalTrades"): Endpoint(public.trades, _KEY, 20),
    ("GET", "/fapi/v1/aggTrades"): Endpoint(public.aggregate_trades, weight=20),
    ("GET", "/fapi/v1/klines"): Endpoint(public.klines, weight=5),
    ("GET", "/fapi/v1/ticker/24hr"): Endpoint(public.day_ticker, weight=_symbol(1, 40)),
    ("GET", "/fapi/v1/ticker/price"): Endpoint(public.last_price, weight=_symbol(1, 2)),
    ("GET", "/fapi/v2/ticker/price"): Endpoint(public.last_price, weight=_symbol(1, 2)),
    ("GET", "/fapi/v1/ticker/bookTicker"): Endpoint(public.book_ticker, weight=_symbol(2, 5)),
    ("GET", "/fapi/v1/premiumIndex"): Endpoint(public.premium_index, weight=_symbol(1, 10)),
    ("GET", "/fapi/v1/fundingRate"): Endpoint(public.funding_rates, weight=0),
    ("GET", "/fapi/v1/fundingInfo"): Endpoint(public.funding_info, weight=0),
    ("GET", "/fapi/v1/openInterest"): Endpoint(public.open_interest),
    ("GET", "/futures/data/basis"): Endpoint(futures_data.basis, weight=0),
    ("GET", "/futures/data/openInterestHist"): Endpoint(futures_data.open_interest_history, weight=0),
    ("GET", "/futures/data/takerlongshortRatio"): Endpoint(futures_data.taker_volume, weight=0),
    ("GET", "/futures/data/globalLongShortAccountRatio"): Endpoint(futures_data.nobody, weight=0),
    ("GET", "/futures/data/topLongShortAccountRatio"): Endpoint(futures_data.nobody, weight=0),
    ("GET", "/futures/data/topLongShortPositionRatio"): Endpoint(futures_data.nobody, weight=0),
    ("POST", "/fapi/v1/order"): Endpoint(linear_orders.new_order, _TRADES, 0, is_order=True),
    ("POST", "/fapi/v1/order/test"): Endpoint(linear_orders.test_order, _TRADES, 0),
    ("POST", "/fapi/v1/batchOrders"): Endpoint(linear_orders.batch_orders, _TRADES, 5, is_order=True),
    ("GET", "/fapi/v1/order"): Endpoint(linear_orders.query_order, _SIGNED),
    ("DELETE", "/fapi/v1/order"): Endpoint(linear_orders.cancel_order, _TRADES),
    ("DELETE", "/fapi/v1/allOpenOrders"): Endpoint(linear_orders.cancel_all, _TRADES),
    ("GET", "/fapi/v1/openOrder"): Endpoint(linear_orders.query_open_order, _SIGNED),
    ("GET", "/fapi/v1/openOrders"): Endpoint(linear_orders.open_orders, _SIGNED, _symbol(1, 40)),
    ("GET", "/fapi/v1/allOrders"): Endpoint(linear_orders.all_orders, _SIGNED, 5),
    ("GET", "/fapi/v1/userTrades"): Endpoint(linear_orders.user_trades, _SIGNED, 5),
    ("POST", "/fapi/v1/countdownCancelAll"): Endpoint(linear_orders.countdown_cancel_all, _TRADES, 10),
    ("GET", "/fapi/v2/account"): Endpoint(linear_account.account_v2, _SIGNED, 5),
    ("GET", "/fapi/v3/account"): Endpoint(linear_account.account_v3, _SIGNED, 5),
    ("GET", "/fapi/v2/balance"): Endpoint(linear_account.balance, _SIGNED, 5),
    ("GET", "/fapi/v3/balance"): Endpoint(linear_account.balance, _SIGNED, 5),
    ("GET", "/fapi/v2/positionRisk"): Endpoint(linear_account.position_risk_v2, _SIGNED, 5),
    ("GET", "/fapi/v3/positionRisk"): Endpoint(linear_account.position_risk_v3, _SIGNED, 5),
    ("GET", "/fapi/v1/accountConfig"): Endpoint(linear_account.account_config, _SIGNED, 5),
    ("GET", "/fapi/v1/symbolConfig"): Endpoint(linear_account.symbol_config, _SIGNED, 5),
    ("GET", "/fapi/v1/commissionRate"): Endpoint(linear_settings.commission_rate, _SIGNED, 20),
    ("GET", "/fapi/v1/feeBurn"): Endpoint(linear_settings.fee_burn, _SIGNED, 30),
    ("POST", "/fapi/v1/feeBurn"): Endpoint(linear_settings.set_fee_burn, _SIGNED),
    ("POST", "/fapi/v1/leverage"): Endpoint(linear_settings.set_leverage, _TRADES),
    ("POST", "/fapi/v1/marginType"): Endpoint(linear_settings.set_margin_type, _TRADES),
    ("GET", "/fapi/v1/positionSide/dual"): Endpoint(linear_settings.position_mode, _SIGNED, 30),
    ("POST", "/fapi/v1/positionSide/dual"): Endpoint(linear_settings.set_position_mode, _TRADES),
    ("GET", "/fapi/v1/multiAssetsMargin"): Endpoint(linear_settings.multi_assets, _SIGNED, 30),
    ("GET", "/fapi/v1/leverageBracket"): Endpoint(linear_settings.leverage_brackets, _SIGNED),
    ("GET", "/fapi/v1/income"): Endpoint(linear_income.income, _SIGNED, 30),
    ("GET", "/fapi/v1/rateLimit/order"): Endpoint(spot_account.order_limits, _SIGNED),
    ("POST", "/fapi/v1/listenKey"): Endpoint(linear_settings.open_listen_key, _KEY),
    ("PUT", "/fapi/v1/listenKey"): Endpoint(linear_settings.keep_listen_key, _KEY),
    ("DELETE", "/fapi/v1/listenKey"): Endpoint(linear_settings.close_listen_key, _KEY),
}

SPOT_WS: Mapping[str, Endpoint] = {
    "ping": SPOT["GET", "/api/v3/ping"],
    "time": SPOT["GET", "/api/v3/time"],
    "exchangeInfo": SPOT["GET", "/api/v3/exchangeInfo"],
    "depth": SPOT["GET", "/api/v3/depth"],
    "trades.recent": SPOT["GET", "/api/v3/trades"],
    "trades.aggregate": SPOT["GET", "/api/v3/aggTrades"],
    "klines": SPOT["GET", "/api/v3/klines"],
    "avgPrice": SPOT["GET", "/api/v3/avgPrice"],
    "ticker.24hr": SPOT["GET", "/api/v3/ticker/24hr"],
    "ticker.price": SPOT["GET", "/api/v3/ticker/price"],
    "ticker.book": SPOT["GET", "/api/v3/ticker/bookTicker"],
    "order.place": SPOT["POST", "/api/v3/order"],
    "order.test": SPOT["POST", "/api/v3/order/test"],
    "order.status": SPOT["GET", "/api/v3/order"],
    "order.cancel": SPOT["DELETE", "/api/v3/order"],
    "openOrders.status": SPOT["GET", "/api/v3/openOrders"],
    "openOrders.cancelAll": SPOT["DELETE", "/api/v3/openOrders"],
    "allOrders": SPOT["GET", "/api/v3/allOrders"],
    "myTrades": SPOT["GET", "/api/v3/myTrades"],
    "account.status": SPOT["GET", "/api/v3/account"],
    "account.commission": SPOT["GET", "/api/v3/account/commission"],
    "account.rateLimits.orders": SPOT["GET", "/api/v3/rateLimit/order"],
}
LINEAR_WS: Mapping[str, Endpoint] = {
    "ping": LINEAR["GET", "/fapi/v1/ping"],
    "time": LINEAR["GET", "/fapi/v1/time"],
    "depth": LINEAR["GET", "/fapi/v1/depth"],
    "ticker.price": LINEAR["GET", "/fapi/v1/ticker/price"],
    "ticker.book": LINEAR["GET", "/fapi/v1/ticker/bookTicker"],
    "order.place": LINEAR["POST", "/fapi/v1/order"],
    "order.status": LINEAR["GET", "/fapi/v1/order"],
    "order.cancel": LINEAR["DELETE", "/fapi/v1/order"],
    "account.status": LINEAR["GET", "/fapi/v2/account"],
    "v2/account.status": LINEAR["GET", "/fapi/v3/account"],
    "account.balance": LINEAR["GET", "/fapi/v2/balance"],
    "v2/account.balance": LINEAR["GET", "/fapi/v3/balance"],
    "account.position": LINEAR["GET", "/fapi/v2/positionRisk"],
    "v2/account.position": Endpoint(linear_account.position_ws, _SIGNED, 5),
    "userDataStream.start": LINEAR["POST", "/fapi/v1/listenKey"],
    "userDataStream.ping": LINEAR["PUT", "/fapi/v1/listenKey"],
    "userDataStream.stop": LINEAR["DELETE", "/fapi/v1/listenKey"],
}
