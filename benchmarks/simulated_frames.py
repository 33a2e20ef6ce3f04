"""How many public frames one core serves to the bot and to one more subscriber, and whether each gets all of them."""

import asyncio
from collections.abc import Mapping, Sequence
from time import perf_counter_ns
from typing import NamedTuple

import uvloop

from benchmarks.chains import Chains, ages_ms, differing
from benchmarks.measure import progress, quantile
from benchmarks.rows import Row, Target, figure
from benchmarks.simulated import SCENARIO, Simulated, simulated
from benchmarks.subscribers import FEEDS, SYMBOLS, BareSocket, CountingSink, bare_reading, bot_reading
from bot.clock import SystemClock
from bot.domain.instrument import Feed

_RATE = 30.0
"""Times the measured update rates of all books."""
_SEED = 44
"""Of a day whose first minute is neither hot nor quiet: books change more often while prices move."""
_WINDOW_S = 5.0
_SETTLE_S = 1.0
_ENOUGH = Target("value", at_most=False, limit=20_000, unit="frames/s")
_COMPLETE = Target("value", at_most=True, limit=0, unit="frames")


class _Sample(NamedTuple):
    """One window."""

    bot: float
    bare: float
    core: float
    age_p50_ms: float
    age_p99_ms: float
    faults: float


def rows(rounds: int) -> list[Row]:
    """Frames a second, the server's part of its core, ages and losses."""
    with simulated(_SEED, _RATE, best_interval_ms=0) as server:
        samples = uvloop.run(_measure(server, rounds))
    bot, bare, core, p50, p99, faults = zip(*samples, strict=True)
    told = f"simulated exchanges at {_RATE:g}x"
    note = (
        f"{SCENARIO}, {_RATE:g} times the shipped rates: books of BTC and ETH on four feeds, {_WINDOW_S:g} s a round; "
        "the server is a process on one core, its two subscribers share another; Bybit's best prices at every change"
    )
    age = "from the exchange's time, told in whole ms and rounded down, to the bare socket"
    complete = "ids that count frames chain; both subscribers saw the same ids of quotes; none is malformed"
    own = [2 * frames / part for frames, part in zip(bot, core, strict=True)]
    return [
        figure(f"{told}: to the bot's own readers", "frames/s", bot, _ENOUGH, note),
        figure(f"{told}: to a bare socket beside it", "frames/s", bare, _ENOUGH, note),
        figure(f"{told}: server, part of its core", "of 1", core, None, "CPU time of the process over the clock's"),
        figure(f"{told}: sent to both, a second of own CPU time", "frames/s", own, None, "frames to both together"),
        figure(f"{told}: age on arrival, p50", "ms", p50, None, age),
        figure(f"{told}: age on arrival, p99", "ms", p99, None, age),
        figure(f"{told}: lost, doubled or out of order", "frames", faults, _COMPLETE, complete),
    ]


async def _measure(server: Simulated, rounds: int) -> list[_Sample]:
    async with bot_reading(server.address) as sink, bare_reading(server.address) as sockets:
        audience = _Audience(sink, sockets)
        samples = []
        for number in range(rounds):
            progress(f"simulated frames: round {number + 1} of {rounds}")
            samples.append(await audience.listen(server))
    return samples


class _Audience:
    """Both subscribers, and what they heard."""

    def __init__(self, sink: CountingSink, sockets: Mapping[Feed, Sequence[BareSocket]]) -> None:
        self._sink = sink
        self._sockets = sockets
        self._clock = SystemClock()
        self._chains = {feed: Chains() for feed in sockets}

    async def listen(self, server: Simulated) -> _Sample:
        """One window."""
        # What came while the last window was looked through is on its way in first.
        await asyncio.sleep(_SETTLE_S)
        begun_utc_ns = self._clock.now_ns()
        used = await asyncio.to_thread(server.usage)
        begun_ns, bot, bare = perf_counter_ns(), self._sink.frames, self._bare_frames()
        await asyncio.sleep(_WINDOW_S)
        seconds = (perf_counter_ns() - begun_ns) / 1e9
        bot, bare = self._sink.frames - bot, self._bare_frames() - bare
        core = (await asyncio.to_thread(server.usage)).since(used)
        faults, ages = self._check(begun_utc_ns)
        return _Sample(bot / seconds, bare / seconds, core, quantile(ages, 0.5), quantile(ages, 0.99), faults)

    def _bare_frames(self) -> int:
        return sum(len(one.payloads) for several in self._sockets.values() for one in several)

    def _check(self, begun_utc_ns: int) -> tuple[int, list[float]]:
        """Frames that were wrong since the last time, and the ages of the window's, sorted. Takes long."""
        ages: list[float] = []
        faults, self._sink.malformed = self._sink.malformed, 0
        for place, feed in enumerate(FEEDS):
            chains = self._chains[feed]
            for socket in self._sockets[feed]:
                came = socket.take()
                ages += ages_ms(one for one in came if one[0] >= begun_utc_ns)
                chains.follow(raw for _, raw in came)
            faults, chains.breaks = faults + chains.breaks, 0
            for at, symbol in enumerate(SYMBOLS):
                faults += differing(chains.take_quotes(symbol), self._sink.take_ids(place * len(SYMBOLS) + at))
        return faults, sorted(ages)
