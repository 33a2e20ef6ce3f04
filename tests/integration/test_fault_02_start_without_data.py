"""A route that acknowledges and serves nothing ends the program at its start, by the exit code of a preflight check."""

from pathlib import Path

import pytest

from bot.errors import ExitCode
from tests.integration.test_main_simulated import run


@pytest.mark.parametrize("venue", ["binance", "bybit"])
async def test_fault_02_a_start_without_data_is_exit_code_3(tmp_path: Path, venue: str) -> None:
    fault = f"no-data,venue={venue},at_s=0,for_s=600"
    words = ("--market", "simulated", "--for", "60s", "--json", "--data-dir", str(tmp_path), "--fault", fault)
    code, _, stderr = await run(*words)
    assert code == ExitCode.PREFLIGHT, stderr
    last = stderr.splitlines()[-1]
    for part in (venue, "acknowledged, but no frame", "on the right route?"):
        assert part in last
