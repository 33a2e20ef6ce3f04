"""Where a run's orders are, written beside its data so that `--mode kill` finds them with everything else dead.

One file a market, since a directory may have seen several: what rested at any of them is cancelled. A file stays when
its run is over; whether anything is open is the venue's to say.

The keys of simulated exchanges stand in it: they are made anew for every run, are worth nothing, and nobody else has
them. Keys of real accounts never do.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bot.durable_text import write_durably
from exchanges.common.emergency import Account
from exchanges.signing import signing_hosts

_FOLDER = "run"
_SIMULATED = "simulated"
_LOCAL_KEYS = frozenset({_SIMULATED})


def remember_accounts(data_dir: Path, market: str, accounts: Sequence[Account]) -> None:
    """Write down, durably, where this run's orders will be; before the first of them.

    Raises:
        OSError: If the disk does not take it.
    """
    rows = [_row(account) for account in accounts]
    write_durably(data_dir / _FOLDER / f"venues-{market}.json", json.dumps({"accounts": rows}, indent=1) + "\n")


def remembered_accounts(data_dir: Path) -> tuple[list[Account], list[str]]:
    """Every account that a run on this directory has written down; and what could not be read, a line each."""
    accounts, troubles = [], []
    for path in sorted((data_dir / _FOLDER).glob("venues-*.json")):
        try:
            rows = json.loads(path.read_text("utf-8"))["accounts"]
            accounts += [_account(row) for row in rows]
        except (OSError, ValueError, TypeError, KeyError) as error:
            troubles.append(f"{path} cannot be read: {type(error).__name__}")
    return accounts, troubles


def _row(account: Account) -> dict[str, Any]:
    row = {
        "venue": account.venue,
        "market": account.market,
        "rest_urls": dict(account.rest_urls),
        "symbols": {segment: list(names) for segment, names in account.symbols.items()},
        "settles": list(account.settles),
    }
    if account.market in _LOCAL_KEYS:
        row |= {"simulated_key": account.key, "simulated_secret": account.secret}
    return row


def _account(row: dict[str, Any]) -> Account:
    account = Account(
        venue=str(row["venue"]),
        market=str(row["market"]),
        rest_urls={str(segment): str(url) for segment, url in row["rest_urls"].items()},
        symbols={str(segment): [str(name) for name in names] for segment, names in row["symbols"].items()},
        settles=[str(coin) for coin in row["settles"]],
        hosts=signing_hosts(str(row["market"]), str(row["venue"])),
    )
    return replace(account, key=str(row.get("simulated_key", "")), secret=str(row.get("simulated_secret", "")))
