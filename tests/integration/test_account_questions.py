"""What Binance and Bybit tell of an account that another process traded on, asked over the wire."""

import pytest

from bot.domain.instrument import Segment
from bot.domain.order import OrderStatus, TimeInForce
from bot.ports import AccountQuestions
from tests.integration.actions_rig import INSTRUMENTS, VENUES, D, an_order, of, rig, started, until
from tests.integration.test_venue_actions import at_venue

EACH = [(venue, segment) for venue in VENUES for segment in (Segment.SPOT, Segment.LINEAR)]


def unknown(instrument_id: str, fill_id: str) -> bool:
    return False


@pytest.mark.parametrize(("venue", "segment"), EACH)
async def test_another_process_learns_all_of_what_this_one_did(venue: str, segment: Segment) -> None:
    what = of(venue, segment)
    async with rig() as here:
        async with started(here, venue) as first:
            done = an_order("killed-1", what)
            first.submit(done)
            await until(lambda: bool(here.heard.finals("killed-1")))
            resting = an_order("killed-2", what, price="40000", time_in_force=TimeInForce.GTC)
            first.submit(resting)
            await until(lambda: "killed-2" in at_venue(here, what))
        told = here.heard.fills("killed-1")
        since_ns = told[0].ts_event_ns - 10**9
        heard = len(here.heard.events)
        async with started(here, venue) as second:
            asked: AccountQuestions = second.questions
            found = await asked.order(done)
            assert found is not None
            assert (found.status, found.filled_quantity) == (OrderStatus.FILLED, D("0.5"))
            assert sorted(f.fill_id for f in await asked.fills(done, found)) == sorted(f.fill_id for f in told)
            (open_order,) = await asked.open_orders()
            assert (open_order.client_order_id, open_order.instrument) == ("killed-2", what)
            assert open_order.status is OrderStatus.SENT
            trades = await asked.trades([what, of(venue, Segment.SPOT)], since_ns, unknown)
            assert list(trades) == told, "with price, fee, side and the client order id"
            assert await asked.trades([what], since_ns, lambda _, fill_id: fill_id in {f.fill_id for f in told}) == []
            held = await asked.holdings()
            positions = {position.instrument.id: position.quantity for position in held.positions}
            assert positions == ({what.id: D("0.5")} if segment is Segment.LINEAR else {})
            assert any(balance.asset == "USDT" and balance.total for balance in held.balances)
            assert await asked.order(an_order("never-sent", what)) is None
            await asked.cancel(resting)
            gone = await asked.order(resting)
            assert gone is not None
            assert gone.status is OrderStatus.CANCELLED
            assert await asked.open_orders() == []
            await asked.cancel(resting)  # over: left as it is
            assert not second.questions.take(told[0]), "an order of another process"
        assert len(here.heard.events) == heard, "questions tell nobody"


@pytest.mark.parametrize(("venue", "segment"), EACH)
async def test_fault_32_a_fill_that_no_stream_told_is_found_by_asking_and_told_once(
    venue: str, segment: Segment
) -> None:
    what = of(venue, segment)
    async with rig() as here, started(here, venue) as actions:
        actions.submit(an_order("silent-1", what, price="49999", time_in_force=TimeInForce.GTC))
        await until(lambda: at_venue(here, what) == ["silent-1"])
        here.relay.change = lambda text: []  # the private stream says nothing any more, and lives
        exchange = here.exchanges[venue]
        account = exchange.account(exchange.credentials.api_key)
        assert account is not None
        (order,) = account.open_orders(INSTRUMENTS.index(what))
        here.move([here.market.reach(INSTRUMENTS.index(what), order.number, 100, exchange.now_ns())])
        (fill,) = await actions.questions.trades([what], exchange.now_ns() - 10**9, unknown)
        assert actions.questions.take(fill)
        assert actions.questions.take(fill)
        assert here.heard.fills("silent-1") == [fill]
        assert fill.client_order_id == "silent-1"
