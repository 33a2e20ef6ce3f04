"""Orders at Kraken through the real ccxt, over a real socket: filled, refused, lost, cancelled, found again."""

import asyncio
import json
import logging
import traceback
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from bot.clock import SystemClock, VirtualClock
from bot.domain.order import Fill, Order, OrderStatus, Side, TimeInForce
from bot.errors import Banned, BelowMinimum, OrderRejected, RateLimited, VenueError, VenueUnavailable
from exchanges.common.requests.emergency import Account
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.common.requests.request_pool import Lane
from exchanges.kraken.account_terms import account_fees
from exchanges.kraken.emergency import KrakenEmergency
from exchanges.kraken.endpoints import VENUE
from exchanges.kraken.request_costs import COUNTER, ORDERS, rates
from modes.kill_venue import Silencer
from tests.integration.actions_rig import an_order, until
from tests.integration.kraken_rig import BTC, OLD, PRIVATE, Kraken, kraken, trading

pytest.importorskip("ccxt", reason="ccxt is not installed")

D = Decimal
LONG = "20261121T134200-ab12-3-1"
"""As the executor names orders: longer than Kraken takes a text."""


async def final(here: Kraken, name: str) -> Order:
    await until(lambda: bool(here.heard.finals(name)))
    return here.heard.finals(name)[-1]


def added_up(fills: list[Fill]) -> Decimal:
    return sum((fill.quantity for fill in fills), D(0))


def said(*errors: str) -> Any:
    return lambda: web.json_response({"error": list(errors)})


@pytest.mark.parametrize("side", list(Side))
async def test_an_order_that_takes_is_filled_and_the_wallet_tells_the_same(side: Side) -> None:
    async with kraken() as here, trading(here) as actions:
        price = "51000" if side is Side.BUY else "49000"
        before = here.balance("BTC"), here.balance("USDT")
        actions.submit(an_order(LONG, BTC, side, "0.5", price))
        done = await final(here, LONG)
        assert done.status is OrderStatus.FILLED
        fills = here.heard.fills(LONG)
        assert added_up(fills) == D("0.5")
        assert {fill.fee_asset for fill in fills} == {"USDT"}, "whichever side: `fciq` was asked for"
        moved = sum((-fill.side.sign * fill.quantity * fill.price - fill.fee for fill in fills), D(0))
        assert here.balance("BTC") - before[0] == side.sign * D("0.5")
        assert here.balance("USDT") - before[1] == moved
        await until(lambda: {one.asset: one.total for one in actions.balances()}["USDT"] == before[1] + moved)
        assert here.requests.count("POST", "AddOrder") == 1


async def test_a_pair_is_known_by_each_of_krakens_names_of_it() -> None:
    async with kraken() as here, trading(here) as actions:
        actions.submit(an_order(LONG, OLD, Side.BUY, "0.5"))
        assert (await final(here, LONG)).status is OrderStatus.FILLED
        assert {(fill.instrument.symbol, fill.fee_asset) for fill in here.heard.fills(LONG)} == {("BTC/USD", "USD")}
        rest = an_order("rests", OLD, Side.BUY, "0.5", "40000", time_in_force=TimeInForce.GTC)
        actions.submit(rest)
        await until(lambda: here.orders() == 2)
        (found,) = await actions.questions.open_orders()
        assert (found.client_order_id, found.instrument.symbol) == ("rests", "BTC/USD")
        told = await actions.questions.trades([OLD], 0, lambda instrument, fill: False)
        assert told == here.heard.fills(LONG)
        terms = await account_fees([OLD], here.settings(), SystemClock(), here.keys(), None)
        assert terms.values[OLD.id].taker_bps == D(40)


async def test_what_an_order_cannot_take_at_once_is_gone() -> None:
    async with kraken() as here, trading(here) as actions:
        actions.submit(an_order("part", BTC, Side.BUY, "1.5", "50000.1"))
        done = await final(here, "part")
    assert (done.status, done.filled_quantity) == (OrderStatus.EXPIRED, D(1))
    assert added_up(here.heard.fills("part")) == D(1)


