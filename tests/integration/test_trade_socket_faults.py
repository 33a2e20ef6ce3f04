"""A socket for orders whose venue is slow, lies, goes away, or does not want us."""

import asyncio
import gc

import pytest

from bot.errors import AuthenticationFailed, Banned, InsufficientBalance, RateLimited, VenueError
from exchanges.common.requests.refusals import Refusal, ServerFault
from exchanges.common.requests.venue_http import AnswerLost
from tests.integration.actions_rig import VENUES, an_order
from tests.integration.trade_socket_rig import a_bench, connected, done, refused, scripted, until

EVERY_VENUE = pytest.mark.parametrize("venue", VENUES)


@EVERY_VENUE
async def test_it_is_logged_in_before_the_first_order(venue: str) -> None:
    async with connected(venue) as (there, bench):
        assert [one["op"] for one in there.seen] == (["auth"] if venue == "bybit" else [])
        assert there.dials == 1
        answered = bench.socket.place(an_order("a", bench.what))
        assert answered is not None
        await answered
        assert len(there.orders) == 1


@EVERY_VENUE
async def test_answers_are_found_by_their_number_in_any_order(venue: str) -> None:
    held: list[dict[str, object]] = []
    async with connected(venue, lambda request: held.append(request) or []) as (there, bench):
        first, second = (bench.socket.place(an_order(name, bench.what)) for name in "ab")
        assert first is not None
        assert second is not None
        await until(lambda: len(held) == 2)
        await there.say(refused(venue, held[1], -2019 if venue == "binance" else 110007))
        await there.say(done(venue, held[0]))
        await first
        with pytest.raises(Refusal) as refusal:
            await second
        assert isinstance(refusal.value.of_order("b"), InsufficientBalance)


@EVERY_VENUE
async def test_a_second_answer_and_one_to_nothing_change_nothing_and_are_told_once(venue: str) -> None:
    async with connected(venue, lambda request: [done(venue, request)] * 2) as (there, bench):
        for name in "abc":
            answered = bench.socket.place(an_order(name, bench.what))
            assert answered is not None
            await answered
        await there.say(done(venue, {"id": "never", "reqId": "never", "op": "order.create"}))
        last = bench.socket.place(an_order("d", bench.what))
        assert last is not None
        await last
        assert bench.socket.is_ready
        assert sum("nobody waits for" in text for _, text in bench.log) == 1


@EVERY_VENUE
async def test_an_answer_that_is_lost_when_nobody_waits_for_it_any_more_is_no_failure_of_the_loop(venue: str) -> None:
    """A run that ends in the moment of an order lets go of it: what the loop hears of would end it as a bug."""
    failures: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    async with connected(venue, lambda request: []) as (there, bench):
        assert bench.socket.place(an_order("a", bench.what)) is not None
        await until(lambda: len(there.orders) == 1)
    gc.collect()
    await asyncio.sleep(0)
    assert failures == []


@EVERY_VENUE
async def test_no_answer_in_time_leaves_the_outcome_open_and_the_socket_in_doubt(venue: str) -> None:
    async with connected(venue) as (there, bench):
        there.is_deaf = True
        answered = bench.socket.place(an_order("a", bench.what))
        assert answered is not None
        await until(lambda: len(there.orders) == 1)
        await bench.pass_s(0.999)
        assert not answered.done()
        await bench.pass_s(0.002)
        with pytest.raises(AnswerLost, match="no answer in 1 s"):
            await answered
        # Nothing more is risked on it; it is pinged, and may be used again once it was heard.
        assert not bench.socket.is_ready
        assert bench.socket.place(an_order("b", bench.what)) is None
        await until(lambda: there.pings == 1)
        there.is_deaf = False
        await there.say(done(venue, there.orders[0]))
        await until(lambda: bench.socket.is_ready)
        assert len(there.orders) == 1


@EVERY_VENUE
async def test_a_socket_that_stays_silent_is_replaced(venue: str) -> None:
    async with connected(venue) as (there, bench):
        there.is_deaf = True
        answered = bench.socket.place(an_order("a", bench.what))
        assert answered is not None
        await until(lambda: len(there.orders) == 1)
        await bench.pass_s(1.001)
        assert isinstance(answered.exception(), AnswerLost)
        await bench.pass_s(5.0)
        there.is_deaf = False
        await bench.until_by_clock(lambda: bench.socket.is_ready)
        assert bench.said("nothing was heard for 5 s after a ping")
        assert (there.dials, bench.socket.reconnects) == (2, 1)


@EVERY_VENUE
async def test_a_quiet_socket_is_pinged_and_kept(venue: str) -> None:
    async with connected(venue) as (there, bench):
        for beat in range(1, 4):
            await bench.pass_s(10.0)
            await until(lambda beat=beat: there.pings == beat)
            await asyncio.sleep(0.05)
        assert bench.socket.is_ready
        assert there.dials == 1


