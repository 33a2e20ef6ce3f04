"""Faults of orders as a client meets them, on real sockets."""

import pytest

from bot.domain.instrument import Segment
from tests.integration.sim_fault_venue_rig import EVERYWHERE, LINEAR, SPOT, connected, eventually, until

REFUSED = {("binance", SPOT): -2011, ("binance", LINEAR): -2011, ("bybit", SPOT): 170213, ("bybit", LINEAR): 110001}
everywhere = pytest.mark.parametrize(("venue", "segment"), EVERYWHERE)


def code(answer) -> int:
    return answer.get("code", answer.get("retCode", 0))


@everywhere
@pytest.mark.parametrize("life", ["GTC", "IOC", "market"])
async def test_a_late_order_is_new_until_its_time(venue: str, segment: Segment, life: str) -> None:
    async with connected() as here, here.listening(venue, segment) as ears:
        number = here.sim.order(f"late-fill,venue={venue},segment={segment},amount=0.3,count=1")
        began_ns = here.sim.exchange(venue).now_ns()
        answer = await here.order(venue, segment, "late", life=life)
        assert not code(answer)
        assert await here.state(venue, segment, "late") == ("New" if venue == "bybit" else "NEW", 0)
        await until(ears.fill_ids)
        assert here.sim.exchange(venue).now_ns() - began_ns >= 300_000_000
        assert ears.states()[0].upper() == "NEW"
        await until(lambda: ears.states()[-1].upper() == "FILLED")
        assert (await here.state(venue, segment, "late"))[0].upper() == "FILLED"
        assert here.sim.struck(number) == 1


@everywhere
async def test_a_late_order_can_be_cancelled(venue: str, segment: Segment) -> None:
    async with connected() as here, here.listening(venue, segment) as ears:
        here.sim.order(f"late-fill,venue={venue},amount=0.2")
        await here.order(venue, segment, "late")
        assert not code(await here.cancel(venue, segment, "late"))
        await until(lambda: ears.states()[-1:] in (["CANCELED"], ["Cancelled"]))
        here.sim.faults.end_all()
        await here.order(venue, segment, "next", life="IOC")
        await until(ears.fill_ids)
        assert await here.state(venue, segment, "late") == (ears.states()[1], 0)


@everywhere
async def test_a_cancel_that_is_too_late_is_refused_and_the_order_is_filled(venue: str, segment: Segment) -> None:
    async with connected() as here, here.listening(venue, segment) as ears:
        price = here.price(venue, segment, 0.995)
        await here.order(venue, segment, "slow", price=price)
        here.sim.order(f"fill-on-cancel,venue={venue}")
        assert code(await here.cancel(venue, segment, "slow")) == REFUSED[venue, segment]
        await until(ears.fill_ids)
        assert [state.upper() for state in ears.states()] == ["NEW", "FILLED"]
        assert await here.state(venue, segment, "slow") == (ears.states()[-1], 0.01)
        if venue == "bybit":
            (fill,) = ears.of("execution")
            assert (fill["isMaker"], float(fill["execPrice"])) == (True, float(price))
        elif segment is LINEAR:
            fill = next(one["o"] for one in ears.of("ORDER_TRADE_UPDATE") if one["o"]["x"] == "TRADE")
            assert (fill["m"], float(fill["L"])) == (True, float(price))


@everywhere
async def test_a_part_is_filled_and_the_rest_ends_with_a_reason(venue: str, segment: Segment) -> None:
    async with connected() as here, here.listening(venue, segment) as ears:
        here.sim.order(f"partial-then-reject,venue={venue},amount=0.3")
        assert not code(await here.order(venue, segment, "half"))
        ends = {("bybit", SPOT): "PartiallyFilledCanceled", ("bybit", LINEAR): "Cancelled"}
        end = ends.get((venue, segment), "EXPIRED")
        await until(lambda: ears.states()[-1:] == [end])
        assert await here.state(venue, segment, "half") == (end, 0.003)
        if venue == "bybit":
            assert ears.of("order")[-1]["rejectReason"] == "EC_CancelForNoFullFill"
        assert code(await here.cancel(venue, segment, "half")) in (REFUSED[venue, segment], 110001)


@everywhere
async def test_a_fill_that_is_told_twice_is_the_same_frame_twice(venue: str, segment: Segment) -> None:
    async with connected() as here, here.listening(venue, segment) as ears:
        number = here.sim.order(f"duplicate-fill,venue={venue}")
        await here.order(venue, segment, "twice", life="IOC")
        await until(lambda: len(ears.fill_ids()) >= 2)
        here.sim.faults.end_all()
        await here.order(
            venue, segment, "once", life="IOC", quantity="0.02", side="sell", price=here.price(venue, segment, 0.995)
        )
        known = await here.fills(venue, segment)
        await until(lambda: set(ears.fill_ids()) == set(known))
        struck = here.sim.struck(number)
        assert len(ears.fill_ids()) == len(known) + struck
        assert struck >= 1
        repeated = [text for text in ears.texts if ears.texts.count(text) == 2]
        assert len(repeated) >= 2 * struck, "byte for byte"
        assert len(set(known)) == len(known), "REST tells each once"


@everywhere
async def test_a_fill_that_is_not_told_is_known_to_rest(venue: str, segment: Segment) -> None:
    async with connected() as here, here.listening(venue, segment) as ears:
        number = here.sim.order(f"missing-fill,venue={venue}")
        await here.order(venue, segment, "silent", life="IOC")
        await eventually(lambda: _is_filled(here, venue, segment))
        missed = await here.fills(venue, segment)
        assert here.sim.struck(number) == len(missed) >= 1
        here.sim.faults.end_all()
        await here.order(venue, segment, "loud", life="IOC")
        await until(ears.fill_ids)
        assert not set(ears.fill_ids()) & set(missed)
        assert set(await here.fills(venue, segment)) >= set(missed)


async def _is_filled(here, venue: str, segment: Segment) -> bool:
    return (await here.state(venue, segment, "silent"))[0].upper() == "FILLED"


async def test_fills_of_the_other_segment_are_told_as_ever() -> None:
    async with connected() as here, here.listening("binance", SPOT) as ears:
        here.sim.order("missing-fill,venue=binance,segment=linear")
        await here.order("binance", LINEAR, "silent", life="IOC")
        await here.order("binance", SPOT, "loud", life="IOC")
        await until(ears.fill_ids)


async def test_a_late_order_that_would_take_more_than_it_may_expires_as_binance_says_it() -> None:
    async with connected() as here, here.listening("binance", LINEAR) as ears:
        here.sim.order("late-fill,venue=binance,amount=0.1")
        answer = await here.order("binance", LINEAR, "maker", life="GTX")
        assert answer["status"] == "NEW"
        await until(lambda: ears.states() == ["NEW", "EXPIRED"])
        assert await here.state("binance", LINEAR, "maker") == ("EXPIRED", 0)
