"""The dead-man switches: a venue cancels what rests when the bot that should pet it is dead, or stands still."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web

from bot.clock import SystemClock, VirtualClock
from bot.domain.instrument import Instrument, Segment
from bot.domain.order import TimeInForce
from bot.engine.watches.dead_man import DeadMan
from tests.integration.actions_rig import INSTRUMENTS, VENUES, Rig, an_order, of, rig, started, until

ROOT = Path(__file__).resolve().parents[2]
LINEAR = [of(venue, Segment.LINEAR) for venue in VENUES]
EVERY_VENUE = pytest.mark.parametrize("what", LINEAR, ids=VENUES)
WITHIN_S = 3.0
PET = {"binance": "countdownCancelAll", "bybit": "disconnected-cancel-all"}


def resting(here: Rig, what: Instrument) -> int:
    exchange = here.exchanges[what.venue]
    account = exchange.account(exchange.credentials.api_key)
    assert account is not None
    return len(account.open_orders(INSTRUMENTS.index(what)))


def is_armed(here: Rig, what: Instrument) -> bool:
    """Whether the venue has taken the switch: Bybit's begins with its topic."""
    if what.venue == "bybit":
        return any('"dcp"' in text for text in here.relay.told)
    return here.requests.count("POST", PET["binance"]) > 0


@contextlib.asynccontextmanager
async def child(here: Rig, what: Instrument, within_s: float) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of its own with an order that rests."""
    credentials = here.exchanges[what.venue].credentials
    address = {"rest": f"http://127.0.0.1:{here.port}", "stream": f"ws://127.0.0.1:{here.relay_port}"}
    told = {"venue": what.venue, "within_s": within_s, **address}
    told |= {"key": credentials.api_key, "secret": credentials.secret}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.dead_man_child"),
        cwd=ROOT, env={**os.environ, "DEAD_MAN": json.dumps(told)}, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@EVERY_VENUE
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stands still"])
async def test_the_venue_cancels_what_rests_when_the_bot_is_gone(what: Instrument, number: signal.Signals) -> None:
    async with rig() as here, child(here, what, WITHIN_S) as process:
        await until(lambda: resting(here, what) == 1 and is_armed(here, what))
        process.send_signal(number)
        await until(lambda: resting(here, what) == 0)


async def test_while_it_is_petted_nothing_is_cancelled_and_at_the_end_it_is_put_away() -> None:
    what = of("binance", Segment.LINEAR)
    async with rig() as here, started(here, "binance") as actions:
        switch = DeadMan(actions, SystemClock(), WITHIN_S)
        switch.start()
        order = an_order("a", what, price="49000", time_in_force=TimeInForce.GTC)
        actions.submit(order)
        await until(lambda: here.requests.count("POST", PET["binance"]) >= 5)  # more than the three seconds
        assert resting(here, what) == 1
        actions.cancel(order)
        await until(lambda: actions.in_flight == 0)
        asked = here.requests.count("POST", PET["binance"])
        switch.stop()
        await until(lambda: here.requests.count("POST", PET["binance"]) == asked + 1)
    assert not any("dead-man" in text for _, text in here.log)


async def test_what_still_rests_at_the_end_is_left_to_the_switch() -> None:
    what = of("binance", Segment.LINEAR)
    async with rig() as here:
        async with started(here, "binance") as actions:
            switch = DeadMan(actions, SystemClock(), WITHIN_S)
            switch.start()
            actions.submit(an_order("a", what, price="49000", time_in_force=TimeInForce.GTC))
            await until(lambda: resting(here, what) == 1 and here.requests.count("POST", PET["binance"]) > 0)
            switch.stop()
        await until(lambda: resting(here, what) == 0)


@EVERY_VENUE
async def test_a_venue_that_does_not_offer_it_is_told_of_once_and_trading_goes_on(what: Instrument) -> None:
    async with rig() as here:
        answers = {"binance": (401, '{"code":-2015,"msg":"no"}'), "bybit": (200, '{"retCode":10005,"retMsg":"no"}')}
        status, text = answers[what.venue]
        here.requests.answer[f"POST {_PATH[what.venue]}"] = lambda: web.Response(status=status, text=text)
        async with started(here, what.venue) as actions:
            actions.pet(30.0)
            order = an_order("a", what, price="49000", time_in_force=TimeInForce.GTC)
            actions.submit(order)
            await until(lambda: any("no dead-man switch" in line for _, line in here.log))
            await until(lambda: resting(here, what) == 1)
            for _ in range(3):
                actions.pet(30.0)
            assert actions.blocked(what.venue) is None
            actions.cancel(order)
            await until(lambda: actions.in_flight == 0)
        assert sum("no dead-man switch" in line for _, line in here.log) == 1
        assert here.requests.count("POST", PET[what.venue]) == 1


_PATH = {"binance": "/fapi/v1/countdownCancelAll", "bybit": "/v5/order/disconnected-cancel-all"}


class Petted:
    """A venue that notes when it was petted."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.pets: list[tuple[float, float]] = []

    def pet(self, within_s: float) -> None:
        self.pets.append((self._clock.now_ns() / 1e9, within_s))


def test_it_is_petted_three_times_in_its_time_by_the_engines_clock() -> None:
    clock = VirtualClock()
    venue = Petted(clock)
    switch = DeadMan(venue, clock, 30.0)  # type: ignore[arg-type]
    switch.start()
    clock.advance_to(25 * 10**9)
    switch.stop()
    clock.advance_to(60 * 10**9)
    assert venue.pets == [(0.0, 30.0), (10.0, 30.0), (20.0, 30.0), (25.0, 0.0)]


def test_none_is_armed_where_none_is_wanted() -> None:
    venue = Petted(VirtualClock())
    switch = DeadMan(venue, VirtualClock(), 0.0)  # type: ignore[arg-type]
    switch.start()
    switch.stop()
    assert venue.pets == []


@EVERY_VENUE
async def test_fault_29_before_announced_maintenance_the_switch_is_put_away_and_nothing_new_is_risked(
    what: Instrument,
) -> None:
    """Nobody could pet it then. What rests there is not guarded anew; the engine takes it back."""
    async with rig() as here:
        now_s = SystemClock().now_ns() // 10**9
        begin, end = (datetime.fromtimestamp(now_s + later_s, UTC).isoformat() for later_s in (200, 3600))
        settings = here.settings()
        execution = settings.execution.model_copy(update={"maintenance": {what.venue: [f"{begin}/{end}"]}})
        actions = here.actions(what.venue, settings.model_copy(update={"execution": execution}))
        await actions.start()
        try:
            assert "its announced maintenance ends at" in actions.blocked(what.venue)
            actions.pet(30.0)
            actions.submit(an_order("a", what, price="49000", time_in_force=TimeInForce.GTC))
            await until(lambda: resting(here, what) == 1)
            actions.pet(30.0)
            order = an_order("b", what, price="48000", time_in_force=TimeInForce.GTC)
            actions.submit(order)
            await until(lambda: resting(here, what) == 2)
            assert here.requests.count("POST", PET[what.venue]) == 0
        finally:
            await actions.stop()
