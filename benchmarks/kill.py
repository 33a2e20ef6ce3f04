"""How long `--mode kill` takes from exec until the flag is durable and every cancel has been answered."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import monotonic_ns
from typing import NamedTuple

from benchmarks.measure import progress
from benchmarks.rows import Row, Target, against, figure
from benchmarks.simulated import simulated
from bot.clock import SystemClock
from exchanges.binance.emergency import BinanceEmergency
from exchanges.bybit.emergency import BybitEmergency
from exchanges.common.requests.emergency import Account
from exchanges.simulator.accounts.exchange import Credentials
from exchanges.simulator.market.listings import FIRST_PRICES
from modes.kill_accounts import remember_accounts

_MAIN = Path(__file__).resolve().parents[1] / "main.py"
_FROM_EXEC = Target("value", at_most=True, limit=3000, unit="ms")
_FROM_START = Target("value", at_most=True, limit=1000, unit="ms")
_NOTE = (
    "simulated Binance and Bybit, spot and perpetual, with an order resting at each venue; from before the process is "
    "started until its first round of cancels is answered, the flag's fsync included; beside it bare Python"
)
_CONFIRMED = "0.6 s of it is waited on purpose: an engine has seen the flag by then"


class _Kill(NamedTuple):
    from_exec_ms: float
    from_start_ms: float
    confirmed_ms: float
    python_ms: float


def rows(rounds: int) -> list[Row]:
    """From exec, from its own start, and until every venue has confirmed."""
    with simulated() as server, tempfile.TemporaryDirectory() as directory:
        accounts = _accounts(server.address.url, server.address.credentials)
        remember_accounts(Path(directory), "simulated", accounts)
        kills = []
        for number in range(rounds + 1):
            _let_rest(accounts)
            kills.append(_measure(Path(directory)))
            progress(f"kill {number} of {rounds}")
    del kills[0]  # it warms the disk's caches
    pythons = [one.python_ms for one in kills]
    return [
        against(
            "kill: exec to all cancels answered", "ms", [one.from_exec_ms for one in kills], "python -c pass", pythons,
            _FROM_EXEC, _NOTE,
        ),
        figure("kill: its start to all cancels answered", "ms", [one.from_start_ms for one in kills], _FROM_START),
        figure("kill: its start to all confirmed", "ms", [one.confirmed_ms for one in kills], None, _CONFIRMED),
    ]  # fmt: skip


def _measure(data_dir: Path) -> _Kill:
    (data_dir / "HALTED").unlink(missing_ok=True)
    bare_ns = monotonic_ns()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    exec_ns = monotonic_ns()
    command = [sys.executable, str(_MAIN), "--mode", "kill", "--json", "--data-dir", str(data_dir)]
    told = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert told["flag_durable"]
    assert sum(one["cancels"] for one in told["venues"])
    sent_s = max(one["cancels_sent_s"] for one in told["venues"])
    confirmed_s = max(one["silent_s"] for one in told["venues"])
    before_ms = (told["started_monotonic_ns"] - exec_ns) / 1e6
    return _Kill(before_ms + sent_s * 1e3, sent_s * 1e3, confirmed_s * 1e3, (exec_ns - bare_ns) / 1e6)


def _accounts(url: str, credentials: Credentials) -> Sequence[Account]:
    segments = ("spot", "linear")
    return [
        Account(
            venue=venue,
            market="simulated",
            rest_urls=dict.fromkeys(segments, url),
            symbols=dict.fromkeys(segments, ("BTCUSDT", "ETHUSDT")),
            settles=("USDT",),
            key=credentials.api_key,
            secret=credentials.secret,
        )
        for venue in ("binance", "bybit")
    ]


def _let_rest(accounts: Sequence[Account]) -> None:
    """An order at each venue, too far below the market to be met."""
    binance, bybit = accounts
    price = f"{FIRST_PRICES['BTC'] * 0.97:.0f}"
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
    BinanceEmergency(binance, SystemClock())._asked("POST", "linear", "/v1/order", order | {"price": price})
    body = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01"}
    BybitEmergency(bybit, SystemClock())._post("/v5/order/create", body | {"price": price})
