"""The bot against an oracle that shares no code with it: it takes every crossing that its limits allow, and no other.

What the oracle knows stands in `oracle.py`, beside the rules that it follows.
"""

import heapq
from collections.abc import Sequence
from pathlib import Path

import pytest

from exchanges.simulator.sample_recording import BINANCE, BYBIT, write_sample
from tests.integration.oracle import Line, Oracle, Rules, read
from tests.integration.test_main_recorded import REAL, journal, run

ACTION = ("--strategy", "arbitrage", "--mode", "action", "--market", "recorded", "--headless", "--json")
PLAYED_S = 150


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    paths = write_sample(tmp_path_factory.mktemp("sample"))
    return paths[BINANCE], paths[BYBIT]


def lines(paths: Sequence[Path], played_s: int) -> list[Line]:
    until_ns = min(next(read(path, 0)).ns for path in paths) + played_s * 1_000_000_000
    files = [read(path, side, until_ns) for side, path in enumerate(paths)]
    return list(heapq.merge(*files, key=lambda line: line.ns))


def settings(feeds: Sequence[str], paths: Sequence[Path], fees_bps: Sequence[float], *more: str) -> list[str]:
    recordings = [f"{feed}={path}" for feed, path in zip(feeds, paths, strict=True)]
    fees = [f"fees.{feed}.taker_bps={bps}" for feed, bps in zip(feeds, fees_bps, strict=True)]
    return [
        *(word for recording in recordings for word in ("--recording", recording)),
        *(word for setting in (*fees, *more) for word in ("--set", setting)),
    ]


def taken_by_the_bot(data_dir: Path, words: Sequence[str], one: str, other: str) -> tuple[list[int], list[int]]:
    """When it took the one direction, and when the other."""
    ran = run(data_dir, *ACTION, *words)
    assert ran.code == 0, ran.err
    assert sum(ran.summary["quotes_refused"].values()) == 0
    taken = [body for kind, body in journal(data_dir) if kind == "decision" and body["outcome"] == "taken"]
    there, back = f":{one}>{other}", f":{other}>{one}"
    assert all(body["route"].endswith((there, back)) for body in taken)
    return tuple([body["ts_ns"] for body in taken if body["route"].endswith(way)] for way in (there, back))  # type: ignore[return-value]


@pytest.mark.parametrize(("fees_bps", "least"), [((0.0, 0.0), 20), ((2.0, 2.5), 4), ((5.0, 5.5), 3)])
def test_of_the_generated_market_every_crossing_is_taken_and_no_other(
    sample: tuple[Path, Path], tmp_path: Path, fees_bps: tuple[float, float], least: int
) -> None:
    feeds = ("binance.linear", "bybit.linear")
    words = settings(feeds, sample, fees_bps)
    oracle = Oracle(lines(sample, 600), Rules(fees_bps), one_clock=False)
    there, back = (route.taken for route in oracle.routes)
    assert taken_by_the_bot(tmp_path, words, "binance:BTC/USDT:USDT", "bybit:BTC/USDT:USDT") == (there, back)
    assert len(there) + len(back) >= least
    assert sum(route.crossings for route in oracle.routes) > 10 * least, "most crossings meet a limit"


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no recordings: {REAL} is not there")
@pytest.mark.parametrize(("fees_bps", "least"), [((0.0, 0.0), 8), ((0.2, 0.1), 2), ((10.0, 5.0), 0)])
def test_of_a_recorded_market_every_crossing_is_taken_and_no_other(
    tmp_path: Path, fees_bps: tuple[float, float], least: int
) -> None:
    paths = [REAL / "spot-ethusdt_20240808.gz", REAL / "usdm-ethusdt_20240808.gz"]
    # Orders so small that the top of the book always fills them whole.
    small = ("order_books.enabled=false", "risk.max_order_notional=60")
    words = settings(("binance.spot", "binance.linear"), paths, fees_bps, *small)
    rules = Rules(fees_bps, notional=60.0, least_notional=20.0)
    oracle = Oracle(lines(paths, PLAYED_S), rules, one_clock=True)
    there, back = (route.taken for route in oracle.routes)
    words += ["--for", f"{PLAYED_S}s"]
    assert taken_by_the_bot(tmp_path, words, "binance:ETH/USDT", "binance:ETH/USDT:USDT") == (there, back)
    assert len(there) + len(back) >= least
