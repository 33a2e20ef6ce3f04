"""Our own orders while the simulated exchanges bend them: each ends once, with every fill counted once."""

from decimal import Decimal

import pytest

from bot.domain.instrument import Instrument
from bot.domain.order import Order, OrderStatus, TimeInForce
from tests.integration.actions_rig import INSTRUMENTS, an_order, until
from tests.integration.test_sim_fault_requests_actions import Trader, trader

EVERYWHERE = pytest.mark.parametrize("what", INSTRUMENTS, ids=[str(one.feed) for one in INSTRUMENTS])
QUANTITY = Decimal("0.01")


def check(one: Trader, final: Order, filled: Decimal = QUANTITY) -> None:
    fills = one.heard.fills(final.client_order_id)
    assert sum(fill.quantity for fill in fills) == final.filled_quantity == filled
    assert len({fill.fill_id for fill in fills}) == len(fills)


@EVERYWHERE
async def test_a_late_fill_is_waited_for(what: Instrument) -> None:
    async with trader(what.venue) as one:
        number = one.sim.order(f"late-fill,venue={what.venue},amount=0.5,count=1")
        final = await one.trade(what, "a")
        assert final.status is OrderStatus.FILLED
        assert final.ts_final_ns is not None
        assert final.ts_sent_ns is not None
        assert final.ts_final_ns - final.ts_sent_ns >= 490_000_000
        check(one, final)
        assert (one.sim.struck(number), one.sim.placed(what.venue, what.segment)) == (1, ["a"])


@EVERYWHERE
async def test_a_part_ends_with_its_part(what: Instrument) -> None:
    async with trader(what.venue) as one:
        one.sim.order(f"partial-then-reject,venue={what.venue},amount=0.3")
        final = await one.trade(what, "a")
        assert final.status in (OrderStatus.CANCELLED, OrderStatus.EXPIRED)
        check(one, final, Decimal("0.003"))


@EVERYWHERE
async def test_a_fill_that_is_told_twice_counts_once(what: Instrument) -> None:
    async with trader(what.venue) as one:
        number = one.sim.order(f"duplicate-fill,venue={what.venue}")
        final = await one.trade(what, "a")
        assert final.status is OrderStatus.FILLED
        check(one, final)
        assert (await one.trade(what, "b")).status is OrderStatus.FILLED
        check(one, one.ended("a"))
        assert one.sim.struck(number) >= 2


@EVERYWHERE
async def test_a_fill_that_is_never_told_is_found_by_asking(what: Instrument) -> None:
    async with trader(what.venue) as one:
        number = one.sim.order(f"missing-fill,venue={what.venue}")
        final = await one.trade(what, "a")
        assert final.status is OrderStatus.FILLED
        check(one, final)
        assert one.sim.struck(number) >= 1


@EVERYWHERE
async def test_a_cancel_that_comes_too_late_leaves_the_order_filled(what: Instrument) -> None:
    async with trader(what.venue) as one:
        exchange = one.sim.exchange(what.venue)
        listing = next(i for i, listed in exchange.listings.items() if listed.instrument.id == what.id)
        price = exchange.listings[listing].instrument.floor_price(exchange.market.mark(listing) * Decimal("0.995"))
        resting = an_order("a", what, quantity="0.01", price=str(price), time_in_force=TimeInForce.GTC)
        one.actions.submit(resting)
        await until(lambda: bool(exchange.accounts[0].open_orders(listing)))
        number = one.sim.order(f"fill-on-cancel,venue={what.venue}")
        one.actions.cancel(resting)
        await until(lambda: one.actions.in_flight == 0)
        assert one.ended("a").status is OrderStatus.FILLED
        check(one, one.ended("a"))
        assert one.sim.struck(number) == 1
