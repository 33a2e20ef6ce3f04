"""A login that is refused for its time alone: the clocks have moved since they were compared, and the key is good."""

import pytest
from pydantic import SecretStr

from bot.domain.instrument import Segment
from bot.domain.order import OrderStatus
from bot.errors import AuthenticationFailed
from exchanges.common.requests.api_keys import ApiKeys
from tests.integration.actions_rig import VENUES, an_order, of, rig, started, until


@pytest.mark.parametrize("venue", VENUES)
async def test_fault_22_a_stream_is_heard_again_although_the_clocks_have_moved_apart(venue: str) -> None:
    what = of(venue, Segment.SPOT)
    async with rig() as here, started(here, venue) as actions:
        here.exchanges[venue].drift_ns = 60_000_000_000  # ours was set back by a minute
        here.relay.cut()
        await until(lambda: actions.reconnects >= len(actions._streams) and actions.blocked(venue) is None)
        actions.submit(an_order("a", what))
        await until(lambda: bool(here.heard.finals("a")))
        assert here.heard.finals("a")[0].status is OrderStatus.FILLED


async def test_a_wrong_key_is_no_matter_of_clocks() -> None:
    async with rig() as here:
        here.exchanges["bybit"].drift_ns = 60_000_000_000
        actions = here.actions("bybit", keys=ApiKeys(key=SecretStr("nobodys"), secret=SecretStr("nothing")))
        with pytest.raises(AuthenticationFailed):
            await actions.start()
