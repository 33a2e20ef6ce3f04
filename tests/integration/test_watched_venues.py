"""Kraken and Coinbase beside venues that take orders: watched, priced, measured, and never sent an order."""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

from bot.clock import SystemClock
from bot.domain.instrument import Feed
from bot.settings import EndpointSettings, Settings
from modes.clock_offsets import measure_all
from tests.integration.ccxt_venues import venues
from tests.integration.kraken_coinbase_servers import AHEAD_NS, LocalCoinbase, LocalKraken, served

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120


class Heard:
    def __init__(self) -> None:
        self.offsets: dict[str, int] = {}

    def on_clock_offset(self, venue: str, offset_ns: int, round_trip_ns: int) -> None:
        assert round_trip_ns > 0
        self.offsets[venue] = offset_ns


async def test_their_clocks_are_asked_again_by_the_timetable() -> None:
    kraken, coinbase, heard = LocalKraken(), LocalCoinbase(), Heard()
    async with served(kraken), served(coinbase):
        there = {
            "kraken": {"spot": EndpointSettings(stream_url=f"ws://{kraken.url}/v2")},
            "coinbase": {"spot": EndpointSettings(rest_url=f"http://{coinbase.url}")},
        }
        settings = Settings.model_validate({}).model_copy(update={"venues": there})
        feeds = [Feed.parse("kraken.spot"), Feed.parse("coinbase.spot")]
        said = await measure_all(feeds, settings, SystemClock(), heard)  # type: ignore[arg-type]
    assert "kraken +" in said
    assert "coinbase +" in said
    for offset_ns in heard.offsets.values():
        assert abs(offset_ns - AHEAD_NS) < 60_000_000_000, "a busy machine answers late"
    assert heard.offsets.keys() == {"kraken", "coinbase"}


async def test_a_watched_venue_beside_the_simulated_exchanges_gets_no_orders_and_that_is_said() -> None:
    kraken = LocalKraken()
    with tempfile.TemporaryDirectory() as data_dir:
        async with venues() as rest, served(kraken):
            process = await asyncio.create_subprocess_exec(
                sys.executable, str(ROOT / "main.py"), "--headless", "--json", "--for", "3s", "--data-dir", data_dir,
                "--set", "instruments.binance.spot=[BTC/USDT]", "--set", "instruments.kraken.spot=[BTC/USD]",
                "--set", f"venues.kraken.spot.rest_url={rest.url}", "--set", "jobs.daily_report=",
                "--set", f"venues.kraken.spot.stream_url=ws://{kraken.url}/v2",
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            try:
                async with asyncio.timeout(PATIENCE_S):
                    out, told = await process.communicate()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
    assert process.returncode == 0, told.decode()
    assert "kraken: watched and priced; no order can be sent there" in told.decode()
    assert json.loads(out)["quotes"]["kraken.spot"] >= 1
    assert not rest.signed, "the simulated exchanges' keys are not for others"
