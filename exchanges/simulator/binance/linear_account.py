"""The USDⓈ-M account: balances and positions, in every form in which Binance tells them."""

from collections.abc import Iterable
from decimal import Decimal

from bot.domain.instrument import Segment
from exchanges.simulator.binance.desk import Line, wallet_segment
from exchanges.simulator.binance.gateway import Call
from exchanges.simulator.binance.linear_settings import MAX_NOTIONAL
from exchanges.simulator.binance.numbers import fine, milliseconds, money
from exchanges.simulator.core.values import BalanceView, PositionView

_ZERO = Decimal(0)


def _positions(call: Call) -> dict[int, PositionView]:
    return {one.listing: one for one in call.account.positions() if one.listing in call.desk.lines}


def _wallet(call: Call) -> list[BalanceView]:
    return [one for one in call.account.balances() if wallet_segment(one.wallet) == Segment.LINEAR.value]


class _Asset:
    """One asset of the futures wallet with the positions that are settled in it."""

    def __init__(self, call: Call, balance: BalanceView, positions: Iterable[PositionView]) -> None:
        lines = call.desk.lines
        own = [one for one in positions if lines[one.listing].instrument.settle == balance.asset]
        self.asset = balance.asset
        self.wallet = balance.total
        self.unrealised = sum((one.unrealised for one in own), _ZERO)
        self.position_margin = sum((one.initial_margin for one in own), _ZERO)
        self.maintenance = sum((one.maintenance_margin for one in own), _ZERO)
        self.initial = max(balance.locked, self.position_margin)
        self.available = max(_ZERO, self.wallet + self.unrealised - self.initial)
        # Profit that is not booked cannot leave.
        self.withdrawable = min(self.available, self.wallet)

    def row(self, now_ms: int) -> dict[str, object]:
        """As in `account`."""
        return {
            "asset": self.asset,
            "walletBalance": money(self.wallet),
            "unrealizedProfit": money(self.unrealised),
            "marginBalance": money(self.wallet + self.unrealised),
            "maintMargin": money(self.maintenance),
            "initialMargin": money(self.initial),
            "positionInitialMargin": money(self.position_margin),
            "openOrderInitialMargin": money(self.initial - self.position_margin),
            "crossWalletBalance": money(self.wallet),
            "crossUnPnl": money(self.unrealised),
            "availableBalance": money(self.available),
            "maxWithdrawAmount": money(self.withdrawable),
            "marginAvailable": True,
            "updateTime": now_ms,
        }


def _assets(call: Call) -> list[_Asset]:
    positions = _positions(call).values()
    return [_Asset(call, balance, positions) for balance in _wallet(call)]


def balance(call: Call) -> list[dict[str, object]]:
    """`balance` v2 and v3."""
    now_ms = call.desk.now_ms()
    return [
        {
            "accountAlias": "SgsR",
            "asset": one.asset,
            "balance": money(one.wallet),
            "crossWalletBalance": money(one.wallet),
            "crossUnPnl": money(one.unrealised),
            "availableBalance": money(one.available),
            "maxWithdrawAmount": money(one.withdrawable),
            "marginAvailable": True,
            "updateTime": now_ms,
        }
        for one in _assets(call)
    ]


def _totals(assets: list[_Asset]) -> dict[str, object]:
    # Totals are in USD; the wallet's settle asset counts one to one, other assets carry no margin here.
    main = [one for one in assets if one.asset == "USDT"]
    wallet = sum((one.wallet for one in main), _ZERO)
    unrealised = sum((one.unrealised for one in main), _ZERO)
    initial = sum((one.initial for one in main), _ZERO)
    position = sum((one.position_margin for one in main), _ZERO)
    return {
        "totalInitialMargin": money(initial),
        "totalMaintMargin": money(sum((one.maintenance for one in main), _ZERO)),
        "totalWalletBalance": money(wallet),
        "totalUnrealizedProfit": money(unrealised),
        "totalMarginBalance": money(wallet + unrealised),
        "totalPositionInitialMargin": money(position),
        "totalOpenOrderInitialMargin": money(initial - position),
        "totalCrossWalletBalance": money(wallet),
        "totalCrossUnPnl": money(unrealised),
        "availableBalance": money(sum((one.available for one in main), _ZERO)),
        "maxWithdrawAmount": money(sum((one.withdrawable for one in main), _ZERO)),
    }


def _rights(call: Call) -> dict[str, object]:
    tier = call.account.fee_tier()
    return {
        "feeTier": int(tier[3:]) if tier.startswith("vip") else 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
    }


