"""The second line of defence: what is about to be shown or written down, without the secrets that this process knows.

The first is that nobody puts one there: keys are `SecretStr`, errors are told by class, URLs are never repeated. This
one is for the bug that does it all the same, and for words of others: a library's exception may hold a signed URL.
"""

import re
import sys
from collections import deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import quote, unquote, urlsplit

if TYPE_CHECKING:
    from pydantic import SecretStr  # not loaded from here: `--mode kill` has a second

MASK = "********"

_LEAST = 8
"""Shorter values would mask ordinary words."""
_PASSING_KEPT = 64
_TELLING = ("ignature", "istenKey", "apiKey", "API")
_PATTERNS = re.compile(
    r"(?i)(signature|listenKey|apiKey|X-MBX-APIKEY|X-BAPI-API-KEY|X-BAPI-SIGN|API-Sign|API-Key)"
    r"(\\*[\"']?\s*[=:]\s*\\*[\"']?)([A-Za-z0-9+/=_.%-]{8,})"
)


class Masker:
    """What one process knows. Values are kept in the forms that they take in a URL and in JSON."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._passing: deque[str] = deque(maxlen=_PASSING_KEPT)

    def remember(self, secret: str) -> None:
        """Never show it."""
        self._values.update(_forms(secret))

    def remember_for_now(self, secret: str) -> None:
        """One of many that come and go, as listen keys do: the newest of them are known."""
        if len(secret) >= _LEAST and secret not in self._passing:
            self._passing.append(secret)

    def masked(self, text: str) -> str:
        """`text` with every secret in it replaced."""
        for value in (*self._values, *self._passing):
            if value in text:
                text = text.replace(value, MASK)
        if any(word in text for word in _TELLING):
            text = _PATTERNS.sub(rf"\1\2{MASK}", text)
        return text


KNOWN = Masker()
"""Of this process: a secret that was loaded once stays one."""


def remember(*secrets: "SecretStr") -> None:
    """Never show these, nor write them down."""
    for secret in secrets:
        KNOWN.remember(secret.get_secret_value())


def masked(text: str) -> str:
    """`text` without the secrets that this process knows, and without what looks like a signature or a key."""
    return KNOWN.masked(text)


def remember_environment(environ: Mapping[str, str], names: Iterable[str]) -> None:
    """Never show what these variables hold, nor the user and password of a URL in them."""
    for name in names:
        told = environ.get(name, "")
        # A comma parts addresses, and may stand in a password.
        for value in dict.fromkeys((*told.split(), *told.replace(",", " ").split())):
            for part in (value, *_parts(value)):
                KNOWN.remember(part)


def _parts(url: str) -> list[str]:
    try:
        found = urlsplit(url)
        return [part for part in (found.password, found.username) if part]
    except ValueError:
        return []


def _forms(value: str) -> set[str]:
    forms = {value, quote(value, safe=""), unquote(value), value.replace("\\", "\\\\").replace('"', '\\"')}
    return {form for form in forms if len(form) >= _LEAST}


class MaskedStream:
    """A text stream that shows no secret; everything but writing is the stream's own."""

    def __init__(self, inner: TextIO) -> None:
        self._inner = inner

    def write(self, text: str) -> int:
        """Write it masked; returns how much of `text` was taken: all of it."""
        self._inner.write(masked(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def mask_output() -> None:
    """From now on stdout and stderr show no secret: tracebacks and what libraries print included."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, MaskedStream):
            setattr(sys, name, MaskedStream(stream))
