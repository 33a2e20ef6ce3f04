"""Before a run ends: no order of ours stays behind in a book that nobody watches any more."""

import asyncio
from contextlib import suppress

from bot.clock import Clock, VirtualClock
from bot.execution.quote_executor import QuoteExecutor


async def let_go(executor: QuoteExecutor, clock: Clock, wait_s: float) -> None:
    """Cancel every order that rests, and wait until each is final, and hedged; no longer than `wait_s`.

    What an order was filled with meanwhile stays open, and is named as any pair that is.
    """
    withdrawn = asyncio.Event()
    executor.on_withdrawn = withdrawn.set
    executor.withdraw()
    if isinstance(clock, VirtualClock):
        _play_on(executor, clock, wait_s)
        return
    with suppress(TimeoutError):  # the order's outcome is unknown then, and the executor has said so
        await asyncio.wait_for(withdrawn.wait(), wait_s)


def _play_on(executor: QuoteExecutor, clock: VirtualClock, wait_s: float) -> None:
    """Virtual time has stopped with the market: the cancels still have their way to go."""
    last_ns = clock.now_ns() + round(wait_s * 1e9)
    while executor.unsettled:
        due_ns = clock.next_due_ns()
        if due_ns is None or due_ns > last_ns:
            return
        clock.advance_to(due_ns)