@EVERY_VENUE
async def test_a_socket_that_drops_leaves_what_was_written_open_and_comes_back(venue: str) -> None:
    async with connected(venue, lambda request: []) as (there, bench):
        lost = [bench.socket.place(an_order(name, bench.what)) for name in "ab"]
        await until(lambda: len(there.orders) == 2)
        there.cut()
        for answered in lost:
            assert answered is not None
            with pytest.raises(AnswerLost, match="the connection was lost"):
                await answered
        assert bench.socket.place(an_order("c", bench.what)) is None
        there.answers = lambda request: [done(venue, request)]
        await bench.until_by_clock(lambda: bench.socket.is_ready)
        # What was in flight is not sent on the new one.
        assert len(there.orders) == 2
        again = bench.socket.place(an_order("d", bench.what))
        assert again is not None
        await again
        assert bench.said("orders go by REST")


@EVERY_VENUE
async def test_it_is_replaced_before_the_venue_cuts_it_and_nothing_is_lost_by_that(venue: str) -> None:
    held: list[dict[str, object]] = []
    async with connected(venue, lambda request: held.append(request) or [], planned_s=9.0) as (there, bench):
        (old,) = there.open
        await bench.pass_s(8.9)
        on_its_way = bench.socket.place(an_order("a", bench.what))
        assert on_its_way is not None
        await until(lambda: len(held) == 1)
        await bench.pass_s(0.2)
        await until(lambda: bench.socket.reconnects == 1)
        # The new one takes what comes; the old one stays until it has answered.
        assert bench.socket.is_ready
        taken = bench.socket.place(an_order("b", bench.what))
        assert taken is not None
        await until(lambda: len(held) == 2)
        assert old in there.open
        assert not on_its_way.done()
        await old.send_json(done(venue, held[0]))
        await on_its_way
        await until(lambda: old not in there.open)
        await there.say(done(venue, held[1]))
        await taken
        assert there.dials == 2
        assert not bench.said("orders go by REST")


@EVERY_VENUE
async def test_a_replacement_that_is_refused_leaves_the_old_one_in_use(venue: str) -> None:
    async with connected(venue, planned_s=5.0) as (there, bench):
        there.status = 503
        await bench.pass_s(5.1)
        await bench.until_by_clock(lambda: bench.said("its replacement has to wait"))
        assert bench.socket.is_ready
        there.status = 101
        await bench.until_by_clock(lambda: bench.socket.reconnects == 1)
        assert not bench.said("orders go by REST")


@pytest.mark.parametrize(
    ("venue", "message"),
    [
        ("binance", {"event": {"e": "serverShutdown", "E": 1}}),
        ("binance", {"e": "serverShutdown", "E": 1}),
        ("bybit", {"retCode": 10019, "retMsg": "restart", "op": "order.create"}),
        ("bybit", {"retCode": 20001, "retMsg": "not authorized", "op": "order.create"}),
    ],
)
async def test_a_server_that_says_it_goes_gets_nothing_more(venue: str, message: dict[str, object]) -> None:
    async with connected(venue) as (there, bench):
        await there.say(message)
        await until(lambda: not bench.socket.is_ready)
        assert bench.socket.place(an_order("a", bench.what)) is None
        await bench.until_by_clock(lambda: bench.socket.is_ready)
        assert there.dials == 2


# What it is refused


@pytest.mark.parametrize(
    ("venue", "status", "code", "kind"),
    [
        ("binance", 400, -2010, Refusal),
        ("binance", 400, -1021, VenueError),
        ("binance", 400, -1007, ServerFault),
        ("binance", 503, 0, ServerFault),
        ("binance", 503, -1008, VenueError),
        ("binance", 429, -1003, RateLimited),
        ("binance", 429, -1015, RateLimited),
        ("binance", 418, -1003, Banned),
        ("binance", 401, -2015, AuthenticationFailed),
        ("binance", 200, -1000, ServerFault),
        ("bybit", 0, 110007, Refusal),
        ("bybit", 0, 10006, RateLimited),
        ("bybit", 0, 10016, ServerFault),
        ("bybit", 0, 10404, Refusal),
        ("bybit", 0, 10003, AuthenticationFailed),
        ("bybit", 0, 20003, RateLimited),
        ("bybit", 0, 20006, Refusal),
    ],
)
async def test_what_it_is_told_means_what_it_means_over_rest(
    venue: str, status: int, code: int, kind: type[VenueError]
) -> None:
    async with connected(venue, lambda request: [refused(venue, request, code, status)]) as (_, bench):
        answered = bench.socket.place(an_order("a", bench.what))
        assert answered is not None
        with pytest.raises(kind):
            await answered


@EVERY_VENUE
async def test_what_the_venue_counts_is_learnt_and_kept(venue: str) -> None:
    told = (
        {"rateLimits": [
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300, "count": 270},
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400, "count": 40},
        ]} if venue == "binance" else {"header": {"X-Bapi-Limit": "10", "X-Bapi-Limit-Status": "1", "Traceid": "t"}}
    )  # fmt: skip
    async with connected(venue, lambda request: [done(venue, request) | told]) as (there, bench):
        first = bench.socket.place(an_order("a", bench.what))
        assert first is not None
        await first
        # The venue has counted more than we have sent: another program at this address, and the reserve begins.
        assert bench.socket.place(an_order("b", bench.what)) is None
        reducing = bench.socket.place(an_order("c", bench.what, reduce_only=True))
        assert reducing is not None
        await reducing
        assert len(there.orders) == 2


