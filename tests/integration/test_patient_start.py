"""A start that finds a venue away, without requests left for it, or refusing the address: it waits, and then trades on.

The exchanges are standing ones, and their faults are ordered while they run: pairs may be open there.
"""

import json
import signal
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest

from bot.errors import ExitCode
from tests.integration.fault_rig import STAYING, bot
from tests.integration.standing_exchanges import at, exchanges, lend
from tests.integration.test_halted_start import ended, left_open, states

FUTURES = "/fapi/v3/balance"
"""What is asked for when the account is opened, and by nothing before it."""


def control(told: Mapping[str, str], method: str, fault: Mapping[str, object] | None = None) -> None:
    """`POST`: a fault begins; `DELETE`: every fault ends."""
    request = urllib.request.Request(
        told["url"] + "/control/faults",
        method=method,
        data=None if fault is None else json.dumps(fault).encode(),
        headers={"Authorization": f"Bearer {told['api_secret']}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"fault": "maintenance", "venue": "bybit", "for_s": 3600}, "s for bybit, "),
        (
            {"fault": "http-418", "venue": "binance", "for_s": 3600, "amount": 8},
            "s until binance serves this address again",
        ),
        (
            {"fault": "http-429", "venue": "binance", "for_s": 3600, "amount": 8, "match": FUTURES},
            "s for binance's request budget",
        ),
    ],
)
async def test_fault_28_30_a_start_beside_an_open_pair_waits_for_its_venue(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, fault: dict[str, object], words: str
) -> None:
    async with exchanges("--seed", "3") as told:
        lend(monkeypatch, told)
        pair = await left_open(data_dir, at(told))
        control(told, "POST", fault)
        async with bot(data_dir, *STAYING, at(told)) as second:
            await second.says(words)
            control(told, "DELETE")
            await second.says(f"adopted pair {pair}, which was open")
            await second.says("routes over")
            assert states(data_dir)[pair] == "open"
            assert await second.end(signal.SIGINT) == ExitCode.INTERRUPTED


async def test_a_venue_that_stays_away_ends_the_start_with_one_clear_line(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with exchanges("--seed", "3", "--fault", "maintenance,venue=bybit,for_s=3600") as told:
        lend(monkeypatch, told)
        async with bot(data_dir, *STAYING, at(told), "start.wait_s=3") as only:
            assert await ended(only) == ExitCode.VENUE
        assert sum("a start waits for no longer than 3 s (start.wait_s)" in line for line in only.said) == 1, only.said
        assert only.said[-1].startswith("crypto-pipe: bybit: "), only.said
        assert not any("Traceback" in line for line in only.said)


async def test_a_person_need_not_wait_with_it(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = f"http-429,venue=binance,for_s=3600,amount=100,match={FUTURES}"
    async with exchanges("--seed", "3", "--fault", fault) as told:
        lend(monkeypatch, told)
        async with bot(data_dir, *STAYING, at(told)) as only:
            await only.says("s for binance's request budget")
            assert await only.end(signal.SIGINT) == ExitCode.INTERRUPTED
        assert any("stopped before the first decision" in line for line in only.said), only.said
