"""One account, one process: a lock by venue and API key, wherever the data directories of the processes lie."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

from bot.errors import AlreadyRunning, PreflightFailed, StorageError
from bot.single_writer import SingleWriter

_STATE = Path(".local") / "state"
_NAME = "crypto-pipe"
_ADVICE = "set XDG_STATE_HOME to a directory that every bot of this user may write (docs/recovery.md)"
_SHOWN = 16
"""Hex digits of a fingerprint: enough to tell two keys apart, and nothing to find the key by."""


def key_fingerprint(key: str) -> str:
    """Names an API key without telling it: half a SHA-256's hex digits, cut to sixteen."""
    return hashlib.sha256(f"crypto-pipe account\x1f{key}".encode()).hexdigest()[:_SHOWN]


def state_directory(environment: Mapping[str, str]) -> Path:
    """Where this user's programs keep what outlives a run: `$XDG_STATE_HOME`, or `~/.local/state`; and ours in it.

    Raises:
        PreflightFailed: If neither is there.
    """
    named = environment.get("XDG_STATE_HOME", "")
    # The specification has a relative path ignored.
    try:
        base = Path(named) if named.startswith(os.sep) else Path.home() / _STATE
    except RuntimeError as error:  # as for a container's user, who need not have a name
        raise PreflightFailed(f"no home directory to keep the lock on an account in: {_ADVICE}") from error
    return base / _NAME


class AccountLock:
    """Holds every account of a run until it is released, or the process dies, however it dies."""

    def __init__(self, accounts: Iterable[tuple[str, str]], directory: Path) -> None:
        """Take them all, or none.

        Args:
            accounts: Venue and `key_fingerprint` of each.
            directory: Of the locks; made (0700) if it is missing. Every process of this user uses the same.

        Raises:
            PreflightFailed: If another process trades on one of them, or the directory cannot be had.
        """
        self._held = ExitStack()
        try:
            for venue, fingerprint in sorted(set(accounts)):
                refusal = (
                    f"the account of key {fingerprint} at {venue} is traded on by another bot (process {{holder}}): "
                    "stop that one first"
                )
                self._held.enter_context(SingleWriter(directory, f"account-{venue}-{fingerprint}.lock", refusal))
        except StorageError as error:
            self.release()
            is_held = isinstance(error, AlreadyRunning)
            raise PreflightFailed(str(error) if is_held else f"{error}; {_ADVICE}") from error

    def release(self) -> None:
        """Let another process trade; calling it twice does nothing."""
        self._held.close()
