"""The USDⓈ-M account: balances, positions, leverage and modes, income."""

from collections.abc import Iterable
from decimal import Decimal

from bot.domain.instrument import Segment
from exchanges.simulator.binance.desk import Line, wallet_segment
from exchanges.simulator.binance.errors import Rejected, missing, refused
from exchanges.simulator.binance.gateway import Call
from exchanges.simulator.binance.numbers import fine, milliseconds, money
from exchanges.simulator.binance.orders import time_filter
from exchanges.simulator.core.values import AccountChanged, BalanceView, Cause, PositionView, Refusal

_ZERO = Decimal(0)
_MAX_LEVERAGE = 125
_MAX_NOTIONAL = "300000000"
_INCOME = {Cause.FUNDING: "FUNDING_FEE", Cause.TRANSFER: "TRANSFER", Cause.INSURANCE: "INSURANCE_CLEAR"}
"""Liquidations and ADL are told by their fills: profit and commission."""


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
            "maxNotional": _MAX_NOTIONAL,
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
    return {**_rights(call), "dualSidePosition": False}


def symbol_config(call: Call) -> list[dict[str, object]]:
    """`/fapi/v1/symbolConfig`."""
    return [
        {
            "symbol": line.symbol,
            "marginType": "CROSSED",
            "isAutoAddMargin": "false",
            "leverage": call.account.leverage(line.index),
            "maxNotionalValue": _MAX_NOTIONAL,
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
            "maxNotionalValue": _MAX_NOTIONAL,
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


def commission_rate(call: Call) -> dict[str, object]:
    """Maker and taker."""
    line = call.line()
    maker, taker = call.account.fee_rates(line.index)
    return {
        "symbol": line.symbol,
        "makerCommissionRate": f"{maker:.6f}",
        "takerCommissionRate": f"{taker:.6f}",
        "rpiCommissionRate": "0.000050",
    }


def fee_burn(call: Call) -> dict[str, object]:
    """`GET feeBurn`: whether fees are paid in BNB."""
    return {"feeBurn": call.account.pays_in_token(Segment.LINEAR)}


def set_fee_burn(call: Call) -> dict[str, object]:
    """`POST feeBurn`."""
    call.parameters.required("feeBurn")
    call.account.pay_in_token(Segment.LINEAR, call.parameters.flag("feeBurn"))
    return {"code": 200, "msg": "success"}


def set_leverage(call: Call) -> dict[str, object]:
    """`POST leverage`; who listens is told."""
    line, leverage = call.line(), call.parameters.integer("leverage")
    if leverage is None:
        raise missing("leverage")
    if not 1 <= leverage <= _MAX_LEVERAGE:
        raise Rejected(-4028, f"Leverage {leverage} is not valid")
    why = call.account.set_leverage(line.index, leverage)
    if why is Refusal.INSUFFICIENT_MARGIN:
        raise Rejected(-2019, "Margin is insufficient.")
    if why is not None and why is not Refusal.NOT_CHANGED:
        raise refused(why, Segment.LINEAR)
    feed = call.gateway.feeds.of(call.api_key, call.account, Segment.LINEAR)
    ms = call.desk.now_ms()
    event = {"e": "ACCOUNT_CONFIG_UPDATE", "E": ms, "T": ms, "ac": {"s": line.symbol, "l": leverage}}
    feed.tell("ACCOUNT_CONFIG_UPDATE", event)
    return {"symbol": line.symbol, "leverage": leverage, "maxNotionalValue": _MAX_NOTIONAL}


def set_margin_type(call: Call) -> dict[str, object]:
    """`POST marginType`: accounts are cross and stay so; isolated is refused as in Multi-Assets mode."""
    call.line()
    if call.parameters.required("marginType").upper() == "CROSSED":
        raise Rejected(-4046, "No need to change margin type.")
    if call.parameters.required("marginType").upper() != "ISOLATED":
        raise Rejected(-1130, "Data sent for parameter 'marginType' is not valid.")
    raise Rejected(-4168, "Unable to adjust to isolated-margin mode under the Multi-Assets mode.")


def position_mode(_: Call) -> dict[str, object]:
    """`GET positionSide/dual`: one-way."""
    return {"dualSidePosition": False}


def set_position_mode(call: Call) -> dict[str, object]:
    """`POST positionSide/dual`: one-way already; hedge mode is refused as with a position open."""
    call.parameters.required("dualSidePosition")
    if not call.parameters.flag("dualSidePosition"):
        raise Rejected(-4059, "No need to change position side.")
    raise Rejected(-4068, "Position side cannot be changed if there exists position.")


def multi_assets(_: Call) -> dict[str, object]:
    """`GET multiAssetsMargin`: single-asset mode."""
    return {"multiAssetsMargin": False}


def leverage_brackets(call: Call) -> object:
    """One bracket a symbol."""
    bracket = {
        "bracket": 1, "initialLeverage": _MAX_LEVERAGE, "notionalCap": int(_MAX_NOTIONAL), "notionalFloor": 0,
        "maintMarginRatio": 0.004, "cum": 0.0,
    }  # fmt: skip
    rows = [{"symbol": line.symbol, "notionalCoef": 1.0, "brackets": [bracket]} for line in call.lines()]
    return rows[0] if call.parameters.has("symbol") else rows


def income(call: Call) -> list[dict[str, object]]:
    """Funding, transfers, realised profit and commissions, oldest first."""
    within = time_filter(call)
    limit, kind = call.parameters.limit(100, 1000), call.parameters.text("incomeType")
    line = call.line_if_named()
    rows = [*_changes(call), *_from_fills(call)]
    rows.sort(key=lambda row: int(str(row["time"])))
    for number, row in enumerate(rows, 1):
        row["tranId"] = str(9_000_000_000 + number)
    chosen = [
        row
        for row in rows
        if (line is None or row["symbol"] == line.symbol)
        and kind in ("", row["incomeType"])
        and within(int(str(row["time"])) * 1_000_000)
    ]
    return chosen[-limit:]


def _income(symbol: str, kind: str, amount: Decimal, asset: str, ts_ns: int, trade: object) -> dict[str, object]:
    return {
        "symbol": symbol, "incomeType": kind, "income": money(amount), "asset": asset, "info": kind,
        "time": milliseconds(ts_ns), "tranId": "", "tradeId": trade,
    }  # fmt: skip


def _changes(call: Call) -> Iterable[dict[str, object]]:
    for event in call.account.income():
        kind = _INCOME.get(event.cause) if isinstance(event, AccountChanged) else None
        if kind is None or not isinstance(event, AccountChanged):
            continue
        wallets = {wallet_segment(one.wallet) for one in event.balances}
        if Segment.LINEAR.value in wallets:
            line = call.desk.lines.get(event.listing) if event.listing is not None else None
            yield _income(line.symbol if line else "", kind, event.amount, event.asset, event.ts_ns, "")


def _from_fills(call: Call) -> Iterable[dict[str, object]]:
    for line in call.desk.segment_lines(Segment.LINEAR):
        settle = line.instrument.settle or line.instrument.quote
        for fill in call.account.fills(line.index):
            yield _income(line.symbol, "COMMISSION", -fill.fee, fill.fee_asset, fill.ts_ns, fill.trade_id)
            if fill.realised:
                yield _income(line.symbol, "REALIZED_PNL", fill.realised, settle, fill.ts_ns, fill.trade_id)


def open_listen_key(call: Call) -> dict[str, object]:
    """`POST listenKey`."""
    return {"listenKey": call.gateway.listen_keys.open(call.api_key)}


def keep_listen_key(call: Call) -> dict[str, object]:
    """`PUT listenKey`."""
    return {"listenKey": call.gateway.listen_keys.keep_alive(call.api_key)}


def close_listen_key(call: Call) -> dict[str, object]:
    """`DELETE listenKey`."""
    call.gateway.listen_keys.end(call.api_key)
    return {}