def account_v2(call: Call) -> dict[str, object]:
    """`/fapi/v2/account`: every symbol has a position."""
    assets, positions, now_ms = _assets(call), _positions(call), call.desk.now_ms()
    rows = []
    for line in call.desk.segment_lines(Segment.LINEAR):
        one = positions.get(line.index) or _flat(call, line)
        rows.append({
            **_position_account(line, one),
            "leverage": str(one.leverage),
            "isolated": False,
            "entryPrice": fine(one.entry_price),
            "breakEvenPrice": fine(one.break_even),
            "maxNotional": MAX_NOTIONAL,
            "bidNotional": "0",
            "askNotional": "0",
            "positionInitialMargin": money(one.initial_margin),
            "openOrderInitialMargin": "0",
        })  # fmt: skip
    return {**_rights(call), **_totals(assets), "assets": [one.row(now_ms) for one in assets], "positions": rows}


def account_v3(call: Call) -> dict[str, object]:
    """`/fapi/v3/account`: open positions only."""
    assets, now_ms = _assets(call), call.desk.now_ms()
    rows = [_position_account(call.desk.lines[one.listing], one) for one in _positions(call).values() if one.quantity]
    return {**_totals(assets), "assets": [one.row(now_ms) for one in assets], "positions": rows}


def account_config(call: Call) -> dict[str, object]:
    """`/fapi/v1/accountConfig`."""
    return {**_rights(call), "dualSidePosition": call.desk.exchange.setup.is_hedge}


def symbol_config(call: Call) -> list[dict[str, object]]:
    """`/fapi/v1/symbolConfig`."""
    return [
        {
            "symbol": line.symbol,
            "marginType": "CROSSED",
            "isAutoAddMargin": "false",
            "leverage": call.account.leverage(line.index),
            "maxNotionalValue": MAX_NOTIONAL,
        }
        for line in call.lines()
    ]


def _flat(call: Call, line: Line) -> PositionView:
    leverage = call.account.leverage(line.index)
    mark = call.desk.mark(line)
    return PositionView(line.index, _ZERO, _ZERO, mark, leverage, _ZERO, _ZERO, None, _ZERO, _ZERO, 0)


def _position_account(line: Line, one: PositionView) -> dict[str, object]:
    return {
        "symbol": line.symbol,
        "positionSide": "BOTH",
        "positionAmt": line.printer.quantity(one.quantity),
        "unrealizedProfit": money(one.unrealised),
        "isolatedMargin": money(_ZERO),
        "notional": money(one.quantity * one.mark),
        "isolatedWallet": "0",
        "initialMargin": money(one.initial_margin),
        "maintMargin": money(one.maintenance_margin),
        "updateTime": milliseconds(one.updated_ns),
    }


def _risk(line: Line, one: PositionView) -> dict[str, object]:
    return {
        "symbol": line.symbol,
        "positionSide": "BOTH",
        "positionAmt": line.printer.quantity(one.quantity),
        "entryPrice": fine(one.entry_price),
        "breakEvenPrice": fine(one.break_even),
        "markPrice": money(one.mark),
        "unRealizedProfit": money(one.unrealised),
        "liquidationPrice": fine(one.liquidation_price),
        "isolatedMargin": money(_ZERO),
        "notional": money(one.quantity * one.mark),
        "isolatedWallet": "0",
        "updateTime": milliseconds(one.updated_ns),
    }


def position_risk_v2(call: Call) -> list[dict[str, object]]:
    """`/fapi/v2/positionRisk`: every symbol, flat or not."""
    positions = _positions(call)
    rows = []
    for line in call.lines():
        one = positions.get(line.index) or _flat(call, line)
        rows.append({
            **_risk(line, one),
            "leverage": str(one.leverage),
            "maxNotionalValue": MAX_NOTIONAL,
            "marginType": "cross",
            "isAutoAddMargin": "false",
        })  # fmt: skip
    return rows


def position_risk_v3(call: Call) -> list[dict[str, object]]:
    """`/fapi/v3/positionRisk`: symbols with a position or open orders."""
    positions = _positions(call)
    rows = []
    for line in call.lines():
        one = positions.get(line.index) or _flat(call, line)
        if one.quantity or call.account.open_orders(line.index):
            rows.append({
                **_risk(line, one),
                "marginAsset": line.instrument.settle or line.instrument.quote,
                "initialMargin": money(one.initial_margin),
                "maintMargin": money(one.maintenance_margin),
                "positionInitialMargin": money(one.initial_margin),
                "openOrderInitialMargin": "0",
                "adl": 1 if one.quantity else 0,
                "bidNotional": "0",
                "askNotional": "0",
            })  # fmt: skip
    return rows


def position_ws(call: Call) -> list[dict[str, object]]:
    """The same over the WebSocket API, which spells `unrealizedProfit` another way."""
    rows = position_risk_v3(call)
    return [row | {"unrealizedProfit": row["unRealizedProfit"]} for row in rows]
