"""Post-only orders over the wire of the simulated exchanges: they rest, pay the maker's fee, and never take."""

from decimal import Decimal

from bot.domain.instrument import Instrument
from bot.domain.order import OrderStatus, TimeInForce
from tests.integration.actions_rig import INSTRUMENTS, an_order, rig, started, until
from tests.integration.test_venue_actions import EVERYWHERE, at_venue, ended

D = Decimal


@EVERYWHERE
async def test_a_post_only_order_rests_and_is_filled_as_a_maker(what: Instrument) -> None:
    async with rig() as here, started(here, what.venue) as actions:
        actions.submit(an_order("a", what, price="49999", time_in_force=TimeInForce.POST_ONLY))
        await until(lambda: at_venue(here, what) == ["a"])
        exchange = here.exchanges[what.venue]
        account = exchange.account(exchange.credentials.api_key)
        assert account is not None
        (order,) = account.open_orders(INSTRUMENTS.index(what))
        here.move([here.market.reach(INSTRUMENTS.index(what), order.number, 500, exchange.now_ns())])
        await until(lambda: actions.in_flight == 0)
        assert ended(here, "a").status is OrderStatus.FILLED
        assert all(fill.is_maker and fill.price == D(49999) for fill in here.heard.fills("a"))


@EVERYWHERE
async def test_a_post_only_order_that_would_trade_is_refused_and_trades_nothing(what: Instrument) -> None:
    async with rig() as here, started(here, what.venue) as actions:
        actions.submit(an_order("a", what, price="51000", time_in_force=TimeInForce.POST_ONLY))
        await until(lambda: actions.in_flight == 0)
        assert ended(here, "a").status in (OrderStatus.REJECTED, OrderStatus.EXPIRED, OrderStatus.CANCELLED)
        assert ended(here, "a").filled_quantity == 0
        assert here.heard.fills("a") == []


@EVERYWHERE
async def test_a_post_only_order_is_taken_back(what: Instrument) -> None:
    async with rig() as here, started(here, what.venue) as actions:
        order = an_order("a", what, price="49000", time_in_force=TimeInForce.POST_ONLY)
        actions.submit(order)
        await until(lambda: at_venue(here, what) == ["a"])
        actions.cancel(order)
        await until(lambda: actions.in_flight == 0)
        assert ended(here, "a").status is OrderStatus.CANCELLED
