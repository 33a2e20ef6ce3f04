"""What the simulated exchanges tell over HTTP adds up: trading, recomputed by arithmetic of this file's own.

Only documented answers are used: trades, fundings, transfers, withdrawals and deposits explain every balance.
"""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from tests.contract.sim_two_venues import SECOND_NS, TwoVenues, two_venues

D = Decimal
SETTLES_NS = 1_790_006_400 * SECOND_NS
SYMBOLS = ("BTCUSDT", "ETHUSDT")
SIZE = {"BTCUSDT": "0.01", "ETHUSDT": "0.1"}
FUNDED = {"USDT": D(100_000), "BTC": D(2), "ETH": D(30)}
EIGHTH = D("1e-8")

Amounts = defaultdict[str, Decimal]


def amounts(start: dict[str, Decimal]) -> Amounts:
    return defaultdict(Decimal, start)


async def traded(both: TwoVenues, seed: int) -> None:
    """Orders of every kind on both venues and segments, and money on its way between all wallets."""
    random = Random(seed)
    for turn in range(40):
        symbol, side = random.choice(SYMBOLS), random.choice(("BUY", "SELL"))
        kind = random.choice(("MARKET", "LIMIT", "IOC"))
        if random.random() < 0.5:
            await _on_binance(both, random.choice(("/api/v3", "/fapi/v1")), symbol, side, kind)
        else:
            await _on_bybit(both, random.choice(("spot", "linear")), symbol, side, kind)
        if turn == 20:
            await moved(both)
        both.step(random.choice((0.1, 0.5)))


async def _on_binance(both: TwoVenues, prefix: str, symbol: str, side: str, kind: str) -> None:
    order: dict[str, Any] = {"symbol": symbol, "side": side, "quantity": SIZE[symbol], "type": "MARKET"}
    if kind != "MARKET":
        price = await _binance_price(both, prefix, symbol, side, crosses=kind == "IOC")
        order |= {"type": "LIMIT", "price": price, "timeInForce": "IOC" if kind == "IOC" else "GTC"}
    status, answer = await both.ask_binance("POST", f"{prefix}/order", **order)
    assert status == 200, answer


async def _binance_price(both: TwoVenues, prefix: str, symbol: str, side: str, *, crosses: bool) -> str:
    _, book = await both.ask_binance("GET", f"{prefix}/ticker/bookTicker", symbol=symbol)
    return str(book["askPrice" if (side == "BUY") is crosses else "bidPrice"])


async def _on_bybit(both: TwoVenues, category: str, symbol: str, side: str, kind: str) -> None:
    order = {"category": category, "symbol": symbol, "side": side.title(), "qty": SIZE[symbol], "orderType": "Market"}
    if category == "spot" and kind == "MARKET":
        order |= {"marketUnit": "baseCoin"}
    if kind != "MARKET":
        book = (await both.ask_bybit("GET", "/v5/market/orderbook", category=category, symbol=symbol))["result"]
        level = book["a" if (side == "BUY") is (kind == "IOC") else "b"][0]
        order |= {"orderType": "Limit", "price": level[0], "timeInForce": "IOC" if kind == "IOC" else "GTC"}
    answer = await both.ask_bybit("POST", "/v5/order/create", **order)
    assert answer["retCode"] == 0, answer


async def moved(both: TwoVenues) -> None:
    sent = {"type": "MAIN_UMFUTURE", "asset": "USDT", "amount": "123.45"}
    assert (await both.ask_binance("POST", "/sapi/v1/asset/transfer", **sent))[0] == 200
    chains = (await both.ask_bybit("GET", "/v5/asset/deposit/query-address", coin="USDT"))["result"]["chains"]
    address = next(one["addressDeposit"] for one in chains if one["chain"] == "TRX")
    out = {"coin": "USDT", "network": "TRX", "address": address, "amount": "500"}
    assert (await both.ask_binance("POST", "/sapi/v1/capital/withdraw/apply", **out))[0] == 200
    _, back = await both.ask_binance("GET", "/sapi/v1/capital/deposit/address", coin="USDT", network="TRX")
    for fee_type, amount in ((0, "40"), (1, "50")):
        sent = {"coin": "USDT", "chain": "TRX", "address": back["address"], "amount": amount, "accountType": "UTA",
                "timestamp": both.now_ms}  # fmt: skip
        answer = await both.ask_bybit("POST", "/v5/asset/withdraw/create", **sent, feeType=fee_type)
        assert answer["retCode"] == 0, answer


@pytest.fixture
async def after() -> Any:
    """A stretch of trading that funding has settled in, and a minute in which money has arrived."""
    async with two_venues(SETTLES_NS - 14 * SECOND_NS, time_scale=1000) as both:
        await traded(both, seed=5)
        both.step(5)
        assert both.pump.now_ns() > SETTLES_NS
        yield both


async def test_binance_spot_balances_are_explained_to_the_last_digit(after: TwoVenues) -> None:
    held = amounts(FUNDED)
    for symbol in SYMBOLS:
        _, trades = await after.ask_binance("GET", "/api/v3/myTrades", symbol=symbol)
        assert trades
        for one in trades:
            sign = 1 if one["isBuyer"] else -1
            held[symbol.removesuffix("USDT")] += sign * D(one["qty"])
            held["USDT"] -= sign * D(one["price"]) * D(one["qty"])
            held[one["commissionAsset"]] -= D(one["commission"])
    _, moves = await after.ask_binance("GET", "/sapi/v1/asset/transfer", type="MAIN_UMFUTURE")
    held["USDT"] -= sum(D(one["amount"]) for one in moves["rows"])
    _, sent = await after.ask_binance("GET", "/sapi/v1/capital/withdraw/history")
    held["USDT"] -= sum(D(one["amount"]) + D(one["transactionFee"]) for one in sent)
    _, received = await after.ask_binance("GET", "/sapi/v1/capital/deposit/hisrec")
    assert {one["status"] for one in received} == {1}
    assert sorted(D(one["amount"]) for one in received) == [D(40), D(49)]
    held["USDT"] += sum(D(one["amount"]) for one in received)
    _, account = await after.ask_binance("GET", "/api/v3/account")
    told = {one["asset"]: D(one["free"]) + D(one["locked"]) for one in account["balances"]}
    assert {asset: told[asset] for asset in held} == held


