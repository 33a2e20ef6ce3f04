"""A ban is sat out: nothing is sent before it is over."""

from types import MappingProxyType

import pytest
from aiohttp import web

from bot.clock import VirtualClock
from bot.errors import Banned, GeoBlocked, VenueError, VenueUnavailable
from exchanges.bybit.refusals import checked
from exchanges.common.requests.public_http import PublicHttp
from exchanges.common.requests.venue_http import Answer, VenueHttp

S = 1_000_000_000
NOBODY = "http://127.0.0.1:1/"


async def outcome(http: VenueHttp) -> VenueError:
    """Why a request to a port that nobody listens on failed."""
    with pytest.raises(VenueError) as failed:
        await http.request("GET", NOBODY, {}, None, 1.0)
    return failed.value


@pytest.mark.parametrize(("named_s", "seconds"), [(30.0, 30), (None, 10), (0.0, 10)])
async def test_nothing_is_sent_before_it_is_over(named_s: float | None, seconds: int) -> None:
    clock = VirtualClock()
    http = VenueHttp("binance", clock)
    http.open()
    http.budget.bans.sit_out(Banned("binance", "banned", retry_after_s=named_s))
    for second in (0, seconds - 1):
        clock.advance_to(second * S)
        refused = await outcome(http)
        assert type(refused) is Banned
        assert refused.retry_after_s == seconds - second
        with pytest.raises(Banned):
            await http.socket("ws://127.0.0.1:1/")
    clock.advance_to(seconds * S)
    assert type(await outcome(http)) is VenueUnavailable
    await http.close()


async def test_a_handshake_that_is_banned_is_a_ban_for_requests_too() -> None:
    async def ban(request: web.Request) -> web.Response:
        return web.Response(status=418, headers={"Retry-After": "30"})

    application = web.Application()
    application.add_routes([web.get("/{path:.*}", ban)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    http = VenueHttp("binance", VirtualClock())
    http.open()
    for _ in range(2):
        with pytest.raises(Banned):
            await http.socket(f"ws://127.0.0.1:{runner.addresses[0][1]}/ws")
    refused = await outcome(http)
    assert type(refused) is Banned
    assert refused.retry_after_s == 30.0
    await http.close()
    await runner.cleanup()


async def test_who_reads_what_is_public_sits_it_out_too() -> None:
    asked = 0

    async def ban(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(status=418, headers={"Retry-After": "30"})

    application = web.Application()
    application.add_routes([web.get("/{path:.*}", ban)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    clock = VirtualClock()
    http = PublicHttp("binance", timeout_s=60.0, clock=clock)
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/v3/depth"
    for second, times in ((0, 1), (0, 1), (29, 1), (30, 2)):
        clock.advance_to(second * S)
        with pytest.raises(Banned):
            await http.get(url)
        assert asked == times
    await http.close()
    await runner.cleanup()


@pytest.mark.parametrize(("kind", "retry_after_s"), [("text/html", None), ("text/plain; charset=utf-8", 600.0)])
def test_bybits_own_403_takes_ten_minutes_and_a_firewalls_is_tried_again_soon(
    kind: str, retry_after_s: float | None
) -> None:
    with pytest.raises(GeoBlocked) as refused:
        checked(Answer(403, MappingProxyType({"Content-Type": kind}), "words"))
    assert refused.value.retry_after_s == retry_after_s
