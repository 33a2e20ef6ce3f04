"""A market-data connection that looks after itself: back-off, silence, and a fresh one before the venue's 24 h cut.

The life of a connection:

    connect -> subscribe -> first data frame: LIVE -> nothing for a while: SILENT -> nothing for longer: reconnect
                 |                              |-> lost: RECONNECTING, back-off, connect again and subscribe again
                 |                              |-> planned: the new link delivers, then the old one closes
                 |-> no data frame in time: most likely the wrong route

A reconnect is always a whole one: a subscription that is renewed on an old socket may be acknowledged and never served.
"""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from picows import WSError, WSHandshakeError, ws_connect

from bot.clock import Clock, Timer
from bot.errors import Banned, GeoBlocked, NothingServed, RateLimited, VenueError, VenueUnavailable
from bot.ports import FeedState, FrameTap
from bot.settings import ConnectionSettings
from exchanges.common.market.link import Link
from exchanges.common.market.plan import StreamPlan, printable
from exchanges.common.requests.ban_clock import BanClock
from exchanges.common.requests.retry_after import seconds_of

__all__ = ["StreamPlan", "SupervisedConnection"]

_GOODBYE_S = 1.0
_FIREWALL = 403
_CHECKS = 4
"""How often silence is looked for within the shorter of its two limits."""


