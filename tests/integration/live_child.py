"""main.py, whose keys may be used on this machine instead of at the exchanges: no setting can do that, tests must.

Everything else of a run with real money is as it is: locks, preflight, orders over the wire, what reports say.
"""

import os
import sys
from typing import Any

import main
from bot.engine.engine import Engine
from exchanges.common.requests import venue_http
from exchanges.common.requests.signing_hosts import THIS_MACHINE, SigningHosts
from exchanges.keys import finding


def here(market: str, venue: str) -> SigningHosts:
    assert market in ("live", "testnet")
    assert venue in ("binance", "bybit")
    return THIS_MACHINE


finding.signing_hosts = here
venue_http._CONNECT_S = 30.0  # a busy machine takes its time to accept

_KEY, _SECRET = (os.environ.get(f"CRYPTO_PIPE_BINANCE_{part}", "") for part in ("KEY", "SECRET"))
_honest = Engine.on_batch_end
_batches = 0


def careless(engine: Engine, *args: Any) -> None:
    global _batches
    _batches += 1
    if _batches == 200:
        signed = "https://api.binance.com/api/v3/order?timestamp=1&signature=" + "ab" * 32
        engine.event("error", f"about to fail: {_KEY} {signed}&listenKey={'Lk7' * 20}")
        raise RuntimeError(f"no answer from {signed} with {_KEY} and {_SECRET}")
    _honest(engine, *args)


if os.environ.get("LIVE_CHILD_BUG"):
    Engine.on_batch_end = careless  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.exit(main.program())
