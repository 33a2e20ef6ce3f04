"""A carriage in a process that is killed at any of its steps: the next one goes on with it, and nothing moves twice."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.ports.transfers import CarryState
from bot.risk.halt_flag import raise_flag
from tests.integration.actions_rig import VENUES, until
from tests.integration.carrier_rig import MOVE, OTHER, WITHDRAW, Process, World, carriage, world

D = Decimal
STEPS = {"binance": 5, "bybit": 3}
"""Records of a whole carriage that leaves there: intent, in_transit, done, and at Bybit's end intent and done."""


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as one:
        yield one


async def killed(there: World, source: str, step: int, *, is_kept: bool) -> Process:
    """A run that ended at this record."""
    run = Process(there)
    run.journal.dies_at, run.journal.is_kept = step, is_kept
    with contextlib.suppress(BaseException):
        run.carrier.send(carriage(source))
    await until(lambda: run.journal.is_dead)
    await run.die()
    return run


@pytest.mark.parametrize("is_kept", [True, False], ids=["written", "lost"])
@pytest.mark.parametrize(("source", "step"), [(venue, step) for venue in VENUES for step in range(1, STEPS[venue] + 1)])
async def test_killed_at_any_record_it_goes_on_and_nothing_moves_twice(
    there: World, source: str, step: int, is_kept: bool
) -> None:
    target, before = OTHER[source], {venue: there.held(venue) for venue in VENUES}
    first = await killed(there, source, step, is_kept=is_kept)
    second = Process(there, first, deadline_s=0.3)
    second.carrier.resume(carriage(source))
    end = await second.end()
    fund = there.held("bybit", "fund")
    if step == 1:  # nothing was sent: the intent alone, or not even that, is left of it
        assert end.state is CarryState.REFUSED
        assert (there.withdrawals(source), there.held(source)) == (0, before[source])
    else:
        assert end.state is CarryState.ARRIVED
        assert (end.sent, end.received) == (50, 49)
        assert (there.withdrawals(source), there.sent(WITHDRAW[source])) == (1, 1)
        assert there.held(source) == before[source] - 50
        assert there.held(target) == before[target] + 49
    assert fund == 0, "nothing is left where it cannot be traded"
    assert second.carrier.moving(source) == second.carrier.moving(target) == frozenset()


@pytest.mark.parametrize("source", VENUES)
async def test_killed_between_request_and_answer_it_is_found(there: World, source: str) -> None:
    before = there.held(OTHER[source])
    there.here.requests.lose_answer.append(WITHDRAW[source])
    first = await killed(there, source, 2, is_kept=False)
    second = Process(there, first)
    second.carrier.resume(carriage(source))
    assert (await second.end()).state is CarryState.ARRIVED
    assert second.told()[0] is CarryState.UNKNOWN
    assert there.withdrawals(source) == 1
    assert there.held(OTHER[source]) == before + 49


async def test_killed_again_and_again_it_arrives_once(there: World) -> None:
    before = there.held("bybit")
    run = await killed(there, "binance", 2, is_kept=True)
    for _ in range(6):
        if any("lands" in body and body["state"] == "done" for body in run.all_bodies):
            break
        later = Process(there, run)
        later.journal.dies_at, later.journal.is_kept = 1, True
        later.carrier.resume(carriage("binance"))
        await until(lambda later=later: later.journal.is_dead)  # type: ignore[misc]
        await later.die()
        run = later
    last = Process(there, run)
    last.carrier.resume(carriage("binance"))
    assert (await last.end()).received == 49
    assert there.held("bybit") == before + 49
    assert there.sent(MOVE) == 1


