import hashlib
import json
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from bot.domain.instrument import Feed
from exchanges.recorded.files import RecordedFile
from exchanges.recorded.instruments import metadata_beside
from exchanges.simulator.latent import STEP_S, Dislocation, latent_path
from exchanges.simulator.sample_recording import (
    BINANCE,
    BYBIT,
    RECORDER_OFFSET_NS,
    START_NS,
    dislocations,
    sample_instrument,
    write_sample,
)

ROUND_TRIP_FEES_BPS = 21.0
Quote = tuple[int, str, float, float, int]
"""Receive time, venue, bid, ask, event time in ms."""


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> dict[Feed, Path]:
    return write_sample(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def frames(sample: dict[Feed, Path]) -> dict[Feed, list[tuple[int, dict]]]:  # type: ignore[type-arg]
    return {feed: rows(path) for feed, path in sample.items()}


@pytest.fixture(scope="module")
def quotes(frames: dict[Feed, list[tuple[int, dict]]]) -> list[Quote]:  # type: ignore[type-arg]
    found: list[Quote] = []
    for ns, frame in frames[BINANCE]:
        data = frame["data"]
        if data["e"] == "bookTicker":
            found.append((ns, "binance", float(data["b"]), float(data["a"]), data["T"]))
    for ns, frame in frames[BYBIT]:
        if frame["topic"] == "orderbook.1.BTCUSDT":
            (bid, _), (ask, _) = frame["data"]["b"][0], frame["data"]["a"][0]
            found.append((ns, "bybit", float(bid), float(ask), frame["cts"]))
    return sorted(found)


def rows(path: Path) -> list[tuple[int, dict]]:  # type: ignore[type-arg]
    file = RecordedFile(path)
    found = []
    for batch in file.batches():
        assert not batch.faults
        found += [(ns, json.loads(raw)) for ns, raw in zip(batch.stamps, batch.payloads, strict=True)]
    assert file.complete
    return found


def digest(paths: dict[Feed, Path]) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths.values()]


def edges(quotes: list[Quote]) -> list[tuple[float, float]]:
    """Seconds since the start, and the better of the two executable edges in bps, after each quote."""
    tops: dict[str, tuple[float, float]] = {}
    found = []
    for ns, venue, bid, ask, _ in quotes:
        tops[venue] = (bid, ask)
        if len(tops) == 2:
            (bid_a, ask_a), (bid_b, ask_b) = tops["binance"], tops["bybit"]
            found.append(((ns - START_NS) / 1e9, max(bid_a / ask_b, bid_b / ask_a) * 1e4 - 1e4))
    return found


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    one = digest(write_sample(tmp_path / "one", seed=3, minutes=1))
    assert digest(write_sample(tmp_path / "two", seed=3, minutes=1)) == one
    assert digest(write_sample(tmp_path / "three", seed=4, minutes=1)) != one


def test_names_tell_that_it_is_generated(sample: dict[Feed, Path]) -> None:
    assert {str(feed): path.name for feed, path in sample.items()} == {
        "binance.linear": "sample-generated-binance.linear-seed1-10min.raw",
        "bybit.linear": "sample-generated-bybit.linear-seed1-10min.raw",
    }


def test_instrument_metadata_stands_beside_it(sample: dict[Feed, Path]) -> None:
    for feed, path in sample.items():
        assert metadata_beside([path], feed) == {"BTCUSDT": sample_instrument(feed)}


def test_it_is_small_and_receive_times_grow(frames: dict[Feed, list[tuple[int, dict]]]) -> None:  # type: ignore[type-arg]
    assert 20_000 <= sum(map(len, frames.values())) <= 40_000
    for lines in frames.values():
        stamps = [ns for ns, _ in lines]
        assert all(later > earlier for earlier, later in pairwise(stamps))
        assert abs(stamps[0] - START_NS) < 100_000_000
        assert abs(stamps[-1] - START_NS - 600_000_000_000) < 2_000_000_000


