"""Rows for tests of the archive."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa

from bot.domain.instrument import Instrument, Segment
from bot.storage.archive.channels import SCHEMAS, Channel

MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
START_NS = 1_767_571_200_000_000_000 // DAY_NS * DAY_NS
ETH = Instrument(
    venue="binance",
    symbol="ETH/USDT",
    segment=Segment.SPOT,
    base="ETH",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.0001"),
)
BTC = ETH.model_copy(update={"symbol": "BTC/USDT", "base": "BTC", "lot_size": Decimal("0.00001")})
KNOWN = {one.id: one for one in (ETH, BTC)}


def quotes(
    start_ns: int, rows: int = 20, instruments: tuple[str, ...] = (ETH.id, BTC.id), span_ns: int = MINUTE_NS
) -> pa.Table:
    """Quotes of several instruments in turn, evenly through a span, with numbers that tell them apart."""
    at = np.arange(rows, dtype=np.int64)
    recv = start_ns + at * (span_ns // rows)
    cents = recv // MINUTE_NS % 10_000 * 100 + at
    columns = [
        pa.array([instruments[n % len(instruments)] for n in range(rows)]),
        pa.array(recv),
        pa.array(recv // 1_000_000 * 1_000_000),
        pa.array(recv // 1_000),
        pa.array(cents / 100.0),
        pa.array((at + 1) / 10_000.0),
        pa.array((cents + 1) / 100.0),
        pa.array((at + 2) / 10_000.0),
    ]
    return pa.table(columns, schema=SCHEMAS[Channel.QUOTES])


def views(start_ns: int, texts: list[str], instrument: str = "BTC/USDT") -> pa.Table:
    """A view a second."""
    recv = [start_ns + at * 1_000_000_000 for at in range(len(texts))]
    columns = [pa.array([instrument] * len(texts)), pa.array(recv, pa.int64()), pa.array(texts)]
    return pa.table(columns, schema=SCHEMAS[Channel.VIEWS])


def by_instrument(table: pa.Table) -> pa.Table:
    """The order in which a segment is read."""
    return table.sort_by([("instrument", "ascending"), ("ts_recv_ns", "ascending")]).combine_chunks()


def files(data_dir: Path) -> list[str]:
    """Of the archive in its default root, by path."""
    root = data_dir / "archive"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
