"""Where a key may be used: checked before anything is signed."""

import random
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.clock import SystemClock
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument, Segment
from bot.errors import SettingsError
from bot.settings import Settings
from exchanges.binance.actions import BinanceActions
from exchanges.bybit.actions import BybitActions
from exchanges.common.account.account_setup import AccountSetup
from exchanges.common.requests import api_keys, keyed_rest
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.signing_hosts import THIS_MACHINE, SigningHosts
from exchanges.common.requests.venue_http import VenueHttp
from exchanges.signing import signing_hosts

BINANCE = signing_hosts("live", "binance")
ACTIONS: dict[str, Callable[..., Any]] = {"binance": BinanceActions, "bybit": BybitActions}


@pytest.mark.parametrize(
    ("market", "venue", "url"),
    [
        ("live", "binance", "https://api.binance.com/api/v3/order"),
        ("live", "binance", "https://fapi.binance.com:443/fapi/v1/order"),
        ("live", "binance", "wss://fstream.binance.com/private/ws?listenKey=x"),
        ("live", "binance", "wss://ws-api.binance.com/ws-api/v3"),
        ("live", "binance", "wss://ws-fapi.binance.com/ws-fapi/v1"),
        ("live", "bybit", "https://api.bybit.com/v5/order/create"),
        ("live", "bybit", "WSS://Stream.Bybit.com/v5/private"),
        ("testnet", "binance", "https://testnet.binance.vision/api/v3/order"),
        ("testnet", "binance", "https://testnet.binancefuture.com/fapi/v1/order"),
        ("testnet", "binance", "wss://ws-api.testnet.binance.vision/ws-api/v3"),
        ("testnet", "bybit", "https://api-testnet.bybit.com/v5/order/create"),
        ("testnet", "bybit", "wss://stream-testnet.bybit.com/v5/trade"),
        ("simulated", "binance", "http://127.0.0.1:8100/api/v3/order"),
    ],
)
def test_documented_hosts_are_signed_for(market: str, venue: str, url: str) -> None:
    assert signing_hosts(market, venue).require(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://api.binance.com", "ws://fstream.binance.com", "https://api.binance.com.evil.example",
        "https://api.binance.com:444", "https://api.binance.com@evil.example", "https://x@api.binance.com",
        "https://evil.example#@api.binance.com", "https://evil.example/?x=https://api.binance.com",
        "https://evil.example\\@api.binance.com", "https://api.binance.com\\.evil.example", "https://api.binance.com\n",
        "https://API.BINANCE.COM.", "https://api.binance.us", "https://testnet.binance.vision", "https://api.bybit.com",
        "https://127.0.0.1", "https://localhost", "https://169.254.169.254/latest", "https://[fd00:ec2::254]",
        "https://0x7f000001", "//api.binance.com", "api.binance.com", "", "https://", "https://[::1", "https://a:x",
        "https://api.binance.com:0", "ftp://api.binance.com", "https://ａpi.binance.com",
    ],
)  # fmt: skip
def test_every_other_address_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="refused to sign for"):
        BINANCE.require(url)


def test_the_test_system_and_the_real_one_share_no_host() -> None:
    for venue in ("binance", "bybit"):
        assert not signing_hosts("live", venue).origins & signing_hosts("testnet", venue).origins


@pytest.mark.parametrize("market", ["simulated", "recorded", "backtest", "", "LIVE"])
def test_no_other_market_signs_for_an_exchange(market: str) -> None:
    assert signing_hosts(market, "binance") is THIS_MACHINE
    assert signing_hosts(market, "kraken") is THIS_MACHINE
    assert signing_hosts("live", "coinbase") is THIS_MACHINE  # no orders are sent there


@pytest.mark.parametrize("urls", [[], ["http://api.binance.com"], ["https://"], ["https://a.example", "x"]])
def test_an_allow_list_without_a_host_or_in_clear_cannot_be_made(urls: list[str]) -> None:
    with pytest.raises(ValueError, match="allow-list"):
        SigningHosts.of(urls)


