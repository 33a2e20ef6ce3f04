"""The job `clock_offset` against the simulated exchanges, through the clients that the readers use."""

import socket

import pytest

from bot.clock import SystemClock
from bot.domain.instrument import Feed, Segment
from bot.errors import BotError
from bot.settings import EndpointSettings, Settings
from modes.clock_offsets import measure_all
from tests.integration.sim_binance_server import sim_binance
from tests.integration.sim_bybit_server import serving

FEEDS = [Feed(venue="binance", segment=Segment.LINEAR), Feed(venue="bybit", segment=Segment.LINEAR)]
A_MINUTE_NS = 60_000_000_000


class Heard:
    """The one call of a sink that the job makes."""

    def __init__(self) -> None:
        self.offsets: dict[str, tuple[int, int]] = {}

    def on_clock_offset(self, venue: str, offset_ns: int, round_trip_ns: int) -> None:
        self.offsets[venue] = offset_ns, round_trip_ns


def at(binance: str, bybit: str) -> Settings:
    venues = {
        venue: {"linear": EndpointSettings(rest_url=url)} for venue, url in (("binance", binance), ("bybit", bybit))
    }
    return Settings.model_validate({}).model_copy(update={"venues": venues})


async def test_every_venue_is_asked_and_told() -> None:
    heard = Heard()
    async with sim_binance() as binance, serving() as bybit:
        said = await measure_all(FEEDS, at(binance.http, bybit.http), SystemClock(), heard)
    assert heard.offsets.keys() == {"binance", "bybit"}
    for offset_ns, round_trip_ns in heard.offsets.values():
        assert abs(offset_ns) <= A_MINUTE_NS, "the simulated exchanges have this machine's clock"
        assert round_trip_ns > 0
    assert said.startswith("binance ")
    assert " ms ± " in said


async def test_a_venue_that_is_away_is_named_and_the_other_is_measured() -> None:
    heard = Heard()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        away = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        async with serving() as bybit:
            with pytest.raises(BotError, match=r"^binance: .*bybit [+-]"):
                await measure_all(FEEDS, at(away, bybit.http), SystemClock(), heard)
    assert heard.offsets.keys() == {"bybit"}
