"""Fee tiers and fees in BNB, as a user switches them on and a client meets them over HTTP."""

import asyncio
import hashlib
import hmac
import json
import subprocess
import sys
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.clock import SystemClock
from bot.domain.instrument import Segment
from bot.errors import SettingsError
from bot.settings import SimulatorSettings
from exchanges.simulator.accounts.rules import FEE_TIERS, tier_at
from exchanges.simulator.process import _words
from exchanges.simulator.server import SimulatorServer
from tests.integration.sim_fault_venue_rig import LINEAR, SPOT, Here, connected

D = Decimal
MAIN = Path(__file__).parents[2] / "main.py"


async def bought(here: Here, segment: Segment, name: str = "a") -> dict[str, Any]:
    """The one fill of a market order at Binance, as REST tells it."""
    await here.order("binance", segment, name, quantity="0.01", life="market")
    path = "/api/v3/myTrades" if segment is SPOT else "/fapi/v1/userTrades"
    return (await here.binance("GET", path)).json[-1]


async def bnb(here: Here, segment: Segment) -> Decimal:
    account = here.sim.exchange("binance").account(here.sim.key)
    assert account is not None
    return next(one.total for one in account.balances() if (one.wallet, one.asset) == (segment, "BNB"))


def in_bnb(fill: dict[str, Any], rate: str, kept: str) -> Decimal:
    value = D(fill["price"]) * D(fill["qty"])
    return (value * D(rate) * D(kept) / 600).quantize(D("1e-8"), ROUND_CEILING)


@pytest.mark.parametrize(("segment", "rate", "kept"), [(SPOT, "0.001", "0.75"), (LINEAR, "0.00032", "0.9")])
async def test_a_fee_is_taken_in_bnb_at_the_tiers_rate_and_the_discount(segment: Segment, rate: str, kept: str) -> None:
    async with connected(fee_tier="vip3", fees_in_bnb=True) as here:
        fill = await bought(here, segment)
        assert (fill["commissionAsset"], D(fill["commission"])) == ("BNB", in_bnb(fill, rate, kept))
        assert await bnb(here, segment) == 10 - D(fill["commission"])


async def test_the_tiers_rates_are_told_and_taken_at_both_venues() -> None:
    async with connected(fee_tier="vip3") as here:
        told = (await here.binance("GET", "/fapi/v1/commissionRate")).json
        assert (told["makerCommissionRate"], told["takerCommissionRate"]) == ("0.000120", "0.000320")
        assert (await here.binance("GET", "/fapi/v2/account")).json["feeTier"] == 3
        fill = await bought(here, LINEAR)
        expected = (D(fill["price"]) * D(fill["qty"]) * D("0.00032")).quantize(D("1e-8"), ROUND_CEILING)
        assert (fill["commissionAsset"], D(fill["commission"])) == ("USDT", expected)

        (row,) = (await here.bybit("GET", "/v5/account/fee-rate", category="linear", symbol="BTCUSDT")).json["result"][
            "list"
        ]
        assert (row["makerFeeRate"], row["takerFeeRate"]) == ("0.00014", "0.00035")
        await here.order("bybit", LINEAR, "b", life="market")
        (taken, *_) = (await here.bybit("GET", "/v5/execution/list", category="linear")).json["result"]["list"]
        assert D(taken["execFee"]) == D(taken["execValue"]) * D("0.00035")
        key = (await here.bybit("GET", "/v5/user/query-api")).json["result"]
        assert key["vipLevel"] == "VIP-3"


async def test_without_the_setting_fees_are_the_lowest_and_nobody_holds_bnb() -> None:
    async with connected() as here:
        told = (await here.binance("GET", "/fapi/v1/commissionRate")).json
        assert told["takerCommissionRate"] == "0.000500"
        assert (await here.binance("GET", "/fapi/v1/feeBurn")).json == {"feeBurn": False}
        assert "BNB" not in {one["asset"] for one in (await here.binance("GET", "/fapi/v2/balance")).json}
        # Whoever has none keeps paying in what he trades.
        assert (await here.binance("POST", "/fapi/v1/feeBurn", feeBurn="true")).json == {"code": 200, "msg": "success"}
        assert (await bought(here, LINEAR))["commissionAsset"] == "USDT"


