"""`calm` beside the recorded market, by the same functions; and those functions on markets known by heart."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from exchanges.simulator.market.fidelity import default_listings_by_id, main, recorded_quotes, simulated_quotes, table
from exchanges.simulator.market.statistics import Quotes, book_statistics, pair_statistics

SHARED = Path(os.environ.get("CRYPTO_PIPE_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))
RECORDED = SHARED / "recordings" / "binance-2024-08-08"
MS = 1_000_000

# How far `calm` may be from the recording: ratios, low and high. What is not here does not match well enough.
WITHIN = {
    "updates a second": (0.7, 1.4),
    "price changes a second": (0.6, 1.6),
    "share that changes a price": (0.6, 1.6),
    "gap ms, p95": (0.6, 1.6),
    "spread ticks, p50": (1.0, 1.0),
    "spread ticks, p95": (1.0, 3.0),
    "size, p50": (0.4, 1.6),
    "size, p95": (0.6, 1.7),
    "move in 100 ms bps, mean": (0.6, 1.6),
    "move in 1 s bps, mean": (0.6, 1.5),
    "basis bps, mean": (0.6, 1.4),
    "basis bps, SD": (0.6, 1.6),
    "basis half-life s": (0.4, 2.5),
    "edges above 1 bp a minute": (0.4, 2.0),
    "edge above 1 bp, life ms p50": (0.4, 2.5),
}


@pytest.mark.skipif(
    not RECORDED.is_dir(), reason=f"no recordings in {RECORDED}: set CRYPTO_PIPE_SHARED to the folder with recordings/"
)
def test_calm_is_like_the_recorded_market() -> None:
    names = ["binance:ETH/USDT:USDT", "binance:ETH/USDT"]
    recorded = [recorded_quotes(RECORDED / f"{name}-ethusdt_20240808.gz") for name in ("usdm", "spot")]
    simulated = simulated_quotes(names, minutes=4, seed=1)
    rows = table(recorded, simulated, [one.instrument for one in default_listings_by_id(names)])
    ratios = {name: rows[name][1] / rows[name][0] for name in WITHIN}
    outside = {name: ratio for name, ratio in ratios.items() if not WITHIN[name][0] <= ratio <= WITHIN[name][1]}
    assert not outside


def recording(path: Path, quotes: list[tuple[int, str, str]]) -> Path:
    lines = [
        f'{ts_ns} {{"stream":"x@bookTicker","data":{{"u":1,"s":"X","b":"{bid}","B":"1.5","a":"{ask}","A":"2"}}}}\n'
        for ts_ns, bid, ask in quotes
    ]
    path.write_text("".join(lines))
    return path


def test_the_command_prints_both_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recording(tmp_path / "one.raw", [(n * 100 * MS, "100.0", f"100.{1 + n % 2}") for n in range(50)])
    assert main(["--recorded", str(path), "--minutes", "0.1", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows["updates a second"]["recorded"] == pytest.approx(50 / 4.9)
    assert rows["updates a second"]["calm"] > 20
    assert main(["--recorded", str(path), "--against", str(path), "--minutes", "0.1"]) == 0
    text = capsys.readouterr().out
    assert "basis half-life s" in text
    assert "calm" in text.splitlines()[0]


def quotes_at(times_ms: list[int], mids: list[float]) -> Quotes:
    places = range(len(mids))
    return Quotes.of([(times_ms[n] * MS, mids[n] - 0.05, 1.0 + n, mids[n] + 0.05, 3.0) for n in places])


def test_book_figures_of_four_quotes() -> None:
    figures = book_statistics(quotes_at([0, 1_000, 1_010, 2_000], [100.0, 100.0, 101.0, 101.0]), tick=0.1)
    assert figures["updates a second"] == 2.0
    assert figures["price changes a second"] == 0.5
    assert figures["share that changes a price"] == pytest.approx(1 / 3)
    assert figures["gap ms, p50"] == 990.0
    assert figures["spread ticks, p50"] == pytest.approx(1.0)
    assert figures["size, p50"] == 3.0
    assert figures["move in 1 s bps, mean"] == 0.0


def test_pair_figures_find_the_one_edge() -> None:
    still = quotes_at(list(range(0, 10_000, 10)), [100_000.0] * 1_000)
    mids = [100_000.0] * 1_000
    mids[500:530] = [100_050.0] * 30
    figures = pair_statistics(quotes_at(list(range(0, 10_000, 10)), mids), still)
    assert figures["edges above 1 bp a minute"] == pytest.approx(60 / 9.99)
    assert figures["edge above 1 bp, life ms p50"] == 300.0
    assert figures["basis bps, mean"] == pytest.approx(0.15, abs=0.02)


def test_half_life_of_a_known_process() -> None:
    random = np.random.default_rng(5)
    away, values = 0.0, []
    for _ in range(6_000):
        away = away * 0.5 ** (1 / 10) + random.normal()
        values.append(away)
    times = [n * 100 for n in range(6_000)]
    figures = pair_statistics(quotes_at(times, [100_000.0 + v for v in values]), quotes_at(times, [100_000.0] * 6_000))
    assert figures["basis half-life s"] == pytest.approx(1.0, abs=0.3)


def test_statistics_need_quotes() -> None:
    with pytest.raises(ValueError, match="two quotes"):
        Quotes.of([(1, 1.0, 1.0, 2.0, 1.0)])
