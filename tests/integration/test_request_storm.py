"""A storm of questions at exchanges that count: not one answer says 429, and cancels get through meanwhile."""

import asyncio

import pytest
from pydantic import TypeAdapter

from bot.clock import SystemClock
from bot.domain.instrument import Instrument, Segment
from bot.domain.order import OrderStatus, TimeInForce
from bot.errors import RateLimited
from exchanges.binance import request_costs as binance_costs
from exchanges.binance.endpoints import LINEAR
from exchanges.binance.signed_rest import SignedRest as BinanceRest
from exchanges.bybit import request_costs as bybit_costs
from exchanges.bybit.private_schemas import WalletRows
from exchanges.bybit.signed_rest import SignedRest as BybitRest
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.common.requests.venue_http import VenueHttp
from exchanges.simulator.bybit.options import BybitOptions
from tests.integration.actions_rig import Rig, an_order, of, rig, until

QUESTIONS = 400
_ANY: TypeAdapter[object] = TypeAdapter(object)


class Storm:
    """Asks for balances again and again beside a trader who shares the budget."""

    def __init__(self, here: Rig, what: Instrument) -> None:
        self.here, self.what = here, what
        self.clock = SystemClock()
        rates = {"binance": binance_costs, "bybit": bybit_costs}[what.venue].rates()
        self.budget = RequestBudget(what.venue, rates, self.clock)
        self.http = VenueHttp(what.venue, self.clock, self.budget)
        self.actions = here.actions(what.venue, budget=self.budget)
        self.answered = 0
        self.refused: list[RateLimited] = []

    async def ask(self) -> None:
        keys, base = self.here.keys(self.what.venue), f"http://127.0.0.1:{self.here.port}"
        try:
            if self.what.venue == "binance":
                await BinanceRest(LINEAR, base, keys, self.http, self.clock).read("/v3/balance", _ANY, {})
            else:
                rest = BybitRest(base, keys, self.http, self.clock)
                await rest.read("/v5/account/wallet-balance", WalletRows, {"accountType": "UNIFIED"})
            self.answered += 1
        except RateLimited as refused:
            self.refused.append(refused)

    def used(self, name: str) -> int:
        return next(line.used for line in self.budget.lines() if line.name == name)


@pytest.mark.parametrize("venue", ["binance", "bybit"])
async def test_a_storm_of_questions_never_brings_a_429_and_cancels_get_through_it(venue: str) -> None:
    what = of(venue, Segment.LINEAR)
    async with rig(BybitOptions()) as here:
        storm = Storm(here, what)
        storm.http.open()
        await storm.actions.start()
        asking = [asyncio.create_task(storm.ask()) for _ in range(QUESTIONS)]
        await until(lambda: storm.answered > 20)
        placed: list[str] = []
        for number in range(30):
            order = an_order(f"a{number}", what, quantity="0.01", price="49000", time_in_force=TimeInForce.GTC)
            storm.actions.submit(order)
            name = order.client_order_id
            await until(lambda: here.heard.finals(name) != [] or venue_knows(here, what, name))  # noqa: B023
            storm.actions.cancel(order)
            placed += [name] * venue_knows(here, what, name)
            if len(placed) == 3:  # a machine that is busy for a second makes a request too old to be taken
                break
        await until(lambda: storm.actions.in_flight == 0)
        still_asking = sum(not task.done() for task in asking)
        await asyncio.gather(*asking)
        await storm.actions.stop()
        await storm.http.close()
    assert here.requests.too_many == []
    ends = [here.heard.finals(name)[0] for name in placed]
    assert [(end.status, end.reason) for end in ends if end.status is not OrderStatus.CANCELLED] == []
    assert len(ends) == 3
    assert storm.answered + len(storm.refused) == QUESTIONS
    if (
        venue == "binance"
    ):  # weights are counted by the minute: what does not fit is refused by name, and says for how long
        assert storm.refused
        assert all("linear weight 1M" in str(one) and one.retry_after_s for one in storm.refused)
    else:  # by the second: everybody has their turn, and the cancels did not wait for it
        assert storm.answered > 30  # more than one second of this lane
        assert still_asking > 0


def venue_knows(here: Rig, what: Instrument, client_order_id: str) -> bool:
    exchange = here.exchanges[what.venue]
    account = exchange.account(exchange.credentials.api_key)
    assert account is not None
    index = next(index for index, listing in exchange.listings.items() if listing.instrument == what)
    return any(view.client_id == client_order_id for view in account.orders(index))


async def test_more_orders_than_the_venue_takes_are_refused_by_us_and_what_reduces_has_its_reserve() -> None:
    what = of("bybit", Segment.LINEAR)
    async with rig(BybitOptions()) as here:
        actions = here.actions("bybit")
        await actions.start()
        for number in range(30):
            actions.submit(an_order(f"risk{number}", what, quantity="0.01"))
        assert actions.blocked("bybit") is None or "no room" in actions.blocked("bybit")
        actions.submit(an_order("hedge", what, quantity="0.01", reduces_risk=True))
        await until(lambda: actions.in_flight == 0)
        await actions.stop()
    ends = [here.heard.finals(f"risk{number}")[0] for number in range(30)]
    refused = [end for end in ends if end.status is OrderStatus.REJECTED]
    assert here.requests.too_many == []
    assert refused
    assert all("not asked: of order linear" in str(end.reason) for end in refused)
    assert here.heard.finals("hedge")[0].status is OrderStatus.FILLED


async def test_the_limits_that_the_venue_names_are_taken() -> None:
    async with rig() as here:
        clock = SystemClock()
        http = VenueHttp("binance", clock, RequestBudget("binance", binance_costs.rates(), clock))
        http.budget.told("linear weight 1M", limit=7)
        http.open()
        rest = BinanceRest(LINEAR, f"http://127.0.0.1:{here.port}", here.keys("binance"), http, clock)
        await rest.learn_limits("BTCUSDT")
        await http.close()
        lines = {line.name: line.limit for line in http.budget.lines()}
        assert lines["linear weight 1M"] == 2400
