"""The accounts from Python: never beside a bot that trades on one of them, and not past a halt."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from bot.clock import SystemClock
from bot.errors import Halted, PreflightFailed
from bot.risk.halt_flag import lower_flag, raise_flag
from bot.storage.account_lock import AccountLock, key_fingerprint, state_directory
from exchanges.simulator.server import SimulatorServer
from modes.account import Account, opened_account
from tests.integration.actions_rig import until


async def test_fault_57_the_facade_does_not_open_an_account_that_a_bot_trades_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, file = {"XDG_STATE_HOME": str(tmp_path / "state")}, tmp_path / "settings.yaml"
    file.write_text("{}\n")
    server = SimulatorServer("calm", 1, SystemClock())
    address = await server.start(0)
    monkeypatch.setenv("XDG_STATE_HOME", state["XDG_STATE_HOME"])
    monkeypatch.setenv("CRYPTO_PIPE_SIMULATED_KEY", address.credentials.api_key)
    monkeypatch.setenv("CRYPTO_PIPE_SIMULATED_SECRET", address.credentials.secret)
    words = (f"simulator.address=127.0.0.1:{address.port}", f"data_dir={tmp_path / 'data'}",
             "instruments.bybit.linear=[BTC/USDT:USDT]", "instruments.binance.linear=[]")  # fmt: skip
    bot = AccountLock([("bybit", key_fingerprint(address.credentials.api_key))], state_directory(state))
    try:
        with pytest.raises(PreflightFailed, match="is traded on by another bot"):
            async with opened_account(file, *words):
                pass
        bot.release()
        monkeypatch.setenv("CRYPTO_PIPE_SIMULATED_KEY", address.credentials.api_key)
        monkeypatch.setenv("CRYPTO_PIPE_SIMULATED_SECRET", address.credentials.secret)
        async with opened_account(file, *words) as account:
            assert account.balances()
            with pytest.raises(PreflightFailed):
                AccountLock([("bybit", key_fingerprint(address.credentials.api_key))], state_directory(state))
    finally:
        bot.release()
        await server.close()


@asynccontextmanager
async def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Account]:
    """The account at a simulated exchange of the test's own."""
    file = tmp_path / "settings.yaml"
    file.write_text("{}\n")
    server = SimulatorServer("calm", 1, SystemClock())
    address = await server.start(0)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("CRYPTO_PIPE_SIMULATED_KEY", address.credentials.api_key)
    monkeypatch.setenv("CRYPTO_PIPE_SIMULATED_SECRET", address.credentials.secret)
    words = (f"simulator.address=127.0.0.1:{address.port}", f"data_dir={tmp_path / 'data'}",
             "instruments.bybit.linear=[BTC/USDT:USDT]", "instruments.binance.linear=[]")  # fmt: skip
    try:
        async with opened_account(file, *words) as account:
            yield account
    finally:
        await server.close()


async def test_once_halted_only_what_reduces_a_position_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feed, symbol = "bybit.linear", "BTC/USDT:USDT"
    async with alone(tmp_path, monkeypatch) as account:
        await account.long(feed, symbol, "0.002")
        await until(lambda: [one.quantity for one in account.positions()] == [Decimal("0.002")])
        raise_flag(tmp_path / "data", "enough", "a person", 1)
        for trade, quantity in ((account.long, "0.001"), (account.short, "0.003")):
            with pytest.raises(Halted, match="enough"):
                await trade(feed, symbol, quantity)
        back = await account.short(feed, symbol, "0.001")
        assert back.filled_quantity == Decimal("0.001")
        assert back.reduce_only
        await until(lambda: [one.quantity for one in account.positions()] == [Decimal("0.001")])
        lower_flag(tmp_path / "data")
        await account.short(feed, symbol, "0.002")
        await until(lambda: [one.quantity for one in account.positions()] == [Decimal("-0.001")])
