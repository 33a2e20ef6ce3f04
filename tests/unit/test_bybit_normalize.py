"""Rows of instruments-info into instruments, payloads into printed digits."""

import copy
import json
import os
from decimal import Decimal
from pathlib import Path

import pytest

from bot.domain.instrument import Segment
from bot.domain.market import PrintedQuote
from exchanges.bybit.normalize import LINEAR, SPOT, instrument, printed, quoted_symbol
from exchanges.bybit.shipped import FEES, INSTRUMENTS

# Shapes and values of Bybit's documentation, 2026-07.
LINEAR_ROW = {
    "symbol": "BTCUSDT",
    "contractType": "LinearPerpetual",
    "status": "Trading",
    "baseCoin": "BTC",
    "quoteCoin": "USDT",
    "settleCoin": "USDT",
    "priceFilter": {"minPrice": "0.10", "maxPrice": "1999999.80", "tickSize": "0.10"},
    "lotSizeFilter": {
        "minOrderQty": "0.001",
        "qtyStep": "0.001",
        "minNotionalValue": "5",
        "maxOrderQty": "1190.000",
        "maxMktOrderQty": "500.000",
        "postOnlyMaxOrderQty": "1190.000",
    },
    "fundingInterval": 480,
}
SPOT_ROW = {
    "symbol": "BTCUSDT",
    "baseCoin": "BTC",
    "quoteCoin": "USDT",
    "status": "Trading",
    "lotSizeFilter": {"basePrecision": "0.000001", "minOrderQty": "0.000048", "minOrderAmt": "1"},
    "priceFilter": {"tickSize": "0.01"},
}
QUOTE = (
    b'{"topic":"orderbook.1.BTCUSDT","ts":1,"type":"snapshot","data":{"s":"BTCUSDT",'
    b'"b":[["118052.00","3.0470"]],"a":[["118052.10","25.433"]],"u":7},"cts":1}'
)


def changed(row, **values):
    return {**copy.deepcopy(row), **values}


