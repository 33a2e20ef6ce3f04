"""Fault 21: a venue's clock jumps away from where it was measured. Reads are asked again, orders never are."""

import pytest

from bot.domain.instrument import Instrument
from bot.domain.order import OrderStatus
from tests.integration.actions_rig import VENUES
from tests.integration.test_sim_fault_requests_actions import EVERY_VENUE, trader

AHEAD = "clock-drift,venue={},amount=6000,for_s=600"
"""Its clock jumps ahead: requests stamped with what was measured come too late, orders (1 s) and reads (5 s)."""


@EVERY_VENUE
async def test_fault_21_an_order_is_refused_once_the_clock_is_measured_and_the_next_one_is_filled(
    what: Instrument,
) -> None:
    async with trader(what.venue) as one:
        one.sim.order(AHEAD.format(what.venue))
        assert (await one.trade(what, "a")).status is OrderStatus.REJECTED
        assert one.sim.placed(what.venue, what.segment) == [], "refused, and not sent again"
        assert (await one.trade(what, "b")).status is OrderStatus.FILLED
        assert one.sim.placed(what.venue, what.segment) == ["b"]


@pytest.mark.parametrize("venue", VENUES)
async def test_fault_21_a_read_is_asked_again_with_the_time_measured_anew(venue: str) -> None:
    async with trader(venue) as one:
        before = one.actions.balances()
        one.sim.order(AHEAD.format(venue))
        await one.actions._account.load_account()
        assert before
        assert one.actions.balances() == before
