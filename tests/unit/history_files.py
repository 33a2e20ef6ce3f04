"""History files as the venues publish them: a few lines each, packed and with checksums."""

import gzip
import hashlib
import zipfile
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from bot.domain.instrument import Instrument, Segment

DAY = "2024-08-08"
DAY_MS = 1_723_075_200_000
DAY_NS = DAY_MS * 1_000_000
MS = 1_000_000


def instrument(venue: str, segment: Segment) -> Instrument:
    settle = None if segment is Segment.SPOT else "USDT"
    return Instrument(
        venue=venue,
        symbol="BTC/USDT" if settle is None else "BTC/USDT:USDT",
        segment=segment,
        base="BTC",
        quote="USDT",
        settle=settle,
        tick_size=Decimal("0.1"),
        lot_size=Decimal("0.001"),
    )


BINANCE_SPOT = instrument("binance", Segment.SPOT)
BINANCE_LINEAR = instrument("binance", Segment.LINEAR)
BYBIT_SPOT = instrument("bybit", Segment.SPOT)
BYBIT_LINEAR = instrument("bybit", Segment.LINEAR)

BOOK_TICKER = "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time"
AGG_TRADES = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
TRADES = "id,price,qty,quote_qty,time,is_buyer_maker"
FUNDING = "calc_time,funding_interval_hours,last_funding_rate"
KLINES = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
BYBIT_TRADES = "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional,RPI"
BYBIT_SPOT_TRADES = "id,timestamp,price,volume,side,rpi"


def agg_trades(count: int, start_ms: int = DAY_MS, step_ms: int = 1_000) -> list[str]:
    """A header, and a trade every `step_ms`."""
    lines = [
        f"{at},{60_000 + at % 100}.1,0.{at % 9 + 1:03},{2 * at},{2 * at + 1},{start_ms + at * step_ms},"
        f"{'true' if at % 3 else 'false'}"
        for at in range(count)
    ]
    return [AGG_TRADES, *lines]


def zipped(path: Path, lines: Sequence[str], *, checksum: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(path.name.removesuffix(".zip") + ".csv", "\n".join(lines) + "\n")
    if checksum:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        path.with_name(path.name + ".CHECKSUM").write_text(f"{digest}  {path.name}\n")
    return path


def gzipped(path: Path, lines: Sequence[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt") as file:
        file.write("\n".join(lines) + "\n")
    return path
