"""All public topics: fed by the market's batches, pushed by the times of its events, and by timers between them."""

from collections.abc import Sequence

from bot.clock import Clock, Timer
from exchanges.simulator.bybit.catalogue import Catalogue
from exchanges.simulator.bybit.channel import NEVER_NS, PacedChannel
from exchanges.simulator.bybit.connection import Connection
from exchanges.simulator.bybit.live import Live
from exchanges.simulator.bybit.options import BybitOptions
from exchanges.simulator.core.ports import Exchange
from exchanges.simulator.core.values import BookChanged, FundingDue, MarketEvent, MarkPriced, TradePrinted

_SECOND_NS = 1_000_000_000
_GRACE_NS = 2_000_000
"""Timers wait so long for the events of their time, which come in batches."""


class Hub:
    """The listings of one exchange and who listens to them."""

    def __init__(self, exchange: Exchange, catalogue: Catalogue, clock: Clock, options: BybitOptions) -> None:
        """Listen to the exchange from now on; `close` ends it."""
        self._clock = clock
        # Topics keep the market's time, which goes on between events; the exchange's own clock may drift away from it.
        self._at_ns = now_ns = exchange.now_ns()
        self._at_monotonic_ns = clock.monotonic_ns()
        self._lives = {entry.index: Live(entry, exchange.market, options, now_ns) for entry in catalogue.entries}
        self._paced: list[PacedChannel] = []
        """Topics with times of their own that somebody listens to."""
        self._due_ns = NEVER_NS
        """The earliest of those times."""
        self._timer: Timer | None = None
        self._timer_ns = NEVER_NS
        self._stop = exchange.subscribe(self.on_events)

    def close(self) -> None:
        """Hear nothing any more and push nothing any more."""
        self._stop()
        if self._timer is not None:
            self._timer.cancel()

    def live(self, index: int) -> Live:
        """A listing, by the market's index."""
        return self._lives[index]

    def join(self, live: Live, kind: str, connection: Connection) -> None:
        """Listen to a topic that `Live.channel` knows: its snapshot comes at once."""
        now_ns = self._now_ns()
        self._flush(now_ns)
        channel = live.channel(kind)
        assert channel is not None
        if connection not in channel.listeners:
            channel.greet(connection, now_ns)
            self._gather()
        self._reckon(now_ns)

    def leave(self, live: Live, kind: str, connection: Connection) -> None:
        """Listen no more."""
        channel = live.channel(kind)
        if channel is not None:
            channel.leave(connection)
            self._gather()

    def on_events(self, events: Sequence[MarketEvent]) -> None:
        """Take a batch in and push what is due by its end."""
        trades: list[TradePrinted] = []
        for event in events:
            if trades and not _same_moment(trades[-1], event):
                self._lives[trades[0].listing].on_trades(trades)
                trades = []
                self._due_ns = self._earliest()
            if self._due_ns < event.ts_ns:
                self._flush(event.ts_ns - 1)
            live = self._lives.get(event.listing)
            if live is None:
                continue
            if type(event) is TradePrinted:
                trades.append(event)
                continue
            self._take(live, event)
        if trades:
            self._lives[trades[0].listing].on_trades(trades)
        if events:
            self._at_ns = max(self._at_ns, events[-1].ts_ns)
            self._at_monotonic_ns = self._clock.monotonic_ns()
            self._reckon(self._at_ns)

    def _now_ns(self) -> int:
        return self._at_ns + self._clock.monotonic_ns() - self._at_monotonic_ns

    def _take(self, live: Live, event: MarketEvent) -> None:
        if type(event) is BookChanged:
            live.on_book(event)
        elif type(event) is MarkPriced:
            live.on_mark(event)
        elif type(event) is FundingDue:
            live.on_funding(event)
        for channel in live.paced:
            if channel.due_ns < self._due_ns:
                self._due_ns = channel.due_ns

    def _gather(self) -> None:
        # In the order of the listings: topics that are due at the same time push in it.
        self._paced = [channel for live in self._lives.values() for channel in live.paced if channel.listeners]
        self._due_ns = self._earliest()

    def _earliest(self) -> int:
        return min([channel.due_ns for channel in self._paced], default=NEVER_NS)

    def _flush(self, until_ns: int) -> None:
        """Push what is due up to `until_ns`, each at its own time, in order."""
        while (due_ns := self._earliest()) <= until_ns:
            next(channel for channel in self._paced if channel.due_ns == due_ns).push(due_ns)
        self._due_ns = due_ns

    def _reckon(self, now_ns: int) -> None:
        self._flush(now_ns)
        if self._due_ns >= self._timer_ns:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_ns = self._due_ns
        delay_s = max(0, self._due_ns - self._now_ns() + _GRACE_NS) / _SECOND_NS
        self._timer = self._clock.call_later(delay_s, self._on_timer)

    def _on_timer(self) -> None:
        due_ns, self._timer, self._timer_ns = self._timer_ns, None, NEVER_NS
        # Not up to now: what the market did in the meantime may still be on its way.
        self._reckon(due_ns)


def _same_moment(trade: TradePrinted, event: MarketEvent) -> bool:
    return type(event) is TradePrinted and event.listing == trade.listing and event.ts_ns == trade.ts_ns
