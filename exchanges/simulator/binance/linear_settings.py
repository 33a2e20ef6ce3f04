"""What a USDⓈ-M account is set to: fees, leverage, modes; and the keys of its private streams."""

from bot.domain.instrument import Segment
from exchanges.simulator.binance.errors import Rejected, missing, refused
from exchanges.simulator.binance.gateway import Call
from exchanges.simulator.core.values import Refusal

MAX_NOTIONAL = "300000000"
_MAX_LEVERAGE = 125


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
    return {"symbol": line.symbol, "leverage": leverage, "maxNotionalValue": MAX_NOTIONAL}


def set_margin_type(call: Call) -> dict[str, object]:
    """`POST marginType`: accounts are cross and stay so; isolated is refused as in Multi-Assets mode."""
    call.line()
    if call.parameters.required("marginType").upper() == "CROSSED":
        raise Rejected(-4046, "No need to change margin type.")
    if call.parameters.required("marginType").upper() != "ISOLATED":
        raise Rejected(-1130, "Data sent for parameter 'marginType' is not valid.")
    raise Rejected(-4168, "Unable to adjust to isolated-margin mode under the Multi-Assets mode.")


def position_mode(call: Call) -> dict[str, object]:
    """`GET positionSide/dual`: one-way, unless a fault says otherwise."""
    return {"dualSidePosition": call.desk.exchange.setup.is_hedge}


def set_position_mode(call: Call) -> dict[str, object]:
    """`POST positionSide/dual`: one-way already; hedge mode is refused as with a position open."""
    call.parameters.required("dualSidePosition")
    if not call.parameters.flag("dualSidePosition"):
        raise Rejected(-4059, "No need to change position side.")
    raise Rejected(-4068, "Position side cannot be changed if there exists position.")


def multi_assets(call: Call) -> dict[str, object]:
    """`GET multiAssetsMargin`: single-asset mode, unless a fault says otherwise."""
    return {"multiAssetsMargin": call.desk.exchange.setup.is_multi_asset}


def leverage_brackets(call: Call) -> object:
    """One bracket a symbol."""
    bracket = {
        "bracket": 1, "initialLeverage": _MAX_LEVERAGE, "notionalCap": int(MAX_NOTIONAL), "notionalFloor": 0,
        "maintMarginRatio": 0.004, "cum": 0.0,
    }  # fmt: skip
    rows = [{"symbol": line.symbol, "notionalCoef": 1.0, "brackets": [bracket]} for line in call.lines()]
    return rows[0] if call.parameters.has("symbol") else rows


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
