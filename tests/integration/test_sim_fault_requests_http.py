"""Faults of requests, as they look over HTTP."""

import asyncio

import aiohttp
import pytest

from bot.domain.instrument import Segment
from tests.integration.sim_fault_requests_rig import LOST, PATIENCE_S, Answer, connected

SPOT, LINEAR = Segment.SPOT, Segment.LINEAR
EVERYWHERE = pytest.mark.parametrize(
    ("venue", "segment"), [("binance", SPOT), ("binance", LINEAR), ("bybit", SPOT), ("bybit", LINEAR)]
)
READS = {("binance", SPOT): "/api/v3/time", ("binance", LINEAR): "/fapi/v1/time", ("bybit", SPOT): "/v5/market/time",
         ("bybit", LINEAR): "/v5/market/time"}  # fmt: skip


def found(venue: str, answer: Answer) -> list[str]:
    if venue == "binance":
        return [] if answer.json.get("code") == -2013 else [answer.json["clientOrderId"]]
    return [row["orderLinkId"] for row in answer.json["result"]["list"]]


@pytest.mark.parametrize("segment", [SPOT, LINEAR])
@pytest.mark.parametrize(
    ("kind", "status", "code", "words"),
    [
        ("http-429", 429, -1003, "Too much request weight used; current limit is"),
        ("http-418", 418, -1003, "IP banned until"),
        ("http-451", 451, 0, "restricted location"),
        ("http-503", 503, -1008, "currently overloaded"),
    ],
)
async def test_binance_refuses_in_its_own_words(
    segment: Segment, kind: str, status: int, code: int, words: str
) -> None:
    async with connected() as (sim, client):
        number = sim.order(f"{kind},venue=binance,segment={segment}")
        answer = await client.buy("binance", segment, "a")
        assert (answer.status, answer.json["code"]) == (status, code)
        assert words in answer.json["msg"]
        assert answer.headers["Content-Type"].startswith("application/json")
        assert ("Retry-After" in answer.headers) == (kind in ("http-429", "http-418"))
        assert sim.struck(number) == 1
        assert sim.placed("binance", segment) == []
        sim.faults.end(number)
        assert (await client.buy("binance", segment, "a")).status == 200


async def test_binance_says_service_unavailable_to_what_is_no_order() -> None:
    async with connected() as (sim, client):
        sim.order("http-503,venue=binance")
        answer = await client.get("/fapi/v1/time")
        assert (answer.status, answer.json["msg"]) == (503, "Service Unavailable.")


@EVERYWHERE
async def test_a_firewall_answers_with_a_page(venue: str, segment: Segment) -> None:
    async with connected() as (sim, client):
        sim.order(f"http-403,venue={venue}")
        answer = await client.buy(venue, segment, "a")
        assert answer.status == 403
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "Request blocked." in answer.text
        assert sim.placed(venue, segment) == []


@pytest.mark.parametrize("segment", [SPOT, LINEAR])
@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [("http-429", 200, 10006), ("http-503", 200, 429), ("http-418", 403, None), ("http-451", 403, None)],
)
async def test_bybit_refuses_in_its_own_way(segment: Segment, kind: str, status: int, code: int | None) -> None:
    async with connected() as (sim, client):
        number = sim.order(f"{kind},venue=bybit,segment={segment}")
        answer = await client.buy("bybit", segment, "a")
        assert answer.status == status
        if code is not None:
            assert answer.json["retCode"] == code
            assert set(answer.json) == {"retCode", "retMsg", "result", "retExtInfo", "time"}
        assert sim.placed("bybit", segment) == []
        sim.faults.end(number)
        assert (await client.buy("bybit", segment, "a")).json["retCode"] == 0


async def test_bybits_refusals_say_which_of_its_403_it_is_and_until_when() -> None:
    async with connected() as (sim, client):
        number = sim.order("http-418,venue=bybit")
        assert "access too frequent" in (await client.get("/v5/market/time")).text
        sim.faults.end(number)
        number = sim.order("http-451,venue=bybit")
        assert "block access from your country" in (await client.get("/v5/market/time")).text
        sim.faults.end(number)
        sim.order("http-429,venue=bybit,amount=7")
        answer = await client.buy("bybit", SPOT, "a")
        assert answer.headers["X-Bapi-Limit-Status"] == "0"
        assert int(answer.headers["X-Bapi-Limit-Reset-Timestamp"]) - answer.json["time"] == 7_000
        sim.faults.end_all()
        sim.order("http-503,venue=bybit")
        assert (await client.get("/v5/market/time")).status == 503


async def test_retry_after_counts_down_while_an_address_is_banned() -> None:
    async with connected() as (sim, client):
        sim.order("http-418,venue=binance,amount=2,for_s=60")
        first = await client.get("/api/v3/time")
        assert first.headers["Retry-After"] == "2"
        async with asyncio.timeout(PATIENCE_S):
            while (again := await client.get("/fapi/v1/time")).headers["Retry-After"] != "1":
                await asyncio.sleep(0.05)
        assert again.status == 418


