"""Our orders over the simulated exchanges' sockets: what they do there, and what carries them while there is none."""

import json
import os
import socket
from decimal import Decimal

import pytest

from bot.domain.instrument import Instrument, Segment
from bot.domain.order import OrderStatus, Side, TimeInForce
from exchanges.routed.actions import RoutedActions
from exchanges.simulator.core.values import Kind, Lifetime, NewOrder, Refusal
from tests.integration.actions_rig import INSTRUMENTS, VENUES, Rig, an_order, of, rig, started, until
from tests.integration.test_sim_fault_requests_actions import trader
from tests.integration.test_venue_actions import at_venue, ended

D = Decimal
EVERYWHERE = pytest.mark.parametrize("what", INSTRUMENTS, ids=[str(one.feed) for one in INSTRUMENTS])
EVERY_VENUE = pytest.mark.parametrize("venue", VENUES)


def by_rest(here: Rig) -> int:
    """Orders and cancels that went by REST."""
    return sum(method in ("POST", "DELETE") and "order" in path for method, path in here.requests.seen)


@EVERYWHERE
async def test_orders_and_cancels_go_by_socket_alone(what: Instrument) -> None:
    async with rig() as here:
        here.way = "socket"
        async with started(here, what.venue) as actions:
            assert actions.sends_by_socket
            actions.submit(an_order("a", what))
            resting = an_order("b", what, price="49000", time_in_force=TimeInForce.GTC)
            actions.submit(resting)
            actions.cancel(resting)
            await until(lambda: actions.in_flight == 0)
            assert ended(here, "a").status is OrderStatus.FILLED
            assert ended(here, "b").status is OrderStatus.CANCELLED
            assert by_rest(here) == 0


async def test_both_orders_of_a_pair_are_on_the_wire_when_the_second_submit_returns() -> None:
    """Not a turn of the loop later: nothing runs between the two calls and the look at the sockets."""
    async with rig() as here:
        here.way = "socket"
        both = RoutedActions({venue: here.actions(venue) for venue in VENUES})
        await both.start()
        paths = {"/ws-fapi/v1": "binance", "/v5/trade": "bybit"}
        taken = {request.path: request.transport for request in here.relay._open}
        peers = {venue: socket.socket(fileno=os.dup(_descriptor(taken[path]))) for path, venue in paths.items()}
        both.submit(an_order("a", of("binance", Segment.LINEAR)))
        both.submit(an_order("b", of("bybit", Segment.LINEAR), Side.SELL, price="49000"))
        for peer in peers.values():
            assert len(peer.recv(65_536, socket.MSG_PEEK | socket.MSG_DONTWAIT)) > 100
            assert peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            peer.close()
        await until(lambda: both.in_flight == 0)
        assert {ended(here, name).status for name in "ab"} == {OrderStatus.FILLED}
        await both.stop()


def _descriptor(transport: object) -> int:
    number: int = transport.get_extra_info("socket").fileno()  # type: ignore[attr-defined]
    return number


@EVERYWHERE
async def test_while_the_socket_is_down_orders_go_by_rest_and_then_by_socket_again(what: Instrument) -> None:
    async with rig() as here:
        here.way = "socket"
        async with started(here, what.venue) as actions:
            here.relay.is_refusing = True
            here.relay.cut()
            await until(lambda: not actions.sends_by_socket)
            actions.submit(an_order("a", what))
            await until(lambda: actions.in_flight == 0)
            assert ended(here, "a").status is OrderStatus.FILLED
            assert by_rest(here) == 1
            here.relay.is_refusing = False
            await until(lambda: actions.sends_by_socket)
            actions.submit(an_order("b", what))
            await until(lambda: actions.in_flight == 0)
            assert ended(here, "b").status is OrderStatus.FILLED
            assert by_rest(here) == 1
            assert at_venue(here, what) == ["a", "b"]


@EVERYWHERE
async def test_an_order_in_flight_when_the_socket_drops_is_asked_for_and_never_sent_again(what: Instrument) -> None:
    async with rig() as here:
        here.way = "socket"
        async with started(here, what.venue) as actions:
            here.relay.change = lambda text: []  # nothing is heard any more, neither answers nor fills
            actions.submit(an_order("a", what))
            await until(lambda: at_venue(here, what) == ["a"])
            here.relay.is_refusing = True
            here.relay.cut()
            await until(lambda: actions.in_flight == 0)
            assert ended(here, "a").status is OrderStatus.FILLED
            assert sum(fill.quantity for fill in here.heard.fills("a")) == D("0.5")
            assert at_venue(here, what) == ["a"]
            assert by_rest(here) == 0
            assert any("the connection was lost" in text and "asking" in text for _, text in here.log)