def shared(*parts):
    root = Path(os.environ.get("CRYPTO_PIPE_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))
    path = root.joinpath("fixtures", *parts)
    if not path.exists():
        pytest.skip(f"{path} is absent: set CRYPTO_PIPE_SHARED to the folder with the exchanges' payloads")
    return path


def test_a_linear_row():
    read = instrument(LINEAR, LINEAR_ROW)
    assert read.id == "bybit:BTC/USDT:USDT"
    assert read.feed == LINEAR
    assert (read.base, read.quote, read.settle) == ("BTC", "USDT", "USDT")
    assert (read.tick_size, read.lot_size) == (Decimal("0.10"), Decimal("0.001"))
    assert (read.min_quantity, read.min_notional) == (Decimal("0.001"), Decimal(5))
    assert read.contract_multiplier == 1


def largest(read):
    return read.max_quantity, read.max_market_quantity, read.max_notional


def test_the_largest_orders_of_each_category():
    assert largest(instrument(LINEAR, LINEAR_ROW)) == (1190, 500, None)
    assert largest(instrument(SPOT, SPOT_ROW)) == (None, None, None)
    spot = {**SPOT_ROW["lotSizeFilter"], "maxOrderQty": "71.7", "maxOrderAmt": "4000000"}
    assert largest(instrument(SPOT, changed(SPOT_ROW, lotSizeFilter=spot))) == (Decimal("71.7"), None, 4_000_000)
    spot |= {"maxLimitOrderQty": "83", "maxMarketOrderQty": "41.5", "maxOrderAmt": ""}
    assert largest(instrument(SPOT, changed(SPOT_ROW, lotSizeFilter=spot))) == (83, Decimal("41.5"), None)


@pytest.mark.parametrize(
    ("file", "feed", "told"),
    [("GetLinearInverseSymbols", LINEAR, (100, 100, None)), ("GetSpotSymbols", SPOT, ("71.73956243", None, 2_000_000))],
)
def test_the_largest_orders_of_a_recorded_answer(file, feed, told):
    path = shared("jkorf", "Bybit", "Endpoints", "V5Api", "ExchangeData", f"{file}.txt")
    answer = path.read_text()
    row = json.JSONDecoder().raw_decode(answer, answer.index("{", answer.index('"list"')))[0]
    assert largest(instrument(feed, row)) == tuple(None if one is None else Decimal(one) for one in told)


def test_a_spot_row():
    read = instrument(SPOT, SPOT_ROW)
    assert read.id == "bybit:BTC/USDT"
    assert read.segment is Segment.SPOT
    assert read.settle is None
    assert (read.tick_size, read.lot_size) == (Decimal("0.01"), Decimal("0.000001"))
    assert (read.min_quantity, read.min_notional) == (Decimal("0.000048"), Decimal(1))


def test_a_perpetual_in_usdc_is_not_one_in_usdt():
    row = changed(LINEAR_ROW, symbol="BTCPERP", quoteCoin="USDC", settleCoin="USDC")
    assert instrument(LINEAR, row).symbol == "BTC/USDC:USDC"


def test_limits_that_older_answers_lack_are_zero():
    row = changed(LINEAR_ROW, lotSizeFilter={"qtyStep": "0.001"})
    read = instrument(LINEAR, row)
    assert (read.min_quantity, read.min_notional) == (0, 0)


@pytest.mark.parametrize(
    "odd",
    [
        {"contractType": "LinearFutures"},
        {"contractType": None},
        {"status": "PreLaunch"},
        {"status": "Closed"},
        {"priceFilter": {}},
        {"priceFilter": {"tickSize": "0"}},
        {"lotSizeFilter": {"qtyStep": "NaN"}},
        {"baseCoin": None},
    ],
)
def test_what_cannot_be_traded_is_left_out(odd):
    assert instrument(LINEAR, changed(LINEAR_ROW, **odd)) is None


def test_printed_keeps_the_venues_digits():
    assert printed(QUOTE) == PrintedQuote(
        symbol="BTCUSDT",
        top_bid="118052.00",
        top_bid_quantity="3.0470",
        top_ask="118052.10",
        top_ask_quantity="25.433",
    )


def test_printed_keeps_digits_of_bare_numbers():
    assert printed(QUOTE.replace(b'"3.0470"', b"3.0470")).top_bid_quantity == "3.0470"


@pytest.mark.parametrize(
    ("raw", "symbol"),
    [
        (QUOTE, "BTCUSDT"),
        (json.dumps(json.loads(QUOTE), indent=2).encode(), "BTCUSDT"),
        (b'{"type":"delta","topic":"orderbook.1.ETHUSDT"}', "ETHUSDT"),
        (QUOTE.replace(b"orderbook.1.", b"orderbook.50."), None),
        (b'{"topic":"publicTrade.BTCUSDT"}', None),
        (b'{"op":"subscribe","args":["orderbook.1.BTCUSDT"]}', None),
        (b'{"topic":"orderbook.1.BTC', None),
        (b"[1]", None),
        (b"", None),
    ],
)
def test_quoted_symbol(raw, symbol):
    assert quoted_symbol(raw) == symbol


@pytest.mark.parametrize(
    ("feed", "name"), [(LINEAR, "GetLinearInverseSymbols.txt"), (SPOT, "GetSpotSymbols.txt")], ids=str
)
def test_documented_answers_are_read(feed, name):
    text = shared("jkorf", "Bybit", "Endpoints", "V5Api", "ExchangeData", name).read_text("utf-8-sig")
    rows = json.loads(text[text.index("{") :])["result"]["list"]
    assert [instrument(feed, row).base for row in rows] == ["BTC"]


def test_shipped_metadata_and_fees():
    assert set(INSTRUMENTS[LINEAR]) == set(INSTRUMENTS[SPOT]) == {"BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT"}
    unlimited = {"max_quantity": None, "max_market_quantity": None}
    assert INSTRUMENTS[LINEAR]["BTCUSDT"] == instrument(LINEAR, LINEAR_ROW).model_copy(update=unlimited)
    assert INSTRUMENTS[SPOT]["SOLUSDT"].symbol == "SOL/USDT"
    assert (FEES[LINEAR].maker_bps, FEES[LINEAR].taker_bps) == (Decimal(2), Decimal("5.5"))
    assert (FEES[SPOT].maker_bps, FEES[SPOT].taker_bps) == (Decimal(10), Decimal(10))
    for feed, table in INSTRUMENTS.items():
        assert all(row.feed == feed for row in table.values())
