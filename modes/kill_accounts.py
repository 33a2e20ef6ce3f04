"""Where a run's orders are, written beside its data so that `--mode kill` finds them with everything else dead.

One file a market, since a directory may have seen several: what rested at any of them is cancelled. A file stays when
its run is over; whether anything is open is the venue's to say.

The keys of simulated exchanges stand in it: they are made anew for every run, are worth nothing, and nobody else has
them. Keys of real accounts never do: only the places where they are looked for, and a fingerprint.
"""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.durable_text import write_durably
from bot.errors import SettingsError
from bot.storage.account_lock import key_fingerprint
from exchanges.common.requests.emergency import Account
from exchanges.signing import signing_hosts

if TYPE_CHECKING:
    from bot.settings.keys import KeySettings

_FOLDER = "run"
_SIMULATED = "simulated"
_LOCAL_KEYS = frozenset({_SIMULATED})
OUTSIDE = frozenset({"live", "testnet"})
"""Markets whose orders go to accounts that are somebody's."""


def remember_accounts(
    data_dir: Path, market: str, accounts: Sequence[Account], keys: "KeySettings | None" = None
) -> None:
    """Write down, durably, where this run's orders will be; before the first of them.

    Beside what earlier runs wrote down: one that was killed with more venues or instruments may have orders there.

    Args:
        data_dir: Of the run.
        market: `simulated`, `testnet` or `live`.
        accounts: One for each venue.
        keys: Where the keys of real accounts are looked for.

    Raises:
        OSError: If the disk does not take it.
    """
    places = {} if keys is None else {"keyring": keys.keyring, "file": _absolute(keys.file)}
    rows = [_row(account) | {"keys": places | _of_key(account)} for account in accounts]
    path = data_dir / _FOLDER / f"venues-{market}.json"
    write_durably(path, json.dumps({"accounts": _beside_earlier(rows, _earlier(path))}, indent=1) + "\n")


def _of_key(account: Account) -> dict[str, Any]:
    return {"in_keyring": account.is_in_keyring, "account": key_fingerprint(account.key)}


def _earlier(path: Path) -> list[dict[str, Any]]:
    rows = _rows(path, troubles := list[str]())
    if troubles:  # kept, for a kill to say so: nobody else knows what rests where
        with suppress(OSError):
            path.replace(path.with_name(f"{path.stem}-damaged.json"))
    return rows


def _rows(path: Path, troubles: list[str]) -> list[dict[str, Any]]:
    """Those that can be read, as they are written; where some cannot, it is said."""
    try:
        told = json.loads(path.read_text("utf-8"))["accounts"]
        rows = [_row(_account(row)) | {"keys": row.get("keys") or {}} for row in told if _is_whole(row)]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError) as error:
        troubles.append(f"{path} cannot be read: {type(error).__name__}; remove it once you have looked at the venues")
        return []
    if len(rows) < len(told):
        troubles.append(f"{path} cannot be read as a whole; remove it once you have looked at the venues")
    return rows


def _is_whole(row: Any) -> bool:
    try:
        return bool(_account(row).rest_urls) and isinstance(row.get("keys") or {}, dict)
    except (ValueError, TypeError, KeyError, AttributeError):
        return False


