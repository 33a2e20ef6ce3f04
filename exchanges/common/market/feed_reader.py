"""A feed's live market data: its connections, and beside them the offset of the venue's clock."""

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence

from bot.clock import Clock
from bot.ports import FeedState, FrameTap, MarketSink
from bot.settings import Settings
from exchanges.common.market.connection import SupervisedConnection
from exchanges.common.market.plan import StreamPlan
from exchanges.common.market.started import start_together
from exchanges.common.requests.offset_watch import OffsetWatch


class FeedReader:
    """What the readers of Binance, Kraken and Coinbase do alike: they begin and end together what reads one feed."""

    def __init__(self, connections: Sequence[SupervisedConnection], offset: OffsetWatch, settings: Settings) -> None:
        """Nothing happens before `start`.

        Args:
            connections: Deliver to the sink themselves.
            offset: Of the venue's clock.
            settings: How long its first measurement is waited for.
        """
        self._connections = connections
        self._offset = offset
        self._patience_s = settings.connection.first_frame_timeout_s

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
    settings: Settings,
    clock: Clock,
    rng: random.Random,
    tap: FrameTap | None,
) -> list[SupervisedConnection]:
    """A connection a plan, all with one decoder; `on_state` gives what the connection of that name tells its states to.

    Nothing happens before their `start`.
    """
    return [
        SupervisedConnection(
            plan,
            settings=settings.connection,
            clock=clock,
            rng=rng,
            on_frame=on_frame,
            on_batch_end=sink.on_batch_end,
            on_state=on_state(plan.name),
            tap=tap,
        )
        for plan in plans
    ]