class SupervisedConnection:
    """One plan kept alive. Everything runs on the loop's thread; `on_frame` is called inside the socket's read."""

    def __init__(
        self,
        plan: StreamPlan,
        *,
        settings: ConnectionSettings,
        clock: Clock,
        rng: random.Random,
        on_frame: Callable[[bytes, int], None],
        on_batch_end: Callable[[int], None],
        on_state: Callable[[FeedState, str], None],
        tap: FrameTap | None = None,
    ) -> None:
        """Nothing happens before `start`.

        Args:
            plan: Where to connect and what to ask for.
            settings: Limits and waits.
            clock: Stamps frames and drives every timer.
            rng: Jitter of the waits.
            on_frame: Takes every message and when it was received, UTC ns. What it raises is a bug and ends the
                connection as FAILED.
            on_batch_end: Called when all that was there to read has been handed over.
            on_state: Hears of every change, with one line for a person.
            tap: Sees every message before `on_frame` does.
        """
        self._plan = plan
        self._settings = settings
        self._clock = clock
        self._rng = rng
        self._on_frame = on_frame if tap is None else _tapped(plan, tap, on_frame)
        self._on_batch_end = on_batch_end
        self._on_state = on_state
        self._links: dict[Link, asyncio.Task[str]] = {}
        self._active: Link | None = None
        self._live_since_ns: int | None = None
        self._task: asyncio.Task[None] | None = None
        self._started: asyncio.Future[None] | None = None
        self._state = FeedState.CLOSED
        self._bans = BanClock(plan.feed.venue, clock)
        self._watchdog: Timer | None = None
        self._seen_ns = 0
        self._idle_since_ns = 0
        self.reconnects = 0
        """Links that went live after the first, planned ones included."""

    @property
    def last_frame_ns(self) -> int:
        """When market data came last, UTC ns; 0 before the first."""
        return 0 if self._active is None else self._active.last_data_ns

    async def start(self) -> None:
        """Connect; returns when the first data frame has come.

        Raises:
            GeoBlocked: If the venue, or its firewall, does not serve this place.
            NothingServed: If it acknowledges and sends nothing within the first-frame limit.
            VenueUnavailable: If it cannot be reached in that time.
        """
        loop = asyncio.get_running_loop()
        self._started = loop.create_future()
        self._tell(FeedState.CONNECTING, self._plan.stream_names())
        self._task = loop.create_task(self._supervise())
        self._task.add_done_callback(self._supervision_ended)
        await self._started

    async def stop(self) -> None:
        """Close; nothing is delivered once this has begun. Idempotent."""
        if self._watchdog is not None:
            self._watchdog.cancel()
        ends = list(self._links.values())
        for link in list(self._links):
            link.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        if ends:
            await asyncio.wait(ends, timeout=_GOODBYE_S)
        for link in list(self._links):
            link.abort("stopped")
        if self._state is not FeedState.CLOSED:
            self._tell(FeedState.CLOSED, "stopped")

    async def _supervise(self) -> None:
        begun_ns = self._clock.monotonic_ns()
        attempt = 0
        while True:
            self._live_since_ns = None
            failure: VenueError | None = None
            try:
                why = await self._keep(await self._open())
            except VenueError as error:
                why, failure = str(error), error
            if self._was_healthy():
                attempt = 0
                self._bans.answered()
            wait_s = backoff_s(attempt, self._settings, self._rng)
            if failure is not None:
                wait_s = max(wait_s, failure.retry_after_s or 0.0)
                if self._is_final(failure, begun_ns, wait_s):
                    self._give_up(failure)
                    return
            attempt += 1
            self._tell(FeedState.RECONNECTING, f"{why}; again in {wait_s:.1f} s")
            await self._pause(wait_s)

    def _was_healthy(self) -> bool:
        """Whether the last link lived long enough to start the back-off anew.

        A venue that accepts, sends one frame and drops must not be dialled four times a second: its limit on
        handshakes would turn that into a ban.
        """
        if self._live_since_ns is None:
            return False
        return self._clock.monotonic_ns() - self._live_since_ns >= self._settings.backoff_cap_s * 1e9

    def _is_final(self, error: VenueError, begun_ns: int, wait_s: float) -> bool:
        """Whether a person has to act: geo-blocked, or still nothing at the end of the start's patience."""
        if isinstance(error, GeoBlocked):
            return True
        assert self._started is not None
        elapsed_s = (self._clock.monotonic_ns() - begun_ns) / 1e9
        return not self._started.done() and elapsed_s + wait_s >= self._settings.first_frame_timeout_s

    def _give_up(self, error: VenueError) -> None:
        assert self._started is not None
        self._tell(FeedState.FAILED, str(error))
        if not self._started.done():
            self._started.set_exception(error)

    async def _open(self) -> Link:
        """A link that delivers.

        Raises:
            VenueError: Why there is none; GeoBlocked where trying again is of no use.
        """
        link = await self._connect()
        ended = self._links[link]
        with self._after(self._settings.first_frame_timeout_s) as too_late:
            await _first_of(link.first_data, ended, too_late)
        if link.first_data.done():
            return link
        if ended.done():
            raise self._unavailable(f"closed before any data: {ended.result()}")
        link.abort("no first frame")
        raise NothingServed(
            self._plan.feed.venue,
            f"{self._plan.name}: acknowledged, but no frame on the whole connection in "
            f"{self._settings.first_frame_timeout_s:g} s: is {self._plan.stream_names()} on the right route? "
            f"{self._plan.route_hint}",
        )

    async def _connect(self) -> Link:
        link = Link(
            self._plan,
            clock=self._clock,
            max_message_bytes=self._settings.max_frame_bytes,
            on_frame=self._on_frame,
            on_batch_end=self._on_batch_end,
            on_first_data=self._go_live,
        )
        try:
            await self._dial(link)
        except BaseException:  # a cancelled start too leaves nothing open
            link.abort("the handshake did not end")
            raise
        ended = asyncio.create_task(link.ended())
        self._links[link] = ended
        ended.add_done_callback(lambda _: self._links.pop(link, None))
        return link

    async def _dial(self, link: Link) -> None:
        patience_s = self._settings.first_frame_timeout_s
        try:
            async with asyncio.timeout(patience_s):
                # No proxy and no redirect: where quotes come from is what the settings say, nothing else.
                _, listener = await ws_connect(
                    lambda *_: link,
                    self._plan.url,
                    max_frame_size=self._settings.max_frame_bytes,
                    max_redirects=0,
                    proxy=None,
                    enable_auto_pong=False,
                    websocket_handshake_timeout=patience_s,
                )
        except WSHandshakeError as error:
            raise self._refusal(error) from error
        except TimeoutError as error:
            raise self._unavailable(f"no handshake from {self._plan.url} in {patience_s:g} s") from error
        except (OSError, WSError) as error:
            raise self._unavailable(f"cannot connect to {self._plan.url}: {printable(error)}") from error
        if listener is None:
            raise self._unavailable(f"{self._plan.url} hung up during the handshake")

    def _refusal(self, error: WSHandshakeError) -> VenueError:
        if error.response is None:
            return self._unavailable(f"no WebSocket handshake: {printable(error)}")
        status = int(error.response.status)
        venue = self._plan.feed.venue
        if status in self._plan.refused_status:
            return self._refused(status, self._plan.refused_status[status])
        kind = {429: RateLimited, 418: Banned}.get(status, VenueUnavailable)
        wait = error.response.headers.get("Retry-After", "")
        retry_after_s = seconds_of(wait)
        return kind(
            venue, f"{self._plan.name}: the handshake was refused with HTTP {status}", retry_after_s=retry_after_s
        )

    def _refused(self, status: int, words: str) -> VenueError:
        """A firewall's 403, where we have been served before, passes by itself: 451 does not."""
        venue, words = self._plan.feed.venue, f"{self._plan.name}: {words}"
        if status != _FIREWALL or self._started is None or not self._started.done():
            return GeoBlocked(venue, words)
        self._bans.sit_out(Banned(venue, words))
        return Banned(venue, words, retry_after_s=self._bans.left_s)

    def _unavailable(self, words: str) -> VenueUnavailable:
        return VenueUnavailable(self._plan.feed.venue, f"{self._plan.name}: {words}")

    async def _keep(self, link: Link) -> str:
        """Why the connection was lost in the end; planned replacements happen inside."""
        while True:
            ended = self._links.get(link)
            if ended is None:
                return await link.ended()
            with self._after(self._settings.planned_reconnect_h * 3600) as due:
                await _first_of(ended, due)
            if ended.done():
                return ended.result()
            link = await self._replace(link)

    async def _replace(self, old: Link) -> Link:
        """The link that took over from `old`, or `old` when it was lost before one could."""
        attempt = 0
        while old in self._links:
            try:
                return await self._open()
            except VenueError as error:
                self._tell(FeedState.LIVE, f"the planned reconnect has to wait: {error}")
                wait_s = max(backoff_s(attempt, self._settings, self._rng), error.retry_after_s or 0.0)
            await self._pause(wait_s)
            attempt += 1
        return old

    def _go_live(self, link: Link) -> None:
        """The first data frame of `link` is about to be delivered: the link before it delivers nothing more.

        So nothing comes twice. The new link may still lag behind the old one: whoever takes quotes drops those
        whose sequence is not above the last.
        """
        before, self._active = self._active, link
        self._live_since_ns = self._idle_since_ns = self._clock.monotonic_ns()
        if before is None:
            self._watch()
        else:
            before.close()
            self.reconnects += 1
        assert self._started is not None
        if not self._started.done():
            self._started.set_result(None)
        self._tell(FeedState.LIVE, self._plan.stream_names())

    def _watch(self) -> None:
        """Look for silence. Counted are frames with data: a socket that still answers pings may be dead for us."""
        limits = self._settings
        self._watchdog = self._clock.call_later(
            min(limits.stale_after_s, limits.silence_timeout_s) / _CHECKS, self._watch
        )
        link = self._active
        if link is None or link not in self._links:
            return
        now_ns = self._clock.monotonic_ns()
        if link.last_data_ns != self._seen_ns:
            self._seen_ns, self._idle_since_ns = link.last_data_ns, now_ns
            if self._state is FeedState.SILENT:
                self._tell(FeedState.LIVE, "data again")
            return
        idle_s = (now_ns - self._idle_since_ns) / 1e9
        if idle_s >= limits.silence_timeout_s:
            link.abort(f"no data for {limits.silence_timeout_s:g} s")
        elif idle_s >= limits.stale_after_s and self._state is FeedState.LIVE:
            self._tell(FeedState.SILENT, f"no data for {limits.stale_after_s:g} s")

    def _tell(self, state: FeedState, detail: str) -> None:
        self._state = state
        self._on_state(state, detail)

    def _supervision_ended(self, task: asyncio.Task[None]) -> None:
        assert self._started is not None
        error = None if task.cancelled() else task.exception()
        if error is None:
            self._started.cancel()
            return
        self._tell(FeedState.FAILED, f"a bug of ours: {error!r}")
        if not self._started.done():
            self._started.set_exception(error)
            return
        context = {"message": f"{self._plan.name}: market data could not be processed", "exception": error}
        task.get_loop().call_exception_handler(context)

    @contextmanager
    def _after(self, delay_s: float) -> Iterator[asyncio.Future[None]]:
        """A future that is done in `delay_s`; forgotten when the block ends."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self._clock.call_later(delay_s, partial(_finish, future))
        try:
            yield future
        finally:
            timer.cancel()
            future.cancel()

    async def _pause(self, delay_s: float) -> None:
        with self._after(delay_s) as future:
            await future


def backoff_s(attempt: int, settings: ConnectionSettings, rng: random.Random) -> float:
    """Seconds to wait before try `attempt` (0 is the first): doubling, capped, jittered down by up to a half."""
    full = min(settings.backoff_cap_s, settings.backoff_first_s * 2.0 ** min(attempt, 60))
    return full * rng.uniform(0.5, 1.0)


async def _first_of(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _tapped(plan: StreamPlan, tap: FrameTap, on_frame: Callable[[bytes, int], None]) -> Callable[[bytes, int], None]:
    on_raw, feed = tap.on_raw, plan.feed

    def deliver(payload: bytes, ts_recv_ns: int) -> None:
        on_raw(feed, payload, ts_recv_ns)
        on_frame(payload, ts_recv_ns)

    return deliver
