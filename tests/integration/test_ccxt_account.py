"""Accounts at Kraken and Coinbase through the real ccxt client, over a real socket: read, never changed, never told."""

import logging
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr

from bot.domain.instrument import Feed
from bot.errors import AuthenticationFailed, ClockSkew, InvariantError, RateLimited, VenueError, VenueUnavailable
from exchanges.ccxt.account import CcxtAccount
from exchanges.ccxt.client import opened
from exchanges.common.requests.api_keys import ApiKeys
from tests.integration.ccxt_venues import KEY, SECRET, Venues, venues

pytest.importorskip("ccxt", reason="ccxt is not installed")

KEYS = ApiKeys(key=SecretStr(KEY), secret=SecretStr(SECRET))
BOTH = pytest.mark.parametrize("venue", ["kraken", "coinbase"])
PRIVATE = {"kraken": "/0/private/BalanceEx", "coinbase": "/api/v3/brokerage/accounts"}


@asynccontextmanager
async def account(venue: str) -> AsyncIterator[tuple[Venues, CcxtAccount, Any]]:
    async with venues() as server, opened(venue, server.url, KEYS) as client:
        yield server, CcxtAccount(Feed.parse(f"{venue}.spot"), client), client


@pytest.mark.parametrize(
    ("venue", "expected"),
    [
        ("kraken", {"BTC": ("1.2435000001", "0.8423"), "USD": ("25435.21", "8249.76")}),
        ("coinbase", {"BTC": ("1.2", "0.1"), "USD": ("5.25", "0")}),
    ],
)
async def test_balances_are_read_to_the_last_digit(venue: str, expected: dict[str, tuple[str, str]]) -> None:
    async with account(venue) as (server, one, _):
        balances = {balance.asset: balance for balance in await one.balances()}
    assert {balance.wallet for balance in balances.values()} == {f"{venue}.spot"}
    assert {asset: (balance.total, balance.locked) for asset, balance in balances.items()} == {
        asset: (Decimal(total), Decimal(locked)) for asset, (total, locked) in expected.items()
    }
    assert server.signed


async def test_what_earns_at_kraken_by_itself_is_there_to_be_spent_and_what_is_bound_is_not() -> None:
    """Kraken moves what lies idle to `.F`, and spends it as if it had not; the row without it tells the rest."""
    async with account("kraken") as (server, one, _):
        rows = {"XXBT": ("0.2", "0.1"), "XBT.F": ("1", "0.3"), "USD.F": ("50", "0"), "XBT.B": ("7", "0")}
        server.answers[PRIVATE["kraken"]]["result"] = {
            name: {"balance": balance, "credit": "0", "credit_used": "0", "hold_trade": hold}
            for name, (balance, hold) in rows.items()
        }
        found = {balance.asset: (balance.total, balance.locked) for balance in await one.balances()}
    bound = (Decimal(7), Decimal(0))
    assert found == {"BTC": (Decimal("1.2"), Decimal("0.4")), "USD": (Decimal(50), Decimal(0)), "BTC.B": bound}


@pytest.mark.parametrize(("venue", "maker", "taker"), [("kraken", 20, 35), ("coinbase", 60, 80)])
async def test_fees_are_the_accounts_own(venue: str, maker: int, taker: int) -> None:
    async with account(venue) as (_, one, _client):
        fees = (await one.fees(["BTC/USD"]))["BTC/USD"]
    assert (fees.maker_bps, fees.taker_bps) == (maker, taker)
    assert str(fees.source) == "account"
    assert str(fees.feed) == f"{venue}.spot"


