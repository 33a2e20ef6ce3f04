"""A feed's live market data: its connections, and beside them the offset of the venue's clock."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial

from bot.domain.instrument import Feed
from bot.ports import FeedState, MarketSink, Wiring
from exchanges.common.market.connection import SupervisedConnection
from exchanges.common.market.feed_state import FeedStates
from exchanges.common.market.plan import StreamPlan
from exchanges.common.market.started import start_together
from exchanges.common.requests.offset_watch import AskTime, OffsetWatch

AskingTime = Callable[[], AbstractAsyncContextManager[AskTime]]


class FeedReader:
    """What the readers of Binance, Kraken and Coinbase do alike: they begin and end together what reads one feed."""

    def __init__(
        self,
        feed: Feed,
        sink: MarketSink,
        asking_time: AskingTime,
        connect: Callable[[FeedStates], Sequence[SupervisedConnection]],
        wiring: Wiring,
    ) -> None:
        """Nothing happens before `start`.

        Args:
            feed: What is read.
            sink: Hears of the clock's offset, and how the connections are.
            asking_time: Opens a way to ask the venue for its time.
            connect: Makes the connections, which deliver to the sink themselves and tell their states.
            wiring: Says how long the clock's first measurement is waited for.
        """
        states = FeedStates(feed, partial(sink.on_feed_state, feed))
        self._connections = connect(states)
        self._offset = OffsetWatch(
            asking_time,
            wiring.clock,
            on_offset=partial(sink.on_clock_offset, feed.venue),
            on_trouble=states.note,
        )
        self._patience_s = wiring.settings.connection.first_frame_timeout_s

    async def start(self) -> None:
        """Connect and measure the clock; returns when that is done and each connection has delivered market data.

        A clock that cannot be measured is told as a note on the feed: frames tell the offset too, only later.

        Raises:
            VenueError: The venue cannot be reached, does not serve this place, or acknowledges and stays silent. Then
                every connection is closed again.
        """
        measuring = self._offset.begin()
        try:
            await start_together(self._connections)
        except BaseException:  # a cancelled start too leaves nothing open
            await self.stop()
            raise
        await asyncio.wait({measuring}, timeout=self._patience_s)

    async def stop(self) -> None:
        """Close every connection; nothing is delivered afterwards."""
        await self._offset.stop()
        await asyncio.gather(*(connection.stop() for connection in self._connections))


def connections(
    plans: Iterable[StreamPlan],
    sink: MarketSink,
    on_frame: Callable[[bytes, int], None],
    on_state: Callable[[str], Callable[[FeedState, str], None]],
    wiring: Wiring,
) -> list[SupervisedConnection]:
    """A connection a plan, all with one decoder; `on_state` gives what the connection of that name tells its states to.

    Nothing happens before their `start`.
    """
    return [
        SupervisedConnection(
            plan,
            settings=wiring.settings.connection,
            clock=wiring.clock,
            rng=wiring.rng,
            on_frame=on_frame,
            on_batch_end=sink.on_batch_end,
            on_state=on_state(plan.name),
            tap=wiring.tap,
        )
        for plan in plans
    ]
