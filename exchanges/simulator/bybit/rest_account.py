"""`/v5/account` and `/v5/user`.

Source: https://bybit-exchange.github.io/docs/v5/account/wallet-balance (and its neighbours).
"""

from decimal import Decimal
from typing import Any

from exchanges.simulator.bybit.catalogue import plain
from exchanges.simulator.bybit.errors import ApiError
from exchanges.simulator.bybit.requests import Call, Endpoint
from exchanges.simulator.bybit.transaction_log import transaction_log

_UNIFIED_TRADING_ACCOUNT_2 = 5
_USER = 24_617_703
_CREATED = "2026-01-01T00:00:00Z"
_EXPIRES = "2099-12-31T00:00:00Z"


def wallet_balance(call: Call) -> dict[str, Any]:
    """The unified wallet."""
    if call.params.text("accountType") != "UNIFIED":
        raise ApiError(10001, "accountType only support UNIFIED.")
    coins = [coin for coin in call.params.text("coin", "").split(",") if coin]
    found = call.own.wallet(coins)
    if not coins:
        # Coins without any balance are not told.
        found = {**found, "coin": [row for row in found["coin"] if Decimal(row["walletBalance"])]}
    return {"list": [found]}


def info(call: Call) -> dict[str, Any]:
    """Margin mode and kind of the account."""
    windows = call.venue.protection.windows(call.own)
    return {
        "marginMode": "REGULAR_MARGIN",
        "updatedTime": str(call.now_ms),
        "unifiedMarginStatus": _UNIFIED_TRADING_ACCOUNT_2,
        "dcpStatus": "ON" if windows else "OFF",
        "timeWindow": max(windows.values(), default=10),
        "smpGroup": 0,
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
    }


def fee_rate(call: Call) -> dict[str, Any]:
    """Maker and taker rates."""
    category, symbol = call.params.text("category"), call.params.text("symbol", "")
    catalogue = call.venue.catalogue
    entries = [catalogue.find(category, symbol)] if symbol else catalogue.of(category)
    rows = []
    for entry in entries:
        maker, taker = call.own.account.fee_rates(entry.index)
        row = {"symbol": entry.symbol, "takerFeeRate": plain(taker), "makerFeeRate": plain(maker)}
        rows.append({**row, "baseCoin": entry.instrument.base if entry.is_spot else ""})
    return {"category": category, "list": rows}


def query_api(call: Call) -> dict[str, Any]:
    """What the key may do."""
    call.message = ""
    setup = call.venue.exchange.setup
    return {
        "id": "13770661",
        "note": "simulated",
        "apiKey": call.own.key,
        "readOnly": 0 if setup.may_trade else 1,
        "secret": "",
        "permissions": {
            "ContractTrade": ["Order", "Position"],
            "Spot": ["SpotTrade"],
            "Wallet": ["AccountTransfer", "SubMemberTransfer", *(["Withdraw"] if setup.may_withdraw else [])],
            "Options": ["OptionsTrade"],
            "Derivatives": ["DerivativesTrade"],
            "CopyTrading": [],
            "BlockTrade": [],
            "Exchange": [],
            "NFT": [],
            "Affiliate": [],
            "Earn": [],
        },
        "ips": ["127.0.0.1"] if setup.is_ip_bound else ["*"],
        "type": 1,
        "deadlineDay": 90,
        "expiredAt": _EXPIRES,
        "createdAt": _CREATED,
        "unified": 0,
        "uta": 1,
        "userID": _USER,
        "inviterID": 0,
        "vipLevel": _vip_level(call.own.account.fee_tier()),
        "mktMakerLevel": "0",
        "affiliateID": 0,
        "rsaPublicKey": "",
        "isMaster": True,
        "parentUid": "0",
        "kycLevel": "LEVEL_DEFAULT",
        "kycRegion": "",
    }


def _vip_level(tier: str) -> str:
    return "No VIP" if tier == "regular" else f"VIP-{tier.removeprefix('vip').title()}"


ENDPOINTS = (
    Endpoint("GET", "/v5/account/wallet-balance", wallet_balance, "read"),
    Endpoint("GET", "/v5/account/info", info, "read"),
    Endpoint("GET", "/v5/account/fee-rate", fee_rate, "account"),
    Endpoint("GET", "/v5/account/transaction-log", transaction_log, "read"),
    Endpoint("GET", "/v5/user/query-api", query_api, "account"),
)