@pytest.mark.parametrize("levels", [19, 20, 21, 40])
async def test_an_order_of_many_trades_has_every_one_of_them(levels: int) -> None:
    """Twenty are told by one request, and a request that names none is refused."""
    async with kraken() as here, trading(here) as actions:
        asks = {500_001 + level: 1_000_000 for level in range(levels)}
        here.market.quote(0, {500_000: 1_000_000}, asks, D("50000"))
        actions.submit(an_order(LONG, BTC, Side.BUY, f"{D(levels) / 100:f}", "51000"))
        done = await final(here, LONG)
        assert (done.status, len(here.heard.fills(LONG))) == (OrderStatus.FILLED, levels)
        assert added_up(here.heard.fills(LONG)) == done.quantity
        told = await actions.questions.trades([BTC], 0, lambda instrument, fill: False)
        assert {fill.fill_id: fill for fill in told} == {fill.fill_id: fill for fill in here.heard.fills(LONG)}


async def test_an_order_that_kraken_does_not_answer_is_asked_for_before_it_is_evened_at_the_market() -> None:
    async with kraken() as here, trading(here) as actions:
        here.requests.hold["AddOrder"] = asyncio.Event()
        actions.submit(an_order(LONG, BTC, Side.BUY, "0.5"))
        assert (await final(here, LONG)).status is OrderStatus.FILLED
        here.requests.hold.pop("AddOrder").set()
        assert "no answer in 2 s" in "".join(text for _, text in here.log), "ccxt itself would wait for ten"
        assert here.requests.count("POST", "AddOrder") == 1


@pytest.mark.parametrize("asked", ["CancelOrder", "QueryOrders"])
async def test_what_kraken_does_not_answer_is_asked_again_long_before_ccxt_would_give_up(asked: str) -> None:
    async with kraken() as here, trading(here) as actions:
        order = an_order("rests", BTC, Side.BUY, "0.5", "40000", time_in_force=TimeInForce.POST_ONLY)
        actions.submit(order)
        await until(lambda: here.orders() == 1 and here.requests.count("POST", "QueryOrders") > 0)
        here.requests.hold[asked] = asyncio.Event()
        actions.cancel(order)
        await until(lambda: any("no answer in" in text for _, text in here.log))
        here.requests.hold.pop(asked).set()
        assert (await final(here, "rests")).status is OrderStatus.CANCELLED
        words = "no answer in 2 s" if asked == "CancelOrder" else "no answer in 5 s"
        assert any(words in text for _, text in here.log), "ccxt itself would wait for ten"


async def test_a_resting_order_is_cancelled_by_its_name() -> None:
    async with kraken() as here, trading(here) as actions:
        order = an_order("rests", BTC, Side.BUY, "0.5", "40000", time_in_force=TimeInForce.POST_ONLY)
        actions.submit(order)
        await until(lambda: here.orders() == 1)
        (found,) = await actions.questions.open_orders()
        assert (found.client_order_id, found.status) == ("rests", OrderStatus.SENT)
        actions.cancel(order)
        assert (await final(here, "rests")).status is OrderStatus.CANCELLED


async def test_fault_36_lost_answer_at_kraken_is_found_by_name_and_never_sent_again() -> None:
    async with kraken() as here, trading(here) as actions:
        here.requests.lose_answer.append("AddOrder")
        actions.submit(an_order(LONG, BTC, Side.BUY, "0.5"))
        done = await final(here, LONG)
        assert (done.status, done.filled_quantity) == (OrderStatus.FILLED, D("0.5"))
        assert (here.orders(), here.requests.count("POST", "AddOrder")) == (1, 1)
        assert any("asking kraken what became of it" in text for _, text in here.log)


async def test_fault_37_lost_order_at_kraken_is_given_up_and_never_sent_again() -> None:
    async with kraken() as here, trading(here) as actions:
        here.requests.lose.append("AddOrder")
        actions.submit(an_order(LONG, BTC, Side.BUY, "0.5"))
        done = await final(here, LONG)
        assert done.status is OrderStatus.REJECTED
        assert "never arrived" in (done.reason or "")
        assert (here.orders(), here.requests.count("POST", "AddOrder")) == (0, 1)


@pytest.mark.parametrize(
    "error",
    ["EService:Unavailable", "EService:Deadline elapsed", "EGeneral:Internal error", "ENew:Whatever this is"],
)
async def test_an_error_that_promises_nothing_is_asked_after(error: str) -> None:
    """The order was taken, and Kraken says something else."""
    async with kraken() as here, trading(here) as actions:
        taken = here.requests
        inner = taken.handle

        async def lying(request: web.Request, handler: Any) -> web.StreamResponse:
            answer = await inner(request, handler)
            return said(error)() if request.path.endswith("AddOrder") else answer

        taken.handle = lying  # type: ignore[method-assign]
        actions.submit(an_order(LONG, BTC, Side.SELL, "0.5", "49000"))
        assert (await final(here, LONG)).status is OrderStatus.FILLED
        assert taken.count("POST", "AddOrder") == 1