async def test_binance_futures_balance_is_explained_by_trades_and_by_income(after: TwoVenues) -> None:
    asked = [await after.ask_binance("GET", "/fapi/v1/userTrades", symbol=symbol) for symbol in SYMBOLS]
    trades = [one for _, told in asked for one in told]
    _, income = await after.ask_binance("GET", "/fapi/v1/income", limit=1000)
    _, (balance,) = await after.ask_binance("GET", "/fapi/v3/balance")
    _, risks = await after.ask_binance("GET", "/fapi/v3/positionRisk")
    assert trades
    by_kind: Amounts = defaultdict(Decimal)
    for row in income:
        by_kind[row["incomeType"]] += D(row["income"])
    assert by_kind["FUNDING_FEE"]
    assert by_kind["TRANSFER"] == D("123.45")
    assert by_kind["COMMISSION"] == -sum(D(one["commission"]) for one in trades)
    wallet = D(balance["balance"])
    # Realised profits and fundings have more digits than the eight that are printed.
    assert abs(FUNDED["USDT"] + sum(by_kind.values()) - wallet) <= EIGHTH * len(income)
    # Without asking what was realised: cash of all trades, and the position at the mark.
    cash = FUNDED["USDT"] + by_kind["FUNDING_FEE"] + by_kind["TRANSFER"] + by_kind["COMMISSION"]
    cash += sum((-1 if one["buyer"] else 1) * D(one["price"]) * D(one["qty"]) for one in trades)
    worth = sum(D(one["positionAmt"]) * D(one["markPrice"]) for one in risks)
    assert abs(cash + worth - (wallet + D(balance["crossUnPnl"]))) <= EIGHTH * len(income)
    net = {symbol: D(0) for symbol in SYMBOLS}
    for one in trades:
        net[one["symbol"]] += (1 if one["buyer"] else -1) * D(one["qty"])
    assert {one["symbol"]: D(one["positionAmt"]) for one in risks} == {name: size for name, size in net.items() if size}


def _bybit_cash(rows: Iterable[dict[str, Any]]) -> Amounts:
    held = amounts(FUNDED)
    for one in rows:
        sign = 1 if one["side"] == "Buy" else -1
        if one["execType"] == "Trade" and one["category"] == "spot":
            held[one["symbol"].removesuffix("USDT")] += sign * D(one["execQty"])
        if one["execType"] == "Trade":
            held["USDT"] -= sign * D(one["execValue"])
        held[one["feeCurrency"]] -= D(one["execFee"])
    return held


async def test_bybits_balances_are_explained_to_the_last_digit(after: TwoVenues) -> None:
    rows = [
        one for category in ("spot", "linear") for one in await after.pages("/v5/execution/list", category=category)
    ]
    assert {one["execType"] for one in rows} == {"Trade", "Funding"}
    held = _bybit_cash(rows)
    sent = await after.pages("/v5/asset/withdraw/query-record", "rows")
    assert sorted((D(one["amount"]), D(one["withdrawFee"])) for one in sent) == [(D(40), D(1)), (D(49), D(1))]
    received = await after.pages("/v5/asset/deposit/query-record", "rows")
    assert [(D(one["amount"]), one["status"]) for one in received] == [(D(499), 3)]
    wallet = (await after.ask_bybit("GET", "/v5/account/wallet-balance", accountType="UNIFIED"))["result"]["list"][0]
    fund = (
        await after.ask_bybit("GET", "/v5/asset/transfer/query-account-coins-balance", accountType="FUND", coin="USDT")
    )["result"]["balance"][0]
    held["USDT"] += D(499) - sum(D(one["amount"]) + D(one["withdrawFee"]) for one in sent)
    positions = (await after.ask_bybit("GET", "/v5/position/list", category="linear", settleCoin="USDT"))["result"]
    for one in positions["list"]:
        held["USDT"] += (1 if one["side"] == "Buy" else -1) * D(one["positionValue"])
    told = {one["coin"]: D(one["walletBalance"]) for one in wallet["coin"]}
    assert told["BTC"] == held["BTC"]
    assert told["ETH"] == held["ETH"]
    # An average price ends at the eighteenth decimal.
    assert abs(told["USDT"] + D(fund["walletBalance"]) - held["USDT"]) < D("1e-12")


async def test_bybits_log_is_a_chain_of_balances(after: TwoVenues) -> None:
    log = await after.pages("/v5/account/transaction-log")
    wallet = (await after.ask_bybit("GET", "/v5/account/wallet-balance", accountType="UNIFIED"))["result"]["list"][0]
    balance = {one["coin"]: D(one["walletBalance"]) for one in wallet["coin"]}
    assert {one["type"] for one in log} == {"TRADE", "SETTLEMENT", "TRANSFER_OUT"}
    for one in log:
        assert D(one["cashBalance"]) == balance[one["currency"]], one
        balance[one["currency"]] -= D(one["change"])
        assert D(one["change"]) == D(one["cashFlow"]) - D(one["fee"]) + D(one["funding"] or 0)
    assert balance == FUNDED