async def test_a_ban_stops_orders_cancels_and_new_connections_until_it_is_over() -> None:
    def ban(request: dict[str, object]) -> list[dict[str, object]]:
        server_ms = 1_800_000_000_000
        data = {"serverTime": server_ms, "retryAfter": server_ms + 90_000}
        return [refused("binance", request, -1003, 418, data=data)]

    async with connected("binance", ban) as (there, bench):
        answered = bench.socket.place(an_order("a", bench.what))
        assert answered is not None
        with pytest.raises(Banned) as told:
            await answered
        assert told.value.retry_after_s == 90.0
        assert bench.socket.place(an_order("b", bench.what)) is None
        assert bench.socket.cancel(an_order("a", bench.what)) is None
        there.cut()
        await until(lambda: bench.said("orders go by REST"))
        await bench.pass_s(60.0)
        await asyncio.sleep(0.05)
        assert there.dials == 1
        there.answers = lambda request: [done("binance", request)]
        await bench.until_by_clock(lambda: bench.socket.is_ready, step_s=1.0)
        assert bench.clock.now_ns() - 1_800_000_000_000_000_000 >= 90_000_000_000


@pytest.mark.parametrize("code", [10003, 10004, 33004])
async def test_a_login_that_is_refused_is_not_tried_again_and_orders_go_by_rest(code: int) -> None:
    async with scripted("bybit") as (there, base):
        there.logins = lambda asked: [{"retCode": code, "retMsg": "no", "op": "auth"}]  # type: ignore[method-assign]
        bench = a_bench("bybit", base)
        await bench.socket.start()
        assert not bench.socket.is_ready
        assert bench.socket.place(an_order("a", bench.what)) is None
        await bench.pass_s(3600.0)
        await asyncio.sleep(0.05)
        assert there.dials == 1
        assert any(level == "error" and "orders go by REST" in text for level, text in bench.log)
        assert not any("a-key" in text or "a-secret" in text for _, text in bench.log)
        await bench.socket.stop()


@EVERY_VENUE
@pytest.mark.parametrize(("status", "least_s"), [(503, 0.5), (429, 7.0), (418, 7.0)])
async def test_a_handshake_that_is_refused_does_not_hold_up_the_start(venue: str, status: int, least_s: float) -> None:
    async with scripted(venue) as (there, base):
        there.status, there.headers = status, {"Retry-After": "7"}
        bench = a_bench(venue, base)
        await bench.socket.start()
        assert bench.socket.place(an_order("a", bench.what)) is None
        there.status = 101
        begun_ns = bench.clock.now_ns()
        await bench.until_by_clock(lambda: bench.socket.is_ready)
        assert bench.clock.now_ns() - begun_ns >= least_s * 1e9
        assert there.dials == 2
        await bench.socket.stop()


@EVERY_VENUE
async def test_refused_handshakes_are_tried_ever_more_slowly(venue: str) -> None:
    async with scripted(venue) as (there, base):
        there.status = 503
        bench = a_bench(venue, base)
        await bench.socket.start()
        for _ in range(60):
            await bench.pass_s(1.0)
            await asyncio.sleep(0.01)
        # 1, 2, 4, 8, 8, ... s, each up to half shorter.
        assert 4 <= there.dials <= 18
        await bench.socket.stop()


@EVERY_VENUE
async def test_nonsense_is_told_and_survived(venue: str) -> None:
    async with connected(venue) as (there, bench):
        for socket in there.open:
            for text in ("not json", "[]", '{"id":{"a":1},"status":"x"}', '{"reqId":7,"retCode":"x"}', "null", "3"):
                await socket.send_str(text)
        answered = bench.socket.place(an_order("a", bench.what))
        assert answered is not None
        await answered
        assert bench.said("not understood")


@EVERY_VENUE
async def test_what_is_not_traded_here_is_not_written(venue: str) -> None:
    async with connected(venue) as (there, bench):
        other = bench.what.model_copy(update={"symbol": "ETH/USDT:USDT", "base": "ETH"})
        assert bench.socket.place(an_order("a", other)) is None
        assert bench.socket.cancel(an_order("a", other)) is None
        assert there.orders == []


@EVERY_VENUE
async def test_stopping_tells_nobody_and_leaves_nothing_open(venue: str) -> None:
    async with connected(venue, lambda request: []) as (there, bench):
        answered = bench.socket.place(an_order("a", bench.what))
        assert answered is not None
        answered.cancel()
        await bench.socket.stop()
        await bench.socket.stop()
        await until(lambda: not there.open)
        assert bench.socket.place(an_order("b", bench.what)) is None
