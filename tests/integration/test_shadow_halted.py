"""A restart with `--shadow` beside a person's HALT flag: real twins that are left are not touched before flatten."""

import signal
from pathlib import Path

import pytest

from bot.clock import SystemClock
from bot.errors import ExitCode
from bot.risk.halt_flag import raise_flag
from tests.integration.fault_rig import IN_AND_OUT, STAYING, bot
from tests.integration.standing_exchanges import at, exchanges, lend
from tests.integration.test_halted_start import main, sent
from tests.integration.test_shadow_killed import twins


async def test_a_twin_beside_a_kill_is_left_alone_and_closed_when_a_person_says_flatten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    data_dir = tmp_path / "data"
    async with exchanges("--seed", "3") as told:
        lend(monkeypatch, told)
        async with bot(data_dir, *STAYING, at(told), said=("--shadow",)) as first:
            await first.says("taken")
            await first.until(lambda: "open" in twins(data_dir).values())
            await first.end(signal.SIGKILL)
        twin = next(pair for pair, state in twins(data_dir).items() if state == "open")
        raise_flag(data_dir, "prices look wrong", "uid 7", SystemClock().now_ns())
        orders = sent(data_dir)
        async with bot(data_dir, *IN_AND_OUT, at(told), said=("--shadow",)) as second:
            await second.says(f"shadow: ALARM: left alone until a person says --mode flatten: {twin}")
            await second.says(f"shadow: adopted twin {twin}")
            await second.says("routes over")
            code, status = await main(data_dir, "--mode", "status")
            assert (code, status["state"], status["shadow"]["open_twins"]) == (ExitCode.OK, "HALTED", 1)
            assert list(status["shadow"]["twins"]) == [twin]
            assert sent(data_dir) == orders
            await main(data_dir, "--mode", "flatten")
            await second.until(lambda: twins(data_dir)[twin] == "closed")
            assert await second.end(signal.SIGINT) == ExitCode.INTERRUPTED
