"""Our own orders while requests go wrong at the simulated exchanges."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from bot.clock import SystemClock
from bot.domain.instrument import Instrument
from bot.domain.order import Order, OrderStatus, TimeInForce
from bot.settings import EndpointSettings, Settings
from exchanges.binance import signed_rest as binance_rest
from exchanges.binance.actions import BinanceActions
from exchanges.bybit import signed_rest as bybit_rest
from exchanges.bybit.actions import BybitActions
from exchanges.common.account import trade_socket
from exchanges.common.account.account_setup import AccountSetup
from exchanges.common.requests.api_keys import ApiKeys
from tests.integration.actions_rig import BY_FEED, FEES, INSTRUMENTS, VENUES, Heard, an_order, until
from tests.integration.sim_fault_requests_rig import Sim, simulated

EVERYWHERE = pytest.mark.parametrize("what", INSTRUMENTS, ids=[str(one.feed) for one in INSTRUMENTS])
LINEAR = [one for one in INSTRUMENTS if one.is_perpetual]
EVERY_VENUE = pytest.mark.parametrize("what", LINEAR, ids=VENUES)
BOTH_WAYS = pytest.mark.parametrize("way", ["socket", "rest"])
ORDER = {
    "rest": {"binance": "v1/order", "bybit": "v5/order/create"},
    "socket": {"binance": "order.place", "bybit": "order.create"},
}
CANCEL = {"rest": {"binance": "DELETE", "bybit": "order/cancel"}, "socket": dict.fromkeys(VENUES, "order.cancel")}
KINDS = {"binance": BinanceActions, "bybit": BybitActions}


class Trader:
    """One venue's account, as the bot uses it."""

    def __init__(self, sim: Sim, venue: str, way: str) -> None:
        self.sim = sim
        self.heard = Heard()
        self.log: list[tuple[str, str]] = []
        endpoint = EndpointSettings(rest_url=sim.http, stream_url=sim.ws)
        settings = Settings.model_validate({
            "venues": {venue: {"spot": endpoint, "linear": endpoint}},
            "connection": {"backoff_first_s": 0.05, "backoff_cap_s": 0.1},
            "execution": {"order_entry": way},
        })  # fmt: skip
        keys = ApiKeys(key=SecretStr(sim.key), secret=SecretStr(sim.secret))
        self.actions: Any = KINDS[venue](AccountSetup(
            BY_FEED, keys, settings, SystemClock(), random.Random(1), FEES,
            lambda level, text: self.log.append((level, text)), self.heard,
        ))  # fmt: skip

    async def trade(self, what: Instrument, client_order_id: str) -> Order:
        """How a small market order ends."""
        self.actions.submit(an_order(client_order_id, what, quantity="0.01", price=None))
        await until(lambda: self.actions.in_flight == 0)
        return self.ended(client_order_id)

    def ended(self, client_order_id: str) -> Order:
        (final,) = self.heard.finals(client_order_id)
        return final

    def grow_deaf(self, what: Instrument) -> None:
        """Hear nothing from the private streams for a while: what became of an order has to be asked for."""
        self.sim.order(f"silence,venue={what.venue},segment={what.segment},for_s=4")

    def said(self, words: str) -> bool:
        return any(words in text for _, text in self.log)


@contextlib.asynccontextmanager
async def trader(venue: str, way: str = "socket", answer_s: float = 30.0) -> AsyncIterator[Trader]:
    """Waits so long for the answer to an order: longer than a busy machine stands still."""
    async with simulated() as sim:
        one = Trader(sim, venue, way)
        with pytest.MonkeyPatch.context() as patch:
            for module in (binance_rest, bybit_rest):
                patch.setattr(module, "ORDER_S", answer_s)
            patch.setattr(trade_socket, "ANSWER_S", answer_s)
            await one.actions.start()
            try:
                yield one
            finally:
                await one.actions.stop()


@EVERYWHERE
@BOTH_WAYS
async def test_an_order_whose_answer_is_lost_is_filled_and_never_sent_twice(what: Instrument, way: str) -> None:
    async with trader(what.venue, way) as one:
        one.grow_deaf(what)
        number = one.sim.order(f"lost-answer,venue={what.venue},segment={what.segment}")
        final = await one.trade(what, "a")
        assert final.status is OrderStatus.FILLED
        assert sum(fill.quantity for fill in one.heard.fills("a")) == final.filled_quantity == final.quantity
        assert one.sim.struck(number) == 1
        assert one.sim.placed(what.venue, what.segment) == ["a"]
        assert one.said("the connection was lost")