@given(st.text(max_size=60))
def test_no_text_leads_elsewhere(text: str) -> None:
    """What is let through begins with an origin of the list, as any reader of URLs understands it."""
    for url in (text, f"https://{text}", f"https://api.binance.com{text}", f"https://{text}api.binance.com"):
        try:
            BINANCE.require(url)
        except SettingsError:
            continue
        assert re.match(r"(?i)https://f?api\.binance\.com(:443)?([/?#]|$)", url), url


def _actions(venue: str, settings: Settings, hosts: SigningHosts) -> object:
    linear = Instrument(
        venue=venue, segment=Segment.LINEAR, symbol="BTC/USDT:USDT", base="BTC", quote="USDT", settle="USDT",
        tick_size=Decimal("0.1"), lot_size=Decimal("0.001"), min_quantity=Decimal("0.001"), min_notional=Decimal(5),
    )  # fmt: skip
    feed = Feed(venue=venue, segment=Segment.LINEAR)
    fees = {feed: FeeSchedule(feed=feed, maker_bps=Decimal(2), taker_bps=Decimal(5), source="settings")}
    keys = ApiKeys(key=SecretStr("canary-key-1"), secret=SecretStr("canary-secret-1"), hosts=hosts)
    return ACTIONS[venue](
        AccountSetup(
            {feed: {"BTCUSDT": linear}}, keys, settings, SystemClock(), random.Random(1), fees, lambda *_: None
        )
    )


@pytest.fixture
def signatures(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every HMAC that is as much as prepared with a secret."""
    made: list[str] = []

    class Counting(api_keys.Hmac):
        def __init__(self, secret: SecretStr) -> None:
            made.append("prepared")
            super().__init__(secret)

    monkeypatch.setattr(keyed_rest, "Hmac", Counting)
    return made


@pytest.mark.parametrize("venue", sorted(ACTIONS))
@pytest.mark.parametrize("market", ["live", "testnet"])
@pytest.mark.parametrize("key", ["rest_url", "stream_url"])
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:8100", "api.binance.com.evil.example"])
def test_a_setting_cannot_send_orders_elsewhere(
    venue: str, market: str, key: str, host: str, signatures: list[str]
) -> None:
    scheme = "https" if key == "rest_url" else "wss"
    settings = Settings.model_validate({"market": market, "venues": {venue: {"linear": {key: f"{scheme}://{host}"}}}})
    with pytest.raises(SettingsError, match="refused to sign for") as refused:
        _actions(venue, settings, signing_hosts(market, venue))
    assert "canary" not in str(refused.value)
    if key == "rest_url":
        assert signatures == []


@pytest.mark.parametrize("venue", sorted(ACTIONS))
@pytest.mark.parametrize("market", ["live", "testnet"])
def test_without_addresses_in_the_settings_the_markets_own_hosts_are_used(venue: str, market: str) -> None:
    assert _actions(venue, Settings.model_validate({"market": market}), signing_hosts(market, venue))
    other = {"live": "testnet", "testnet": "live"}[market]
    with pytest.raises(SettingsError, match="refused to sign for"):
        _actions(venue, Settings.model_validate({"market": market}), signing_hosts(other, venue))
    with pytest.raises(SettingsError, match="simulated exchanges only"):
        _actions(venue, Settings.model_validate({"market": market}), THIS_MACHINE)


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "metadata.google.internal", "2852039166",
             "169.254.43518", "100.100.100.200", "[fd00:ec2::254]"],
)  # fmt: skip
def test_a_clouds_metadata_is_never_asked(host: str) -> None:
    from exchanges.binance.endpoints import LINEAR, rest_url

    settings = Settings.model_validate({"venues": {"binance": {"linear": {"rest_url": f"http://{host}"}}}})
    with pytest.raises(SettingsError, match="metadata"):
        rest_url(LINEAR, settings)


async def test_a_request_checks_its_whole_address_again() -> None:
    http = VenueHttp("binance", SystemClock(), hosts=BINANCE)
    http.open()
    try:
        for ask in (
            lambda: http.request("GET", "https://api.binance.com@127.0.0.1/x", {}, None, 1.0),
            lambda: http.socket("wss://127.0.0.1/ws"),
        ):
            with pytest.raises(SettingsError, match="refused to sign for"):
                await ask()
    finally:
        await http.close()