def _beside_earlier(rows: list[dict[str, Any]], earlier: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each account with all that it was ever traded in, and those that this run has not."""
    others = []
    for old in earlier:
        # Exchanges that a run started have ended with it: those at another address are not asked.
        beside = [row for row in rows if old["market"] != _SIMULATED or _urls(old) & _urls(row)]
        same = [row for row in beside if _is_same(row, old)]
        for row in same:
            row["rest_urls"] = old["rest_urls"] | row["rest_urls"]
            row["symbols"] = {
                segment: list(dict.fromkeys([*row["symbols"].get(segment, ()), *old["symbols"].get(segment, ())]))
                for segment in row["rest_urls"]
            }
            row["settles"] = list(dict.fromkeys([*row["settles"], *old["settles"]]))
        if not same and (beside or old["market"] != _SIMULATED):
            others.append(old)
    return rows + others


def _is_same(row: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    """Whether it is one account: by its key, or, where that was replaced, by where the key is kept."""
    mine, theirs = row["keys"], old["keys"]
    is_kept_alike = all(mine.get(place) == theirs.get(place) for place in ("keyring", "file"))
    return all(row.get(key) == old.get(key) for key in ("venue", "simulated_key")) and (
        is_kept_alike or mine["account"] == theirs.get("account")
    )


def _urls(row: Mapping[str, Any]) -> set[str]:
    return set(row["rest_urls"].values())


def remembered_accounts(data_dir: Path) -> tuple[list[Account], list[str]]:
    """Every account that a run on this directory has written down; and what could not be read, a line each."""
    accounts: list[Account] = []
    troubles: list[str] = []
    for path in sorted((data_dir / _FOLDER).glob("venues-*.json")):
        for row in _rows(path, troubles):
            accounts.append(_with_key(_account(row), row["keys"], troubles))
    return accounts, troubles


def configured_accounts(words: Sequence[str], settings_file: Path) -> tuple[list[Account], list[str]]:
    """The accounts that the settings would trade for real or on a test system; and what is in the way, a line each.

    Slower than what a run has written down, and less exact: without listings it knows no symbols, and cancels those of
    which something is open.
    """
    from bot.command_line import parse
    from bot.settings.loader import load_settings
    from exchanges.accounts import configured_places
    from exchanges.registry import MAY_BE_WATCHED
    from strategies.registry import strategy_settings

    troubles: list[str] = []
    try:
        asked = parse(words)
        file, flags, named = asked.settings or settings_file, asked.flags(), asked.settings is not None
        loaded = load_settings(file, os.environ, asked.set, flags, strategy_settings(), required=named)
        settings = loaded.settings
        if settings.market == "live" and not settings.real_money:
            return [], []  # paper money
        places = {"keyring": settings.keys.keyring, "file": _absolute(settings.keys.file)}
        accounts = []
        for place in configured_places(settings):
            told: list[str] = []
            account = _with_key(place, places, told)
            # Who is only watched has no key, and no order of ours.
            if account.key or place.venue not in MAY_BE_WATCHED:
                accounts.append(account)
                troubles += told
    except SettingsError as error:
        return [], [f"no run has written down where its orders are, and the settings do not tell: {error}"]
    return accounts, troubles


def _with_key(account: Account, places: Mapping[str, Any], troubles: list[str]) -> Account:
    """The account with what signs for it; without, where there is none to be found, and then that is said."""
    if account.market in _LOCAL_KEYS:
        return account
    # Imported here: keys are kept by models that take a fifth of a second to load, which simulated ones have not.
    from bot.settings.keys import KeySettings
    from exchanges.keys.finding import find_keys

    file, may_ask = places.get("file"), bool(places.get("keyring", True))
    # A keyring that is locked holds up every cancel for half a minute: asked last where the run had no key from there.
    for keyring in (False, True) if may_ask and not places.get("in_keyring", True) else (may_ask,):
        try:
            where = KeySettings(keyring=keyring, file=None if file is None else Path(file))
            found = find_keys([account.venue], account.market, where, os.environ)[account.venue]
        except SettingsError as error:
            trouble = str(error)
        except Exception as error:  # noqa: BLE001 - a keyring may fail in any way, and other venues are to be silenced
            trouble = f"{account.venue} ({account.market}): no key can be looked for: {type(error).__name__}"
        else:
            key = found.key.get_secret_value()
            account = replace(account, key=key, secret=found.secret.get_secret_value())
            if places.get("account") in (None, key_fingerprint(key)):
                return account
            trouble = (
                f"{account.venue} ({account.market}): the key that is found is not the run's, nor need the account be"
            )
    troubles.append(trouble)
    return account


def _absolute(path: Path | None) -> str | None:
    # Where it is for this run: `~` is a home only at the beginning.
    try:
        return None if path is None else str(path.expanduser().absolute())
    except RuntimeError:  # as for a container's user: whoever looks into it says so
        return str(path)


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
