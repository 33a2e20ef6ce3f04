"""The places where API keys may be kept."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr

from exchanges.keys.file import read_key_file
from exchanges.keys.names import SERVICE, variable

_PATIENCE_S = 30.0
"""For a keyring; somebody may be there to type its password."""


class KeySource(Protocol):
    """One of them."""

    @property
    def words(self) -> str:
        """Its name for a person, and why it could not be looked into."""

    def find(self, account: str, part: str) -> SecretStr | None:
        """The key or the secret of an account; None where it is not kept there.

        Raises:
            SettingsError: If the place must not be used as it is.
        """


class Keyring:
    """The operating system's: Keychain, Credential Manager, Secret Service, KWallet.

    One that is locked may ask somebody who is not there for a password: it is waited for, and then passed over, for
    good. A kill that waits for ever cancels nothing.
    """

    _is_silent = False
    """Of this process: it has been waited for."""

    def __init__(self) -> None:
        self._trouble = ""

    @property
    def words(self) -> str:
        """`the keyring`, and why there is none."""
        return f"the keyring{self._trouble}"

    def find(self, account: str, part: str) -> SecretStr | None:
        """What is kept as user `ACCOUNT.PART` of the service `crypto-pipe`."""
        answers: list[SecretStr | None] = []
        if not Keyring._is_silent:
            asking = threading.Thread(target=self._ask, args=(account, part, answers), daemon=True)
            asking.start()
            asking.join(_PATIENCE_S)
            Keyring._is_silent = asking.is_alive()
        if Keyring._is_silent:
            self._trouble = f" (it did not answer in {_PATIENCE_S:g} s)"
        return answers[0] if answers else None

    def _ask(self, account: str, part: str, answers: list[SecretStr | None]) -> None:
        try:
            # Imported here: it looks at every backend there is, and only real orders need it.
            import keyring

            found = keyring.get_password(SERVICE, f"{account}.{part}")
        except Exception as error:  # noqa: BLE001 - backends are others', and raise what they like
            # Not its own words: a backend may tell what it was asked.
            self._trouble = f" (there is none that can be used: {type(error).__name__})"
            return
        answers.append(None if found is None else SecretStr(found))


class KeyFile:
    """A file of mode 0600."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: Mapping[str, Mapping[str, SecretStr]] | None = None

    @property
    def words(self) -> str:
        """Its name."""
        return f"keys.file {self._path}"

    def find(self, account: str, part: str) -> SecretStr | None:
        """What stands in it.

        Raises:
            SettingsError: If others could read it, or it cannot be understood.
        """
        if self._found is None:
            self._found = read_key_file(self._path)
        return self._found.get(account, {}).get(part)


class Environment:
    """Variables of the process."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    @property
    def words(self) -> str:
        """`the environment`."""
        return "the environment"

    def find(self, account: str, part: str) -> SecretStr | None:
        """What `CRYPTO_PIPE_BINANCE_KEY` says; an empty one says nothing."""
        found = self._environ.get(variable(account, part))
        return SecretStr(found) if found else None