@pytest.mark.parametrize("described", [{"order": "taken"}, {"order": "buy 0.5"}, [1], None])
async def test_an_order_whose_answer_ccxt_cannot_read_may_have_been_taken(described: Any) -> None:
    """Kraken has the order, and describes it in words that ccxt does not expect."""
    async with kraken() as here, trading(here) as actions:
        taken, inner = here.requests, here.requests.handle

        async def described_anew(request: web.Request, handler: Any) -> web.StreamResponse:
            answer = await inner(request, handler)
            if not request.path.endswith("AddOrder"):
                return answer
            told = json.loads(answer.text or "") if isinstance(answer, web.Response) else {}
            told["result"]["descr"] = described
            return web.json_response(told)

        taken.handle = described_anew  # type: ignore[method-assign]
        actions.submit(an_order(LONG, BTC, Side.SELL, "0.5", "49000"))
        assert (await final(here, LONG)).status is OrderStatus.FILLED
        assert taken.count("POST", "AddOrder") == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("EOrder:Insufficient funds", "Insufficient funds"),
        ("EOrder:Some rule of tomorrow", "Some rule of tomorrow"),
        ("EGeneral:Invalid arguments:volume", "Invalid arguments:volume"),
        ("EService: Throttled: 1795320044", "Throttled"),
        ("EAPI:Invalid key", "Invalid key"),
    ],
)
async def test_a_refusal_is_final_and_keeps_krakens_code(error: str, words: str) -> None:
    async with kraken() as here, trading(here) as actions:
        here.requests.answer[f"{PRIVATE}AddOrder"] = said(error)
        actions.submit(an_order("refused", BTC))
        done = await final(here, "refused")
        assert done.status is OrderStatus.REJECTED
        assert words in (done.reason or "")
        assert here.requests.count("POST", "QueryOrders") + here.requests.count("POST", "OpenOrders") == 0


async def test_an_asset_that_kraken_does_not_trade_in_our_country_is_no_refused_key() -> None:
    async with kraken() as here, trading(here) as actions:
        words = "EAccount:Invalid permissions:USDT trading restricted for DE."
        here.requests.answer[f"{PRIVATE}AddOrder"] = said(words)
        actions.submit(an_order("here", BTC))
        done = await final(here, "here")
        assert (done.status, "trading restricted for DE" in (done.reason or "")) == (OrderStatus.REJECTED, True)
        assert actions.blocked("kraken") is None
        assert actions.standings()[0].refused is None


async def test_a_wallet_that_does_not_cover_it_refuses() -> None:
    async with kraken() as here, trading(here) as actions:
        actions.submit(an_order("too-much", BTC, Side.SELL, "3", "49000"))
        done = await final(here, "too-much")
    assert done.status is OrderStatus.REJECTED
    assert "EOrder:Insufficient funds" in (done.reason or "")


async def test_what_ccxt_would_round_is_not_sent() -> None:
    """ccxt cuts 0.123456789 to 0.12345678 and rounds 50000.13 to 50000.1 without a word."""
    async with kraken() as here, trading(here) as actions:
        for name, quantity, price in (("lot", "0.123456789", "51000"), ("tick", "0.5", "50000.13")):
            actions.submit(an_order(name, BTC, Side.BUY, quantity, price))
            assert "off the grid" in ((await final(here, name)).reason or "")
        assert here.requests.count("POST", "AddOrder") == 0


async def test_a_name_is_used_once() -> None:
    async with kraken() as here, trading(here) as actions:
        actions.submit(an_order("once", BTC))
        await final(here, "once")
        with pytest.raises(OrderRejected, match="duplicate"):
            actions.submit(an_order("once", BTC))
        assert here.requests.count("POST", "AddOrder") == 1


async def test_fault_39_an_order_whose_name_kraken_has_already_is_asked_for() -> None:
    async with kraken() as here, trading(here) as actions:
        earlier = an_order(LONG, BTC, Side.BUY, "0.5", "40000", time_in_force=TimeInForce.GTC)
        actions.submit(earlier)
        await until(lambda: here.orders() == 1)
        async with trading(here) as later:
            later.submit(earlier)
            await until(lambda: any("asking kraken what became of it" in text for _, text in here.log))
            later.cancel(earlier)
            assert (await final(here, LONG)).status is OrderStatus.CANCELLED
        assert here.orders() == 1


