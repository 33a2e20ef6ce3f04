"""What an order would take is found in the first levels or far behind them, all the same."""

import pytest

from exchanges.simulator.accounts.plan import plan_take
from exchanges.simulator.market.listings import default_listings
from exchanges.simulator.market.market import SimulatedMarket

MARKET = SimulatedMarket(default_listings("binance"), seed=5, start_ns=1_700_000_000_000_000_000)
LISTING = 2


@pytest.mark.parametrize("buys", [True, False])
@pytest.mark.parametrize("levels", [1, 3, 4, 5, 49, 50, 51, 200])
def test_an_order_for_so_many_levels_takes_exactly_those(buys: bool, levels: int) -> None:
    side = MARKET.levels(LISTING, 1_000_000)[1 if buys else 0]
    wanted = side[:levels]
    plan = plan_take(MARKET, LISTING, buys=buys, limit_ticks=side[-1][0], own={}, lots=sum(lots for _, lots in wanted))
    assert plan.taken == wanted
    limited = plan_take(MARKET, LISTING, buys=buys, limit_ticks=wanted[-1][0], own={}, lots=1 << 60)
    assert limited.taken == wanted
    paid = sum(ticks * lots for ticks, lots in wanted)
    spending = plan_take(MARKET, LISTING, buys=buys, limit_ticks=side[-1][0], own={}, budget=paid)
    assert spending.tick_lots <= paid
    assert [ticks for ticks, _ in spending.taken][:levels] == [ticks for ticks, _ in wanted]


def test_more_than_the_book_takes_all_of_it() -> None:
    side = MARKET.levels(LISTING, 1_000_000)[1]
    plan = plan_take(MARKET, LISTING, buys=True, limit_ticks=1 << 60, own={side[0][0]: 1}, lots=1 << 60)
    assert plan.lots == sum(lots for _, lots in side) - 1
