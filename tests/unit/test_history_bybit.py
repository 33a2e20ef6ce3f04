import json
import zipfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bot.domain.instrument import Instrument
from bot.errors import RecordingError, SettingsError
from bot.storage.archive.channels import SCHEMAS, Channel
from exchanges.bybit.history import BybitHistory
from tests.unit.history_files import (
    BYBIT_LINEAR,
    BYBIT_SPOT,
    BYBIT_SPOT_TRADES,
    BYBIT_TRADES,
    DAY_MS,
    DAY_NS,
    MS,
    gzipped,
)

HISTORY = BybitHistory(book_depth=3)


def rows(path: Path, instrument: Instrument = BYBIT_LINEAR) -> list[dict[str, Any]]:
    return pa.concat_tables(HISTORY.local(path, instrument).read(path)).to_pylist()


def trade(seconds: str, side: str, size: str, price: str, match: str) -> str:
    return f"{seconds},BTCUSDT,{side},{size},{price},ZeroMinusTick,{match},1143990000.0,{size},1143.99,0"


def test_linear_trades_with_times_in_fractions_of_seconds(tmp_path: Path) -> None:
    lines = [
        BYBIT_TRADES,
        trade("1723075200.1234", "Buy", "0.02", "57199.5", "224061a0"),
        trade("1723075201", "Sell", "0.5", "57199", "e105508c"),
    ]
    first, second = rows(gzipped(tmp_path / "BTCUSDT2024-08-08.csv.gz", lines))
    assert first == {
        "ts_recv_ns": DAY_NS + 123_400_000,
        "ts_event_ns": DAY_NS + 123_400_000,
        "trade_id": "224061a0",
        "price": 57199.5,
        "quantity": 0.02,
        "buyer_is_maker": False,
    }
    assert (second["ts_event_ns"], second["buyer_is_maker"]) == (DAY_NS + 1_000 * MS, True)


def test_a_file_that_goes_back_in_time_is_turned_round(tmp_path: Path) -> None:
    lines = [BYBIT_TRADES, *(trade(f"{1723075200 + at}", "Buy", "1", "2", f"m{at}") for at in (3, 2, 2, 1))]
    assert [row["trade_id"] for row in rows(gzipped(tmp_path / "BTCUSDT2024-08-08.csv.gz", lines))] == [
        "m1", "m2", "m2", "m3",
    ]  # fmt: skip


def test_spot_trades(tmp_path: Path) -> None:
    lines = [BYBIT_SPOT_TRADES, f"1,{DAY_MS + 74},61000.5,0.003718,sell,0"]
    (row,) = rows(gzipped(tmp_path / "BTCUSDT_2024-08-08.csv.gz", lines), BYBIT_SPOT)
    assert row == {
        "ts_recv_ns": DAY_NS + 74 * MS,
        "ts_event_ns": DAY_NS + 74 * MS,
        "trade_id": "1",
        "price": 61000.5,
        "quantity": 0.003718,
        "buyer_is_maker": True,
    }


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (trade("1723075200", "Neither", "1", "2", "m"), "side is neither Buy nor Sell"),
        (trade("1723075200", "Buy", "0", "2", "m"), "size is not above zero"),
        (trade("1523075200", "Buy", "1", "2", "m"), "timestamp is not of 2024-08-08"),
        (trade("yesterday", "Buy", "1", "2", "m"), "timestamp is not a time in seconds"),
        (trade("1723075200", "Buy", "1", "2", "m").replace("BTCUSDT", "ETHUSDT"), "symbol is not BTCUSDT"),
    ],
)
def test_a_bad_line_is_named_with_its_number(tmp_path: Path, line: str, why: str) -> None:
    path = gzipped(
        tmp_path / "BTCUSDT2024-08-08.csv.gz", [BYBIT_TRADES, trade("1723075200", "Buy", "1", "2", "a"), line]
    )
    with pytest.raises(RecordingError) as caught:
        rows(path)
    assert str(caught.value) == f"{path}, line 3: {why}; nothing of this file is kept"


def test_half_a_gzip_is_damaged(tmp_path: Path) -> None:
    lines = [BYBIT_TRADES, *(trade("1723075200", "Buy", "1", "2", f"{at * 7919:x}") for at in range(5_000))]
    path = gzipped(tmp_path / "BTCUSDT2024-08-08.csv.gz", lines)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(RecordingError, match="is damaged"):
        rows(path)


Level = tuple[str, str]


def frame(kind: str, u: int, bids: Sequence[Level], asks: Sequence[Level], ms: int = DAY_MS, depth: int = 500) -> str:
    return json.dumps(
        {
            "topic": f"orderbook.{depth}.BTCUSDT",
            "type": kind,
            "ts": ms + 3,
            "data": {"s": "BTCUSDT", "b": bids, "a": asks, "u": u, "seq": 1000 + u},
            "cts": ms,
        }
    )


