"""What both simulated exchanges say of an account over their own signed REST, asked without any code of the bot."""

import asyncio
import hashlib
import hmac
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from bot.clock import SystemClock

D = Decimal
_MS = 1_000_000
_AGAIN_S = 0.25
_DEADLINE_S = 120
LINEAR = ("BTCUSDT", "ETHUSDT")
SPOT = ("BTCUSDT",)
_UNIFIED = {"BTCUSDT": "BTC/USDT:USDT", "ETHUSDT": "ETH/USDT:USDT"}


@dataclass(frozen=True, slots=True)
class Trade:
    """One own trade; what a fill in the journal must say as well."""

    instrument: str
    trade_id: str
    client_order_id: str
    side: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str

    @property
    def signed(self) -> Decimal:
        """Base units, + bought."""
        return self.quantity if self.side == "buy" else -self.quantity

    @property
    def cash(self) -> Mapping[str, Decimal]:
        """What it does to the balances once the position is flat again, by asset."""
        flows: defaultdict[str, Decimal] = defaultdict(Decimal)
        flows["USDT"] -= self.signed * self.price
        if ":" not in self.instrument.partition(":")[2]:
            flows[self.instrument.partition(":")[2].partition("/")[0]] += self.signed
        flows[self.fee_asset] -= self.fee
        return flows


@dataclass(frozen=True, slots=True)
class Arrived:
    """One order that a venue took."""

    instrument: str
    venue_order_id: str
    client_order_id: str
    created_ms: int
    is_open: bool


