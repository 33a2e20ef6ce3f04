"""Instruments of Kraken and Coinbase through the real ccxt client, over a real socket."""

import gzip
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.domain.instrument import Feed
from bot.errors import Banned, BotError, GeoBlocked, RateLimited, SettingsError, VenueError, VenueUnavailable
from bot.settings import Settings
from exchanges.ccxt.client import opened
from exchanges.ccxt.instruments import read_markets
from exchanges.kraken.metadata import describe
from exchanges.registry import TRADING_VENUES, all_venues
from tests.integration.ccxt_venues import Venues, venues

pytest.importorskip("ccxt", reason="ccxt is not installed")

SHARED = Path(os.environ.get("CRYPTO_PIPE_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))
FIXTURES = SHARED / "fixtures"
FEEDS = {"kraken": Feed.parse("kraken.spot"), "coinbase": Feed.parse("coinbase.spot")}
ROWS = {"kraken": "/0/public/AssetPairs", "coinbase": "/api/v3/brokerage/market/products"}
BOTH = pytest.mark.parametrize("venue", ["kraken", "coinbase"])


async def instruments(server: Venues, venue: str, *wanted: str) -> dict[str, Any]:
    settings = Settings(venues={venue: {"spot": {"rest_url": server.url}}})
    return dict(await all_venues()[venue].instruments(FEEDS[venue], wanted, settings))


def row(server: Venues, venue: str) -> dict[str, Any]:
    answer = server.answers[ROWS[venue]]
    found: dict[str, Any] = answer["result"]["XXBTZUSD"] if venue == "kraken" else answer["products"][0]
    return found


@pytest.mark.parametrize(
    ("venue", "name", "tick", "smallest", "notional"),
    [("kraken", "BTC/USD", "0.1", "0.00005", "0.5"), ("coinbase", "BTC-USD", "0.01", "0.00000001", "1")],
)
async def test_an_instrument_is_known_by_the_streams_name_and_to_the_last_digit(
    venue: str, name: str, tick: str, smallest: str, notional: str
) -> None:
    async with venues() as server:
        found = await instruments(server, venue, "BTC/USD")
    assert set(found) == {name}
    assert found[name].id == f"{venue}:BTC/USD"
    assert (found[name].tick_size, found[name].lot_size) == (Decimal(tick), Decimal("0.00000001"))
    assert (found[name].min_quantity, found[name].min_notional) == (Decimal(smallest), Decimal(notional))
    assert not server.signed


async def test_a_coarser_step_than_the_decimals_say_is_kept() -> None:
    async with venues() as server:
        row(server, "kraken")["tick_size"] = "0.5"  # ccxt reads pair_decimals alone
        found = await instruments(server, "kraken", "BTC/USD")
    assert found["BTC/USD"].tick_size == Decimal("0.5")


async def test_an_asset_with_fewer_decimals_than_its_pair_makes_the_lot_coarser() -> None:
    async with venues() as server:
        server.answers["/0/public/Assets"]["result"]["XXBT"]["decimals"] = 5
        found = await instruments(server, "kraken", "BTC/USD")
    assert found["BTC/USD"].lot_size == Decimal("0.00001")


@pytest.mark.parametrize(
    ("venue", "key", "value"),
    [
        ("kraken", "status", "cancel_only"),
        ("kraken", "status", None),
        ("kraken", "ordermin", None),
        ("kraken", "costmin", None),
        ("kraken", "pair_decimals", None),
        ("coinbase", "status", "offline"),
        ("coinbase", "trading_disabled", True),
        ("coinbase", "view_only", True),
        ("coinbase", "base_increment", ""),
        ("coinbase", "base_min_size", None),
        ("coinbase", "quote_min_size", "0"),
        ("coinbase", "price_increment", "not a number"),
    ],
)
async def test_a_row_that_lacks_something_or_is_closed_is_refused_by_name(venue: str, key: str, value: Any) -> None:
    async with venues() as server:
        row(server, venue)[key] = value
        with pytest.raises(SettingsError, match=f"{venue}.spot refuses BTC/USD: "):
            await instruments(server, venue, "BTC/USD")
        assert "BTC/USD" not in {one.symbol for one in (await instruments(server, venue, "ALL")).values()}


async def test_a_row_that_ccxt_trips_over_is_an_error_and_no_shorter_list() -> None:
    async with venues() as server:
        row(server, "kraken")["lot_decimals"] = None
        with pytest.raises(VenueUnavailable, match="does not understand"):
            await instruments(server, "kraken", "BTC/USD")


async def test_an_alias_is_refused_by_the_name_under_which_its_data_comes() -> None:
    async with venues() as server:
        with pytest.raises(SettingsError, match="refuses BTC/USDC: its book is that of BTC-USD"):
            await instruments(server, "coinbase", "BTC/USDC")
        assert set(await instruments(server, "coinbase", "ALL")) == {"BTC-USD"}


@BOTH
async def test_an_unknown_symbol_is_a_setting_to_mend(venue: str) -> None:
    async with venues() as server:
        with pytest.raises(SettingsError, match="did you mean BTC/USD"):
            await instruments(server, venue, "BTC/USDD")


@BOTH
@pytest.mark.parametrize(
    ("status", "error"),
    [(429, RateLimited), (418, Banned), (451, GeoBlocked), (500, VenueUnavailable), (503, VenueUnavailable)],
)
async def test_a_refusal_is_told_by_its_status(venue: str, status: int, error: type[VenueError]) -> None:
    async with venues() as server:
        server.status, server.headers = status, {"Retry-After": "7"}
        with pytest.raises(error) as told:
            await instruments(server, venue, "BTC/USD")
    assert told.value.retry_after_s == (7.0 if status < 500 else None)


@BOTH
@pytest.mark.parametrize("status", [429, 418])
async def test_fault_26_27_nothing_more_is_sent_before_retry_after(venue: str, status: int) -> None:
    async with venues() as server, opened(venue, server.url) as client:
        server.status, server.headers = status, {"Retry-After": "60"}
        for _ in range(3):
            with pytest.raises((RateLimited, Banned)):
                await client.fetch_markets()
        assert len(server.asked) == 1


@BOTH
async def test_a_redirect_is_not_followed(venue: str) -> None:
    async with venues() as elsewhere, venues() as server:
        server.status, server.headers = 307, {"Location": f"{elsewhere.url}{ROWS[venue]}"}
        with pytest.raises(VenueUnavailable, match="redirect"):
            await instruments(server, venue, "BTC/USD")
    assert not elsewhere.asked


@BOTH
@pytest.mark.parametrize(
    "body", ["", "<html>", "[]", "null", "1", '{"result":[],"products":{}}', '{"result":{"X":7},"products":[7]}']
)
async def test_an_answer_that_is_none_is_an_error_and_no_empty_list(venue: str, body: str) -> None:
    async with venues() as server:
        server.answers[ROWS[venue]] = body
        with pytest.raises(BotError) as told:
            await instruments(server, venue, "BTC/USD")
    assert isinstance(told.value, (VenueError, SettingsError))


@BOTH
async def test_a_venue_that_is_not_there_is_unavailable(venue: str) -> None:
    async with venues() as server:
        pass
    with pytest.raises(VenueUnavailable):
        await instruments(server, venue, "BTC/USD")


@BOTH
async def test_a_simulated_market_never_asks_the_real_exchange(venue: str) -> None:
    with pytest.raises(SettingsError, match="no simulated exchange"):
        await all_venues()[venue].instruments(FEEDS[venue], ["BTC/USD"], Settings())


def test_orders_are_sent_to_the_others_alone() -> None:
    assert set(all_venues()) - {"coinbase"} == TRADING_VENUES


@pytest.mark.skipif(not FIXTURES.is_dir(), reason=f"no recorded payloads: {FIXTURES} is not there")
async def test_the_recorded_pairs_of_kraken_are_read_or_refused_by_name() -> None:
    with gzip.open(FIXTURES / "cryptofeed-v2" / "KRAKEN.0.gz", "rt") as file:
        recorded = json.loads(file.readline().partition(": ")[2])
    assets = json.loads((FIXTURES / "xchange" / "xchange-kraken" / "example-assets-data.json").read_text())
    async with venues() as server:
        server.answers |= {"/0/public/AssetPairs": recorded, "/0/public/Assets": assets}
        with pytest.raises(SettingsError, match="refuses BTC/USD: "):
            await instruments(server, "kraken", "BTC/USD")  # in 2021 a row told no status and no costmin
        for pair in recorded["result"].values():
            pair |= {"status": "online", "costmin": "0.5"}
        async with opened("kraken", server.url) as client:
            read = await read_markets(FEEDS["kraken"], client, describe)
    lit = [pair for pair in recorded["result"].values() if "wsname" in pair]
    assert len(read.instruments) + len(read.refused) == len(lit)
    # The dark pool XXBTZUSD.d calls itself BTC/USD as well, and ccxt's own table holds it instead of the market.
    assert read.instruments["BTC/USD"].tick_size == Decimal("0.1")
    assert client.markets["BTC/USD"]["id"] == "XXBTZUSD.d"
    # ccxt calls Augur's two tokens by one another's names of the stream: no guess is made.
    assert {symbol.partition("/")[0] for symbol in read.refused} == {"REP", "REPV1"}