async def test_a_quantity_below_the_minimum_is_refused_as_one() -> None:
    async with kraken() as here, trading(here) as actions:
        with pytest.raises(BelowMinimum):
            await actions._carrier._place(an_order("small", BTC, Side.BUY, "0.00004", "51000"))


async def test_an_order_that_is_too_old_on_arrival_is_asked_for_and_given_up() -> None:
    """Kraken says of a deadline that is over that the order may have been placed all the same."""
    async with kraken() as here, trading(here) as actions:
        here.exchange.drift_ns = 30_000_000_000  # Kraken's clock is half a minute ahead of ours
        actions.submit(an_order("late", BTC))
        assert "never arrived" in ((await final(here, "late")).reason or "")
        assert here.orders() == 0
        assert any("Deadline elapsed" in text for _, text in here.log)
        # What it cost leaves enough of the counter to ask what becomes of the next one.
        await actions._offsets.begin()
        actions.submit(an_order("taken", BTC))
        assert (await final(here, "taken")).status is OrderStatus.FILLED


@pytest.mark.parametrize("drift_s", [-30, 0, 30])
async def test_a_deadline_is_by_krakens_clock_however_far_it_is_from_ours(drift_s: int) -> None:
    """It refuses one that is less than two seconds away; and one that is far away lets a lost order come late."""
    async with kraken() as here:
        here.exchange.drift_ns = drift_s * 1_000_000_000
        taken, inner, asked_s = here.requests, here.requests.handle, list[tuple[float, float]]()

        async def timed(request: web.Request, handler: Any) -> web.StreamResponse:
            if request.path.endswith("AddOrder"):
                deadline = datetime.fromisoformat(str((await request.post())["deadline"]))
                asked_s.append((deadline.timestamp(), here.exchange.now_ns() / 1e9))
            return await inner(request, handler)

        taken.handle = timed  # type: ignore[method-assign]
        async with trading(here) as actions:
            before_s = here.exchange.now_ns() / 1e9
            actions.submit(an_order("taken", BTC))
            assert (await final(here, "taken")).status is OrderStatus.FILLED
        deadline_s, arrived_s = asked_s[0]
        assert deadline_s - before_s > 2  # a busy machine may take some of it for the way
        assert deadline_s - arrived_s < 2.9


async def test_a_clock_that_moves_is_measured_again_once_an_order_is_refused_for_it() -> None:
    async with kraken() as here, trading(here) as actions:
        here.exchange.drift_ns = 1_600_000_000  # too much, with as much left for the way as can be
        actions.submit(an_order("short", BTC))
        assert "Invalid arguments:deadline" in ((await final(here, "short")).reason or "")
        await actions._offsets.begin()
        actions.submit(an_order("taken", BTC))
        assert (await final(here, "taken")).status is OrderStatus.FILLED


async def test_an_order_that_waits_for_room_has_its_whole_deadline_afterwards() -> None:
    budget = RequestBudget(VENUE, rates(), SystemClock())
    async with kraken() as here, trading(here, budget=budget) as actions:
        budget.hold([ORDERS], 0.9)
        actions.submit(an_order("evens", BTC, reduces_risk=True))
        assert (await final(here, "evens")).status is OrderStatus.FILLED


async def test_a_kraken_that_does_not_tell_its_time_is_not_traded_at() -> None:
    async with kraken() as here:
        here.requests.answer["GET /kraken/v2"] = lambda: web.Response(status=503)
        with pytest.raises(VenueUnavailable, match="does not tell its time"):
            await here.actions().start()


async def test_trades_of_an_earlier_process_are_found_with_their_names() -> None:
    async with kraken() as here:
        async with trading(here) as actions:
            actions.submit(an_order(LONG, BTC, Side.BUY, "0.5"))
            await final(here, LONG)
        async with trading(here) as later:
            fills = await later.questions.trades([BTC], 0, lambda instrument, fill: False)
            assert {fill.client_order_id for fill in fills} == {LONG}
            assert fills == here.heard.fills(LONG)
            known = {fill.fill_id for fill in fills}
            assert not await later.questions.trades([BTC], 0, lambda instrument, fill: fill in known)


