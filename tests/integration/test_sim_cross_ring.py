"""A ring through ETH/BTC, listed and priced by the program on the simulated market."""

import json
from pathlib import Path

from tests.integration.test_main_simulated import run


async def test_triangular_routes_are_priced_on_the_simulated_market(tmp_path: Path) -> None:
    spot = "[BTC/USDT,ETH/USDT,ETH/BTC]"
    settings = ("simulator.crosses=true", "arbitrage.warmup_s=1", f"instruments.binance.spot={spot}",
                f"instruments.bybit.spot={spot}")  # fmt: skip
    words = [word for setting in settings for word in ("--set", setting)]
    for seconds in (8, 90):  # a busy machine may not be warm in the first
        data = ("--data-dir", str(tmp_path / str(seconds)))
        code, stdout, stderr = await run("--market", "simulated", "--for", f"{seconds}s", "--json", *data, *words)
        assert code == 0, stderr
        rings = [one for one in json.loads(stdout)["routes"] if one["route"].startswith("triangular")]
        if rings and all(one["needed_bps"] is not None for one in rings):
            break
    assert len(rings) == 4  # both ways round, at both venues
    for ring in rings:
        assert 20 < ring["needed_bps"] < 60  # three takers of 10 bps
        assert -20 < ring["best_gross_bps"] < 40
