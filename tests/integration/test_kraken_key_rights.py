"""What Kraken's key may do, asked through the real ccxt over a real socket, and what a start makes of it."""

from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from bot.clock import SystemClock
from bot.domain.account_facts import KeyRights
from bot.domain.instrument import Segment
from bot.errors import AuthenticationFailed, VenueError, VenueUnavailable
from bot.preflight.account import Stakes
from bot.preflight.check import Verdict
from exchanges.kraken.inspection import KrakenInspector
from modes.preflight import check_rights
from tests.integration.kraken_rig import BTC, BY_FEED, PRIVATE, Kraken, kraken

pytest.importorskip("ccxt", reason="ccxt is not installed")

ASKED = f"{PRIVATE}GetApiKeyInfo"
REAL = Stakes(real_money=True)
TRADES = ["query-funds", "query-open-trades", "query-closed-trades", "modify-trades"]
DOCUMENTED = {
    "apiKeyName": "my-api-key",
    "apiKey": "4/SDrDBcOOPnm3nPlNfEMMJDeRcIVqPz+QhRxIodyZbI9po/aVRiHsgX",
    "nonce": "1772627060997",
    "nonceWindow": 0,
    "permissions": ["query-funds", "withdraw-funds", "query-open-trades", "modify-trades"],
    "iban": "AA88 N84G WOAK NMOI",
    "validUntil": "0",
    "queryFrom": "0",
    "queryTo": "0",
    "createdTime": "1772542900",
    "modifiedTime": "1772543095",
    "ipAllowlist": [],
    "lastUsed": "1772627061",
}
"""https://docs.kraken.com/api-reference/account-data/get-api-key-info, as it stood in 2026."""


def inspector(here: Kraken) -> KrakenInspector:
    return KrakenInspector(BY_FEED, here.settings(), SystemClock(), here.keys())


def answering(here: Kraken, **change: Any) -> None:
    here.requests.answer[ASKED] = lambda: web.json_response({"error": [], "result": {**DOCUMENTED, **change}})


async def verdicts(here: Kraken, stakes: Stakes = REAL) -> dict[str, Verdict]:
    found = await check_rights(inspector(here), [BTC], stakes, SystemClock())
    return {f"{check.name}: {check.observed}": check.verdict for check in found}


async def test_the_documented_answer_is_understood() -> None:
    async with kraken() as here:
        answering(here)
        assert await inspector(here).rights() == KeyRights(
            may_read=False,  # without closed orders and trades, nothing could be compared
            may_trade=frozenset({Segment.SPOT}),
            may_withdraw=True,
            is_ip_bound=False,
            expires_ns=None,
        )


async def test_a_key_that_trades_and_is_bound_passes_with_real_money() -> None:
    async with kraken() as here:
        here.exchange.setup.may_withdraw, here.exchange.setup.is_ip_bound = False, True
        assert set((await verdicts(here)).values()) == {Verdict.OK}


@pytest.mark.parametrize("right", ["withdraw-funds", "add-withdraw-address", "update-withdraw-address"])
async def test_a_key_that_may_withdraw_ends_a_start_with_real_money(right: str) -> None:
    async with kraken() as here:
        answering(here, permissions=[*TRADES, right], ipAllowlist=["203.0.113.7"])
        found = await verdicts(here)
        assert [name for name, verdict in found.items() if verdict is Verdict.FAILED] == [
            "key rights: the key may withdraw, and transfers are not enabled"
        ]


@pytest.mark.parametrize("addresses", [[], ["0.0.0.0/0"], ["203.0.113.7", "::/0"]])
async def test_a_key_that_works_from_anywhere_is_refused(addresses: list[str]) -> None:
    async with kraken() as here:
        answering(here, permissions=TRADES, ipAllowlist=addresses)
        assert (await verdicts(here))["key addresses: the key works from any address"] is Verdict.FAILED
        seen = await verdicts(here, replace(REAL, unbound_ok=True))
        assert seen["key addresses: the key works from any address"] is Verdict.WARNING


@pytest.mark.parametrize(
    ("held", "words"),
    [
        (TRADES[:3], "the key may not trade spot"),
        (TRADES[1:], "the key may not read"),
        ([], "the key may not read and trade spot"),
    ],
)
async def test_a_right_that_is_missing_is_named(held: list[str], words: str) -> None:
    async with kraken() as here:
        answering(here, permissions=held, ipAllowlist=["203.0.113.7"])
        assert (await verdicts(here))[f"key rights: {words}"] is Verdict.FAILED


async def test_a_key_that_ends_is_said() -> None:
    async with kraken() as here:
        answering(here, validUntil="1772627061")
        told = await inspector(here).rights()
        assert told is not None
        assert told.expires_ns == 1_772_627_061_000_000_000


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"error": [], "result": {"ipAllowlist": ["203.0.113.7"]}}, VenueUnavailable),
        ({"error": [], "result": {**DOCUMENTED, "permissions": "all"}}, VenueUnavailable),
        ({"error": []}, VenueUnavailable),
        ({"error": ["EAPI:Invalid key"]}, AuthenticationFailed),
        ({"error": ["EGeneral:Unknown method"]}, VenueError),
    ],
)
async def test_an_answer_that_does_not_say_is_none(answer: dict[str, Any], error: type[VenueError]) -> None:
    async with kraken() as here:
        here.requests.answer[ASKED] = lambda: web.json_response(answer)
        with pytest.raises(error) as told:
            await inspector(here).rights()
        assert "AA88" not in str(told.value)


async def test_whoever_asks_lets_no_order_out() -> None:
    async with kraken() as here:
        await inspector(here).modes()
        assert here.requests.count("POST", "BalanceEx") == 1
        async with inspector(here)._asking() as client:
            for order in (client.private_post_addorder, client.private_post_cancelorder, client.private_post_withdraw):
                with pytest.raises(Exception, match="not let out"):
                    await order({})
        assert here.orders() == 0
