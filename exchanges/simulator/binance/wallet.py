"""`/sapi` beside `capital`: transfers between wallets, what is there, fees, and what the key may do."""

from bot.domain.instrument import Segment
from exchanges.simulator.binance.desk import wallet_name
from exchanges.simulator.binance.errors import Rejected, missing
from exchanges.simulator.binance.gateway import Call
from exchanges.simulator.binance.numbers import milliseconds, money, plain
from exchanges.simulator.binance.spot_account import spot_balances
from exchanges.simulator.core.values import Refusal

_ROUTES = {"MAIN_UMFUTURE": (Segment.SPOT, Segment.LINEAR), "UMFUTURE_MAIN": (Segment.LINEAR, Segment.SPOT)}


def transfer(call: Call) -> dict[str, object]:
    """`POST asset/transfer` between the spot and the futures wallet."""
    kind, asset = call.parameters.required("type"), call.parameters.required("asset").upper()
    amount = call.parameters.decimal("amount")
    if amount is None:
        raise missing("amount")
    if kind not in _ROUTES:
        raise Rejected(-1130, "Data sent for parameter 'type' is not valid.")
    source, target = (wallet_name(call.account, segment) for segment in _ROUTES[kind])
    now_ns = call.desk.now_ns()
    moved = call.account.move(asset, amount, source=source, target=target, ts_ns=now_ns)
    if moved is Refusal.INSUFFICIENT_BALANCE or moved is Refusal.INSUFFICIENT_MARGIN:
        raise Rejected(-5013, "Asset transfer failed: insufficient balance")
    if isinstance(moved, Refusal):
        raise Rejected(-5012, "Transfer operations are restricted.")
    row: dict[str, object] = {
        "asset": asset, "amount": plain(amount), "type": kind, "status": "CONFIRMED", "tranId": moved,
        "timestamp": milliseconds(now_ns),
    }  # fmt: skip
    call.gateway.note_transfer(call.api_key, row)
    return {"tranId": moved}


def transfers(call: Call) -> dict[str, object]:
    """`GET asset/transfer` of one type, newest first."""
    kind = call.parameters.required("type")
    rows = [row for row in reversed(call.gateway.transfers(call.api_key)) if row["type"] == kind]
    size = call.parameters.integer("size", 10) or 10
    return {"total": len(rows), "rows": rows[: min(size, 100)]}


def user_assets(call: Call) -> list[dict[str, object]]:
    """`POST asset/getUserAsset`: what is there."""
    wanted = call.parameters.text("asset").upper()
    return [
        {
            "asset": one.asset, "free": money(one.total - one.locked), "locked": money(one.locked), "freeze": "0",
            "withdrawing": "0", "ipoable": "0", "btcValuation": "0",
        }
        for one in spot_balances(call)
        if one.total and wanted in ("", one.asset)
    ]  # fmt: skip


def trade_fees(call: Call) -> list[dict[str, object]]:
    """`asset/tradeFee`, of one spot symbol or all."""
    rows: list[dict[str, object]] = []
    for line in call.lines():
        maker, taker = call.account.fee_rates(line.index)
        rows.append({"symbol": line.symbol, "makerCommission": plain(maker), "takerCommission": plain(taker)})
    return rows


def bnb_burn(call: Call) -> dict[str, object]:
    """`GET bnbBurn`: whether spot fees are paid in BNB; there is no margin interest here."""
    return {"spotBNBBurn": call.account.pays_in_token(Segment.SPOT), "interestBNBBurn": False}


def set_bnb_burn(call: Call) -> dict[str, object]:
    """`POST bnbBurn`; what is left away stays as it is."""
    if call.parameters.has("spotBNBBurn"):
        call.account.pay_in_token(Segment.SPOT, call.parameters.flag("spotBNBBurn"))
    return bnb_burn(call)


def restrictions(call: Call) -> dict[str, object]:
    """`account/apiRestrictions`."""
    setup = call.desk.exchange.setup
    return {
        "ipRestrict": setup.is_ip_bound,
        "createTime": call.desk.now_ms() - 86_400_000,
        "enableReading": True,
        "enableSpotAndMarginTrading": setup.may_trade,
        "enableWithdrawals": setup.may_withdraw,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": setup.may_trade,
        "permitsUniversalTransfer": True,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enablePortfolioMarginTrading": False,
    }


def system_status(_: Call) -> dict[str, object]:
    """`system/status`."""
    return {"status": 0, "msg": "normal"}


def account_status(_: Call) -> dict[str, object]:
    """`account/status`."""
    return {"data": "Normal"}


def nothing(_: Call) -> list[object]:
    """Margin pairs and the like: none here."""
    return []
