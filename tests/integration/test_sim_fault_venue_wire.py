"""Faults of a whole venue as a client meets them, on real sockets."""

import asyncio
import json
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from bot.domain.instrument import Segment
from exchanges.simulator.core.values import TransferState
from tests.integration.sim_fault_venue_rig import EVERYWHERE, LINEAR, SPOT, Here, connected, eventually, until

VENUES = pytest.mark.parametrize("venue", ["binance", "bybit"])
everywhere = pytest.mark.parametrize(("venue", "segment"), EVERYWHERE)


async def public(here: Here, path: str, subscribe: dict[str, Any] | None, into: list[Any]) -> None:
    async with here.session.ws_connect(here.sim.ws + path) as socket:
        if subscribe is not None:
            await socket.send_json(subscribe)
        async for message in socket:
            into.append(json.loads(message.data))


async def server_ms(here: Here, venue: str) -> int:
    path = "/fapi/v1/time" if venue == "binance" else "/v5/market/time"
    answer = (await here.get(path)).json
    return int(answer["serverTime"]) if venue == "binance" else int(answer["result"]["timeNano"]) // 1_000_000


# The clock


@VENUES
async def test_a_clock_that_is_ahead_moves_every_time_that_is_told(venue: str) -> None:
    async with connected() as here:
        frames: list[Any] = []
        path, subscribe = {
            "binance": ("/public/stream?streams=btcusdt@bookTicker/btcusdt@depth@100ms", None),
            "bybit": (
                "/v5/public/linear",
                {"op": "subscribe", "args": ["orderbook.50.BTCUSDT", "orderbook.1.BTCUSDT"]},
            ),
        }[venue]
        reading = asyncio.create_task(public(here, path, subscribe, frames))
        other = "bybit" if venue == "binance" else "binance"
        await until(lambda: len(frames) > 3)
        right_ns = here.sim.exchange(other).now_ns
        number = here.sim.order(f"clock-drift,venue={venue},amount=6000")
        assert await server_ms(here, venue) - await server_ms(here, other) > 5_900
        # Frames that were sent before the order may still be on their way, and the newest is always a little old.
        await until(lambda: 5_000 < _time_ms(frames[-1]) - right_ns() // 1_000_000 <= 6_000)

        here.sim.faults.end(number)
        before = len(frames)
        await until(lambda: len(frames) > before + 5)
        reading.cancel()
        for stream in {_stream(one) for one in frames}:
            times = [_time_ms(one) for one in frames if _stream(one) == stream]
            assert times == sorted(times), "no stream goes back in time"


def _stream(frame: Any) -> str:
    return frame.get("stream") or frame.get("topic") or ""


def _time_ms(frame: Any) -> int:
    return frame["data"]["E"] if "stream" in frame else frame.get("ts", 0)


# Keys


async def test_an_expired_listen_key_is_told_and_then_there_is_silence() -> None:
    async with connected() as here, here.listening("binance", LINEAR) as ears:
        (key,) = here.sim.server._binance_server.gateway.listen_keys._keys.values()
        here.sim.order("listen-key-expiry,venue=binance")
        await until(lambda: ears.of("listenKeyExpired"))
        (told,) = ears.of("listenKeyExpired")
        assert (set(told), told["listenKey"]) == ({"e", "E", "listenKey"}, key)
        assert (await here.binance("PUT", "/fapi/v1/listenKey")).json["code"] == -1125
        async with here.listening("binance", LINEAR) as anew:
            await here.order("binance", LINEAR, "a", life="IOC")
            await until(anew.fill_ids)
        assert not ears.fill_ids()


async def test_listen_keys_are_no_matter_of_the_spot_market() -> None:
    async with connected() as here, here.listening("binance", LINEAR) as ears:
        here.sim.order("listen-key-expiry,venue=binance,segment=spot")
        await here.order("binance", LINEAR, "a", life="IOC")
        await until(ears.fill_ids)
        assert not ears.of("listenKeyExpired")


async def test_a_revoked_key_is_refused_everywhere_until_it_is_restored() -> None:
    async with connected() as here, here.listening("binance", LINEAR) as ears:
        numbers = [here.sim.order(f"key-revoked,venue={venue}") for venue in ("binance", "bybit")]
        for segment in (SPOT, LINEAR):
            answer = await here.buy("binance", segment, "a")
            assert (answer.status, answer.json["code"]) == (401, -2015)
            assert (await here.buy("bybit", segment, "a")).json["retCode"] == 10003
        await until(lambda: ears.of("listenKeyExpired"))
        async with here.session.ws_connect(f"{here.sim.ws}/v5/private") as socket:
            await socket.send_json({"op": "auth", "args": [here.sim.key, 9_999_999_999_999, "0" * 64]})
            assert (await socket.receive_json())["success"] is False
        for number in numbers:
            here.sim.faults.end(number)
        for venue, segment in EVERYWHERE:
            assert not (await here.buy(venue, segment, "b")).json.get("retCode", 0)
            assert (await here.state(venue, segment, "b"))[0].upper() == "FILLED"


# Listings


@everywhere
async def test_a_delisted_listing_says_so_then_loses_its_book_then_returns(venue: str, segment: Segment) -> None:
    async with connected() as here:
        frames: list[Any] = []
        path, subscribe = {
            ("binance", SPOT): ("/stream?streams=btcusdt@bookTicker/btcusdt@depth@100ms", None),
            ("binance", LINEAR): ("/public/stream?streams=btcusdt@bookTicker/btcusdt@depth@100ms", None),
        }.get((venue, segment), (f"/v5/public/{segment}", {"op": "subscribe", "args": ["orderbook.1.BTCUSDT"]}))
        reading = asyncio.create_task(public(here, path, subscribe, frames))
        await here.order(venue, segment, "resting", price=here.price(venue, segment, 0.995))
        assert await _status(here, venue, segment) == ("Trading" if venue == "bybit" else "TRADING")
        number = here.sim.order(f"delisting,venue={venue},segment={segment},match=BTC,for_s=1")
        words = {("binance", SPOT): "BREAK", ("binance", LINEAR): "SETTLING"}
        assert await _status(here, venue, segment) == words.get((venue, segment), "Delivering")
        codes = {
            ("binance", SPOT): -1013,
            ("binance", LINEAR): -4108,
            ("bybit", SPOT): 170344,
            ("bybit", LINEAR): 110074,
        }
        refused = await here.order(venue, segment, "more")
        assert refused.get("code", refused.get("retCode")) == codes[venue, segment]

        await until(lambda: _is_empty(frames))
        ended = "CANCELED" if venue == "binance" else "Cancelled"
        assert await here.state(venue, segment, "resting") == (ended, 0)
        assert await _book(here, venue, segment) == ([], [])
        here.sim.faults.end(number)
        await eventually(lambda: _has_book(here, venue, segment))
        before = len(frames)
        await until(lambda: len(frames) > before and not _is_empty(frames[before:]))
        reading.cancel()
        assert not (await here.order(venue, segment, "again", life="IOC")).get("retCode", 0)
        await eventually(lambda: _is_filled(here, venue, segment))
        if venue == "binance":
            _check_chain([one["data"] for one in frames if "depth" in one["stream"]], segment)


def _check_chain(deltas: list[Any], segment: Segment) -> None:
    for one, following in pairwise(deltas):
        assert following["U"] == one["u"] + 1 if segment is SPOT else following["pu"] == one["u"]


def _is_empty(frames: list[Any]) -> bool:
    """Whether the newest top of the book is none: zeros at Binance, empty sides at Bybit."""
    tops = [one["data"] for one in frames if "bookTicker" in one.get("stream", "") or "topic" in one]
    return bool(tops) and (tops[-1]["b"], tops[-1]["a"]) in (([], []), ("0.00", "0.00"), ("0.00000000", "0.00000000"))


async def _status(here: Here, venue: str, segment: Segment) -> str:
    if venue == "binance":
        path = "/api/v3/exchangeInfo" if segment is SPOT else "/fapi/v1/exchangeInfo"
        rows = (await here.get(path)).json["symbols"]
    else:
        rows = (await here.get(f"/v5/market/instruments-info?category={segment}&symbol=BTCUSDT")).json["result"]["list"]
    return next(one["status"] for one in rows if one["symbol"] == "BTCUSDT")


async def _book(here: Here, venue: str, segment: Segment) -> tuple[Any, Any]:
    if venue == "binance":
        path = "/api/v3/depth" if segment is SPOT else "/fapi/v1/depth"
        book = (await here.get(f"{path}?symbol=BTCUSDT")).json
        return book["bids"], book["asks"]
    answer = await here.get(f"/v5/market/orderbook?category={segment}&symbol=BTCUSDT")
    return answer.json["result"]["b"], answer.json["result"]["a"]


async def _has_book(here: Here, venue: str, segment: Segment) -> bool:
    return all(await _book(here, venue, segment))


async def _is_filled(here: Here, venue: str, segment: Segment) -> bool:
    return (await here.state(venue, segment, "again"))[0].upper() == "FILLED"


# Networks


async def _networks(here: Here, venue: str) -> dict[str, tuple[str, bool]]:
    """Contract of tether and whether it can be withdrawn, by the chain's name at the venue."""
    if venue == "binance":
        coins = (await here.binance("GET", "/sapi/v1/capital/config/getall")).json
        rows = next(one["networkList"] for one in coins if one["coin"] == "USDT")
        return {one["network"]: (one["contractAddress"], one["withdrawEnable"]) for one in rows}
    coins = (await here.bybit("GET", "/v5/asset/coin/query-info", coin="USDT")).json["result"]["rows"]
    return {one["chain"]: (one["contractAddress"], one["chainWithdraw"] == "1") for one in coins[0]["chains"]}


async def _withdraw(here: Here, venue: str) -> Any:
    """Send tether over Tron to the other venue."""
    target = here.sim.exchange("bybit" if venue == "binance" else "binance").accounts[0]
    address = target.deposit_address("USDT", "tron")[0]
    if venue == "binance":
        return (await here.binance(
            "POST", "/sapi/v1/capital/withdraw/apply", coin="USDT", network="TRX", address=address, amount="50"
        )).json  # fmt: skip
    await here.bybit(
        "POST", "/v5/asset/transfer/inter-transfer", transferId=str(UUID(int=here.sim.exchange(venue).now_ns())),
        coin="USDT", amount="100", fromAccountType="UNIFIED", toAccountType="FUND",
    )  # fmt: skip
    return (await here.bybit(
        "POST", "/v5/asset/withdraw/create", coin="USDT", chain="TRX", address=address, amount="50",
        timestamp=here.sim.exchange(venue).now_ns() // 1_000_000, accountType="FUND",
    )).json  # fmt: skip


@VENUES
async def test_a_halted_network_says_so_and_refuses_until_it_opens(venue: str) -> None:
    async with connected() as here:
        number = here.sim.order(f"withdrawal-halt,venue={venue},match=tron")
        shown = await _networks(here, venue)
        assert {name: is_open for name, (_, is_open) in shown.items() if not is_open} == {"TRX": False}
        refused = await _withdraw(here, venue)
        assert refused.get("code", refused.get("retCode")) == (-4019 if venue == "binance" else 131097)
        here.sim.faults.end(number)
        assert all(is_open for _, is_open in (await _networks(here, venue)).values())
        assert "id" in (await _withdraw(here, venue)).get("result", {"id": ""})


@VENUES
async def test_money_on_a_wrong_network_is_sent_and_gone(venue: str) -> None:
    async with connected(time_scale=1e5) as here:
        right, other = await _networks(here, venue), await _networks(here, "bybit" if venue == "binance" else "binance")
        assert right["TRX"][0] == other["TRX"][0] == "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
        number = here.sim.order(f"wrong-network,venue={venue},match=tron")
        shown = await _networks(here, venue)
        assert {name for name in shown if shown[name] != right[name]} == {"TRX"}
        assert shown["TRX"][1], "it can be withdrawn all the same"
        await _withdraw(here, venue)
        account = here.sim.exchange(venue).accounts[0]
        await until(lambda: [one.state for one in account.withdrawals()] == [TransferState.DONE])
        if venue == "binance":
            (sent,) = (await here.binance("GET", "/sapi/v1/capital/withdraw/history")).json
            assert (sent["status"], bool(sent["txId"])) == (6, True)
        else:
            (sent,) = (await here.bybit("GET", "/v5/asset/withdraw/query-record")).json["result"]["rows"]
            assert (sent["status"], bool(sent["txID"])) == ("success", True)
        receiver = here.sim.exchange("bybit" if venue == "binance" else "binance").accounts[0]
        assert not receiver.deposits()
        assert here.sim.server.binance.chain.outside["USDT"] == account.withdrawals()[0].amount
        here.sim.faults.end(number)
        await _withdraw(here, venue)
        await until(lambda: [one.state for one in receiver.deposits()] == [TransferState.DONE])


# Positions


async def test_a_liquidation_at_binance_is_named_by_its_client_id() -> None:
    async with connected() as here, here.listening("binance", LINEAR) as ears:
        await here.order("binance", LINEAR, "mine", life="market")
        here.sim.order("liquidation,venue=binance,match=BTC")
        await until(
            lambda: len(ears.of("ACCOUNT_UPDATE")) and ears.of("ACCOUNT_UPDATE")[-1]["a"]["P"][0]["pa"] == "0.000"
        )
        last = ears.of("ORDER_TRADE_UPDATE")[-1]["o"]
        assert (last["c"], last["S"], last["X"], last["R"]) == (f"autoclose-{last['i']}", "SELL", "FILLED", True)


@pytest.mark.parametrize(("kind", "exec_type", "created_by"), [
    ("liquidation", "Trade", "CreateByLiq"), ("deleveraging", "AdlTrade", "CreateByAdl_PassThrough"),
])  # fmt: skip
async def test_forced_trades_at_bybit_are_named_by_their_type(kind: str, exec_type: str, created_by: str) -> None:
    async with connected() as here, here.listening("bybit", LINEAR) as ears:
        # Bought below the mark, so that there is a profit to take away.
        await here.order("bybit", LINEAR, "mine", price=here.price("bybit", LINEAR, 0.995))
        number = here.sim.order("fill-on-cancel,venue=bybit")
        await here.cancel("bybit", LINEAR, "mine")
        here.sim.faults.end(number)
        account = here.sim.server.bybit.accounts[0]
        assert account.positions()[0].unrealised > 0
        here.sim.order(f"{kind},venue=bybit")
        await until(lambda: any(row["createType"] == created_by for row in ears.of("execution")))
        row = next(row for row in ears.of("execution") if row["createType"] == created_by)
        assert (row["execType"], row["orderLinkId"]) == (exec_type, "")
        forced = next(one for one in ears.of("order") if one["orderId"] == row["orderId"])
        assert (forced["createType"], forced["orderLinkId"]) == (created_by, "")
        answer = await here.bybit("GET", "/v5/execution/list", category="linear")
        rest = next(one for one in answer.json["result"]["list"] if one["execId"] == row["execId"])
        assert (rest["execType"], rest["createType"]) == (exec_type, created_by)
        assert account.positions()[0].quantity == 0
