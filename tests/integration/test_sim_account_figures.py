"""Figures of accounts as clients read them over HTTP: margin that can be used, prices, causes, counts."""

from decimal import Decimal
from typing import Any

import pytest

from bot.errors import SettingsError
from exchanges.simulator.faults.guide import faults_from_lines
from tests.integration.sim_fault_venue_rig import LINEAR, SPOT, Here, connected

D = Decimal


async def wallet(here: Here) -> dict[str, Any]:
    answer = (await here.bybit("GET", "/v5/account/wallet-balance", accountType="UNIFIED")).json
    (row,) = answer["result"]["list"]
    return row


def coin(row: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in row["coin"] if one["coin"] == name)


async def test_bybits_margin_is_what_can_be_used_and_its_equity_is_everything() -> None:
    async with connected() as here:
        row = await wallet(here)
        assert D(row["totalAvailableBalance"]) == D(row["totalMarginBalance"]) == 100_000
        assert D(row["totalEquity"]) > 200_000
        for name, is_collateral in (("USDT", True), ("BTC", False), ("ETH", False)):
            one = coin(row, name)
            assert (one["marginCollateral"], one["collateralSwitch"]) == (is_collateral, is_collateral)

        # A reserve in a coin that is no collateral takes nothing from what the others can use.
        await here.order("bybit", SPOT, "a", side="sell", quantity="0.5", price=here.price("bybit", SPOT, 1.01))
        assert D((await wallet(here))["totalAvailableBalance"]) == 100_000
        price = here.price("bybit", SPOT, 0.99)
        await here.order("bybit", SPOT, "b", price=price)
        reserved = 100_000 - D((await wallet(here))["totalAvailableBalance"])
        assert reserved == D(price) * D("0.01")

        # What is told as available is what an order may use, to within its fee and the spread.
        await here.order("bybit", LINEAR, "c", life="market")
        row = await wallet(here)
        initial = D(row["totalInitialMargin"])
        assert initial > 0
        assert D(row["totalAvailableBalance"]) == D(row["totalMarginBalance"]) - initial - reserved


async def test_bybits_current_profit_is_the_positions_own() -> None:
    async with connected() as here:

        async def pnl() -> tuple[Decimal, Decimal]:
            answer = (await here.bybit("GET", "/v5/position/list", category="linear", symbol="BTCUSDT")).json
            (row,) = answer["result"]["list"]
            return D(row["curRealisedPnl"]), D(row["cumRealisedPnl"])

        await here.order("bybit", LINEAR, "a", life="market")
        own, ever = await pnl()
        assert own == ever < 0
        await here.order("bybit", LINEAR, "b", side="sell", life="market")
        flat, ever_flat = await pnl()
        assert (flat, ever_flat < ever) == (0, True)
        await here.order("bybit", LINEAR, "c", life="market")
        again, ever_again = await pnl()
        assert ever_again < again < 0
        assert D(coin(await wallet(here), "USDT")["cumRealisedPnl"]) == pytest.approx(ever_again, abs=D("1e-7"))


async def test_binances_prices_of_a_position_have_eight_digits_and_break_even_after_fees() -> None:
    async with connected() as here:
        for name, side, quantity in (("a", "buy", "3"), ("b", "sell", "1"), ("c", "buy", "7")):
            await here.order("binance", LINEAR, name, side=side, quantity=quantity, life="market")
        (row,) = (await here.binance("GET", "/fapi/v3/positionRisk", symbol="BTCUSDT")).json
        for name in ("entryPrice", "breakEvenPrice", "liquidationPrice"):
            assert 0 < len(row[name].partition(".")[2]) <= 8, row[name]
        assert D(row["liquidationPrice"]) < D(row["entryPrice"]) < D(row["breakEvenPrice"])
        trades = (await here.binance("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")).json
        lost = sum(D(one["commission"]) - D(one["realizedPnl"]) for one in trades)
        expected = D(row["entryPrice"]) + lost / D(row["positionAmt"])
        assert D(row["breakEvenPrice"]) == pytest.approx(expected, abs=D("1e-7"))


