"""A recorded market of Kraken or Coinbase beside Binance, through `main.py`: watched, and what is in the way is said.

No recording holds them at one time: the lines are made here, in the shape of the venues' documentation.
"""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FIRST_NS = 1_783_641_600_000_000_000
STEP_NS = 100_000_000
LINES = 900


def iso(ns: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ns // 1_000)).isoformat()


def binance(at: int, ns: int) -> Any:
    data = {"u": at + 5, "s": "BTCUSDT", "b": f"{64_005 + at % 7}.00", "B": "1", "a": f"{64_005 + at % 7}.01", "A": "2"}
    return {"stream": "btcusdt@bookTicker", "data": data}


def kraken(at: int, ns: int) -> Any:
    bid = 64_000 + at % 7
    row = {"symbol": "BTC/USD", "bid": bid, "bid_qty": 1.2, "ask": bid + 0.1, "ask_qty": 2.3, "timestamp": iso(ns)}
    return {"channel": "ticker", "type": "update", "data": [row]}


def coinbase(at: int, ns: int) -> Any:
    levels = [("bid", 64_000 + at % 7, 1), ("offer", 64_010 + at % 7, 1)]
    if at:
        levels += [("bid", 64_000 + (at - 1) % 7, 0), ("offer", 64_010 + (at - 1) % 7, 0)]
    updates = [
        {"side": side, "event_time": iso(ns), "price_level": f"{price}.00", "new_quantity": str(quantity)}
        for side, price, quantity in levels
    ]
    event = {"type": "update" if at else "snapshot", "product_id": "BTC-USD", "updates": updates}
    return {"channel": "l2_data", "timestamp": iso(ns), "sequence_num": at, "events": [event]}


def recording(path: Path, frame: Any) -> Path:
    stamps = [FIRST_NS + at * STEP_NS for at in range(LINES)]
    lines = [f"{ns} {json.dumps(frame(at, ns), separators=(',', ':'))}" for at, ns in enumerate(stamps)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(("venue", "frame"), [("kraken", kraken), ("coinbase", coinbase)])
def test_a_pair_in_two_quote_currencies_is_watched_and_needs_their_price(
    venue: str, frame: Any, tmp_path: Path
) -> None:
    here, there = recording(tmp_path / "here.raw", frame), recording(tmp_path / "there.raw", binance)
    feeds = [f"--recording={venue}.spot={here}", f"--recording=binance.spot={there}"]
    command = [sys.executable, str(ROOT / "main.py"), "--market=recorded", *feeds, f"--data-dir={tmp_path / 'data'}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert f"{venue}.spot 900" in said
    assert "binance.spot 900" in said
    assert f"{venue}:BTC/USD>binance:BTC/USDT" in said
    assert "conversion USDT/USD is not known" in said
    assert "taken 0" in said