@EVERYWHERE
@BOTH_WAYS
async def test_a_lost_order_ends_as_not_placed_and_is_never_sent_twice(what: Instrument, way: str) -> None:
    async with trader(what.venue, way) as one:
        number = one.sim.order(f"lost-order,venue={what.venue},segment={what.segment}")
        final = await one.trade(what, "a")
        assert final.status is OrderStatus.REJECTED
        assert "never arrived" in str(final.reason)
        assert one.sim.struck(number) == 1
        assert one.sim.placed(what.venue, what.segment) == []


@EVERY_VENUE
@BOTH_WAYS
async def test_an_order_that_is_answered_too_late_is_asked_for(what: Instrument, way: str) -> None:
    async with trader(what.venue, way, answer_s=1.0) as one:
        one.grow_deaf(what)
        number = one.sim.order(f"latency,venue={what.venue},amount=1500,match={ORDER[way][what.venue]},count=1")
        assert (await one.trade(what, "a")).status is OrderStatus.FILLED
        assert one.said("no answer in 1 s; asking")
        assert one.sim.struck(number) == 1
        assert one.sim.placed(what.venue, what.segment) == ["a"]


@EVERY_VENUE
@pytest.mark.parametrize("kind", ["http-429", "http-503", "http-403", "http-451", "http-418"])
@BOTH_WAYS
async def test_a_refusal_ends_an_order_at_once(what: Instrument, way: str, kind: str) -> None:
    async with trader(what.venue, way) as one:
        number = one.sim.order(f"{kind},venue={what.venue},match={ORDER[way][what.venue]}")
        final = await one.trade(what, "a")
        assert final.status is OrderStatus.REJECTED
        assert not one.said("what became of it")
        assert one.sim.struck(number) == 1
        assert one.sim.placed(what.venue, what.segment) == []


@EVERY_VENUE
@BOTH_WAYS
async def test_not_one_request_goes_out_during_a_ban(what: Instrument, way: str) -> None:
    async with trader(what.venue, way) as one:
        number = one.sim.order(f"http-418,venue={what.venue},amount=2,for_s=1.5")
        assert (await one.trade(what, "a")).status is OrderStatus.REJECTED
        for client_order_id in "bcd":
            assert "another" in str((await one.trade(what, client_order_id)).reason)
        one.actions.cancel(an_order("a", what))
        assert one.sim.struck(number) == 1
        if what.venue == "binance":  # Bybit's bans take ten minutes
            await until(lambda: one.sim.faults.is_quiet)
            async with asyncio.timeout(60):
                while (await one.trade(what, f"e{len(one.heard.events)}")).status is not OrderStatus.FILLED:
                    await asyncio.sleep(0.1)
            assert one.sim.struck(number) == 1


@EVERY_VENUE
@pytest.mark.parametrize("kind", ["lost-order", "lost-answer", "http-429"])
@BOTH_WAYS
async def test_a_cancel_that_is_lost_is_sent_again(what: Instrument, way: str, kind: str) -> None:
    async with trader(what.venue, way) as one:
        resting = an_order("a", what, quantity="0.01", price="60000", time_in_force=TimeInForce.GTC)
        one.actions.submit(resting)
        await until(lambda: one.sim.placed(what.venue, what.segment) == ["a"])
        number = one.sim.order(
            f"{kind},venue={what.venue},match={CANCEL[way][what.venue]},count=1{',amount=1' * (kind == 'http-429')}"
        )
        one.actions.cancel(resting)
        await until(lambda: one.actions.in_flight == 0)
        assert one.ended("a").status is OrderStatus.CANCELLED
        assert one.sim.struck(number) == 1


@EVERY_VENUE
@BOTH_WAYS
async def test_maintenance_is_sat_out(what: Instrument, way: str) -> None:
    async with trader(what.venue, way) as one:
        one.sim.order(f"maintenance,venue={what.venue},for_s=4")
        await until(lambda: one.said("connecting again"))
        assert (await one.trade(what, "a")).status is OrderStatus.REJECTED
        assert one.sim.placed(what.venue, what.segment) == []
        await until(lambda: one.said("connected again"))
        assert (await one.trade(what, "b")).status is OrderStatus.FILLED
        assert one.sim.placed(what.venue, what.segment) == ["b"]