async def test_fault_26_a_429_of_kraken_is_held_until_its_retry_after() -> None:
    async with kraken() as here, trading(here) as actions:
        too_many = web.Response(status=429, headers={"Retry-After": "40"})
        here.requests.answer[f"{PRIVATE}AddOrder"] = lambda: too_many
        actions.submit(an_order("first", BTC))
        assert (await final(here, "first")).status is OrderStatus.REJECTED
        (held,) = [one for one in actions.standings()[0].budgets if one.held_s > 0]
        assert (held.name, held.held_s > 30) == ("orders", True)
        actions.submit(an_order("second", BTC))
        assert "not asked" in ((await final(here, "second")).reason or "")
        assert here.requests.count("POST", "AddOrder") == 1
        assert "no room for an order" in (actions.blocked("kraken") or "")


@pytest.mark.parametrize(
    ("asked", "error", "pool"),
    [("AddOrder", "EOrder:Rate limit exceeded", "orders"), ("BalanceEx", "EAPI:Rate limit exceeded", "counter")],
)
async def test_fault_26_a_counter_of_kraken_that_is_full_holds_no_hedge_beyond_its_time(
    asked: str, error: str, pool: str
) -> None:
    """It falls by itself: the next request has room long before a leg that stands alone halts the bot."""
    async with kraken() as here, trading(here) as actions:
        here.requests.answer[f"{PRIVATE}{asked}"] = said(error)
        if asked == "AddOrder":
            actions.submit(an_order("first", BTC))
            await final(here, "first")
        else:
            with pytest.raises(RateLimited):
                await actions.questions.holdings()
        (held,) = [one for one in actions.standings()[0].budgets if one.held_s > 0]
        assert (held.name, held.held_s <= 4) == (pool, True)


async def test_fault_27_a_lockout_of_kraken_is_one_clock_for_everything() -> None:
    async with kraken() as here, trading(here) as actions:
        here.requests.answer[f"{PRIVATE}AddOrder"] = said("EGeneral:Temporary lockout")
        actions.submit(an_order("locked", BTC))
        assert (await final(here, "locked")).status is OrderStatus.REJECTED
        before = len(here.requests.seen)
        with pytest.raises(Banned, match="not asked"):
            await actions.questions.holdings()
        assert len(here.requests.seen) == before
        assert "refuses this address" in (actions.blocked("kraken") or "")


async def test_fault_34_a_refused_key_stops_new_risk_at_kraken() -> None:
    async with kraken() as here, trading(here) as actions:
        here.exchange.are_keys_revoked = True
        actions.submit(an_order("revoked", BTC))
        assert (await final(here, "revoked")).status is OrderStatus.REJECTED
        assert actions.blocked("kraken") == "it does not take our key"
        assert actions.standings()[0].refused is not None


async def test_the_counter_is_kept_and_cancels_have_what_is_left_of_it() -> None:
    """Kraken's counter is on: not one request of ours is one too many, however often balances are asked for."""
    async with kraken(is_counting=True) as here, trading(here) as actions:
        # Nobody waits longer than a read may: who would have to is told so, and not one of them is sent.
        asked = [actions.questions.holdings() for _ in range(20)]
        refused = [one for one in await asyncio.gather(*asked, return_exceptions=True) if one is not None]
        assert any(isinstance(one, RateLimited) and "not asked" in str(one) for one in refused)
        assert here.requests.count("POST", "BalanceEx") < 15
        actions.submit(an_order("still", BTC))
        assert (await final(here, "still")).status is OrderStatus.FILLED
        assert not here.requests.too_many


async def test_orders_that_rest_are_asked_for_by_one_question_however_many_there_are() -> None:
    """With one question each, the counter (one in three seconds) would tell of the last fill half a minute late."""
    names = [f"rests-{number}" for number in range(12)]
    async with kraken(is_counting=True) as here, trading(here) as actions:
        for name in names:
            actions.submit(an_order(name, BTC, Side.BUY, "0.05", "40000", time_in_force=TimeInForce.POST_ONLY))
        await until(lambda: here.orders() == len(names) and here.requests.count("POST", "QueryOrders") > 0)
        resting = list(here.market.resting.items())
        now_ns = here.exchange.now_ns()
        here.exchange.on_market([here.market.reach(*key, lots, now_ns) for key, (_, _, lots) in resting])
        for name in names:
            done = await final(here, name)
            assert (done.status, added_up(here.heard.fills(name))) == (OrderStatus.FILLED, D("0.05"))
        assert here.requests.count("POST", "QueryOrders") < len(names)
        assert here.requests.count("POST", "QueryTrades") < len(names)
        assert not here.requests.too_many