@pytest.mark.parametrize(("fault", "kind"), [("liquidation", "LIQUIDATION"), ("deleveraging", "ADL")])
async def test_bybits_log_names_forced_trades(fault: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected() as here:
        await here.order("bybit", LINEAR, "a", life="market")
        listing, exchange = here.listing("bybit", LINEAR), here.sim.exchange("bybit")
        account = exchange.account(here.sim.key)
        assert account is not None
        if fault == "deleveraging":
            # Only a position that wins is deleveraged.
            real = exchange.market.mark
            monkeypatch.setattr(exchange.market, "mark", lambda one: real(one) * (2 if one == listing else 1))
        number = here.sim.order(f"{fault},venue=bybit,match=BTC")
        assert here.sim.struck(number) == 1
        assert account.positions()[0].quantity == 0
        answer = (await here.bybit("GET", "/v5/account/transaction-log", accountType="UNIFIED", type=kind)).json
        rows = answer["result"]["list"]
        assert {one["orderLinkId"] for one in rows} == {""}
        assert {one["symbol"] for one in rows} == {exchange.listings[listing].symbol}
        traded = (await here.bybit("GET", "/v5/account/transaction-log", accountType="UNIFIED", type="TRADE")).json
        assert "" not in {one["orderLinkId"] for one in traded["result"]["list"]}


async def test_a_forced_liquidation_leaves_no_order_standing() -> None:
    async with connected() as here:
        await here.order("binance", LINEAR, "rests", price=here.price("binance", LINEAR, 0.98))
        await here.order("binance", LINEAR, "a", life="market")
        here.sim.order("liquidation,venue=binance")
        assert (await here.binance("GET", "/fapi/v1/openOrders")).json == []
        assert await here.state("binance", LINEAR, "rests") == ("CANCELED", 0)


@pytest.mark.parametrize(
    ("line", "struck"),
    [
        ("clock-drift,venue=bybit", 1),
        ("key-revoked,venue=bybit", 1),
        ("delisting,venue=binance,segment=linear,match=BTC", 1),
        ("delisting,venue=bybit,match=NONE", 0),
        ("withdrawal-halt,venue=binance,match=bsc", 1),
        ("wrong-network,venue=bybit,match=ethereum", 1),
        ("withdrawal-failure,venue=binance,match=tron", 1),
        ("withdrawal-fee,venue=bybit,match=tron,amount=0.25", 1),
        ("key-revoked,venue=binance,count=1", 1),
    ],
)
async def test_what_takes_hold_at_its_begin_counts_what_it_took_hold_of(line: str, struck: int) -> None:
    async with connected() as here:
        number = here.sim.order(line)
        (ordered,) = [one for one in here.sim.faults.orders if one.number == number]
        assert (ordered.struck, ordered.state) == (struck, "active")


async def test_an_expiry_counts_the_listen_keys() -> None:
    async with connected() as here:
        none = here.sim.order("listen-key-expiry,venue=binance")
        await here.binance("POST", "/fapi/v1/listenKey")
        one = here.sim.order("listen-key-expiry,venue=binance")
        assert (here.sim.struck(none), here.sim.struck(one)) == (0, 1)


def test_a_wrong_fault_is_told_without_the_words_of_a_library() -> None:
    with pytest.raises(SettingsError) as told:
        faults_from_lines(["silence,venue=binance,amount=3"])
    assert str(told.value) == "--fault: fault: silence takes no amount (see --fault list)"


async def test_what_the_documentation_calls_not_served_is_answered_as_no_path() -> None:
    async with connected() as here:
        for method, path in (
            ("PUT", "/fapi/v1/order"), ("GET", "/fapi/v1/continuousKlines"), ("GET", "/fapi/v1/markPriceKlines"),
            ("GET", "/fapi/v1/indexPriceKlines"), ("GET", "/fapi/v1/forceOrders"), ("GET", "/fapi/v1/adlQuantile"),
            ("POST", "/fapi/v1/algoOrder"), ("POST", "/api/v3/order/cancelReplace"),
        ):  # fmt: skip
            answer = await here.binance(method, path)
            assert (answer.status, answer.json["code"]) == (404, -5000), path
        for path in ("position/closed-pnl", "market/open-interest", "market/mark-price-kline"):
            assert (await here.bybit("GET", f"/v5/{path}", category="linear", symbol="BTCUSDT")).status == 404
