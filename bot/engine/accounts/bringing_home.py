"""Before a run ends: what chains have on their way between two trades goes on until it is home, or in a transfer."""

import asyncio
from contextlib import suppress

from bot.clock import Clock, VirtualClock
from bot.engine.pairs import PairDesk


async def bring_home(desk: PairDesk, clock: Clock, wait_s: float) -> None:
    """Wait until no chain has an order or an amount between two trades; no longer than `wait_s`.

    What travels between venues goes on travelling, and the next run follows it. What is not home by then is named.
    """
    if isinstance(clock, VirtualClock):
        _play_on(desk, clock, wait_s)
        return
    settled = asyncio.Event()
    desk.chain_book.on_told = lambda: None if desk.chains.unsettled else settled.set()
    if desk.chains.unsettled:
        with suppress(TimeoutError):
            await asyncio.wait_for(settled.wait(), wait_s)


def _play_on(desk: PairDesk, clock: VirtualClock, wait_s: float) -> None:
    """Virtual time has stopped with the market: answers still have their way to go."""
    last_ns = clock.now_ns() + round(wait_s * 1e9)
    while desk.chains.unsettled:
        due_ns = clock.next_due_ns()
        if due_ns is None or due_ns > last_ns:
            return
        clock.advance_to(due_ns)
