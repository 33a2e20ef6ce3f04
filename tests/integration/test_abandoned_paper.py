"""Paper money: a pair of a killed run that a person has forgotten is gone from the paper wallets too."""

import signal
from pathlib import Path

from tests.integration.fault_rig import STAYING
from tests.integration.killed_runs import states
from tests.integration.live_rig import exchanges
from tests.integration.test_fault_59_paper_killed import HELD, started


async def test_paper_money_forgets_an_abandoned_pair_at_the_first_start(tmp_path: Path) -> None:
    with exchanges() as here:
        first = await started(here, tmp_path, *STAYING)
        await first.says("taken")
        await first.until(lambda: "open" in states(tmp_path).values())
        await first.end(signal.SIGKILL)
        pair = next(pair for pair, state in states(tmp_path).items() if state == "open")
        second = await started(here, tmp_path, *HELD, "reconciliation.pairs=abandon")
        await second.says(f"pair {pair} of an earlier run is abandoned")
        await second.says("routes over")
        assert await second.end(signal.SIGINT) == 130
    assert states(tmp_path)[pair] == "failed"