@pytest.mark.parametrize("source", VENUES)
async def test_nothing_leaves_once_a_person_has_halted_the_bot_however_far_it_was(there: World, source: str) -> None:
    before, run = there.held(source), Process(there)
    ask = there.operations[source].networks

    async def networks(asset: str) -> Any:  # the venue was asked, and meanwhile somebody pressed the button
        raise_flag(there.data_dir, "by hand", "somebody", 1)
        return await ask(asset)

    there.operations[source].networks = networks  # type: ignore[method-assign]
    run.carrier.send(carriage(source))
    end = await run.end()
    assert (end.state, end.received) == (CarryState.REFUSED, 0)
    assert "HALTED" in end.reason
    assert (there.withdrawals(source), there.sent(WITHDRAW[source]), there.held(source)) == (0, 0, before)
    assert run.states() == ["intent", "refused"]


@pytest.mark.parametrize("source", VENUES)
async def test_nothing_leaves_that_waited_for_the_venue_s_budget_while_a_person_halted_the_bot(
    there: World, source: str
) -> None:
    before, run = there.held(source), Process(there)
    withdraw = there.operations[source].withdraw

    async def waits(*words: Any) -> str:
        raise_flag(there.data_dir, "by hand", "somebody", 1)
        return await withdraw(*words)

    there.operations[source].withdraw = waits  # type: ignore[method-assign]
    run.carrier.send(carriage(source))
    end = await run.end()
    assert (end.state, "HALTED" in end.reason) == (CarryState.REFUSED, True)
    assert (there.withdrawals(source), there.sent(WITHDRAW[source]), there.held(source)) == (0, 0, before)
    assert run.states() == ["intent", "refused"]


async def test_what_belongs_to_no_chain_any_more_is_followed_and_said(there: World) -> None:
    before = there.held("bybit")
    first = await killed(there, "binance", 3, is_kept=True)
    second = Process(there, first)
    second.carrier.start()
    await until(lambda: any("belongs to no chain, is arrived: 49" in text for _, text in second.events))
    assert second.news == []
    assert there.held("bybit") == before + 49
    await second.die()
    third = Process(there, second)
    third.carrier.start()
    assert third.events == [], "its end is known now"


async def test_one_that_was_refused_or_has_ended_is_told_again_as_it_was(there: World) -> None:
    first = Process(there)
    first.carrier.send(carriage("bybit", "1001", "refused"))
    await first.end()
    first.carrier.send(carriage("bybit", id_="whole"))
    await until(lambda: len(first.news) == 3)
    await first.die()
    second = Process(there, first)
    second.carrier.resume(carriage("bybit", "1001", "refused"))
    assert (await second.end()).state is CarryState.REFUSED
    second.carrier.resume(carriage("bybit", id_="whole"))
    await until(lambda: len(second.news) == 2)
    assert (second.news[1].state, second.news[1].received) == (CarryState.ARRIVED, 49)
    second.carrier.send(carriage("bybit", id_="whole"))
    await until(lambda: len(second.news) == 3)
    assert there.withdrawals("bybit") == 1
    assert [amount for *_, amount in second.moved] == [None, None], "no balance of this run was changed by it"


@pytest.mark.parametrize("left_out", VENUES)
async def test_what_a_run_without_one_of_its_venues_cannot_ask_about_is_said_and_left_to_a_later_one(
    there: World, left_out: str
) -> None:
    first = await killed(there, "binance", 2, is_kept=True)
    some = {venue: there.operations[venue] for venue in VENUES if venue != left_out}
    second = Process(World(there.here, some, there.chain, there.data_dir), first, deadline_s=0.3)
    broken: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: broken.append(context))
    second.carrier.start()
    await asyncio.sleep(0)
    assert [text for level, text in second.events if level == "error"] == [
        "ALARM: transfer c1 of an earlier run (50.00000000 USDT from binance to bybit) cannot be asked about: "
        f"this run has no account at {left_out}"
    ]
    second.carrier.resume(carriage("binance", deadline_s=0.3))
    await until(lambda: CarryState.LATE in second.told())
    assert broken == [], "a bug would have halted the run"
    await second.die()
    third = Process(there, second)
    third.carrier.start()
    await until(lambda: any("belongs to no chain, is arrived: 49" in text for _, text in third.events))
