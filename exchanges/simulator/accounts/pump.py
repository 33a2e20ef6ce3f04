"""What keeps simulated exchanges moving: one market, their agendas and chains, one time."""

import asyncio
from collections.abc import Sequence

from bot.clock import Clock
from exchanges.simulator.accounts.agenda import Agenda
from exchanges.simulator.accounts.chain import Chain
from exchanges.simulator.accounts.exchange import SimulatedExchange
from exchanges.simulator.core.ports import Market

_NS = 1_000_000_000
_MOST_NS = 250_000_000
"""The most that one step of `run` makes up for; a process that was stopped catches up without starving its sockets."""
_PAUSE_NS = 1_000_000
"""The least between two steps of `run`: events of a millisecond go out as one batch."""


class Pump:
    """Moves a market and hands every exchange what it did, in order of time.

    Without a clock, time is what `advance_to` says. With one, `run` follows it: the market's time starts at
    `start_ns` (the clock's wall time where it is not given) and then goes by the monotonic clock, without steps.
    """

    def __init__(
        self,
        exchanges: Sequence[SimulatedExchange],
        market: Market,
        clock: Clock | None = None,
        *,
        start_ns: int | None = None,
    ) -> None:
        self._exchanges = exchanges
        self._market = market
        self._clock = clock
        # Two venues usually share one chain, which must be moved once.
        chains = list({id(one.chain): one.chain for one in exchanges}.values())
        self._timed: list[Agenda | Chain] = [*(one.agenda for one in exchanges), *chains]
        self._at_ns = self._start_ns = start_ns if start_ns is not None else (clock.now_ns() if clock else 0)
        self._base_ns = clock.monotonic_ns() if clock else 0
        self._is_moving = False
        for exchange in exchanges:
            exchange.attach(self.now_ns, self.advance_to)

    def now_ns(self) -> int:
        """The market's time now, UTC ns."""
        if self._clock is None:
            return self._at_ns
        return self._start_ns + self._clock.monotonic_ns() - self._base_ns

    def advance_to(self, ts_ns: int) -> None:
        """Do everything that happens up to `ts_ns`; an earlier time does nothing."""
        # An order placed while a batch is handed out meets the book as it is: the batch is in it already.
        if self._is_moving or ts_ns <= self._at_ns:
            return
        self._is_moving = True
        try:
            self._move_to(ts_ns)
        finally:
            self._is_moving = False

    def next_event_ns(self) -> int:
        """When something happens next: market, agenda or chain."""
        return min([self._market.next_event_ns(), *self._due()])

    async def run(self) -> None:
        """Follow the clock until cancelled; a mistake of ours ends it with its exception."""
        assert self._clock is not None, "without a clock there is no time to follow"
        wake = asyncio.Event()
        while True:
            self.advance_to(min(self.now_ns(), self._at_ns + _MOST_NS))
            wait_ns = max(_PAUSE_NS, self.next_event_ns() - self.now_ns())
            timer = self._clock.call_later(wait_ns / _NS, wake.set)
            try:
                await wake.wait()
            finally:
                timer.cancel()
            wake.clear()

    def _move_to(self, ts_ns: int) -> None:
        while (due_ns := min(self._due(), default=ts_ns + 1)) <= ts_ns:
            self._move_market(due_ns)
            for one in self._timed:
                one.advance_to(due_ns)
        self._move_market(ts_ns)

    def _move_market(self, ts_ns: int) -> None:
        events = self._market.advance_to(ts_ns)
        self._at_ns = max(self._at_ns, ts_ns)
        if events:
            for exchange in self._exchanges:
                exchange.on_market(events)

    def _due(self) -> list[int]:
        return [due for one in self._timed if (due := one.next_event_ns()) is not None]
