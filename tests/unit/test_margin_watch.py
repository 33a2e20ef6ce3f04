"""How often a venue is asked for margins, by a clock that the test moves."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import pytest

from bot.clock import VirtualClock
from bot.domain.account import Position
from bot.domain.instrument import Instrument, Segment
from bot.errors import AuthenticationFailed, VenueError, VenueUnavailable
from exchanges.common.account.margin_watch import MarginWatch
from exchanges.common.account.wallet_book import WalletBook

D = Decimal
WHAT = Instrument(
    venue="binance", segment=Segment.LINEAR, symbol="BTC/USDT:USDT", base="BTC", quote="USDT", settle="USDT",
    tick_size=D("0.1"), lot_size=D("0.001"),
)  # fmt: skip


class Gateway:
    """Answers with an error, or not."""

    def __init__(self) -> None:
        self.error: VenueError | None = None
        self.asked = 0

    async def load_margins(self) -> None:
        self.asked += 1
        if self.error is not None:
            raise self.error

    async def load_tiers(self) -> Sequence[str]:
        return ()


@pytest.mark.parametrize(
    ("error", "least", "most"),
    [
        (None, 20, 26),
        (VenueUnavailable("binance", "HTTP 502"), 20, 26),
        (AuthenticationFailed("binance", "HTTP 401, code -2015"), 2, 3),
        (VenueUnavailable("binance", "later", retry_after_s=30.0), 3, 5),
    ],
    ids=["answered", "away", "the key is refused", "told to wait"],
)
async def test_fault_34_a_key_that_is_refused_is_not_tried_every_few_seconds(
    error: VenueError | None, least: int, most: int
) -> None:
    """Two minutes with a position."""
    clock, gateway, log = VirtualClock(), Gateway(), list[str]()
    wallets = WalletBook(lambda one: str(one.feed), {}, D("0.1"), locks_margin=True)
    wallets.set_position(Position(instrument=WHAT, quantity=D(1), average_price=D(50_000)), wallets.mark())
    watch = MarginWatch(gateway, wallets, clock, lambda level, text: log.append(text))
    await watch.ask_tiers()
    gateway.error = error
    running = asyncio.create_task(watch.run())
    for step in range(1, 1201):
        clock.advance_to(step * 100_000_000)
        for _ in range(5):
            await asyncio.sleep(0)
    assert least <= gateway.asked <= most
    assert len(log) == (error is not None)
    running.cancel()
