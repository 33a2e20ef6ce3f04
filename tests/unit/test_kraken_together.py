"""Questions to Kraken that are asked in one moment: one request, and nobody hangs on another's."""

import asyncio
from collections.abc import Collection, Mapping

import pytest

from bot.clock import VirtualClock
from bot.errors import RateLimited, VenueError
from exchanges.kraken.refusals import of_text
from exchanges.kraken.together import Together


class Kraken:
    """Answers with what it was asked about, but never about `missing`."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.fails: dict[str, Exception] = {}
        self.holds = asyncio.Event()
        self.holds.set()
        self.ended = 0

    async def __call__(self, about: Collection[str]) -> Mapping[str, str]:
        self.asked.append(sorted(about))
        try:
            await self.holds.wait()
        finally:
            self.ended += 1
        for one in about:
            if one in self.fails:
                raise self.fails[one]
        return {one: f"{one}!" for one in about if one != "missing"}


async def gathered(clock: VirtualClock) -> None:
    """Everybody has asked, and the moment is over."""
    await turns()
    clock.advance_to(clock.now_ns() + 100_000_000)
    await turns()


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_is_asked_in_one_moment_is_one_request() -> None:
    clock, kraken = VirtualClock(), Kraken()
    together = Together[str](clock, 3)
    asking = [asyncio.ensure_future(together.ask(about, kraken)) for about in (["a"], ["b", "a"], ["missing"], ["d"])]
    await gathered(clock)
    assert [await one for one in asking] == [{"a": "a!"}, {"b": "b!", "a": "a!"}, {}, {"d": "d!"}]
    assert kraken.asked == [["a", "b", "missing"], ["d"]], "three fit into one"
    later = asyncio.ensure_future(together.ask(["a"], kraken))
    await gathered(clock)
    assert await later == {"a": "a!"}
    assert kraken.asked[2:] == [["a"]], "what was answered before is no answer to what is asked now"


@pytest.mark.parametrize("error", [of_text("EOrder:Unknown order"), KeyError("pair")])
async def test_one_that_cannot_be_told_spoils_no_other(error: Exception) -> None:
    clock, kraken = VirtualClock(), Kraken()
    kraken.fails["bad"] = error
    together = Together[str](clock, 50)
    asking = [asyncio.ensure_future(together.ask([about], kraken)) for about in ("bad", "good")]
    await gathered(clock)
    assert await asking[1] == {"good": "good!"}
    with pytest.raises(type(error)):
        await asking[0]
    assert kraken.asked == [["bad", "good"], ["bad"], ["good"]]
    alone = asyncio.ensure_future(together.ask(["bad"], kraken))
    await gathered(clock)
    with pytest.raises(type(error)):
        await alone
    assert kraken.asked[3:] == [["bad"]], "who was alone asks no second time"


async def test_a_counter_that_is_full_is_asked_no_second_time() -> None:
    clock, kraken = VirtualClock(), Kraken()
    kraken.fails["a"] = RateLimited("kraken", "not asked")
    together = Together[str](clock, 50)
    asking = [asyncio.ensure_future(together.ask([about], kraken)) for about in ("a", "b")]
    await gathered(clock)
    for one in asking:
        with pytest.raises(VenueError, match="not asked"):
            await one
    assert kraken.asked == [["a", "b"]]


async def test_who_goes_takes_no_answer_from_who_stays_and_the_last_one_ends_it() -> None:
    clock, kraken = VirtualClock(), Kraken()
    kraken.holds.clear()
    together = Together[str](clock, 50)
    first, second = (asyncio.ensure_future(together.ask([about], kraken)) for about in ("a", "b"))
    await gathered(clock)
    first.cancel()
    await turns()
    assert kraken.ended == 0
    second.cancel()
    await turns()
    assert (kraken.asked, kraken.ended) == ([["a", "b"]], 1)
    gone = asyncio.ensure_future(together.ask(["c"], kraken))
    await turns()
    gone.cancel()
    await turns()
    kraken.holds.set()
    after = asyncio.ensure_future(together.ask(["d"], kraken))
    await gathered(clock)
    assert await after == {"d": "d!"}
    assert kraken.asked[1:] == [["d"]], "nobody joins what was ended before it was sent"
