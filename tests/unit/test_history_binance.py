from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bot.domain.instrument import Instrument
from bot.errors import RecordingError, SettingsError
from exchanges.binance.history import BinanceHistory
from tests.unit.history_files import (
    AGG_TRADES,
    BINANCE_LINEAR,
    BINANCE_SPOT,
    BOOK_TICKER,
    DAY_MS,
    DAY_NS,
    FUNDING,
    KLINES,
    MS,
    TRADES,
    zipped,
)

HISTORY = BinanceHistory()


def rows(path: Path, instrument: Instrument = BINANCE_LINEAR) -> list[dict[str, Any]]:
    tables = list(HISTORY.local(path, instrument).read(path))
    return pa.concat_tables(tables).to_pylist() if tables else []


def test_book_ticker_with_a_header_and_times_in_ms(tmp_path: Path) -> None:
    line = f"2899808024194,1872.84000000,55.72800000,1872.85000000,24.16400000,{DAY_MS + 27},{DAY_MS + 31}"
    path = zipped(tmp_path / "BTCUSDT-bookTicker-2024-08-08.zip", [BOOK_TICKER, line])
    assert rows(path) == [
        {
            "ts_recv_ns": DAY_NS + 31 * MS,
            "ts_event_ns": DAY_NS + 27 * MS,
            "sequence": 2899808024194,
            "bid_price": 1872.84,
            "bid_qty": 55.728,
            "ask_price": 1872.85,
            "ask_qty": 24.164,
        }
    ]


def test_spot_aggregated_trades_without_header_and_in_microseconds(tmp_path: Path) -> None:
    path = zipped(
        tmp_path / "BTCUSDT-aggTrades-2025-01-01.zip",
        [
            "0,93576.00000000,0.50000000,100,102,1735689600010866,False,True",
            "1,93575.99000000,0.25000000,103,103,1735689600010867,True,True",
        ],
    )
    first, second = rows(path, BINANCE_SPOT)
    assert first == {
        "ts_recv_ns": 1735689600010866000,
        "ts_event_ns": 1735689600010866000,
        "trade_id": "100-102",
        "price": 93576.0,
        "quantity": 0.5,
        "buyer_is_maker": False,
    }
    assert (second["trade_id"], second["buyer_is_maker"]) == ("103-103", True)


def test_fillers_of_missing_spot_trades_are_no_trades(tmp_path: Path) -> None:
    lines = [f"0,0.0,0.0,-1,-1,{DAY_MS},True,True", f"1,60000.0,0.1,7,7,{DAY_MS + 1},True,True"]
    path = zipped(tmp_path / "BTCUSDT-aggTrades-2024-08-08.zip", lines)
    assert [row["trade_id"] for row in rows(path, BINANCE_SPOT)] == ["7-7"]


def test_trades_keep_their_ids(tmp_path: Path) -> None:
    path = zipped(tmp_path / "BTCUSDT-trades-2024-08-08.zip", [TRADES, f"5175,60000.5,0.002,120.001,{DAY_MS},true"])
    (row,) = rows(path)
    assert (row["trade_id"], row["price"], row["quantity"], row["buyer_is_maker"]) == ("5175", 60000.5, 0.002, True)


def test_funding_is_of_the_settlement_at_its_own_time(tmp_path: Path) -> None:
    path = zipped(tmp_path / "BTCUSDT-fundingRate-2024-08.zip", [FUNDING, f"{DAY_MS + 3},8,-0.00012345"])
    (row,) = rows(path)
    at = DAY_NS + 3 * MS
    assert row == {
        "ts_recv_ns": at,
        "ts_event_ns": at,
        "rate": -0.00012345,
        "next_funding_ns": at,
        "interval_h": 8.0,
        "mark_price": None,
    }


BAR = f"{DAY_MS},60000.1,60010.0,59990.5,60001.0,12.5,{DAY_MS + 59_999},750012.5,321,6.25,375006.0,0"


@pytest.mark.parametrize("header", [True, False])
def test_bars_are_as_the_venue_made_them(tmp_path: Path, header: bool) -> None:
    path = zipped(tmp_path / "BTCUSDT-1m-2024-08-08.zip", [*([KLINES] if header else []), BAR])
    assert rows(path) == [
        {
            "ts_recv_ns": DAY_NS + 59_999 * MS,
            "open_ns": DAY_NS,
            "open": 60_000.1,
            "high": 60_010.0,
            "low": 59_990.5,
            "close": 60_001.0,
            "volume": 12.5,
            "quote_volume": 750_012.5,
            "taker_buy_volume": 6.25,
            "taker_buy_quote_volume": 375_006.0,
            "trades": 321,
        }
    ]
    path = zipped(tmp_path / "BTCUSDT-1m-2024-08-08.zip", [KLINES, BAR.replace("60010.0", "0")])
    with pytest.raises(RecordingError, match="line 2: high is not above zero"):
        rows(path)
    (day,) = HISTORY.files(BINANCE_LINEAR, "klines", date(2024, 8, 8), date(2024, 8, 8))
    assert day.origin.urls[0].endswith("/um/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-08-08.zip")  # type: ignore[attr-defined]
    with pytest.raises(SettingsError, match="named after their interval"):
        HISTORY.local(Path("BTCUSDT-klines-2024-08-08.zip"), BINANCE_LINEAR)


