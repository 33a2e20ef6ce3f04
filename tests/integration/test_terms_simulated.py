"""Fees, funding and networks asked of the simulated exchanges over real sockets, and of servers that answer oddly."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from bot.clock import SystemClock
from bot.domain.instrument import Feed, Instrument
from bot.domain.network import ways
from bot.engine.terms.past_transfers import joined
from bot.errors import SettingsError, VenueError
from bot.settings import EndpointSettings, Settings
from exchanges.binance import shipped as binance_shipped
from exchanges.binance.fee_tiers import FEE_TIERS as BINANCE_TIERS
from exchanges.binance.terms import BinanceTerms
from exchanges.bybit import shipped as bybit_shipped
from exchanges.bybit.fee_tiers import FEE_TIERS as BYBIT_TIERS
from exchanges.bybit.terms import BybitTerms
from exchanges.common.account.terms_source import TermsSetup
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.simulator.accounts.rules import linear_tier
from exchanges.terms import terms_sources
from tests.integration.sim_fault_venue_rig import Here, connected, eventually

D = Decimal
BY_FEED: dict[Feed, dict[str, Instrument]] = {
    feed: {symbol: one for symbol, one in listed.items() if one.base == "BTC"}
    for shipped in (binance_shipped, bybit_shipped)
    for feed, listed in shipped.INSTRUMENTS.items()
    if str(feed.segment) != "inverse"
}
KEYS = ApiKeys(key=SecretStr("key"), secret=SecretStr("secret"))
OWN = dict.fromkeys(("binance", "bybit"), KEYS)
PERPETUAL = {"binance": "binance:BTC/USDT:USDT", "bybit": "bybit:BTC/USDT:USDT"}


def settings(url: str) -> Settings:
    here = EndpointSettings(rest_url=url)
    return Settings(venues={venue: {"spot": here, "linear": here} for venue in ("binance", "bybit")})


def sources(here: Here) -> dict[str, Any]:
    keys = ApiKeys(key=SecretStr(here.sim.key), secret=SecretStr(here.sim.secret))
    found = terms_sources(BY_FEED, settings(here.sim.http), SystemClock(), dict.fromkeys(("binance", "bybit"), keys))
    return {source.venue: source for source in found}


async def test_fees_are_the_accounts_at_its_tier_and_in_its_token() -> None:
    async with connected(fee_tier="vip3", fees_in_bnb=True) as here:
        told = await sources(here)["binance"].fees()
        assert told.wrong == {}
        perpetual, spot = told.values[PERPETUAL["binance"]], told.values["binance:BTC/USDT"]
        assert (perpetual.maker_bps, perpetual.taker_bps, perpetual.source) == (D("1.2"), D("3.2"), "account")
        assert (perpetual.token, perpetual.token_discount) == ("BNB", D("0.1"))
        # A tenth of 3.2 bps is saved.
        assert perpetual.discount_bps(is_maker=False) == D("-0.32")
        assert (spot.maker_bps, spot.taker_bps, spot.token, spot.token_discount) == (10, 10, "BNB", D("0.25"))
        told = await sources(here)["bybit"].fees()
        perpetual = told.values[PERPETUAL["bybit"]]
        assert (perpetual.maker_bps, perpetual.taker_bps, perpetual.token) == (D("1.4"), D("3.5"), None)


async def test_the_token_counts_while_it_is_switched_on_and_there_is_some() -> None:
    async with connected() as here:
        binance = sources(here)["binance"]
        # It may be switched on, and nobody holds any.
        await here.binance("POST", "/fapi/v1/feeBurn", feeBurn="true")
        await here.binance("POST", "/sapi/v1/bnbBurn", spotBNBBurn="true")
        assert {fees.token for fees in (await binance.fees()).values.values()} == {None}
    async with connected(fees_in_bnb=True) as here:
        binance = sources(here)["binance"]
        await here.binance("POST", "/fapi/v1/feeBurn", feeBurn="false")
        told = (await binance.fees()).values
        assert (told[PERPETUAL["binance"]].token, told["binance:BTC/USDT"].token) == (None, "BNB")
        assert told[PERPETUAL["binance"]].discount_bps(is_maker=False) == 0


async def test_funding_is_told_without_keys_and_from_the_start() -> None:
    async with connected() as here:
        for source in terms_sources(BY_FEED, settings(here.sim.http), SystemClock(), {}):
            told = await source.funding()
            assert told.wrong == {}
            terms = told.values[PERPETUAL[source.venue]]
            assert (terms.interval_s, terms.next_funding_ns % (28_800 * 10**9)) == (28_800, 0)
            assert terms.rate != 0
            assert terms.cap is not None
            assert terms.floor == -terms.cap
            # Nothing that needs a key.
            assert await source.fees() is None
            assert await source.networks() is None
            assert await source.moves() == ()


async def test_networks_match_across_the_venues_and_close() -> None:
    async with connected() as here:
        asked = sources(here)

        async def usdt() -> tuple[set[str], dict[str, str]]:
            ours = (await asked["binance"].networks()).values["USDT"]
            theirs = (await asked["bybit"].networks()).values["USDT"]
            found, refused = ways("USDT", ours, theirs)
            return {way.chain.id for way in found}, {one.network: one.reason for one in refused}

        assert await usdt() == ({"tron", "ethereum", "bsc", "solana"}, {})
        here.sim.order("withdrawal-halt,venue=binance,match=tron,for_s=600")
        here.sim.order("wrong-network,venue=bybit,match=ethereum,for_s=600")
        found, refused = await usdt()
        assert found == {"bsc", "solana"}
        assert refused == {
            "tron": "withdrawals are suspended at binance",
            "ethereum": "the contract addresses of binance and bybit differ: it is another token",
        }


async def test_a_transfer_between_the_venues_is_learnt_from_their_histories() -> None:
    async with connected(time_scale=20_000) as here:
        asked = sources(here)
        answer = await here.bybit("GET", "/v5/asset/deposit/query-address", coin="USDT", chainType="TRX")
        address = answer.json["result"]["chains"][0]["addressDeposit"]
        sent = await here.binance(
            "POST", "/sapi/v1/capital/withdraw/apply", coin="USDT", network="TRX", address=address, amount="100"
        )
        assert sent.status == 200, sent.text

        await eventually(lambda: _both(asked))
        moves = [*await asked["binance"].moves(), *await asked["bybit"].moves()]
        assert {(move.venue, move.is_deposit, move.chain) for move in moves} == {
            ("binance", False, "tron"), ("bybit", True, "tron"),
        }  # fmt: skip
        assert len({move.tx_id for move in moves}) == 1
        (one,) = joined(moves)
        assert (one.source, one.target, one.asset) == ("binance", "bybit", "USDT")
        assert 0 < one.seconds < 600


async def _both(asked: dict[str, Any]) -> bool:
    return bool(await asked["binance"].moves()) and bool(await asked["bybit"].moves())


async def test_a_wrong_key_is_an_error_and_no_price_list() -> None:
    async with connected() as here:
        for source in terms_sources(BY_FEED, settings(here.sim.http), SystemClock(), OWN):
            with pytest.raises(VenueError):
                await source.fees()
            with pytest.raises(VenueError):
                await source.networks()


@pytest.mark.parametrize("kind", [BinanceTerms, BybitTerms])
def test_nothing_is_signed_for_an_address_elsewhere(kind: Any) -> None:
    with pytest.raises(SettingsError):
        kind(TermsSetup(BY_FEED, ["BTC"], Settings(), SystemClock(), KEYS))
    kind(TermsSetup(BY_FEED, ["BTC"], Settings(), SystemClock(), None))


@asynccontextmanager
async def answering(paths: dict[str, Any]) -> AsyncIterator[str]:
    async def serve(request: web.Request) -> web.StreamResponse:
        if request.path in ("/api/v3/time", "/fapi/v1/time"):
            return web.json_response({"serverTime": SystemClock().now_ns() // 1_000_000})
        if request.path == "/v5/market/time":
            return web.json_response({"retCode": 0, "result": {}, "time": SystemClock().now_ns() // 1_000_000})
        body = paths.get(request.path)
        if request.path.startswith("/v5/"):
            body = {"retCode": 0, "retMsg": "OK", "result": body, "time": 1}
        return web.Response(status=404) if body is None else web.json_response(body)

    app = web.Application()
    app.router.add_get("/{path:.*}", serve)
    async with TestServer(app) as server:
        yield str(server.make_url("/")).rstrip("/")


RIGHT = {
    "/fapi/v1/commissionRate": {"symbol": "BTCUSDT", "makerCommissionRate": "0.0002", "takerCommissionRate": "0.0005"},
    "/fapi/v1/feeBurn": {"feeBurn": False},
    "/fapi/v3/balance": [],
    "/sapi/v1/asset/tradeFee": [{"symbol": "BTCUSDT", "makerCommission": "0.001", "takerCommission": "0.001"}],
    "/sapi/v1/bnbBurn": {"spotBNBBurn": False, "interestBNBBurn": False},
    "/api/v3/account": {"balances": []},
}
ODD = ["", None, "NaN", "0.05", "5", [], {}]
"""0.05 and 5 are what a percentage and basis points would look like."""


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("field", ["makerCommissionRate", "takerCommissionRate"])
async def test_an_odd_rate_of_binance_is_refused_and_never_zero(field: str, value: Any) -> None:
    path = "/fapi/v1/commissionRate"
    async with answering(RIGHT | {path: RIGHT[path] | {field: value}}) as url:  # type: ignore[operator]
        told = await BinanceTerms(TermsSetup(BY_FEED, ["BTC"], settings(url), SystemClock(), KEYS)).fees()
    assert told is not None
    assert set(told.values) == {"binance:BTC/USDT"}
    assert field in told.wrong[PERPETUAL["binance"]]


@pytest.mark.parametrize(("path", "body"), [
    ("/fapi/v1/feeBurn", {}), ("/fapi/v1/feeBurn", {"feeBurn": None}), ("/sapi/v1/bnbBurn", []),
    ("/sapi/v1/asset/tradeFee", {}), ("/fapi/v3/balance", [{"asset": "BNB"}]), ("/api/v3/account", {}),
])  # fmt: skip
async def test_an_answer_of_binance_that_is_none_is_an_error(path: str, body: Any) -> None:
    async with answering(RIGHT | {path: body}) as url:
        with pytest.raises(VenueError):
            await BinanceTerms(TermsSetup(BY_FEED, ["BTC"], settings(url), SystemClock(), KEYS)).fees()


async def test_a_symbol_that_binance_has_no_fees_of_is_named() -> None:
    async with answering(RIGHT | {"/sapi/v1/asset/tradeFee": [{"symbol": "ETHUSDT"}, 7]}) as url:
        told = await BinanceTerms(TermsSetup(BY_FEED, ["BTC"], settings(url), SystemClock(), KEYS)).fees()
    assert told is not None
    assert told.wrong == {"binance:BTC/USDT": "not in the answer"}


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("field", ["makerFeeRate", "takerFeeRate"])
async def test_an_odd_rate_of_bybit_is_refused_and_never_zero(field: str, value: Any) -> None:
    row = {"symbol": "BTCUSDT", "makerFeeRate": "0.0002", "takerFeeRate": "0.00055"} | {field: value}
    async with answering({"/v5/account/fee-rate": {"list": [row]}}) as url:
        told = await BybitTerms(TermsSetup(BY_FEED, ["BTC"], settings(url), SystemClock(), KEYS)).fees()
    assert told is not None
    assert told.values == {}
    assert all(field in why for why in told.wrong.values())
    assert set(told.wrong) == {"bybit:BTC/USDT", PERPETUAL["bybit"]}


@pytest.mark.parametrize("result", [None, {}, {"list": None}, []])
async def test_an_answer_of_bybit_that_is_none_is_an_error(result: Any) -> None:
    async with answering({"/v5/account/fee-rate": result}) as url:
        with pytest.raises(VenueError):
            await BybitTerms(TermsSetup(BY_FEED, ["BTC"], settings(url), SystemClock(), KEYS)).fees()


async def test_a_venue_that_is_not_there_is_an_error_of_the_venue() -> None:
    for source in terms_sources(BY_FEED, settings("http://127.0.0.1:1"), SystemClock(), OWN):
        for ask in (source.fees, source.funding, source.networks, source.moves):
            with pytest.raises(VenueError):
                await asyncio.wait_for(ask(), 60)


def test_price_lists_are_those_of_the_simulated_exchanges() -> None:
    for venue, table in (("binance", BINANCE_TIERS), ("bybit", BYBIT_TIERS)):
        feed = Feed.parse(f"{venue}.linear")
        for tier in table[feed][1:]:
            name = "supreme" if tier.name.startswith("Supreme") else tier.name.replace(" ", "").lower()
            simulated = linear_tier(venue, name)
            assert (tier.maker_bps, tier.taker_bps) == (simulated.maker_bps, simulated.taker_bps)
            schedule = tier.schedule(feed)
            assert (schedule.source, schedule.tier) == ("published", tier.name)
        takers = [tier.taker_bps for tier in table[feed]]
        assert takers == sorted(takers, reverse=True)
