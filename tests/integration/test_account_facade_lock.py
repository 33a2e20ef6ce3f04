"""The accounts from Python: never beside a bot that trades on one of them."""

from pathlib import Path

import pytest

from bot.clock import SystemClock
from bot.errors import PreflightFailed
from bot.storage.account_lock import AccountLock, key_fingerprint, state_directory
from exchanges.simulator.server import SimulatorServer
from modes.account import opened_account


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