@EVERYWHERE
async def test_an_order_whose_answer_is_lost_is_at_the_venue(venue: str, segment: Segment) -> None:
    async with connected() as (sim, client):
        number = sim.order(f"lost-answer,venue={venue},segment={segment},count=1")
        assert (await client.get(READS[venue, segment])).status == 200
        with pytest.raises(LOST):
            await client.buy(venue, segment, "a")
        assert sim.struck(number) == 1
        assert found(venue, await client.find(venue, segment, "a")) == ["a"]
        await client.buy(venue, segment, "b")
        assert sim.placed(venue, segment) == ["a", "b"]


@EVERYWHERE
async def test_a_lost_order_never_arrives(venue: str, segment: Segment) -> None:
    async with connected() as (sim, client):
        number = sim.order(f"lost-order,venue={venue},segment={segment}")
        with pytest.raises(LOST):
            await client.buy(venue, segment, "a")
        assert found(venue, await client.find(venue, segment, "a")) == []
        assert sim.struck(number) == 1
        assert sim.placed(venue, segment) == []


async def test_what_only_reads_is_lost_where_it_is_named() -> None:
    async with connected() as (sim, client):
        sim.order("lost-answer,venue=binance,match=/api/v3/order")
        assert (await client.find("binance", SPOT, "a")).json["code"] == -2013
        sim.faults.end_all()
        sim.order("lost-answer,venue=binance,match=GET /api/v3/order")
        with pytest.raises(LOST):
            await client.find("binance", SPOT, "a")


async def test_faults_stay_where_they_were_ordered() -> None:
    async with connected() as (sim, client):
        sim.order("http-429,venue=bybit,segment=spot")
        assert (await client.get("/v5/market/tickers?category=spot&symbol=BTCUSDT")).json["retCode"] == 10006
        assert (await client.get("/v5/market/tickers?category=linear&symbol=BTCUSDT")).json["retCode"] == 0
        assert (await client.buy("bybit", LINEAR, "a")).json["retCode"] == 0
        assert (await client.buy("bybit", SPOT, "a")).json["retCode"] == 10006
        assert (await client.buy("binance", SPOT, "a")).status == 200
        sim.faults.end_all()
        sim.order("http-429,venue=binance,match=/fapi/v1/time")
        assert (await client.get("/fapi/v1/time")).status == 429
        assert (await client.get("/fapi/v1/ping")).status == 200


async def test_an_answer_comes_late_and_the_others_do_not_wait() -> None:
    async with connected() as (sim, client):
        sim.order("latency,venue=binance,match=/fapi/v1/order,amount=300")
        began = asyncio.get_running_loop().time()
        late = asyncio.create_task(client.buy("binance", LINEAR, "a"))
        while sim.placed("binance", LINEAR) != ["a"]:
            await client.get("/fapi/v1/time")
        assert not late.done()
        assert (await late).status == 200
        assert asyncio.get_running_loop().time() - began >= 0.3


async def test_what_is_refused_is_refused_late() -> None:
    async with connected() as (sim, client):
        sim.order("latency,venue=bybit,amount=200")
        sim.order("http-429,venue=bybit")
        began = asyncio.get_running_loop().time()
        assert (await client.get("/v5/market/time")).json["retCode"] == 10006
        assert asyncio.get_running_loop().time() - began >= 0.2


async def test_bad_requests_are_answered_as_without_faults() -> None:
    async with connected() as (sim, client):
        sim.order("lost-order,venue=bybit,segment=spot,match=nothing")
        for body in ("", "no json", "[1]", '{"category":7}', "x" * 100_000, '{"category":"spot"}'):
            async with (
                aiohttp.ClientSession() as session,
                session.post(f"{sim.http}/v5/order/create", data=body) as response,
            ):
                assert response.status == 200
                assert (await response.json())["retCode"] in (10001, 10003)
        assert (await client.get("/v5/nowhere")).status == 404


async def test_streams_are_opened_and_control_is_answered_whatever_happens_to_requests() -> None:
    async with connected() as (sim, _), aiohttp.ClientSession() as session:
        for venue in ("binance", "bybit"):
            sim.order(f"http-403,venue={venue}")
            sim.order(f"lost-order,venue={venue}")
        for path in ("/public/ws/btcusdt@bookTicker", "/ws/btcusdt@bookTicker", "/v5/public/linear", "/v5/private"):
            async with session.ws_connect(sim.ws + path) as socket:
                assert not socket.closed
        async with session.get(f"{sim.http}/control/status", headers={"Authorization": f"Bearer {sim.secret}"}) as one:
            assert one.status == 200


async def test_a_schema_of_bybits_system_status_without_maintenance() -> None:
    async with connected() as (_, client):
        answer = await client.get("/v5/system/status")
        assert (answer.json["retCode"], answer.json["result"]) == (0, {"list": []})
