"""A listen key that cannot be renewed in this moment: the stream that is heard is the last thing to let go of."""

import asyncio
import random
from typing import Any

import aiohttp
import pytest

from bot.clock import VirtualClock
from bot.errors import Banned, MalformedPayload, RateLimited, VenueError, VenueUnavailable
from bot.settings import ConnectionSettings
from exchanges.binance.private_streams import FuturesUserStream
from exchanges.binance.refusals import complaint
from exchanges.common.account.private_stream import PrivateStream
from exchanges.common.requests.signing_hosts import THIS_MACHINE

HOUR_NS = 3_600_000_000_000
GONE = complaint(-1125, "This listenKey does not exist.", 400)


class Socket:
    """It stays open until it is closed."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def receive(self) -> aiohttp.WSMessage:
        await self.closed.wait()
        return aiohttp.WSMessage(aiohttp.WSMsgType.CLOSED, None, None)

    async def close(self) -> None:
        self.closed.set()


class Binance:
    """Its REST, its sockets and whoever listens."""

    hosts = THIS_MACHINE

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.trouble: dict[int, VenueError] = {}
        """By how many renewals there were before."""
        self.renewed_ns: list[int] = []
        self.begun = 0

    async def key_only(self, method: str, path: str) -> str:
        if method == "PUT":
            error = self.trouble.get(len(self.renewed_ns))
            self.renewed_ns.append(self._clock.monotonic_ns())
            if error is not None:
                raise error
        return '{"listenKey":"k"}'

    async def socket(self, url: str) -> Any:
        self.begun += 1
        return Socket()

    def take(self, event: Any) -> str:
        raise MalformedPayload("nothing is told")

    def on_unheard(self, stream: str, why: str) -> None:
        """It is counted by `begun`."""

    def on_heard(self, stream: str) -> None:
        """It is counted by `begun`."""

    def on_error(self, error: VenueError) -> None:
        raise AssertionError("no key was refused")


async def an_hour(trouble: dict[int, VenueError]) -> Binance:
    clock = VirtualClock()
    binance: Any = Binance(clock)
    binance.trouble = trouble
    protocol = FuturesUserStream("ws://127.0.0.1:1", binance, binance, binance)
    stream = PrivateStream(
        protocol, settings=ConnectionSettings(), clock=clock, rng=random.Random(1), on_gap=lambda: None, watch=binance,
        log=lambda level, text: None,
    )  # fmt: skip
    await stream.start()
    for second in range(3_600):
        clock.advance_to(second * 1_000_000_000)
        for _ in range(10):
            await asyncio.sleep(0)
    await stream.stop()
    told: Binance = binance
    return told


@pytest.mark.parametrize(
    "error", [Banned("binance", "418"), RateLimited("binance", "full"), VenueUnavailable("binance", "503")]
)
async def test_a_stream_that_is_heard_is_kept_while_its_key_cannot_be_renewed(error: VenueError) -> None:
    binance = await an_hour({0: error})
    assert binance.begun == 1
    assert len(binance.renewed_ns) >= 2, "again before the key ends, an hour after it was given"


async def test_a_stream_whose_key_is_gone_is_replaced() -> None:
    assert (await an_hour({0: GONE})).begun == 2
