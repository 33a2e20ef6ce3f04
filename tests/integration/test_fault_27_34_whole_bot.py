"""Faults 27 and 34 with the whole bot: what a person reads, and what is sent no more."""

import signal
from pathlib import Path

from bot.errors import ExitCode
from tests.integration.fault_rig import IN_AND_OUT, bot, records


async def test_fault_34_a_key_that_is_revoked_halts_the_bot_and_says_where_to_look(tmp_path: Path) -> None:
    fault = 'simulator.faults=["key-revoked,venue=bybit,at_s=12"]'
    async with bot(tmp_path / "data", *IN_AND_OUT, "risk.max_rejects_per_minute=10000", fault) as running:
        at = await running.says("HALTED: ALARM: bybit")
        assert "look at the key" in running.said[at - 1]
        sent = len(orders_sent(running.data_dir))
        code = await running.end(signal.SIGTERM)
    assert code == ExitCode.INTERRUPTED
    # What is still to be evened out may be sent; nothing that opens a pair.
    opened = [leg for leg in orders_sent(running.data_dir)[sent:] if leg.startswith("open_")]
    assert opened == []
    assert any(
        "HALTED" in key or "ALARM" in body.get("text", "") for _, _, key, body in records(tmp_path / "data", "event")
    )


async def test_fault_27_a_ban_is_told_once_and_nothing_is_opened_there(tmp_path: Path) -> None:
    fault = 'simulator.faults=["http-418,venue=binance,at_s=12,amount=60,for_s=60"]'
    async with bot(tmp_path / "data", *IN_AND_OUT, "risk.max_rejects_per_minute=10000", fault) as running:
        at = await running.says("binance: nothing new is opened there: it refuses this address")
        await running.end(signal.SIGTERM)
    assert sum("nothing new is opened there" in line for line in running.said) == 1, running.said[at - 1 :]


def orders_sent(data_dir: Path) -> list[str]:
    return [body["leg"] for *_, body in records(data_dir, "order") if body["status"] == "sent"]
