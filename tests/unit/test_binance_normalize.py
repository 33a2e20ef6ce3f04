"""Binance's words as ours. Rows of exchangeInfo are shaped like its documentation unless a test says otherwise."""

import gzip
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.domain.instrument import Feed, Instrument
from bot.domain.market import PrintedQuote
from bot.errors import MalformedPayload, SettingsError
from exchanges.binance import shipped
from exchanges.binance.endpoints import INVERSE, LINEAR, SPOT
from exchanges.binance.normalize import SymbolRow, instrument, printed, quoted_symbol, venue_symbol
from exchanges.binance.venue import BinanceVenue

SHARED = Path(os.environ.get("CRYPTO_PIPE_SHARED", Path(__file__).parents[2].parent / "shared"))
SPOT_ROW: dict[str, Any] = {
    "symbol": "ETHUSDT",
    "status": "TRADING",
    "baseAsset": "ETH",
    "quoteAsset": "USDT",
    "permissionSets": [["SPOT"]],
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01000000", "maxPrice": "1000000.00", "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "minQty": "0.00010000", "maxQty": "9000.00000000", "stepSize": "0.00010000"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": "2357.34", "stepSize": "0.00000000"},
        {
            "filterType": "NOTIONAL",
            "minNotional": "5.00000000",
            "applyMinToMarket": True,
            "maxNotional": "9000000.00000000",
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
    ],
}
LINEAR_ROW: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "pair": "BTCUSDT",
    "contractType": "PERPETUAL",
    "status": "TRADING",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "marginAsset": "USDT",
    "pricePrecision": 2,
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "556.80", "maxPrice": "4529764", "tickSize": "0.10"},
        {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.001", "maxQty": "120", "stepSize": "0.001"},
        {"filterType": "MIN_NOTIONAL", "notional": "100"},
    ],
}


def described(row: dict[str, Any], feed: Feed) -> Instrument:
    return instrument(SymbolRow.model_validate(row), feed)


def test_a_spot_row() -> None:
    assert described(SPOT_ROW, SPOT) == Instrument(
        venue="binance", symbol="ETH/USDT", segment="spot", base="ETH", quote="USDT", settle=None,
        tick_size=Decimal("0.01"), lot_size=Decimal("0.0001"), min_quantity=Decimal("0.0001"), min_notional=Decimal(5),
        max_quantity=Decimal(9000), max_market_quantity=Decimal("2357.34"), max_notional=Decimal(9_000_000),
    )  # fmt: skip


def test_a_linear_row() -> None:
    assert described(LINEAR_ROW, LINEAR) == Instrument(
        venue="binance", symbol="BTC/USDT:USDT", segment="linear", base="BTC", quote="USDT", settle="USDT",
        tick_size=Decimal("0.1"), lot_size=Decimal("0.001"), min_quantity=Decimal("0.001"), min_notional=Decimal(100),
        max_quantity=Decimal(1000), max_market_quantity=Decimal(120),
    )  # fmt: skip


@pytest.mark.parametrize("told", ["0.00000000", "", "NaN", None])
def test_a_largest_order_that_is_switched_off_or_not_told_is_no_limit(told: str | None) -> None:
    lot = SPOT_ROW["filters"][1] | {"maxQty": told}
    read = described(SPOT_ROW | {"filters": [SPOT_ROW["filters"][0], lot]}, SPOT)
    assert (read.max_quantity, read.max_market_quantity, read.max_notional) == (None, None, None)


def test_the_largest_orders_of_a_recorded_answer() -> None:
    path = SHARED / "fixtures/basana/binance_btc_usdt_exchange_info.json"
    if not path.exists():
        pytest.skip(f"{path} is absent: set CRYPTO_PIPE_SHARED to the folder with the exchanges' payloads")
    read = described(json.loads(path.read_bytes())["symbols"][0], SPOT)
    assert (read.max_quantity, read.max_market_quantity) == (Decimal(9000), Decimal("328.37710865"))
    assert read.most(Decimal(30_000), at_market=False) == 9000
    assert read.most(Decimal(30_000), at_market=True) == Decimal("328.3771")


def test_the_older_name_of_the_notional_filter() -> None:
    row = SPOT_ROW | {"filters": [*SPOT_ROW["filters"][:2], {"filterType": "MIN_NOTIONAL", "minNotional": "10.0"}]}
    assert described(row, SPOT).min_notional == 10


@pytest.mark.parametrize("missing", ["PRICE_FILTER", "LOT_SIZE"])
def test_a_row_without_a_grid_is_refused(missing: str) -> None:
    row = SPOT_ROW | {"filters": [rule for rule in SPOT_ROW["filters"] if rule["filterType"] != missing]}
    with pytest.raises(MalformedPayload, match="ETHUSDT"):
        described(row, SPOT)


def test_a_grid_that_is_switched_off_is_refused() -> None:
    rules = [{"filterType": "PRICE_FILTER", "tickSize": "0.00000000"}, *SPOT_ROW["filters"][1:]]
    with pytest.raises(MalformedPayload):
        described(SPOT_ROW | {"filters": rules}, SPOT)


def test_numbers_carry_neither_trailing_zeros_nor_an_exponent() -> None:
    rules = [{"filterType": "PRICE_FILTER", "tickSize": "100.00"}, *SPOT_ROW["filters"][1:]]
    assert str(described(SPOT_ROW | {"filters": rules}, SPOT).tick_size) == "100"
    assert str(described(SPOT_ROW, SPOT).lot_size) == "0.0001"


