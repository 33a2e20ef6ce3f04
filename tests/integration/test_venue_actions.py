"""Orders over real sockets to the simulated exchanges, with what gets lost on the way."""

import asyncio
import json
from decimal import Decimal

import pytest
from pydantic import SecretStr

from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Fill, Order, OrderStatus, Side, TimeInForce
from bot.errors import AuthenticationFailed, OrderRejected, SettingsError, VenueUnavailable
from exchanges.binance.private_streams import FuturesUserStream
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.routed.actions import RoutedActions
from exchanges.simulator.core.values import Kind, Lifetime, NewOrder, OrderState, Refusal
from tests.integration.actions_rig import INSTRUMENTS, VENUES, Rig, an_order, of, rig, started, until

D = Decimal
EVERYWHERE = pytest.mark.parametrize("what", INSTRUMENTS, ids=[str(one.feed) for one in INSTRUMENTS])
EVERY_VENUE = pytest.mark.parametrize("venue", VENUES)
PLACED = {"binance": "order", "bybit": "order/create"}


def placing(what: Instrument) -> str:
    return PLACED[what.venue]


def ended(here: Rig, client_order_id: str) -> Order:
    (final,) = here.heard.finals(client_order_id)
    return final


def at_venue(here: Rig, what: Instrument) -> list[str]:
    """Client ids of the orders that the venue has taken."""
    exchange = here.exchanges[what.venue]
    account = exchange.account(exchange.credentials.api_key)
    assert account is not None
    return [view.client_id for view in account.orders(INSTRUMENTS.index(what))]


@EVERYWHERE
async def test_an_order_is_filled_and_told_once(what: Instrument) -> None:
    async with rig() as here, started(here, what.venue) as actions:
        actions.submit(an_order("a", what))
        await until(lambda: actions.in_flight == 0)
        fills, final = here.heard.fills("a"), ended(here, "a")
        assert final.status is OrderStatus.FILLED
        assert final.average_price == D("50000.1")
        assert sum(fill.quantity for fill in fills) == final.filled_quantity == D("0.5")
        assert {(fill.fee, fill.fee_asset) for fill in fills} == (
            {(D("0.0005"), "BTC")} if what.segment is Segment.SPOT else {(D("25.00005"), "USDT")}
        )
        # The stream alone told it: nobody had to ask.
        assert here.requests.count("GET", "order") == here.requests.count("GET", "realtime") == 0


@EVERYWHERE
async def test_an_order_whose_answer_is_lost_is_asked_for_and_not_sent_again(what: Instrument) -> None:
    async with rig() as here, started(here, what.venue) as actions:
        here.relay.change = lambda text: []
        here.requests.lose_answer.append(f"POST {_path(what)}")
        actions.submit(an_order("a", what))
        await until(lambda: actions.in_flight == 0)
        assert ended(here, "a").status is OrderStatus.FILLED
        assert sum(fill.quantity for fill in here.heard.fills("a")) == D("0.5")
        assert here.requests.count("POST", placing(what)) == 1
        assert at_venue(here, what) == ["a"]


@EVERYWHERE
async def test_an_order_that_never_arrived_is_rejected_when_it_cannot_come_any_more(what: Instrument) -> None:
    async with rig() as here, started(here, what.venue) as actions:
        here.requests.lose.append(f"POST {_path(what)}")
        actions.submit(an_order("a", what))
        await until(lambda: actions.in_flight == 0)
        final = ended(here, "a")
        assert final.status is OrderStatus.REJECTED
        assert "never arrived" in str(final.reason)
        assert here.requests.count("POST", placing(what)) == 1
        assert at_venue(here, what) == []
        assert final.ts_final_ns is not None
        assert final.ts_sent_ns is not None
        assert final.ts_final_ns - final.ts_sent_ns > 1_500_000_000


@EVERYWHERE
async def test_a_fault_of_the_server_leaves_the_outcome_open(what: Instrument) -> None:
    async with rig() as here, started(here, what.venue) as actions:
        here.requests.fail.append((f"POST {_path(what)}", 503))
        actions.submit(an_order("a", what))
        await until(lambda: actions.in_flight == 0)
        assert ended(here, "a").status is OrderStatus.FILLED
        assert at_venue(here, what) == ["a"]


