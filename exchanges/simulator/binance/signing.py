"""Who asks, and whether the request is theirs and fresh: key, HMAC signature, timestamp, recvWindow."""

import hashlib
import hmac
import re

from exchanges.simulator.binance.errors import Rejected, bad_key, illegal, missing, unknown_key
from exchanges.simulator.binance.parameters import Parameters
from exchanges.simulator.core.ports import Account, Exchange

_KEY = re.compile(r"[!-~]{1,128}")
_SIGNATURE = re.compile(r"[A-Fa-f0-9]{64}")
_DEFAULT_WINDOW_MS = 5000
_LONGEST_WINDOW_MS = 60_000
_AHEAD_MS = 1000


def signature(secret: str, payload: bytes) -> str:
    """Hex HMAC-SHA256."""
    return hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()


def account_of(exchange: Exchange, api_key: str) -> Account:
    """Whose key it is.

    Raises:
        Rejected: -2014 where it cannot be a key, -2015 where it is nobody's.
    """
    if not _KEY.fullmatch(api_key):
        raise bad_key()
    account = exchange.account(api_key)
    if account is None:
        raise unknown_key()
    return account


def without_signature(text: str) -> tuple[str, str | None]:
    """A query or form body without its `signature`, and that signature."""
    if "signature=" not in text:
        return text, None
    parts = text.split("&")
    kept = [part for part in parts if not part.startswith("signature=")]
    found = [part for part in parts if part.startswith("signature=")]
    return "&".join(kept), found[0].partition("=")[2] if found else None


def check_signature(exchange: Exchange, api_key: str, payload: bytes, given: str) -> None:
    """Raise -1022 unless `given` signs `payload` with the key's secret; hex in any case."""
    if not given:
        raise missing("signature")
    if not _SIGNATURE.fullmatch(given):
        raise illegal("signature", "^[A-Fa-f0-9]{64}$")
    secret = exchange.secret(api_key)
    if secret is None:
        raise unknown_key()
    if not hmac.compare_digest(signature(secret, payload), given.lower()):
        raise Rejected(-1022, "Signature for this request is not valid.")


def check_time(parameters: Parameters, now_ns: int) -> None:
    """Raise -1021 unless the timestamp is within the window, -1131 where the window is too long."""
    timestamp = parameters.integer("timestamp")
    if timestamp is None:
        raise missing("timestamp")
    window = parameters.integer("recvWindow", _DEFAULT_WINDOW_MS)
    assert window is not None
    if window > _LONGEST_WINDOW_MS:
        raise Rejected(-1131, "recvWindow must be less than 60000")
    now_ms = now_ns // 1_000_000
    if timestamp >= now_ms + _AHEAD_MS:
        raise Rejected(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now_ms - timestamp > window:
        raise Rejected(-1021, "Timestamp for this request is outside of the recvWindow.")
