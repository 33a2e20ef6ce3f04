"""How long a start waits for a venue, and for what it does not wait at all. Time is virtual."""

import asyncio
from collections.abc import Callable

import pytest

from bot.clock import VirtualClock
from bot.errors import (
    AuthenticationFailed,
    Banned,
    ExitCode,
    GeoBlocked,
    NothingServed,
    RateLimited,
    SettingsError,
    VenueError,
    VenueUnavailable,
)
from bot.patience import Patience

S = 1_000_000_000


class Start:
    """Asks a venue that answers as the test says, while time passes by itself."""

    def __init__(self, wait_s: float, *failures: Exception) -> None:
        self.clock = VirtualClock()
        self.told: list[tuple[str, str]] = []
        self.patience = Patience(wait_s, self.clock, lambda level, text: self.told.append((level, text)))
        self.failures = list(failures)
        self.asked_s: list[float] = []

    async def ask(self) -> str:
        self.asked_s.append(self.clock.now_ns() / S)
        if self.failures:
            raise self.failures.pop(0)
        return "here"

    async def run(self) -> str:
        asking = asyncio.create_task(self.patience.asked(self.ask))
        while not asking.done():
            await asyncio.sleep(0)
            if (due_ns := self.clock.next_due_ns()) is not None:
                self.clock.advance_to(due_ns)
        return asking.result()


def away(count: int) -> list[Exception]:
    return [VenueUnavailable("binance", "cannot be reached") for _ in range(count)]


async def test_a_venue_that_is_away_is_tried_with_growing_pauses_until_it_is_back() -> None:
    start = Start(120.0, *away(7))
    assert await start.run() == "here"
    assert start.asked_s == [0, 1, 3, 7, 15, 30, 45, 60]
    assert start.told[0] == ("warning", "waiting 1 s for binance, 120 s at most (binance: cannot be reached)")


async def test_a_venue_that_stays_away_is_tried_until_the_time_is_up_and_then_told() -> None:
    start = Start(20.0, *away(100))
    with pytest.raises(VenueUnavailable) as failed:
        await start.run()
    assert failed.value.exit_code == ExitCode.VENUE
    assert start.asked_s == [0, 1, 3, 7, 15, 20]
    assert start.told[-1] == (
        "error", "binance: cannot be reached: a start waits for no longer than 20 s (start.wait_s)",
    )  # fmt: skip


async def test_what_a_venue_names_is_waited_for_and_no_request_leaves_before() -> None:
    start = Start(
        120.0,
        RateLimited("binance", "of weight (read) 3600 of 3600 are used", retry_after_s=23.0),
        Banned("binance", "bans this address", retry_after_s=60.0),
    )
    assert await start.run() == "here"
    assert start.asked_s == pytest.approx([0, 23.1, 83.2])
    assert start.told == [
        (
            "warning",
            "waiting 23 s for binance's request budget (binance: of weight (read) 3600 of 3600 are used)",
        ),
        ("warning", "waiting 60 s until binance serves this address again (binance: bans this address)"),
    ]


@pytest.mark.parametrize(("kind", "ends_s"), [(RateLimited, 0), (Banned, 120)])
async def test_what_would_take_longer_than_there_is_time_is_told_at_once_and_a_ban_sat_out_as_far_as_that_goes(
    kind: type[VenueError], ends_s: float
) -> None:
    """Else whoever starts the bot again would ask within seconds, and make the ban longer."""
    start = Start(120.0, kind("binance", "leave us alone", retry_after_s=600.0))
    with pytest.raises(kind):
        await start.run()
    assert start.asked_s == [0]
    assert "no longer than 120 s" in start.told[-1][1]
    assert start.clock.now_ns() / S == ends_s


async def test_all_that_a_start_asks_shares_one_time() -> None:
    start = Start(20.0, *away(3))
    await start.run()
    assert start.patience.left_s == pytest.approx(13.0)
    start.failures = [RateLimited("bybit", "too many", retry_after_s=14.0)]
    with pytest.raises(RateLimited):
        await start.run()


async def test_time_that_nobody_needed_is_not_used_up() -> None:
    start = Start(20.0)
    await start.run()
    start.clock.advance_to(3600 * S)
    assert start.patience.left_s == 20.0


@pytest.mark.parametrize(
    "make",
    [
        lambda: AuthenticationFailed("binance", "the key is not known"),
        lambda: GeoBlocked("binance", "not served here"),
        lambda: NothingServed("binance", "no frame"),
        lambda: Banned("binance", "for good, for all that is known"),
        lambda: VenueError("binance", "an answer that is none"),
        lambda: SettingsError("no such symbol"),
    ],
)
async def test_what_time_does_not_help_is_told_at_once(make: Callable[[], Exception]) -> None:
    error = make()
    start = Start(120.0, error)
    with pytest.raises(type(error)):
        await start.run()
    assert start.asked_s == [0]
    assert start.told == []


async def test_no_time_is_no_waiting() -> None:
    start = Start(0.0, *away(1))
    with pytest.raises(VenueUnavailable):
        await start.run()
    assert start.told == []