def books(path: Path, lines: Sequence[str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(path.name.removesuffix(".zip"), "\n".join(lines) + "\n")
    return path


BIDS = [("100.0", "1"), ("99.0", "2"), ("98.0", "3"), ("97.0", "4")]
ASKS = [("101.0", "1"), ("102.0", "2")]
NAME = "2024-08-08_BTCUSDT_ob500.data.zip"


def messages(found: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Kind, ids and levels of each message."""
    by_number: dict[int, list[dict[str, Any]]] = {}
    for row in found:
        by_number.setdefault(row["message"], []).append(row)
    numbers = list(by_number)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    return [
        (
            group[0]["kind"],
            group[0]["first_id"],
            group[0]["last_id"],
            [(row["side"], row["price"], row["quantity"]) for row in group],
        )
        for group in by_number.values()
    ]


def test_a_book_is_a_snapshot_and_every_change_of_its_best_levels(tmp_path: Path) -> None:
    lines = [
        frame("snapshot", 10, BIDS, ASKS),
        frame("delta", 11, [("99.0", "0")], [], DAY_MS + 100),  # the fourth level comes into view
        frame("delta", 12, [("99.5", "7")], [("102.0", "5")], DAY_MS + 200),  # and falls out of it
        frame("delta", 13, [("97.0", "9")], [], DAY_MS + 300),  # which nobody sees
    ]
    found = rows(books(tmp_path / NAME, lines))
    assert messages(found) == [
        ("snapshot", 10, 10, [(1, 100.0, 1.0), (1, 99.0, 2.0), (1, 98.0, 3.0), (-1, 101.0, 1.0), (-1, 102.0, 2.0)]),
        ("delta", 11, 11, [(1, 97.0, 4.0), (1, 99.0, 0.0)]),
        ("delta", 12, 12, [(1, 99.5, 7.0), (-1, 102.0, 5.0), (1, 97.0, 0.0)]),
        ("delta", 13, 13, [(0, 0.0, 0.0)]),
    ]
    assert [row["ts_recv_ns"] for row in found][-1] == DAY_NS + 300 * MS
    columns = [name for name in SCHEMAS[Channel.DEPTH].names if name != "instrument"]
    assert list(found[0]) == columns


def test_a_missing_frame_ends_the_book_until_the_next_whole_one(tmp_path: Path) -> None:
    lines = [
        frame("snapshot", 10, BIDS[:1], ASKS[:1]),
        frame("delta", 12, [("99.0", "1")], [], DAY_MS + 100),
        frame("delta", 13, [("99.0", "2")], [], DAY_MS + 200),
        frame("snapshot", 1, BIDS[:1], ASKS[:1], DAY_MS + 300),
        frame("delta", 2, [], [("101.0", "8")], DAY_MS + 400),
    ]
    assert messages(rows(books(tmp_path / NAME, lines))) == [
        ("snapshot", 10, 10, [(1, 100.0, 1.0), (-1, 101.0, 1.0)]),
        ("invalid", 11, 10, [(0, 0.0, 0.0)]),
        ("snapshot", 1, 1, [(1, 100.0, 1.0), (-1, 101.0, 1.0)]),
        ("delta", 2, 2, [(-1, 101.0, 8.0)]),
    ]


def test_a_whole_book_is_written_with_every_minute(tmp_path: Path) -> None:
    minute = DAY_MS + 60_000
    lines = [
        frame("snapshot", 10, BIDS[:1], ASKS[:1]),
        frame("delta", 11, [("100.0", "5")], [], minute + 5),
        frame("delta", 12, [("100.0", "6")], [], minute + 6),
    ]
    kinds = [(kind, last) for kind, _, last, _ in messages(rows(books(tmp_path / NAME, lines)))]
    assert kinds == [("snapshot", 10), ("snapshot", 11), ("delta", 12)]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"topic":"orderbook.500.BTCUSDT","type":"delta"', "line 2"),
        (frame("delta", 11, [("x", "1")], []), "line 2: a level's price or quantity is not a number"),
        (frame("delta", 11, [], []).replace("BTCUSDT", "ETHUSDT"), "line 2: the topic is not of BTCUSDT"),
        (frame("delta", 11, [], [], DAY_MS * 2), "line 2: its time is not of 2024-08-08"),
        ("", "line 2: no frame of an order book"),
    ],
)
def test_a_bad_frame_is_named_with_its_line(tmp_path: Path, line: str, why: str) -> None:
    path = books(tmp_path / NAME, [frame("snapshot", 10, BIDS, ASKS), line])
    with pytest.raises(RecordingError, match=why) as caught:
        rows(path)
    assert str(path) in str(caught.value)


def test_addresses() -> None:
    day = date(2024, 8, 8)

    def urls(instrument: Instrument, kind: str) -> Any:
        (file,) = HISTORY.files(instrument, kind, day, day)
        return file.origin.urls  # type: ignore[attr-defined]

    assert urls(BYBIT_LINEAR, "trades") == ("https://public.bybit.com/trading/BTCUSDT/BTCUSDT2024-08-08.csv.gz",)
    assert urls(BYBIT_SPOT, "trades") == ("https://public.bybit.com/spot/BTCUSDT/BTCUSDT_2024-08-08.csv.gz",)
    books_of_day = "https://quote-saver.bycsi.com/orderbook/linear/BTCUSDT/2024-08-08_BTCUSDT_ob"
    assert urls(BYBIT_LINEAR, "orderbook") == tuple(f"{books_of_day}{depth}.data.zip" for depth in (500, 200, 1000))


def test_names_that_are_none_are_refused() -> None:
    for name in ("BTCUSDT_2024-08-08.csv.gz", "ETHUSDT2024-08-08.csv.gz", "BTCUSDT2024-02-31.csv.gz", "x.zip"):
        with pytest.raises(SettingsError):
            HISTORY.local(Path(name), BYBIT_LINEAR)
    with pytest.raises(SettingsError, match="no history of kind klines"):
        HISTORY.files(BYBIT_LINEAR, "klines", date(2024, 8, 8), date(2024, 8, 8))
