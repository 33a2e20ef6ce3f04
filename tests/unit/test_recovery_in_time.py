"""A start that cannot compare its accounts in time: a person has to act, or the next start may find the venue."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from bot.clock import SystemClock
from bot.engine.accounts.left_behind import LeftBehind
from bot.engine.accounts.recovery import Recovery
from bot.errors import BotError, ExitCode, PreflightFailed, VenueUnavailable
from bot.ports import OrderFound
from bot.settings.reconciliation import ReconciliationSettings
from tests.unit.risk_rig import A
from tests.unit.test_reconciler import Venue


class Slow(Venue):
    """Answers, and never in time."""

    async def open_orders(self) -> Sequence[OrderFound]:
        await asyncio.Event().wait()
        return ()


def recovery(venue: Venue, wait_s: float, deadline_s: float = 0.05) -> Recovery:
    journal: Any = SimpleNamespace(record=lambda *_: None)
    settings = ReconciliationSettings(deadline_s=deadline_s)
    return Recovery(LeftBehind(), [venue], [A], journal, SystemClock(), settings, lambda *_: None, wait_s)


@pytest.mark.parametrize(
    ("venue", "kind", "code"),
    [(Venue(is_away=True), VenueUnavailable, ExitCode.VENUE), (Slow(), PreflightFailed, ExitCode.PREFLIGHT)],
)
async def test_a_venue_that_is_away_is_no_finding(venue: Venue, kind: type[BotError], code: ExitCode) -> None:
    with pytest.raises(kind, match="could not be compared with the journal") as failed:
        await recovery(venue, 0.0).settle()
    assert failed.value.exit_code == code


async def test_what_is_left_of_the_starts_time_counts_where_it_is_more() -> None:
    venue = Venue(is_away=True, position=Decimal(0))
    settling = asyncio.create_task(recovery(venue, 60.0, deadline_s=0.001).settle())
    async with asyncio.timeout(60):
        while venue.asked < 2:
            await asyncio.sleep(0.01)
    assert not settling.done()
    venue.is_away = False
    assert await settling == []
