"""What a withdrawal may be: Binance takes its fee out of the amount, Bybit adds it or takes it out as it is told."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from tests.contract.sim_two_venues import SECOND_NS, TwoVenues, two_venues

D = Decimal
START_NS = 1_790_000_000 * SECOND_NS


@pytest.fixture
async def both() -> AsyncIterator[TwoVenues]:
    async with two_venues(START_NS) as one:
        yield one


async def network(both: TwoVenues) -> dict[str, Any]:
    _, coins = await both.ask_binance("GET", "/sapi/v1/capital/config/getall")
    (usdt,) = (one for one in coins if one["coin"] == "USDT")
    return next(one for one in usdt["networkList"] if one["network"] == "TRX")


async def out_of_binance(both: TwoVenues, amount: str) -> tuple[int, Any]:
    sent = {"coin": "USDT", "network": "TRX", "address": "Tsomewhere", "amount": amount}
    return await both.ask_binance("POST", "/sapi/v1/capital/withdraw/apply", **sent)


async def test_binance_s_minimum_is_of_the_amount_that_leaves(both: TwoVenues) -> None:
    way = await network(both)
    assert (way["withdrawMin"], way["withdrawFee"]) == ("10", "1")
    status, refused = await out_of_binance(both, "9.99")
    assert (status, refused["code"]) == (400, -4022)
    assert "10" in refused["msg"]
    assert (await out_of_binance(both, "10"))[0] == 200
    _, (row,) = await both.ask_binance("GET", "/sapi/v1/capital/withdraw/history")
    assert (D(row["amount"]), D(row["transactionFee"])) == (9, 1)
    _, account = await both.ask_binance("GET", "/api/v3/account")
    assert next(D(one["free"]) for one in account["balances"] if one["asset"] == "USDT") == 99_990


async def test_all_that_there_is_can_leave_binance_and_no_more(both: TwoVenues) -> None:
    assert (await out_of_binance(both, "100000.00000001"))[1]["code"] == -4026
    assert (await out_of_binance(both, "100000"))[0] == 200


async def out_of_bybit(both: TwoVenues, amount: str, fee_type: int) -> Any:
    sent = {"coin": "USDT", "chain": "TRX", "address": "Tsomewhere", "amount": amount, "accountType": "UTA",
            "timestamp": both.now_ms}  # fmt: skip
    return await both.ask_bybit("POST", "/v5/asset/withdraw/create", **sent, feeType=fee_type)


@pytest.mark.parametrize(("fee_type", "arrives", "leaves"), [(0, "50", "51"), (1, "49", "50")])
async def test_bybit_adds_the_fee_or_takes_it_out(both: TwoVenues, fee_type: int, arrives: str, leaves: str) -> None:
    assert (await out_of_bybit(both, "50", fee_type))["retCode"] == 0
    (row,) = await both.pages("/v5/asset/withdraw/query-record", "rows")
    assert (row["amount"], row["withdrawFee"]) == (arrives, "1")
    wallet = (await both.ask_bybit("GET", "/v5/account/wallet-balance", accountType="UNIFIED", coin="USDT"))["result"]
    assert D(wallet["list"][0]["coin"][0]["walletBalance"]) == 100_000 - D(leaves)


@pytest.mark.parametrize(("fee_type", "amount"), [(0, "9.99"), (1, "10.99"), (1, "0.5"), (1, "1")])
async def test_bybit_refuses_too_little_without_moving_anything(both: TwoVenues, fee_type: int, amount: str) -> None:
    socket = await both.private_bybit("wallet")
    assert (await out_of_bybit(both, amount, fee_type))["retCode"] == 131096
    assert await both.pages("/v5/asset/withdraw/query-record", "rows") == []
    both.step(1)
    await socket.send_json({"op": "ping"})
    assert (await socket.receive_json(timeout=60))["op"] == "pong", "no wallet message came before"
