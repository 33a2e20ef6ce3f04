"""main.py, whose keys may be used on this machine instead of at the exchanges: no setting can do that, tests must.

Everything else of a run with real money is as it is: locks, preflight, orders over the wire, what reports say.
"""

import sys

import main
from exchanges.common.signing_hosts import THIS_MACHINE, SigningHosts
from exchanges.keys import finding


def here(market: str, venue: str) -> SigningHosts:
    assert market in ("live", "testnet")
    assert venue in ("binance", "bybit")
    return THIS_MACHINE


finding.signing_hosts = here

if __name__ == "__main__":
    sys.exit(main.main())
