"""The shipped start on the simulated exchanges: the account's own fees, and no funding that is assumed."""

import json
import subprocess
import sys
from pathlib import Path

MAIN = Path(__file__).parents[2] / "main.py"


def test_a_run_prices_with_the_accounts_fees_and_assumes_no_funding(tmp_path: Path) -> None:
    words = [
        *("--mode", "action", "--market", "simulated", "--scenario", "calm", "--for", "6s", "--headless", "--json"),
        *("--set", "simulator.fee_tier=vip3", "--data-dir", str(tmp_path)),
    ]
    done = subprocess.run([sys.executable, str(MAIN), *words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "binance.linear: taker 3.2 bps, maker 1.2 bps (account)" in done.stderr
    assert "bybit.linear: taker 3.5 bps, maker 1.4 bps (account)" in done.stderr
    assert "ASSUMED" not in done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    routes = summary["routes"] if "routes" in summary else summary["summary"]["routes"]
    assert len(routes) == 2
    assert not any(route["assumed"] for route in routes)
