"""Positions and wallets as Bybit's rows, the same over HTTP and on the private topics.

Source: https://bybit-exchange.github.io/docs/v5/websocket/private/position (and `wallet`).
"""

from collections.abc import Iterable, Sequence
from decimal import Context, Decimal

from exchanges.simulator.bybit.catalogue import Entry, plain
from exchanges.simulator.bybit.wire import Row
from exchanges.simulator.core.values import BalanceView, PositionView

_MS = 1_000_000
_ZERO = Decimal(0)
_RISK_LIMIT = "2000000"
_WIDE = Context(prec=80)
_FINEST = Decimal("1e-18")


def position_row(entry: Entry, view: PositionView, seq: int, *, on_topic: bool) -> Row:
    """A position; the topic calls the entry price `entryPrice`, HTTP `avgPrice`."""
    size = abs(view.quantity)
    entry_price = plain(round(view.entry_price, 8)) if size else "0"
    liquidation = view.liquidation_price
    return {
        "category": entry.category,
        "symbol": entry.symbol,
        "positionIdx": 0,
        "tradeMode": 0,
        "riskId": 1,
        "riskLimitValue": _RISK_LIMIT,
        "side": "" if not size else "Buy" if view.quantity > 0 else "Sell",
        "size": entry.grid.decimal_quantity(size) if size else "0",
        "entryPrice" if on_topic else "avgPrice": entry_price,
        "leverage": str(view.leverage),
        "positionValue": plain(size * view.entry_price),
        "positionBalance": plain(view.initial_margin),
        "markPrice": entry.grid.decimal_price(view.mark),
        "positionIM": plain(round(view.initial_margin, 8)),
        "positionMM": plain(round(view.maintenance_margin, 8)),
        "positionIMByMp": plain(round(view.initial_margin, 8)),
        "positionMMByMp": plain(round(view.maintenance_margin, 8)),
        "takeProfit": "",
        "stopLoss": "",
        "trailingStop": "0",
        "unrealisedPnl": plain(round(view.unrealised, 8)) if size or on_topic else "",
        "curRealisedPnl": plain(round(view.result, 8)),
        "cumRealisedPnl": plain(round(view.result_ever, 8)),
        "sessionAvgPrice": "",
        "createdTime": str(view.updated_ns // _MS),
        "updatedTime": str(view.updated_ns // _MS),
        "tpslMode": "Full",
        "liqPrice": entry.grid.decimal_price(liquidation) if liquidation is not None and size else "",
        "bustPrice": "",
        "positionStatus": "Normal",
        "adlRankIndicator": 2 if size else 0,
        "autoAddMargin": 0,
        "leverageSysUpdatedTime": "",
        "mmrSysUpdatedTime": "",
        "mmrSysUpdateTime": "",
        "seq": seq,
        "isReduceOnly": False,
        "delta": "",
        "gamma": "",
        "vega": "",
        "theta": "",
    }


def _whole(amount: Decimal) -> str:
    """All digits of an amount, up to 18 decimals: fees have more than eight, and balances must add up."""
    return plain(amount.quantize(_FINEST, context=_WIDE))


def coin_row(
    balance: BalanceView,
    price: Decimal,
    positions: Sequence[PositionView],
    spot_locked: Decimal,
    *,
    is_collateral: bool,
) -> Row:
    """One coin of the unified wallet; `positions` are those that settle in it."""
    booked = sum((one.result_ever for one in positions), _ZERO)
    unrealised = sum((one.unrealised for one in positions), _ZERO)
    margin = sum((one.initial_margin for one in positions), _ZERO)
    maintenance = sum((one.maintenance_margin for one in positions), _ZERO)
    equity = balance.total + unrealised
    for_orders = max(_ZERO, balance.locked - margin - spot_locked)
    return {
        "coin": balance.asset,
        "equity": _whole(equity),
        "usdValue": plain(round(equity * price, 8)),
        "walletBalance": _whole(balance.total),
        "free": "",
        "availableToWithdraw": _whole(max(_ZERO, balance.total - balance.locked)),
        "availableToBorrow": "",
        "borrowAmount": "0",
        "spotBorrow": "0",
        "accruedInterest": "0",
        "totalOrderIM": plain(round(for_orders, 8)),
        "totalPositionIM": plain(round(margin, 8)),
        "totalPositionMM": plain(round(maintenance, 8)),
        "unrealisedPnl": plain(round(unrealised, 8)),
        "cumRealisedPnl": _whole(booked),
        "bonus": "0",
        "collateralSwitch": is_collateral,
        "marginCollateral": is_collateral,
        "locked": _whole(spot_locked),
        "spotHedgingQty": "0",
    }


def wallet_row(coins: Iterable[Row]) -> Row:
    """The unified account: its coins and their sums in USD; margin figures count what is collateral, and no more."""
    rows = list(coins)
    worth = [
        (row, Decimal(row["usdValue"]) / Decimal(row["equity"]) if Decimal(row["equity"]) else _ZERO) for row in rows
    ]
    collateral = [one for one in worth if one[0]["marginCollateral"]]

    def total(name: str, counted: list[tuple[Row, Decimal]]) -> Decimal:
        return sum((Decimal(row[name]) * price for row, price in counted), _ZERO)

    equity, maintenance = total("equity", collateral), total("totalPositionMM", collateral)
    initial = total("totalPositionIM", collateral) + total("totalOrderIM", collateral)
    free = equity - initial - total("locked", collateral)
    return {
        "accountType": "UNIFIED",
        "accountLTV": "0",
        "accountIMRate": plain(round(initial / equity, 4)) if equity else "0",
        "accountMMRate": plain(round(maintenance / equity, 4)) if equity else "0",
        "accountIMRateByMp": plain(round(initial / equity, 4)) if equity else "0",
        "accountMMRateByMp": plain(round(maintenance / equity, 4)) if equity else "0",
        "totalEquity": plain(round(total("equity", worth), 8)),
        "totalWalletBalance": _whole(total("walletBalance", worth)),
        "totalMarginBalance": plain(round(equity, 8)),
        "totalAvailableBalance": plain(round(free, 8)),
        "totalPerpUPL": plain(round(total("unrealisedPnl", worth), 8)),
        "totalInitialMargin": plain(round(initial, 8)),
        "totalMaintenanceMargin": plain(round(maintenance, 8)),
        "totalInitialMarginByMp": plain(round(initial, 8)),
        "totalMaintenanceMarginByMp": plain(round(maintenance, 8)),
        "coin": rows,
    }
