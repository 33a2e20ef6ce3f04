"""What is said of withdrawals that earlier runs left without an end."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, cast

import pytest

from bot.clock import VirtualClock
from bot.ports.transfers import AccountOperations, Seen, Withdrawal
from bot.settings.transfers import TransferSettings
from bot.transfers.following import Following
from bot.transfers.spent import Spent
from bot.transfers.transfer_log import TransferLog
from tests.unit.executor_bench import MemoryJournal

S = 1_000_000_000


class Forgetful:
    """A venue whose list of withdrawals is empty."""

    venue = "binance"

    async def withdrawn(self, withdrawal: Withdrawal) -> Seen | None:
        return None

    async def deposits(self, asset: str, since_ns: int) -> Sequence[Seen]:
        return ()


def left(state: str, sent_ns: int) -> dict[str, Any]:
    return {"kind": "withdrawal", "transfer": "w1", "venue": "binance", "asset": "USDT", "amount": "400", "to": "cold",
            "to_venue": None, "chain": "tron", "address": "T" * 34, "memo": "", "network": "TRX", "sent_ns": sent_ns,
            "deadline_s": None, "state": state}  # fmt: skip


@pytest.mark.parametrize("state", ["in_transit", "unknown", "intent"])
async def test_only_what_no_venue_took_is_said_to_have_never_left(state: str) -> None:
    clock, events = VirtualClock(), list[tuple[str, str]]()
    sent_ns = clock.now_ns()
    clock.advance_to(sent_ns + 3 * 3600 * S)
    spent = Spent([left(state, sent_ns)])
    log = TransferLog(MemoryJournal(), spent, clock, lambda level, text: events.append((level, text)))
    operations = {"binance": cast(AccountOperations, Forgetful())}
    await Following(operations, log, clock, TransferSettings()).settle()
    was_taken = state == "in_transit"
    assert spent.last_day("USDT", clock.now_ns()) == (Decimal(400) if was_taken else 0)
    assert bool(spent.all_unfinished()) is was_taken
    words = "ALARM: binance knows nothing of withdrawal w1" if was_taken else "withdrawal w1 of an earlier run never"
    assert [text.startswith(words) for _, text in events] == [True], events