@pytest.mark.parametrize(
    ("venue", "spoil", "words"),
    [
        (
            "kraken",
            lambda answers: answers[PRIVATE["kraken"]]["result"].update(XXBT={}),
            "not understood|not understand",
        ),
        (
            "kraken",
            lambda answers: answers[PRIVATE["kraken"]]["result"]["XXBT"].update(balance="NaN"),
            "not understood|not understand",
        ),
        ("kraken", lambda answers: answers[PRIVATE["kraken"]]["result"]["XXBT"].pop("hold_trade"), "balance of BTC"),
    ],
)
async def test_a_balance_that_is_not_understood_is_not_zero(venue: str, spoil: Any, words: str) -> None:
    async with account(venue) as (server, one, _):
        spoil(server.answers)
        with pytest.raises(VenueUnavailable, match=words):
            await one.balances()


@pytest.mark.parametrize(
    ("venue", "path", "wrong"),
    [
        ("kraken", "/0/private/TradeVolume", {"error": [], "result": {"fees": {}, "fees_maker": {}}}),
        ("kraken", "/0/private/TradeVolume", {"error": [], "result": {"fees": None}}),
        ("coinbase", "/api/v3/brokerage/transaction_summary", {"fee_tier": {"taker_fee_rate": "0.008"}}),
        ("coinbase", "/api/v3/brokerage/transaction_summary", {}),
        (
            "coinbase",
            "/api/v3/brokerage/transaction_summary",
            {"fee_tier": {"taker_fee_rate": "60", "maker_fee_rate": "40"}},
        ),
    ],
)
async def test_a_fee_that_is_missing_or_in_another_unit_is_refused(venue: str, path: str, wrong: Any) -> None:
    async with account(venue) as (server, one, client):
        await client.load_markets()
        server.answers[path] = wrong
        with pytest.raises(VenueError):
            await one.fees(["BTC/USD"])


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("EAPI:Invalid key", AuthenticationFailed),
        ("EGeneral:Permission denied", AuthenticationFailed),
        ("EAPI:Invalid nonce", ClockSkew),
        ("EAPI:Rate limit exceeded", RateLimited),
        ("EService:Unavailable", VenueUnavailable),
        ("EUnknown:Something", VenueError),
    ],
)
async def test_krakens_refusals_are_told_apart(said: str, error: type[VenueError]) -> None:
    async with account("kraken") as (server, one, _):
        server.answers[PRIVATE["kraken"]] = {"error": [said]}
        with pytest.raises(VenueError) as told:
            await one.balances()
    assert type(told.value) is error


def everything_said(error: BaseException) -> str:
    """As a crash report would show it, with every exception behind it."""
    return "".join(traceback.format_exception(error)) + repr(vars(error)) + repr(error.__cause__)


@BOTH
@pytest.mark.parametrize("trouble", ["status", "gone", "hang", "body"])
async def test_no_key_stands_in_an_error_or_a_log(venue: str, trouble: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with account(venue) as (server, one, client):
        await client.load_markets()
        if trouble == "status":
            server.status = 401
        elif trouble == "body":
            server.answers[PRIVATE[venue]] = {"error": [f"E:{SECRET}"], "errors": [{"id": SECRET, "message": KEY}]}
        elif trouble == "gone":
            client.urls["api"] = dict.fromkeys(client.urls["api"], server.url)
            server.hang, client.timeout = True, 200
        else:
            server.hang, client.timeout = True, 100
        with pytest.raises(VenueError) as told:
            await one.balances()
        said = everything_said(told.value) + repr(client) + str(client)
    assert server.signed, "the key was used, so it could have been told"
    for secret in (KEY, SECRET, "API-Sign", "CB-ACCESS-SIGN"):
        assert secret not in said.replace(__file__, "")
        assert secret not in caplog.text


@BOTH
async def test_no_order_leaves_whatever_is_called(venue: str) -> None:
    async with account(venue) as (server, _, client):
        await client.load_markets()
        for call in (
            lambda: client.create_order("BTC/USD", "limit", "buy", "0.1", "100"),
            lambda: client.cancel_order("1", "BTC/USD"),
            lambda: client.withdraw("BTC", "0.1", "bc1qexample", {"key": "name"}),
        ):
            with pytest.raises(InvariantError):
                await call()
    assert {method for method, path in server.asked if "BalanceEx" not in path} == {"GET"}
