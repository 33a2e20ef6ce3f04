"""A local server that answers as Kraken's and Coinbase's REST interfaces do, and keeps what it was asked."""

import asyncio
import contextlib
import copy
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

KRAKEN_PAIR = {
    "altname": "XBTUSD", "wsname": "XBT/USD", "aclass_base": "currency", "base": "XXBT", "aclass_quote": "currency",
    "quote": "ZUSD", "lot": "unit", "pair_decimals": 1, "lot_decimals": 8, "lot_multiplier": 1, "leverage_buy": [],
    "leverage_sell": [], "fees": [[0, 0.4]], "fees_maker": [[0, 0.25]], "fee_volume_currency": "ZUSD",
    "ordermin": "0.00005", "costmin": "0.5", "tick_size": "0.1", "status": "online",
}  # fmt: skip
"""As Kraken's documentation of AssetPairs shows XXBTZUSD."""
COINBASE_PRODUCT = {
    "product_id": "BTC-USD", "price": "67060", "base_increment": "0.00000001", "quote_increment": "0.01",
    "quote_min_size": "1", "quote_max_size": "150000000", "base_min_size": "0.00000001", "base_max_size": "3400",
    "is_disabled": False, "status": "online", "cancel_only": False, "limit_only": False, "post_only": False,
    "trading_disabled": False, "auction_mode": False, "product_type": "SPOT", "quote_currency_id": "USD",
    "base_currency_id": "BTC", "alias": "", "alias_to": ["BTC-USDC"], "view_only": False, "price_increment": "0.01",
}  # fmt: skip
"""As Coinbase's documentation of List Public Products shows BTC-USD."""
COINBASE_ALIAS = COINBASE_PRODUCT | {
    "product_id": "BTC-USDC", "quote_currency_id": "USDC", "alias": "BTC-USD", "alias_to": [],
}  # fmt: skip
KEY, SECRET = "canary-key-1234", "Y2FuYXJ5LXNlY3JldC01Njc4"  # of no account
FEE = {"minfee": "0.1000", "maxfee": "0.4000", "nextfee": "0.3500", "nextvolume": "10000.0", "tiervolume": "0.0"}


def _answers() -> dict[str, Any]:
    accounts = [
        {
            "uuid": name, "name": f"{name} Wallet", "active": True, "currency": name, "type": "ACCOUNT_TYPE_CRYPTO",
            "available_balance": {"value": free, "currency": name}, "hold": {"value": held, "currency": name},
        }
        for name, free, held in (("BTC", "1.1", "0.1"), ("USD", "5.25", "0"), ("ETH", "0", "0"))
    ]  # fmt: skip
    whole = {
        "/0/public/AssetPairs": {"error": [], "result": {"XXBTZUSD": KRAKEN_PAIR}},
        "/0/public/Assets": {
            "error": [],
            "result": {
                "XXBT": {"aclass": "currency", "altname": "XBT", "decimals": 10, "status": "enabled"},
                "ZUSD": {"aclass": "currency", "altname": "USD", "decimals": 4, "status": "enabled"},
            },
        },
        "/0/private/BalanceEx": {
            "error": [],
            "result": {
                "XXBT": {"balance": "1.2435000001", "hold_trade": "0.8423"},
                "ZUSD": {"balance": "25435.21", "hold_trade": "8249.76"},
                "XETH": {"balance": "0.0000000000", "hold_trade": "0.0000"},
            },
        },
        "/0/private/TradeVolume": {
            "error": [],
            "result": {
                "currency": "ZUSD",
                "volume": "0.0",
                "fees": {"XXBTZUSD": {"fee": "0.3500", **FEE}},
                "fees_maker": {"XXBTZUSD": {"fee": "0.2000", **FEE}},
            },
        },
        "/api/v3/brokerage/market/products": {"products": [COINBASE_PRODUCT, COINBASE_ALIAS], "num_products": "2"},
        "/api/v3/brokerage/accounts": {"accounts": accounts, "has_next": False, "cursor": "", "size": 3},
        "/api/v3/brokerage/transaction_summary": {
            "total_volume": 0,
            "fee_tier": {
                "pricing_tier": "Advanced 1", "usd_from": "0", "usd_to": "1000", "taker_fee_rate": "0.008",
                "maker_fee_rate": "0.006",
            },
        },
    }  # fmt: skip
    return copy.deepcopy(whole)


@dataclass
class Venues:
    """What they answer may be changed."""

    url: str = ""
    answers: dict[str, Any] = field(default_factory=_answers)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)
    signed: list[str] = field(default_factory=list)
    """Bodies and headers of what was asked with a key."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path))
        if {"API-Key", "CB-ACCESS-KEY", "Authorization"} & set(request.headers):
            self.signed.append(f"{dict(request.headers)} {await request.text()}")
        if self.hang:
            await asyncio.Event().wait()
        if self.status != 200:
            return web.Response(status=self.status, headers=self.headers, text=f"{SECRET} refused")
        if request.query.get("product_type") == "FUTURE":
            return web.json_response({"products": []})
        found = self.answers[request.path]
        if isinstance(found, str):
            return web.Response(text=found, content_type="application/json")
        return web.json_response(copy.deepcopy(found), dumps=json.dumps)


@contextlib.asynccontextmanager
async def venues() -> AsyncIterator[Venues]:
    """The server on a port of its own."""
    served = Venues()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", served.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    served.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield served
    finally:
        await runner.cleanup()
