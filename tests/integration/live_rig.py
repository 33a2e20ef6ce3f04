"""Simulated exchanges in a process of their own, and bots that take them for the real ones."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
PATIENCE_S = 120
BUG = "LIVE_CHILD_BUG"
"""Where it is set, the bot's engine stumbles over an exception that holds what none should."""
FIT = [f"key-rights,venue={venue},match=trade,for_s=86400" for venue in ("binance", "bybit")]
"""Keys as real money wants them: no withdrawals, bound to an address."""


@dataclass(frozen=True)
class Exchanges:
    url: str
    ws_url: str
    key: str
    secret: str
    state: str
    """Where bots keep what outlives a run: not in the home of whoever runs the tests."""

    def environment(self, system: str = "", key: str | None = None, secret: str | None = None) -> dict[str, str]:
        told = {"KEY": key or self.key, "SECRET": secret or self.secret}
        mine = {name: value for name, value in os.environ.items() if not name.startswith("CRYPTO_PIPE_")}
        names = {f"CRYPTO_PIPE_{venue}{system}_{part}": told[part] for venue in ("BINANCE", "BYBIT") for part in told}
        return {**mine, **names, "PYTHONPATH": str(REPO), "XDG_STATE_HOME": self.state}

    def words(self, data_dir: Path, market: str = "live") -> list[str]:
        named = {"rest_url": self.url, "stream_url": self.ws_url}
        where = [
            word
            for venue in ("binance", "bybit")
            for segment in ("spot", "linear")
            for key, url in named.items()
            for word in ("--set", f"venues.{venue}.{segment}.{key}={url}")
        ]
        rest = ["--set", "keys.keyring=false", "--set", "archive.enabled=false", "--data-dir", str(data_dir)]
        return ["--market", market, *where, *rest]


@contextlib.contextmanager
def exchanges(faults: Sequence[str] = FIT, *words: str) -> Iterator[Exchanges]:
    ordered = [word for fault in faults for word in ("--fault", fault)]
    process = subprocess.Popen(
        [sys.executable, "main.py", "--mode", "simulate", "--port", "0", *ordered, *words],
        cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        told = json.loads(process.stdout.readline())
        with tempfile.TemporaryDirectory() as state:
            yield Exchanges(told["url"], told["ws_url"], told["api_key"], told["api_secret"], state)
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        process.stdout.close()


def bot(words: Sequence[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """main.py with these words, ended by itself."""
    return subprocess.run(
        [sys.executable, str(REPO / "tests" / "integration" / "live_child.py"), *words],
        cwd=REPO, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