@pytest.mark.parametrize(
    ("feed", "unified", "symbol"),
    [
        (SPOT, "BTC/USDT", "BTCUSDT"),
        (LINEAR, "BTC/USDT:USDT", "BTCUSDT"),
        (LINEAR, "1000SHIB/USDC:USDC", "1000SHIBUSDC"),
        (INVERSE, "BTC/USD:BTC", "BTCUSD_PERP"),
    ],
)
def test_symbols_are_spelled_as_binance_does(feed: Feed, unified: str, symbol: str) -> None:
    assert venue_symbol(unified, feed) == symbol


@pytest.mark.parametrize(
    ("feed", "unified"),
    [
        (SPOT, "BTC/USDT:USDT"), (SPOT, "BTC/USDT:"), (SPOT, "BTCUSDT"), (SPOT, "/USDT"), (SPOT, "BTC/"), (SPOT, ""),
        (LINEAR, "BTC/USDT"), (LINEAR, "BTC/USD:BTC"), (INVERSE, "BTC/USDT:USDT"), (INVERSE, "BTC/USD"),
    ],
)  # fmt: skip
def test_a_symbol_of_another_segment_is_refused_with_an_example(feed: Feed, unified: str) -> None:
    with pytest.raises(SettingsError, match="write it like BTC/USD"):
        venue_symbol(unified, feed)


TICKER = (
    b'{"stream":"bnbusdt@bookTicker","data":{"u":400900217,"s":"BNBUSDT","b":"25.35190000","B":"31.21000000",'
    b'"a":"25.36520000","A":"40.66000000"}}'
)
DIGITS = PrintedQuote(
    symbol="BNBUSDT", top_bid="25.35190000", top_bid_quantity="31.21000000", top_ask="25.36520000",
    top_ask_quantity="40.66000000",
)  # fmt: skip


def test_printed_digits_are_those_of_the_venue() -> None:
    assert printed(TICKER) == DIGITS
    assert printed(json.dumps(json.loads(TICKER)["data"]).encode()) == DIGITS


@pytest.mark.parametrize("raw", [b"", b"{}", b'{"stream":"a@trade","data":{}}', TICKER[:-1]])
def test_what_is_no_ticker_has_no_digits(raw: bytes) -> None:
    with pytest.raises(MalformedPayload):
        printed(raw)


@pytest.mark.parametrize(
    ("raw", "symbol"),
    [
        (TICKER, "BNBUSDT"),
        (TICKER.replace(b"bnbusdt", b"ethusd_perp"), "ETHUSD_PERP"),
        (json.dumps(json.loads(TICKER)).encode(), "BNBUSDT"),
        (json.dumps(json.loads(TICKER)["data"]).encode(), "BNBUSDT"),
        (b'{"data":{"u":1,"A":"1"},"stream":"bnbusdt@bookTicker"}', "BNBUSDT"),
        (b'{"stream":"bnbusdt@trade","data":{"A":"bookTicker"}}', None),
        (b'{"stream":"!bookTicker","data":{}}', None),
        (b'{"lastUpdateId":1,"bids":[],"asks":[]}', None),
        (b'{"stream":"bnbusdt@bookTicker', None),
        (b'"bookTicker', None),
        (b"", None),
    ],
)
def test_which_frames_are_quotes(raw: bytes, symbol: str | None) -> None:
    assert quoted_symbol(raw) == symbol


def test_the_shipped_table_stands_under_binances_symbols() -> None:
    assert {feed: set(table) for feed, table in shipped.INSTRUMENTS.items()} == {
        SPOT: {"BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT"},
        LINEAR: {"BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT"},
        INVERSE: {"BTCUSD_PERP", "ETHUSD_PERP"},
    }
    for feed, table in shipped.INSTRUMENTS.items():
        for symbol, one in table.items():
            assert (one.feed, venue_symbol(one.symbol, feed)) == (feed, symbol)


def test_a_contract_of_the_inverse_perpetual_is_worth_usd() -> None:
    perpetual = shipped.INSTRUMENTS[INVERSE]["ETHUSD_PERP"]
    assert perpetual.to_base(5, 2500.0) == pytest.approx(0.02)
    assert perpetual.settle == "ETH"


def test_the_venue_answers_for_its_feeds_and_for_no_other() -> None:
    venue = BinanceVenue()
    for feed in venue.feeds():
        fees = venue.published_fees(feed)
        assert fees is not None
        assert (fees.source, fees.tier) == ("published", "Regular User")
        assert venue.shipped_instruments(feed)
    stranger = Feed.parse("bybit.linear")
    assert venue.published_fees(stranger) is None
    assert venue.shipped_instruments(stranger) == {}
    assert venue.printed(SPOT, TICKER) == DIGITS


@pytest.mark.parametrize(("feed", "route"), [(SPOT, "/api/v3/exchangeInfo"), (LINEAR, "/fapi/v1/exchangeInfo"),
                                             (INVERSE, "/dapi/v1/exchangeInfo")])  # fmt: skip
def test_recorded_rows_agree_with_the_shipped_grid(feed: Feed, route: str) -> None:
    path = SHARED / "fixtures" / "gocryptotrader" / "binance_http.json.gz"
    if not path.exists():
        pytest.skip(f"no fixtures at {path}; set CRYPTO_PIPE_SHARED")
    rows = json.loads(gzip.decompress(path.read_bytes()))["routes"][route]["GET"][0]["data"]["symbols"]
    compared = 0
    for row in rows:
        parsed = SymbolRow.model_validate(row)
        one = instrument(parsed, feed)
        known = shipped.INSTRUMENTS[feed].get(row["symbol"])
        if known is not None:
            compared += 1
            shared = ("symbol", "base", "quote", "settle", "tick_size", "lot_size", "contract_multiplier")
            assert [getattr(one, name) for name in shared] == [getattr(known, name) for name in shared]
    assert compared >= 2