class VenueTruth:
    """Asks both exchanges; trades and orders are collected over many looks, so that no answer's limit hides one."""

    def __init__(self, told: Mapping[str, str], session: aiohttp.ClientSession) -> None:
        """`told` is what `--mode simulate` prints."""
        self._url, self._key, self._secret = told["url"], told["api_key"], told["api_secret"]
        self._session = session
        self._clock = SystemClock()
        self._past = 0
        self.orders: dict[tuple[str, str], Arrived] = {}
        """By instrument and the venue's order id."""
        self.trades: dict[tuple[str, str], Trade] = {}
        """By instrument and trade id."""

    # The faults

    async def order_faults(self, faults: Iterable[Mapping[str, Any]]) -> list[int]:
        """Have these happen, `at_s` counted from now; their numbers."""
        orders = [dict(fault) for fault in faults]
        if not orders:
            return []
        numbers: list[int] = (await self._control("POST", "/faults", orders))["numbers"]
        return numbers

    async def struck(self, number: int) -> int:
        """How often a fault did something to anybody."""
        known = (await self._control("GET", "/faults"))["faults"]
        return int(next(one["struck"] for one in known if one["number"] == number))

    async def peace(self) -> list[str]:
        """End every fault; which of those since the last peace struck, and how often."""
        known = (await self._control("GET", "/faults"))["faults"]
        await self._control("DELETE", "/faults")
        past, self._past = self._past, len(known)
        return [f"{one['order']['fault']} at {one['order']['venue']} struck {one['struck']}" for one in known[past:]]

    async def _control(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self._secret}"}
        async with self._session.request(method, f"{self._url}/control{path}", json=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    # What was done

    async def look(self) -> None:
        """Collect orders and trades; call it when no fault is there."""
        for symbol in LINEAR:
            await self._look_at_binance("/fapi/v1/allOrders", "/fapi/v1/userTrades", symbol, _UNIFIED[symbol])
        for symbol in SPOT:
            await self._look_at_binance("/api/v3/allOrders", "/api/v3/myTrades", symbol, "BTC/USDT")
        await self._look_at_bybit()

    async def _look_at_binance(self, orders: str, trades: str, symbol: str, unified: str) -> None:
        instrument = f"binance:{unified}"
        for row in await self._binance(orders, symbol=symbol, limit="1000"):
            is_open = row["status"] in ("NEW", "PARTIALLY_FILLED")
            known = Arrived(instrument, str(row["orderId"]), row["clientOrderId"], row["time"], is_open)
            self.orders[instrument, known.venue_order_id] = known
        for row in await self._binance(trades, symbol=symbol, limit="1000"):
            is_buy = row["buyer" if "buyer" in row else "isBuyer"]
            self.trades[instrument, str(row["id"])] = Trade(
                instrument, str(row["id"]), self.orders[instrument, str(row["orderId"])].client_order_id,
                "buy" if is_buy else "sell", D(row["qty"]), D(row["price"]), D(row["commission"]),
                row["commissionAsset"],
            )  # fmt: skip

    async def _look_at_bybit(self) -> None:
        for path in ("/v5/order/realtime", "/v5/order/history"):  # an order that ends between the two is in the second
            async for row in self._bybit_rows(path, category="linear", settleCoin="USDT", limit="50"):
                instrument = f"bybit:{_UNIFIED[row['symbol']]}"
                is_open = row["orderStatus"] in ("New", "PartiallyFilled")
                known = Arrived(instrument, row["orderId"], row["orderLinkId"], int(row["createdTime"]), is_open)
                self.orders[instrument, known.venue_order_id] = known
        async for row in self._bybit_rows("/v5/execution/list", category="linear", execType="Trade", limit="100"):
            instrument = f"bybit:{_UNIFIED[row['symbol']]}"
            self.trades[instrument, row["execId"]] = Trade(
                instrument, row["execId"], row["orderLinkId"], row["side"].lower(), D(row["execQty"]),
                D(row["execPrice"]), D(row["execFee"]), row["feeCurrency"],
            )  # fmt: skip

    async def open_at_binance(self) -> set[str]:
        """Client ids of the orders that rest on its bitcoin perpetual; also while somebody trades."""
        return {row["clientOrderId"] for row in await self._binance("/fapi/v1/openOrders", symbol="BTCUSDT")}

    # How the account stands

    async def positions(self) -> dict[str, Decimal]:
        """Signed base units of every perpetual that is not flat."""
        found = {}
        for row in await self._binance("/fapi/v3/positionRisk"):
            found[f"binance:{_UNIFIED[row['symbol']]}"] = D(row["positionAmt"])
        async for row in self._bybit_rows("/v5/position/list", category="linear", settleCoin="USDT", limit="200"):
            found[f"bybit:{_UNIFIED[row['symbol']]}"] = D(row["size"]) * (1 if row["side"] == "Buy" else -1)
        return {instrument: quantity for instrument, quantity in found.items() if quantity}

    async def balances(self) -> dict[tuple[str, str], Decimal]:
        """Totals by wallet and asset, without the unrealised profit."""
        found: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for row in (await self._binance("/api/v3/account"))["balances"]:
            found["binance.spot", row["asset"]] = D(row["free"]) + D(row["locked"])
        for row in await self._binance("/fapi/v3/balance"):
            found["binance.linear", row["asset"]] = D(row["balance"])
        for account in (await self._bybit("/v5/account/wallet-balance", accountType="UNIFIED"))["list"]:
            for row in account["coin"]:
                found["bybit.unified", row["coin"]] = D(row["walletBalance"])
        return found

    async def funding(self) -> dict[tuple[str, str], Decimal]:
        """Received, by wallet and asset."""
        found: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for row in await self._binance("/fapi/v1/income", incomeType="FUNDING_FEE", limit="1000"):
            found["binance.linear", row["asset"]] += D(row["income"])
        async for row in self._bybit_rows("/v5/execution/list", category="linear", execType="Funding", limit="100"):
            found["bybit.unified", "USDT"] -= D(row["execFee"])
        return found

    # The wire

    async def _bybit_rows(self, path: str, **values: str) -> AsyncIterator[Any]:
        while True:
            page = await self._bybit(path, **values)
            for row in page["list"]:
                yield row
            if not page["nextPageCursor"]:
                return
            values["cursor"] = page["nextPageCursor"]

    async def _binance(self, path: str, **values: str) -> Any:
        return await self._asked(lambda: self._once_at_binance(path, values))

    async def _bybit(self, path: str, **values: str) -> Any:
        answer = await self._asked(lambda: self._once_at_bybit(path, values))
        return answer["result"]

    async def _once_at_binance(self, path: str, values: Mapping[str, str]) -> tuple[int, Any]:
        query = urlencode({**values, "recvWindow": "60000", "timestamp": str(self._clock.now_ns() // _MS)})
        signed = f"{query}&signature={self._sign(query)}"
        return await self._get(f"{path}?{signed}", {"X-MBX-APIKEY": self._key})

    async def _once_at_bybit(self, path: str, values: Mapping[str, str]) -> tuple[int, Any]:
        # A cursor comes percent-encoded, and goes back as it came.
        query = "&".join(f"{name}={value}" for name, value in values.items())
        stamp, window = str(self._clock.now_ns() // _MS), "60000"
        headers = {
            "X-BAPI-API-KEY": self._key, "X-BAPI-TIMESTAMP": stamp, "X-BAPI-RECV-WINDOW": window,
            "X-BAPI-SIGN": self._sign(stamp + self._key + window + query),
        }  # fmt: skip
        status, answer = await self._get(f"{path}?{query}", headers)
        return (status, answer) if answer.get("retCode") == 0 else (400, answer)

    async def _get(self, path: str, headers: Mapping[str, str]) -> tuple[int, Any]:
        async with self._session.get(URL(self._url + path, encoded=True), headers=headers) as answer:
            return answer.status, json.loads(await answer.text())

    async def _asked(self, once: Any) -> Any:
        """Asked until it is answered: a clock that drifted comes back, and a budget that is used up, too."""
        async with asyncio.timeout(_DEADLINE_S):
            while True:
                status, answer = await once()
                if status == 200:
                    return answer
                await asyncio.sleep(_AGAIN_S if status != 429 else 5)

    def _sign(self, text: str) -> str:
        return hmac.new(self._secret.encode(), text.encode(), hashlib.sha256).hexdigest()
