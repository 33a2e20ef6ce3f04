"""Whole books for many symbols at once: what they take of an address, which cancels and hedges share."""

import asyncio
import random

import pytest

from bot.clock import VirtualClock
from bot.domain.instrument import Feed, Segment
from bot.ports import Wiring
from bot.settings import Settings
from exchanges.binance.depth_reader import SNAPSHOTS_PER_MINUTE, BinanceDepthReader
from exchanges.common.market.snapshot_desk import SnapshotDesk
from exchanges.depth.fanout import DepthFanout
from exchanges.depth.readers import depth_readers

WEIGHTS = {Segment.SPOT: (50, 6_000), Segment.LINEAR: (20, 2_400)}
"""Of a snapshot of a thousand levels, and of all that an address may ask in a minute (Binance's documentation)."""


class Venue:
    """Answers at once, and notes when it was asked."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.asked_s: list[float] = []
        self.delivered: set[str] = set()

    async def fetch(self, symbol: str) -> bytes:
        self.asked_s.append(self.clock.monotonic_ns() / 1e9)
        return b"{}"

    def deliver(self, symbol: str, raw: bytes) -> None:
        self.delivered.add(symbol)

    async def advance(self, to_s: float) -> None:
        while self.clock.monotonic_ns() < to_s * 1e9:
            self.clock.advance_to(self.clock.monotonic_ns() + 500_000_000)
            for _ in range(400):
                await asyncio.sleep(0)


async def test_a_minute_of_snapshots_leaves_most_of_the_address_to_orders() -> None:
    clock = VirtualClock()
    venue = Venue(clock)
    desk = SnapshotDesk(
        venue.fetch, venue.deliver, settings=Settings().connection, clock=clock, rng=random.Random(1),
        on_trouble=lambda words: None, per_minute=SNAPSHOTS_PER_MINUTE,
    )  # fmt: skip
    symbols = {f"S{number}USDT" for number in range(100)}
    for symbol in symbols:
        desk.want(symbol)
    await venue.advance(240.0)
    assert venue.delivered == symbols
    for begin_s in venue.asked_s:
        in_a_minute = sum(begin_s <= at_s < begin_s + 60.0 for at_s in venue.asked_s)
        for weight, limit in WEIGHTS.values():
            assert in_a_minute * weight <= 0.4 * limit
    # A few are there at once: nobody waits for a pace that is not needed.
    assert sum(at_s < 1.0 for at_s in venue.asked_s) >= 30
    await desk.close()


@pytest.mark.parametrize("symbols", [1, 200, 201, 600])
def test_readers_of_one_feed_share_its_pace(symbols: int) -> None:
    feed = Feed(venue="binance", segment=Segment.LINEAR)
    wiring = Wiring(Settings.model_validate({"market": "live"}), VirtualClock())
    slots = {f"S{number}USDT": number for number in range(symbols)}
    readers = depth_readers({feed: slots}, DepthFanout(), wiring)
    assert len(readers) == -(-symbols // 200)
    paces = [reader.per_minute for reader in readers if isinstance(reader, BinanceDepthReader)]
    assert len(paces) == len(readers)
    assert 0 < sum(paces) <= SNAPSHOTS_PER_MINUTE
