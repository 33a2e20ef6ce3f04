"""What is read from the archive equals what was written, value by value and bit by bit, merged or not."""

import struct
from collections.abc import Mapping, Sequence
from decimal import Context, Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.domain.instrument import Instrument, Segment
from bot.storage.archive import files, merge
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.archive.store import ArchiveStore

INT64 = st.integers(-(2**63), 2**63 - 1)
IDS = ["binance:BTC/USDT:USDT", "binance:ETH/USDT", "bybit:BTC/USDT", "BTC/USDT"]
HOUR_NS = 3_600_000_000_000
# Times stay clear of the ends of the range, where "one behind" would not fit.
TIMES = st.integers(0, 3 * HOUR_NS) | st.integers(-(2**62), 2**62)
PRICES = st.one_of(
    st.decimals(min_value=0, max_value=10**7, places=2, allow_nan=False).map(float),
    st.decimals(min_value=0, max_value=1, places=9, allow_nan=False).map(float),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -0.0, 5e-324, 1.7976931348623157e308, 2.0**53, 2.0**53 + 2, 0.1 + 0.2]),
)
TEXTS = st.text(max_size=6) | INT64.map(str) | st.sampled_from(["007", "-0", "+1", " 1", "1" * 30, "=1+1", "\x00"])
DIGITS = Context(prec=38)
LEVELS = st.lists(st.fixed_dictionaries({"price": TEXTS, "quantity": TEXTS}), max_size=2)
EXACT = st.integers(-(10**37), 10**37).map(lambda digits: Decimal(digits).scaleb(-18, DIGITS))
# The blocks stay small through all examples of a test.
SETTINGS = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def cell(field: pa.Field) -> st.SearchStrategy[Any]:
    if field.name == "ts_recv_ns":
        return TIMES
    by_type: Mapping[pa.DataType, st.SearchStrategy[Any]] = {
        pa.int64(): INT64,
        pa.int32(): st.integers(-(2**31), 2**31 - 1),
        pa.int8(): st.integers(-1, 1),
        pa.float64(): PRICES,
        pa.bool_(): st.booleans(),
        pa.string(): st.sampled_from(["snapshot", "delta", "invalid"]) if field.name == "kind" else TEXTS,
    }
    if pa.types.is_list(field.type):
        return LEVELS
    kind = EXACT if pa.types.is_decimal(field.type) else by_type[field.type]
    return st.none() | kind if field.nullable else kind


def rows_of(channel: Channel) -> st.SearchStrategy[list[dict[str, Any]]]:
    cells = {field.name: cell(field) for field in SCHEMAS[channel]}
    return st.lists(st.fixed_dictionaries({**cells, "instrument": st.sampled_from(IDS)}), max_size=12)


def instrument(instrument_id: str, tick: str, lot: str) -> Instrument:
    venue, _, symbol = instrument_id.partition(":")
    return Instrument(
        venue=venue,
        symbol=symbol,
        segment=Segment.SPOT,
        base="A",
        quote="B",
        tick_size=Decimal(tick),
        lot_size=Decimal(lot),
    )


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks end within an instrument and within equal times, and merging goes on from portion to portion."""
    monkeypatch.setattr(files, "BLOCK_ROWS", 3)
    monkeypatch.setattr(merge, "_ROWS_HELD", 5)


KNOWN = {IDS[0]: instrument(IDS[0], "0.1", "0.001"), IDS[1]: instrument(IDS[1], "0.01", "1E-9")}


def bits(value: Any) -> Any:
    """Something to compare: floats by their bits, so that NaN equals itself and 0.0 is not -0.0."""
    if isinstance(value, Mapping):
        return tuple((key, bits(value[key])) for key in sorted(value))
    if isinstance(value, list):
        return tuple(bits(item) for item in value)
    return struct.pack("d", value) if isinstance(value, float) else repr(value)


def ordered(batches: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, list[Any]]:
    """By instrument, in order of receipt, rows of one time as they were written."""
    rows = [row for batch in batches for row in batch]
    return {
        name: [bits(row) for row in sorted((r for r in rows if r["instrument"] == name), key=lambda r: r["ts_recv_ns"])]
        for name in IDS
    }


def by_instrument(table: pa.Table) -> dict[str, list[Any]]:
    rows = table.to_pylist()
    return {name: [bits(row) for row in rows if row["instrument"] == name] for name in IDS}


def check(channel: Channel, batches: Sequence[Sequence[Mapping[str, Any]]]) -> None:
    with TemporaryDirectory() as directory, ArchiveStore.open(Path(directory)) as store:
        segments = [
            store.write(channel, "binance.spot", pa.Table.from_pylist(list(batch), SCHEMAS[channel]), KNOWN)
            for batch in batches
        ]
        expected = ordered(batches)
        for when in ("written", "merged"):
            for batch, segment in zip(batches, segments, strict=True):
                if segment is not None:
                    assert by_instrument(store.read(segment)) == ordered([batch]), when
            for name in IDS:
                read = store.rows(channel, name, -(2**63), 2**63 - 1)
                assert read.schema.equals(SCHEMAS[channel])
                assert [bits(row) for row in read.to_pylist()] == expected[name], when
            store.merge(2**62)
        assert sorted(s.number for s in store.segments(written=True)) == [s.number for s in segments if s is not None]


@SETTINGS
@given(st.sampled_from(list(Channel)).flatmap(lambda c: st.tuples(st.just(c), st.lists(rows_of(c), max_size=4))))
def test_every_channel_comes_back(case: tuple[Channel, list[list[dict[str, Any]]]]) -> None:
    check(*case)


@SETTINGS
@given(st.lists(rows_of(Channel.QUOTES), max_size=4))
def test_quotes_come_back(batches: list[list[dict[str, Any]]]) -> None:
    check(Channel.QUOTES, batches)


@SETTINGS
@given(rows_of(Channel.TRADES), TIMES, TIMES)
def test_a_span_has_the_rows_from_its_start_to_before_its_stop(
    rows: list[dict[str, Any]], start_ns: int, stop_ns: int
) -> None:
    with TemporaryDirectory() as directory, ArchiveStore.open(Path(directory)) as store:
        half = len(rows) // 2
        for part in (rows[:half], rows[half:]):
            store.write(Channel.TRADES, "all", pa.Table.from_pylist(part, SCHEMAS[Channel.TRADES]), {})
        for name in IDS:
            times = sorted(row["ts_recv_ns"] for row in rows if row["instrument"] == name)
            read = store.rows(Channel.TRADES, name, start_ns, stop_ns, ["ts_recv_ns"])
            assert read.column_names == ["ts_recv_ns"]
            assert read.column(0).to_pylist() == [at for at in times if start_ns <= at < stop_ns]