@EVERYWHERE
async def test_fills_may_come_before_the_answer(what: Instrument) -> None:
    async with rig() as here, started(here, what.venue) as actions:
        release = asyncio.Event()
        # Who asks for the order gets no answer either: only the socket can tell.
        here.requests.hold = dict.fromkeys(
            (f"POST {_path(what)}", f"GET {_path(what)}", "GET /v5/order/realtime"), release
        )
        actions.submit(an_order("a", what))
        await until(lambda: actions.in_flight == 0)
        assert ended(here, "a").status is OrderStatus.FILLED
        release.set()
        await asyncio.sleep(0.05)
        assert len(here.heard.finals("a")) == 1


@EVERYWHERE
async def test_news_told_twice_counts_once(what: Instrument) -> None:
    async with rig() as here, started(here, what.venue) as actions:
        here.relay.change = lambda text: [text, text]
        actions.submit(an_order("a", what))
        await until(lambda: actions.in_flight == 0)
        assert len(here.heard.finals("a")) == 1
        assert sum(fill.quantity for fill in here.heard.fills("a")) == D("0.5")


@EVERYWHERE
async def test_a_fill_that_the_stream_left_out_is_asked_for(what: Instrument) -> None:
    async with rig() as here, started(here, what.venue) as actions:
        here.relay.change = lambda text: [] if _is_fill(text) else [text]
        actions.submit(an_order("a", what))
        await until(lambda: actions.in_flight == 0)
        assert ended(here, "a").filled_quantity == D("0.5")
        assert [type(event) for event in here.heard.events] == [Fill, Order]


@EVERYWHERE
async def test_a_fill_missed_while_the_stream_was_down_is_asked_for(what: Instrument) -> None:
    async with rig() as here, started(here, what.venue) as actions:
        before = here.relay.connects
        actions.submit(an_order("a", what, price="49999", time_in_force=TimeInForce.GTC))
        await until(lambda: at_venue(here, what) == ["a"])
        here.relay.is_refusing = True
        here.relay.cut()
        number = _number(here, what)
        here.move([here.market.reach(INSTRUMENTS.index(what), number, 200, here.exchanges[what.venue].now_ns())])
        assert here.heard.fills("a") == []
        here.relay.is_refusing = False
        await until(lambda: len(here.heard.fills("a")) == 1)
        assert here.heard.fills("a")[0].quantity == D("0.2")
        assert here.heard.fills("a")[0].is_maker
        assert here.relay.connects > before
        assert actions.in_flight == 1
        await until(lambda: len(actions.positions()) == (what.segment is not Segment.SPOT))
        actions.cancel(an_order("a", what))
        await until(lambda: actions.in_flight == 0)
        assert ended(here, "a").status is OrderStatus.CANCELLED
        assert ended(here, "a").filled_quantity == D("0.2")


@EVERYWHERE
async def test_an_order_that_rests_is_cancelled_on_demand(what: Instrument) -> None:
    async with rig() as here, started(here, what.venue) as actions:
        order = an_order("a", what, price="49000", time_in_force=TimeInForce.GTC)
        actions.submit(order)
        actions.cancel(order)
        actions.cancel(order)
        await until(lambda: actions.in_flight == 0)
        assert ended(here, "a").status is OrderStatus.CANCELLED
        actions.cancel(ended(here, "a"))
        assert here.requests.count("DELETE", "order") + here.requests.count("POST", "cancel") == 1


@EVERYWHERE
async def test_a_refusal_comes_with_the_venues_words_and_code(what: Instrument) -> None:
    async with rig() as here, started(here, what.venue) as actions:
        actions.submit(an_order("a", what, quantity="100"))
        await until(lambda: actions.in_flight == 0)
        assert ended(here, "a").status is OrderStatus.REJECTED
        assert "code" in str(ended(here, "a").reason)
        assert here.heard.fills("a") == []


@EVERYWHERE
async def test_an_order_that_is_there_already_is_followed_and_not_called_rejected(what: Instrument) -> None:
    async with rig() as here, started(here, what.venue) as actions:
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


@EVERYWHERE
async def test_what_is_reserved_is_not_affordable(what: Instrument) -> None:
    async with rig() as here, started(here, what.venue) as actions:
        before = actions.affordable_notional(what, Side.BUY, 50000.0)
        assert before == pytest.approx(100_000 if what.segment is Segment.SPOT else 100_000 / 0.201)
        here.requests.hold[f"POST {_path(what)}"] = release = asyncio.Event()
        here.relay.change = lambda text: []
        actions.submit(an_order("a", what, price="50000.1"))
        taken = before - actions.affordable_notional(what, Side.BUY, 50000.0)
        assert taken == pytest.approx(0.5 * 50000.1)
        release.set()
        await until(lambda: actions.in_flight == 0)


