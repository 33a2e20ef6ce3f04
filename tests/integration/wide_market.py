"""A market of one perpetual whose spread is wide and comes back: for strategies that rest orders in it."""

from pathlib import Path
from random import Random

from exchanges.common.market.raw_file import write_json, write_text
from exchanges.recorded.instruments import own_metadata_path
from exchanges.simulator.sample_recording import BINANCE, START_NS, sample_instrument
from exchanges.simulator.sample_wire import BinanceWire, Top

STEP_MS = 100
MEAN_TICKS = 400
"""Half a basis point is 31 of them: 6.5 bps."""
WIDE_TICKS = 1_400


def write_wide_market(directory: Path, seed: int = 1, seconds: int = 120) -> list[str]:
    """Write it; returns the words of the command line that play it."""
    random = Random(seed)
    wire = BinanceWire(random)
    lines = [_line(wire.funding(61_800.0, "0.00008000", _ms(0)), 0)]
    bid, wide_until, rises = 618_000, -1, False
    for step in range(seconds * 1000 // STEP_MS):
        bid += random.randint(-40, 40)
        if step > wide_until + 30 and random.random() < 0.1:
            wide_until, rises = step + random.randint(5, 30), random.random() < 0.5
        is_wide = step <= wide_until
        away = WIDE_TICKS - MEAN_TICKS if is_wide else 0
        low, high = (bid, bid + MEAN_TICKS + away) if rises else (bid - away, bid + MEAN_TICKS)
        if random.random() < 0.3:  # somebody trades inside the spread, or at its edge
            tick = random.randint(low, high)
            lines.append(_line(wire.trade(tick, random.randint(1, 9), random.random() < 0.5, _ms(step)), step))
        lots = random.randint(1, 40)
        lines.append(_line(wire.quote(Top(low, lots, high, lots), _ms(step)), step))
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"wide-{seed}.raw"
    write_text(path, "".join(lines))
    write_json(own_metadata_path(path), {"BTCUSDT": sample_instrument(BINANCE).model_dump(mode="json")})
    return ["--recording", f"{BINANCE}={path}"]


def _ms(step: int) -> int:
    return START_NS // 1_000_000 + step * STEP_MS


def _line(frame: str, step: int) -> str:
    return f"{START_NS + step * STEP_MS * 1_000_000 + 2_000_000} {frame}\n"