GOOD = f"1,60000.1,0.5,1,1,{DAY_MS},true"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (f"2,60000.1,0.5,1,1,{DAY_MS}", "6 columns instead of 7"),
        (f"2,sixty,0.5,1,1,{DAY_MS},true", "price is not a number"),
        (f"2,60000.1,0.5,1,1.5,{DAY_MS},true", "last_trade_id is not a whole number"),
        (f"2,60000.1,0.5,1,1,{DAY_MS},maybe", "is_buyer_maker is not true or false"),
        (f"2,nan,0.5,1,1,{DAY_MS},true", "price is not above zero"),
        (f"2,60000.1,-0.5,1,1,{DAY_MS},true", "quantity is not above zero"),
        (f"2,60000.1,0,1,1,{DAY_MS},true", "quantity is not above zero"),
        ("2,60000.1,0.5,1,1,1600000000000,true", "transact_time is not of 2024-08-08"),
        ("2,60000.1,0.5,1,1,-5,true", "transact_time is no time"),
        ("", "1 columns instead of 7"),
    ],
)
@pytest.mark.parametrize("header", [True, False])
def test_a_bad_line_is_named_with_its_number(tmp_path: Path, line: str, why: str, header: bool) -> None:
    lines = [*([AGG_TRADES] if header else []), GOOD, GOOD, line, GOOD]
    path = zipped(tmp_path / "BTCUSDT-aggTrades-2024-08-08.zip", lines)
    with pytest.raises(RecordingError) as caught:
        rows(path)
    assert str(caught.value) == f"{path}, line {4 if header else 3}: {why}; nothing of this file is kept"


def test_a_bad_line_far_into_a_large_file(tmp_path: Path) -> None:
    lines = [AGG_TRADES, *[GOOD] * 200_000, f"2,1e999,0.5,1,1,{DAY_MS},true"]
    path = zipped(tmp_path / "BTCUSDT-aggTrades-2024-08-08.zip", lines)
    with pytest.raises(RecordingError, match="line 200002: price is not above zero"):
        rows(path)


def test_a_file_that_was_cut_short_is_damaged(tmp_path: Path) -> None:
    path = zipped(tmp_path / "BTCUSDT-aggTrades-2024-08-08.zip", [GOOD])
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(RecordingError, match="is damaged"):
        rows(path)


def test_a_byte_that_changed_inside_is_found_by_the_zip_itself(tmp_path: Path) -> None:
    path = zipped(tmp_path / "BTCUSDT-aggTrades-2024-08-08.zip", [GOOD] * 1000)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 - 40] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(RecordingError, match=r"is damaged|line"):
        rows(path)


def test_an_empty_file_and_unknown_columns_are_refused(tmp_path: Path) -> None:
    empty = tmp_path / "BTCUSDT-trades-2024-08-08.csv"
    empty.write_text("")
    with pytest.raises(RecordingError, match="line 1: the file is empty"):
        rows(empty)
    empty.write_text("a,b,c\n1,2,3\n")
    with pytest.raises(RecordingError, match="line 1: no column id"):
        rows(empty)


def test_addresses_of_days_and_months() -> None:
    days = HISTORY.files(BINANCE_LINEAR, "bookTicker", date(2024, 2, 28), date(2024, 3, 1))
    assert [file.origin.urls for file in days] == [  # type: ignore[attr-defined]
        (f"https://data.binance.vision/data/futures/um/daily/bookTicker/BTCUSDT/BTCUSDT-bookTicker-{day}.zip",)
        for day in ("2024-02-28", "2024-02-29", "2024-03-01")
    ]
    months = HISTORY.files(BINANCE_LINEAR, "fundingRate", date(2024, 12, 31), date(2025, 1, 1))
    assert [file.source for file in months] == [
        "binance/um/fundingRate/BTCUSDT/2024-12",
        "binance/um/fundingRate/BTCUSDT/2025-01",
    ]
    (spot,) = HISTORY.files(BINANCE_SPOT, "aggTrades", date(2024, 8, 8), date(2024, 8, 8))
    assert spot.origin.urls[0].endswith("/data/spot/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2024-08-08.zip")  # type: ignore[attr-defined]
    assert (spot.start_ns, spot.stop_ns) == (DAY_NS, DAY_NS + 86_400_000 * MS)


def test_what_is_not_published_or_named_otherwise_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"binance\.spot has no history of kind bookTicker"):
        HISTORY.files(BINANCE_SPOT, "bookTicker", date(2024, 8, 8), date(2024, 8, 8))
    for name, why in (
        ("notes.zip", "is no name of Binance's files"),
        ("ETHUSDT-trades-2024-08-08.zip", "is of ETHUSDT"),
        ("BTCUSDT-trades-2024-13-08.zip", "month must be in"),
        ("BTCUSDT-x-2024-08.zip", "no history of kind x"),
    ):
        with pytest.raises(SettingsError, match=why):
            HISTORY.local(Path(name), BINANCE_LINEAR)
