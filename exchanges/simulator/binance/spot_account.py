"""The spot account."""

from decimal import Decimal
from typing import Any

from bot.domain.instrument import Segment
from exchanges.simulator.binance.desk import Line, wallet_segment
from exchanges.simulator.binance.gateway import Call
from exchanges.simulator.binance.numbers import money
from exchanges.simulator.core.values import BalanceView

_ZERO = "0.00000000"
_UID = 354937868


def spot_balances(call: Call) -> list[BalanceView]:
    """The spot wallet."""
    return [one for one in call.account.balances() if wallet_segment(one.wallet) == Segment.SPOT.value]


def _rates(call: Call) -> tuple[Decimal, Decimal]:
    lines = call.desk.segment_lines(Segment.SPOT)
    return call.account.fee_rates(lines[0].index) if lines else (Decimal(0), Decimal(0))


def account(call: Call) -> dict[str, object]:
    """`GET /api/v3/account`."""
    maker, taker = _rates(call)
    omit = call.parameters.flag("omitZeroBalances")
    return {
        "makerCommission": int(maker * 10_000),
        "takerCommission": int(taker * 10_000),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {"maker": money(maker), "taker": money(taker), "buyer": _ZERO, "seller": _ZERO},
        "canTrade": True,
        "canWithdraw": True,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": call.desk.now_ms(),
        "accountType": "SPOT",
        "balances": [
            {"asset": one.asset, "free": money(one.total - one.locked), "locked": money(one.locked)}
            for one in spot_balances(call)
            if one.total or not omit
        ],
        "permissions": ["SPOT"],
        "uid": _UID,
    }


def commission(call: Call) -> dict[str, object]:
    """`GET account/commission`."""
    return commission_rates(call, call.line())


def commission_rates(call: Call, line: Line) -> dict[str, Any]:
    """What a trade of a listing costs the account, as ratios."""
    maker, taker = call.account.fee_rates(line.index)
    none = {"maker": _ZERO, "taker": _ZERO, "buyer": _ZERO, "seller": _ZERO}
    return {
        "symbol": line.symbol,
        "standardCommission": none | {"maker": money(maker), "taker": money(taker)},
        "specialCommission": none,
        "taxCommission": none,
        "discount": {
            "enabledForAccount": call.account.pays_in_token(Segment.SPOT),
            "enabledForSymbol": True,
            "discountAsset": "BNB",
            "discount": "0.75000000",
        },
    }


def order_limits(call: Call) -> list[dict[str, object]]:
    """`rateLimit/order` with what was used."""
    now_ns = call.desk.now_ns()
    windows = call.desk.order_meter(call.api_key, call.segment).windows
    return [window.rate.row(window.count(now_ns)) for window in windows]