def test_every_kind_of_frame_is_there(frames: dict[Feed, list[tuple[int, dict]]]) -> None:  # type: ignore[type-arg]
    binance = [frame["stream"] for _, frame in frames[BINANCE]]
    bybit = [frame["topic"] for _, frame in frames[BYBIT]]
    assert binance.count("btcusdt@bookTicker") > 15_000
    assert binance.count("btcusdt@markPrice") == 200
    assert binance.count("btcusdt@aggTrade") > 100
    assert bybit.count("orderbook.1.BTCUSDT") > 5_000
    assert bybit.count("tickers.BTCUSDT") == 120
    assert bybit.count("publicTrade.BTCUSDT") > 100


def test_quotes_are_on_the_grid_and_one_tick_wide(sample: dict[Feed, Path], quotes: list[Quote]) -> None:
    assert {round(ask - bid, 6) for _, _, bid, ask, _ in quotes} == {0.1}
    first = next(line for line in sample[BINANCE].read_text().splitlines() if "bookTicker" in line)
    data = json.loads(first.split(" ", 1)[1])["data"]
    assert [len(data[key].partition(".")[2]) for key in "baBA"] == [2, 2, 3, 3]
    assert all(float(data[key]) > 0 for key in "baBA")


def test_update_ids_grow(frames: dict[Feed, list[tuple[int, dict]]]) -> None:  # type: ignore[type-arg]
    binance = [frame["data"]["u"] for _, frame in frames[BINANCE] if "bookTicker" in frame["stream"]]
    bybit = [frame["data"]["u"] for _, frame in frames[BYBIT] if "orderbook" in frame["topic"]]
    for ids in (binance, bybit):
        assert all(later > earlier for earlier, later in pairwise(ids))


def test_the_recorders_clock_is_behind(quotes: list[Quote]) -> None:
    """The fastest Binance frames took some 6 ms; by the recorder they came before they were sent."""
    fastest_ms = min(ns / 1e6 - event_ms for ns, venue, _, _, event_ms in quotes if venue == "binance")
    assert 5.9 < fastest_ms - RECORDER_OFFSET_NS / 1e6 < 7.1


def test_large_dislocations_beat_fees_and_small_ones_do_not(quotes: list[Quote]) -> None:
    plan = [one for many in dislocations_of(seed=1).values() for one in many]
    large = [one for one in plan if abs(one.peak_bps) > 25]
    small = [one for one in plan if abs(one.peak_bps) <= 25]
    assert len(large) == 4
    assert len(small) == 8
    seen = edges(quotes)
    for one in large:
        best = max(edge for at, edge in seen if one.start_s < at < one.start_s + 3)
        assert best > ROUND_TRIP_FEES_BPS + 3
        left = max(edge for at, edge in seen if one.start_s + 55 < at < one.start_s + 60)
        assert left < 5
    near_large = [(one.start_s, one.start_s + 30) for one in large]
    calm = [edge for at, edge in seen if not any(start <= at <= end for start, end in near_large)]
    assert max(calm) < ROUND_TRIP_FEES_BPS - 3
    for one in small:
        assert max(edge for at, edge in seen if one.start_s < at < one.start_s + 3) > 3


def dislocations_of(seed: int) -> dict[Feed, list[Dislocation]]:
    """The plan of a sample: made after the latent price, from the same random numbers."""
    random = Random(seed)
    latent_path(random, 61_800.0, round(600 / STEP_S))
    return dislocations(random, 600)


def test_between_dislocations_the_basis_is_that_of_the_measured_pairs(quotes: list[Quote]) -> None:
    plan = [one for many in dislocations_of(seed=1).values() for one in many]
    tops: dict[str, float] = {}
    basis = []
    for ns, venue, bid, ask, _ in quotes:
        tops[venue] = (bid + ask) / 2
        at = (ns - START_NS) / 1e9
        if len(tops) == 2 and sum(abs(one.bps_at(at)) for one in plan) < 0.05:
            basis.append((tops["binance"] / tops["bybit"] - 1) * 1e4)
    mean = sum(basis) / len(basis)
    deviation = (sum((one - mean) ** 2 for one in basis) / len(basis)) ** 0.5
    assert len(basis) > 5_000
    assert 0.4 < deviation < 1.0
