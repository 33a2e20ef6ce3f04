"""Requests for orders that are spelled and signed before they may be written."""

from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from bot.errors import Banned
from tests.integration.actions_rig import VENUES, an_order
from tests.integration.trade_socket_rig import START_NS, SocketBench, connected

EVERY_VENUE = pytest.mark.parametrize("venue", VENUES)


def stamp_ms(request: dict) -> int:
    """The time that stands in a request."""
    return int(request["params"]["timestamp"] if "params" in request else request["header"]["X-BAPI-TIMESTAMP"])


def price(request: dict) -> str:
    return (request.get("params") or request["args"][0])["price"]


def used(bench: SocketBench) -> int:
    return sum(line.used for line in bench.budget.lines())


@EVERY_VENUE
async def test_nothing_is_written_before_it_may_leave_and_then_what_was_prepared(venue: str) -> None:
    async with connected(venue) as (there, bench):
        leave, answer = ready(bench, "a")
        ready(bench, "never")
        bench.clock.advance_to(START_NS + 50_000_000)
        placed = bench.socket.place(an_order("b", bench.what))
        assert placed is not None
        await placed
        assert len(there.orders) == 1, "and that one was not prepared"
        assert leave()
        await answer()
        assert [stamp_ms(one) - START_NS // 1_000_000 for one in there.orders] == [50, 0]
        assert len({one.get("id") or one["reqId"] for one in there.orders}) == 2


@EVERY_VENUE
async def test_an_order_that_is_placed_is_spelled_anew_and_what_was_prepared_for_it_stays_here(venue: str) -> None:
    async with connected(venue) as (there, bench):
        order = an_order("a", bench.what)
        leave, _ = ready(bench, "a")
        taken = used(bench)
        bench.clock.advance_to(START_NS + 50_000_000)
        placed = bench.socket.place(order.model_copy(update={"price": (order.price or Decimal(0)) + 1}))
        assert placed is not None
        assert not leave(), "it would be the same order once more"
        await placed
        assert used(bench) == taken, "its room was given back"
        (sent,) = there.orders
        assert stamp_ms(sent) - START_NS // 1_000_000 == 50
        assert Decimal(price(sent)) == (order.price or Decimal(0)) + 1


@EVERY_VENUE
async def test_what_was_never_placed_is_forgotten(venue: str) -> None:
    async with connected(venue) as (_, bench):
        before = used(bench)
        bench.socket.prepare(an_order("first", bench.what))
        of_one = used(bench) - before
        assert of_one, "what may still leave has its room"
        for number in range(50):
            bench.clock.advance_to(bench.clock.now_ns() + 40_000_000)
            bench.socket.prepare(an_order(f"a{number}", bench.what))
        assert used(bench) == before + 3 * of_one
        bench.clock.advance_to(bench.clock.now_ns() + 100_000_000)
        assert not bench.socket._prepared
        assert used(bench) == before


@EVERY_VENUE
async def test_what_a_venue_holds_meanwhile_does_not_leave_with_the_room_it_had(venue: str) -> None:
    async with connected(venue) as (there, bench):
        before = used(bench)
        held, _ = ready(bench, "held")
        bench.budget.hold([line.name for line in bench.budget.lines()], 0.04)
        assert not held()
        assert bench.socket.place(an_order("held", bench.what)) is None
        bench.clock.advance_to(bench.clock.now_ns() + 50_000_000)
        banned, _ = ready(bench, "banned")
        bench.budget.bans.sit_out(Banned(venue, "for now", retry_after_s=0.04))
        assert not banned()
        assert bench.socket.place(an_order("banned", bench.what)) is None
        bench.clock.advance_to(bench.clock.now_ns() + 50_000_000)
        gone, _ = ready(bench, "gone")
        await bench.socket.stop()
        assert not gone()
        assert bench.socket.place(an_order("gone", bench.what)) is None
        assert used(bench) == before
        assert not there.orders


@EVERY_VENUE
async def test_what_is_ready_leaves_once_and_only_while_it_may(venue: str) -> None:
    async with connected(venue) as (there, bench):
        leave, answer = ready(bench, "a")
        assert leave()
        await answer()
        of_one = used(bench)
        assert not leave(), "it has left"
        held, _ = ready(bench, "held")
        bench.budget.hold([line.name for line in bench.budget.lines()], 0.04)
        assert not held()
        bench.clock.advance_to(bench.clock.now_ns() + 50_000_000)
        assert not held(), "its room was given back"
        old, _ = ready(bench, "old")
        bench.clock.advance_to(bench.clock.now_ns() + 101_000_000)
        assert not old()
        first, _ = ready(bench, "twice")
        again, _ = ready(bench, "twice")
        assert not first(), "it was prepared anew"
        bench.socket.forget_prepared()
        assert not again()
        gone, _ = ready(bench, "gone")
        await bench.socket.stop()
        assert not gone()
        assert used(bench) == of_one
        assert len(there.orders) == 1


def ready(bench: SocketBench, name: str) -> tuple[Callable[[], bool], Callable[[], Awaitable[None]]]:
    found = bench.socket.prepare(an_order(name, bench.what))
    assert found is not None
    return found