async def test_a_customer_switches_it_off_and_on() -> None:
    async with connected(fees_in_bnb=True) as here:
        assert (await here.binance("GET", "/sapi/v1/bnbBurn")).json == {"spotBNBBurn": True, "interestBNBBurn": False}
        answer = await here.binance("POST", "/sapi/v1/bnbBurn", spotBNBBurn="false")
        assert answer.json == {"spotBNBBurn": False, "interestBNBBurn": False}
        assert (await bought(here, SPOT))["commissionAsset"] == "BTC"
        commission = (await here.binance("GET", "/api/v3/account/commission")).json
        assert commission["discount"]["enabledForAccount"] is False

        assert (await here.binance("GET", "/fapi/v1/feeBurn")).json == {"feeBurn": True}
        await here.binance("POST", "/fapi/v1/feeBurn", feeBurn="false")
        assert (await bought(here, LINEAR))["commissionAsset"] == "USDT"
        await here.binance("POST", "/fapi/v1/feeBurn", feeBurn="true")
        assert (await bought(here, LINEAR, "c"))["commissionAsset"] == "BNB"


@pytest.mark.parametrize("value", [None, "yes"])
async def test_a_switch_takes_only_its_words(value: str | None) -> None:
    async with connected(fees_in_bnb=True) as here:
        sent = {} if value is None else {"feeBurn": value}
        answer = await here.binance("POST", "/fapi/v1/feeBurn", **sent)
        assert (answer.status, answer.json["code"] < 0) == (400, True)
        assert (await here.binance("GET", "/fapi/v1/feeBurn")).json == {"feeBurn": True}


async def test_fees_in_bnb_show_in_what_a_position_has_earned() -> None:
    async with connected(fees_in_bnb=True) as here:
        fill = await bought(here, LINEAR)
        (row,) = (await here.binance("GET", "/fapi/v3/positionRisk")).json
        dearer = D(row["breakEvenPrice"]) - D(row["entryPrice"])
        assert dearer == pytest.approx(D(fill["commission"]) * 600 / D(fill["qty"]), abs=D("1e-7"))


def test_a_venue_takes_the_highest_tier_that_it_has() -> None:
    assert [tier_at("binance", one) for one in FEE_TIERS][-2:] == ["vip6", "vip6"]
    assert [tier_at("bybit", one) for one in FEE_TIERS][-2:] == ["vip5", "supreme"]
    assert {tier_at(venue, "regular") for venue in ("binance", "bybit")} == {"regular"}
    with pytest.raises(SettingsError, match="no tier 'vip9'"):
        SimulatorServer("calm", 1, SystemClock(), fee_tier="vip9")


def test_the_settings_name_the_tiers_that_there_are_and_reach_the_other_process() -> None:
    assert SimulatorSettings.model_json_schema()["properties"]["fee_tier"]["enum"] == list(FEE_TIERS)
    words = _words(SimulatorSettings(fee_tier="vip2", fees_in_bnb=True))
    assert {"simulator.fee_tier=vip2", "simulator.fees_in_bnb=true"} <= set(words)


async def test_a_user_switches_them_on_from_the_command_line() -> None:
    settings = ("--set", "simulator.fee_tier=vip4", "--set", "simulator.fees_in_bnb=true")
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(MAIN), "--mode", "simulate", "--port", "0", *settings, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        told = json.loads(await process.stdout.readline())
        async with aiohttp.ClientSession(headers={"X-MBX-APIKEY": told["api_key"]}) as session:

            async def ask(path: str) -> Any:
                query = f"symbol=BTCUSDT&timestamp={SystemClock().now_ns() // 1_000_000}"
                sign = hmac.new(told["api_secret"].encode(), query.encode(), hashlib.sha256).hexdigest()
                async with session.get(f"{told['url']}{path}?{query}&signature={sign}") as answer:
                    return await answer.json()

            assert (await ask("/fapi/v1/commissionRate"))["takerCommissionRate"] == "0.000300"
            assert await ask("/fapi/v1/feeBurn") == {"feeBurn": True}
    finally:
        process.terminate()
        await process.wait()


def test_a_tier_that_is_none_is_refused_before_anything_starts() -> None:
    wrong = subprocess.run(
        [sys.executable, str(MAIN), "--mode", "simulate", "--port", "0", "--set", "simulator.fee_tier=vip9"],
        capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "simulator.fee_tier" in wrong.stderr