@EVERYWHERE
async def test_a_refusal_by_socket_is_final_and_has_the_venues_words(what: Instrument) -> None:
    async with rig() as here:
        here.way = "socket"
        async with started(here, what.venue) as actions:
            actions.submit(an_order("a", what, quantity="100"))
            await until(lambda: actions.in_flight == 0)
            assert ended(here, "a").status is OrderStatus.REJECTED
            assert "code" in str(ended(here, "a").reason)
            assert by_rest(here) == 0


@EVERYWHERE
async def test_fault_36_an_answer_that_is_lost_on_the_socket_makes_no_second_order(what: Instrument) -> None:
    async with trader(what.venue, "socket") as one:
        one.grow_deaf(what)
        number = one.sim.order(f"lost-answer,venue={what.venue},segment={what.segment},match=order.,count=1")
        final = await one.trade(what, "a")
        assert final.status is OrderStatus.FILLED
        assert sum(fill.quantity for fill in one.heard.fills("a")) == final.filled_quantity == final.quantity
        assert one.sim.struck(number) == 1
        assert one.sim.placed(what.venue, what.segment) == ["a"]


@EVERYWHERE
async def test_fault_39_an_order_that_is_there_already_is_followed_and_not_called_rejected(what: Instrument) -> None:
    async with rig() as here:
        here.way = "socket"
        async with started(here, what.venue) as actions:
            exchange = here.exchanges[what.venue]
            account = exchange.account(exchange.credentials.api_key)
            assert account is not None
            twin = NewOrder(INSTRUMENTS.index(what), Side.BUY, Kind.LIMIT, Lifetime.GTC, D("0.5"), D(49000), "a")
            assert not isinstance(account.place(twin, exchange.now_ns()), Refusal)
            order = an_order("a", what, price="49000", time_in_force=TimeInForce.GTC)
            actions.submit(order)
            actions.cancel(order)
            await until(lambda: actions.in_flight == 0)
            assert ended(here, "a").status is OrderStatus.CANCELLED
            assert at_venue(here, what) == ["a"]


@EVERY_VENUE
async def test_a_clock_that_drifts_costs_one_order_and_is_measured_anew(venue: str) -> None:
    what = of(venue, Segment.LINEAR)
    async with rig() as here:
        here.way = "socket"
        async with started(here, venue) as actions:
            here.exchanges[venue].drift_ns = 5_000_000_000
            actions.submit(an_order("a", what))
            await until(lambda: actions.in_flight == 0)
            assert ended(here, "a").status is OrderStatus.REJECTED
            actions.submit(an_order("b", what))
            await until(lambda: actions.in_flight == 0)
            assert ended(here, "b").status is OrderStatus.FILLED
            assert by_rest(here) == 0


@EVERY_VENUE
async def test_a_key_that_was_revoked_ends_the_order_and_is_not_shown(venue: str) -> None:
    what = of(venue, Segment.LINEAR)
    async with rig() as here:
        here.way = "socket"
        async with started(here, venue) as actions:
            exchange = here.exchanges[venue]
            exchange.revoke(exchange.credentials.api_key)
            actions.submit(an_order("a", what))
            await until(lambda: actions.in_flight == 0)
            assert ended(here, "a").status is OrderStatus.REJECTED
            key = exchange.credentials
            assert not any(key.api_key in text or key.secret in text for _, text in here.log)


@EVERY_VENUE
async def test_a_socket_that_is_refused_at_the_start_leaves_rest(venue: str) -> None:
    what = of(venue, Segment.LINEAR)
    async with rig() as here:
        here.way = "socket"
        here.relay.refuses = lambda path: path.startswith(("/ws-fapi", "/v5/trade"))
        async with started(here, venue) as actions:
            assert not actions.sends_by_socket
            actions.submit(an_order("a", what))
            await until(lambda: actions.in_flight == 0)
            assert ended(here, "a").status is OrderStatus.FILLED
            assert by_rest(here) == 1


@EVERY_VENUE
async def test_news_twice_on_every_socket_counts_once(venue: str) -> None:
    what = of(venue, Segment.LINEAR)
    async with rig() as here:
        here.way = "socket"
        async with started(here, venue) as actions:
            here.relay.change = lambda text: [text, text]
            actions.submit(an_order("a", what))
            await until(lambda: actions.in_flight == 0)
            assert len(here.heard.finals("a")) == 1
            assert sum(fill.quantity for fill in here.heard.fills("a")) == D("0.5")


async def test_nothing_of_the_secret_is_on_a_socket() -> None:
    sent: list[str] = []
    async with rig() as here:
        here.way = "socket"
        here.relay.heard = sent.append
        for venue in VENUES:
            async with started(here, venue) as actions:
                actions.submit(an_order(venue, of(venue, Segment.LINEAR)))
                await until(lambda actions=actions: actions.in_flight == 0)
            secret = here.exchanges[venue].credentials.secret
            assert not any(secret in text for text in sent)
        assert any(json.loads(text).get("method") == "order.place" for text in sent)
        assert any(json.loads(text).get("op") == "order.create" for text in sent)