async def test_the_dead_man_switch_is_petted_though_questions_for_orders_take_up_the_counter() -> None:
    """Two orders that rest ask for more than it gives back; who is turned away asks again just when there is room."""
    clock = VirtualClock()
    budget = RequestBudget(VENUE, rates(), clock)
    async with kraken() as here, trading(here, budget=budget) as actions:
        actions.submit(an_order("rests", BTC, Side.BUY, "0.5", "40000", time_in_force=TimeInForce.POST_ONLY))
        await until(lambda: here.requests.count("POST", "QueryOrders") > 0)
        (counter,) = [one for one in budget.lines() if one.name == COUNTER]
        budget.take({COUNTER: counter.limit - counter.used}, Lane.REDUCE)
        actions.pet(60)
        await until(lambda: any(one.waiting for one in budget.lines()) or bool(here.log))
        clock.advance_to(clock.now_ns() + 3_100_000_000)
        await until(lambda: here.requests.count("POST", "CancelAllOrdersAfter") > 0)
        assert not [text for _, text in here.log if "dead-man" in text]


async def test_nothing_of_a_key_is_told_whatever_goes_wrong(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with kraken() as here, trading(here) as actions:
        key, secret = here.exchange.credentials
        for number, trouble in enumerate(("lose", "lose_answer")):
            getattr(here.requests, trouble).append("BalanceEx")
            with pytest.raises(VenueError) as told:
                await actions.questions.holdings()
            text = "".join(traceback.format_exception(told.value)) + repr(vars(told.value))
            assert not {secret for secret in (key, secret, "API-Sign") if secret in text}, number
        here.requests.lose_answer.append("AddOrder")
        actions.submit(an_order("lost", BTC))
        await final(here, "lost")
        heard = f"{here.log} {here.heard.events} {actions!r} {vars(actions)}"
        for part in (key, secret, "API-Sign"):
            assert part not in heard
            assert part not in caplog.text


async def test_a_venue_that_cannot_be_asked_is_not_heard_and_then_is_again() -> None:
    async with kraken() as here, trading(here) as actions:
        here.requests.answer[f"{PRIVATE}BalanceEx"] = lambda: web.Response(status=502)
        poll = actions._poll
        await poll._ask()
        assert actions.blocked("kraken") is None, "one answer that is missing is no silence"
        await poll._ask()
        assert "not heard" in (actions.blocked("kraken") or "")
        del here.requests.answer[f"{PRIVATE}BalanceEx"]
        await poll._ask()
        assert actions.blocked("kraken") is None


async def test_kill_mode_silences_kraken_without_ccxt() -> None:
    async with kraken() as here, trading(here) as actions:
        for name in ("first", "second"):
            actions.submit(an_order(name, BTC, Side.BUY, "0.1", "40000", time_in_force=TimeInForce.GTC))
        await until(lambda: here.orders() == 2)
        key, secret = here.exchange.credentials
        account = Account("kraken", "simulated", {"spot": here.url}, {"spot": ["BTC/USDT"]}, key=key, secret=secret)
        silencer = Silencer(KrakenEmergency(account, SystemClock()), SystemClock(), SystemClock().monotonic_ns(), 0)
        outcome = await asyncio.to_thread(silencer.run, flatten=True)
        assert (outcome.is_silent, outcome.trouble, list(outcome.positions or ())) == (True, "", [])
        assert here.requests.count("POST", "CancelAll") == 1
        for name in ("first", "second"):  # and the bot, whose numbers are behind those of the kill for a moment, hears
            assert (await final(here, name)).status is OrderStatus.CANCELLED


async def test_kill_mode_believes_no_refusal() -> None:
    async with kraken() as here:
        account = Account("kraken", "simulated", {"spot": here.url}, {}, key="nobody-knows-it", secret="bm90aGluZw==")
        silencer = Silencer(KrakenEmergency(account, SystemClock()), SystemClock(), SystemClock().monotonic_ns(), 0)
        outcome = await asyncio.to_thread(silencer.run, flatten=False)
    assert not outcome.is_silent
    assert "EAPI:Invalid key" in outcome.trouble