@EVERY_VENUE
async def test_a_position_follows_its_fills(venue: str) -> None:
    what = of(venue, Segment.LINEAR)
    async with rig() as here, started(here, venue) as actions:
        actions.submit(an_order("a", what))
        await until(lambda: actions.in_flight == 0)
        actions.submit(an_order("b", what, Side.SELL, "0.8", "49000", reduce_only=True))
        await until(lambda: actions.in_flight == 0)
        assert ended(here, "b").filled_quantity == D("0.5")
        actions.submit(an_order("c", what, Side.SELL, "0.3", "49000"))
        await until(lambda: actions.in_flight == 0 and bool(actions.positions()))
        (position,) = actions.positions()
        assert position.quantity == D("-0.3")
        assert position.average_price == D(50000)
        assert position.realised == D("-0.05")


@EVERY_VENUE
async def test_funding_is_told_once_with_what_it_was_settled_on(venue: str) -> None:
    what = of(venue, Segment.LINEAR)
    async with rig() as here, started(here, venue) as actions:
        actions.submit(an_order("a", what))
        await until(lambda: actions.in_flight == 0 and bool(actions.positions()))
        now_ns = here.exchanges[venue].now_ns()
        here.market.marks[INSTRUMENTS.index(what)] = D(50000)
        here.move([here.market.funding_event(INSTRUMENTS.index(what), D("0.0004"), now_ns)])
        await until(lambda: len(here.heard.funding) == 1)
        (payment,) = here.heard.funding
        assert payment.instrument == what
        assert payment.quantity == D("0.5")
        assert payment.amount == -(D("0.5") * payment.mark_price * D("0.0004"))
        assert payment.rate == D("0.0004")
        here.relay.cut()
        await until(lambda: actions.reconnects > 0)
        await asyncio.sleep(0.1)
        assert len(here.heard.funding) == 1


@EVERY_VENUE
async def test_a_client_order_id_is_used_once(venue: str) -> None:
    what = of(venue, Segment.LINEAR)
    async with rig() as here, started(here, venue) as actions:
        actions.submit(an_order("a", what))
        with pytest.raises(OrderRejected):
            actions.submit(an_order("a", what))
        await until(lambda: actions.in_flight == 0)
        with pytest.raises(OrderRejected):
            actions.submit(an_order("a", what))
        assert len(here.heard.finals("a")) == 1


@EVERY_VENUE
async def test_a_wrong_key_stops_the_start_in_plain_words(venue: str) -> None:
    async with rig() as here:
        keys = ApiKeys(key=SecretStr("canarykey"), secret=SecretStr("canarysecret"))
        actions = here.actions(venue, keys=keys)
        with pytest.raises(AuthenticationFailed) as refused:
            await actions.start()
        assert "canary" not in str(refused.value)
        assert "canary" not in repr(keys)


@EVERY_VENUE
async def test_an_unreachable_venue_stops_the_start(venue: str) -> None:
    async with rig() as here:
        actions = here.actions(venue, here.settings(rest="http://127.0.0.1:1"))
        with pytest.raises(VenueUnavailable):
            await actions.start()


@EVERY_VENUE
@pytest.mark.parametrize(
    "url",
    ["https://api.binance.com", "https://127.0.0.1@evil.example", "http://10.0.0.1:80", "https://127.0.0.1.nip.io"],
)
async def test_only_this_machine_is_ever_signed_for(venue: str, url: str) -> None:
    async with rig() as here:
        with pytest.raises(SettingsError, match="simulated exchanges only"):
            here.actions(venue, here.settings(rest=url))
        with pytest.raises(SettingsError, match="simulated exchanges only"):
            here.actions(venue, here.settings(stream=url.replace("http", "ws")))


@EVERY_VENUE
async def test_a_stream_that_speaks_nonsense_is_told_and_survived(venue: str) -> None:
    what = of(venue, Segment.LINEAR)
    async with rig() as here, started(here, venue) as actions:
        here.relay.change = lambda text: ['{"e":"ORDER_TRADE_UPDATE","topic":"order","o":{}}', "not json"]
        actions.submit(an_order("a", what))
        await until(lambda: actions.in_flight == 0)
        assert ended(here, "a").status is OrderStatus.FILLED
        assert any(level == "error" and "not understood" in text for level, text in here.log)


@EVERYWHERE
async def test_a_clock_that_drifts_costs_one_order_and_is_measured_anew(what: Instrument) -> None:
    async with rig() as here, started(here, what.venue) as actions:
        here.exchanges[what.venue].drift_ns = 5_000_000_000
        actions.submit(an_order("a", what))
        await until(lambda: actions.in_flight == 0)
        assert ended(here, "a").status is OrderStatus.REJECTED
        actions.submit(an_order("b", what))
        await until(lambda: actions.in_flight == 0)
        assert ended(here, "b").status is OrderStatus.FILLED


@EVERY_VENUE
async def test_a_revoked_key_ends_the_order_and_the_stream(venue: str) -> None:
    what = of(venue, Segment.LINEAR)
    async with rig() as here, started(here, venue) as actions:
        exchange = here.exchanges[venue]
        exchange.revoke(exchange.credentials.api_key)
        actions.submit(an_order("a", what))
        await until(lambda: actions.in_flight == 0)
        assert ended(here, "a").status is OrderStatus.REJECTED
        here.relay.cut()
        await until(lambda: any(level == "error" and "no longer heard" in text for level, text in here.log))
        key = exchange.credentials
        assert not any(key.api_key in text or key.secret in text for _, text in here.log)


async def test_an_expired_listen_key_is_replaced_and_what_was_missed_is_asked_for() -> None:
    what = of("binance", Segment.LINEAR)
    async with rig() as here, started(here, "binance") as actions:
        before = here.requests.count("POST", "listenKey")
        here.relay.change = lambda text: ['{"e":"listenKeyExpired","E":1,"listenKey":"x"}'] if _is_fill(text) else []
        actions.submit(an_order("a", what))
        await until(lambda: here.requests.count("POST", "listenKey") > before)
        here.relay.change = lambda text: [text]
        await until(lambda: actions.in_flight == 0)
        assert ended(here, "a").status is OrderStatus.FILLED
        actions.submit(an_order("b", what, quantity="0.1"))
        await until(lambda: actions.in_flight == 0)
        assert ended(here, "b").status is OrderStatus.FILLED


async def test_a_listen_key_that_cannot_be_kept_alive_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FuturesUserStream, "beat_every_s", 0.05)
    async with rig() as here, started(here, "binance") as actions:
        await until(lambda: here.requests.count("PUT", "listenKey") > 1)
        assert actions.reconnects == 0
        here.requests.fail.append(("PUT /fapi/v1/listenKey", 400))
        await until(lambda: actions.reconnects == 1)
        actions.submit(an_order("a", of("binance", Segment.LINEAR)))
        await until(lambda: actions.in_flight == 0)
        assert here.requests.count("GET", "v1/order") == 0


async def test_routes_by_venue_and_fails_as_one() -> None:
    async with rig() as here:
        both = RoutedActions({venue: here.actions(venue) for venue in VENUES})
        await both.start()
        both.submit(an_order("a", of("binance", Segment.SPOT)))
        both.submit(an_order("b", of("bybit", Segment.LINEAR)))
        await until(lambda: both.in_flight == 0)
        assert {ended(here, name).status for name in "ab"} == {OrderStatus.FILLED}
        assert {balance.wallet for balance in both.balances()} == {"binance.spot", "binance.linear", "bybit.unified"}
        elsewhere = of("bybit", Segment.SPOT).model_copy(update={"venue": "kraken"})
        with pytest.raises(OrderRejected):
            both.submit(an_order("c", elsewhere))
        assert both.affordable_notional(elsewhere, Side.BUY, 1.0) == 0.0
        await both.stop()
        dead = here.actions("bybit", here.settings(rest="http://127.0.0.1:1"))
        broken = RoutedActions({"binance": here.actions("binance"), "bybit": dead})
        with pytest.raises(VenueUnavailable):
            await broken.start()


def _path(what: Instrument) -> str:
    return {"binance.spot": "/api/v3/order", "binance.linear": "/fapi/v1/order"}.get(str(what.feed), "/v5/order/create")


def _is_fill(text: str) -> bool:
    frame = json.loads(text)
    event = frame.get("event", frame)
    order = event.get("o", event) if event.get("e") else {}
    return (isinstance(order, dict) and order.get("x") == "TRADE") or frame.get("topic") == "execution"


def _number(here: Rig, what: Instrument) -> int:
    exchange = here.exchanges[what.venue]
    account = exchange.account(exchange.credentials.api_key)
    assert account is not None
    (view,) = account.open_orders(INSTRUMENTS.index(what))
    assert view.state is OrderState.NEW
    return view.number
