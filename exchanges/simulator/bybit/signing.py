"""Who a request is from: X-BAPI headers, WebSocket authentication, and the time that both must be sent in.

Source: https://bybit-exchange.github.io/docs/v5/guide (authentication), /docs/v5/ws/connect.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from exchanges.simulator.bybit.errors import ApiError
from exchanges.simulator.core.ports import Account, Exchange

_MS = 1_000_000
_AHEAD_MS = 1_000
_DEFAULT_WINDOW_MS = 5_000
_LONGEST_WINDOW_MS = 60_000


def signature(secret: str, payload: bytes) -> str:
    """Hex HMAC-SHA256."""
    return hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()


def authenticated(exchange: Exchange, headers: Mapping[str, str], payload: bytes) -> tuple[str, Account]:
    """The key and account of a signed HTTP request; `payload` is its query string or body, byte for byte.

    Raises:
        ApiError: 10001, 10002, 10003 or 10004.
    """
    key = headers.get("X-BAPI-API-KEY", "")
    stamp = headers.get("X-BAPI-TIMESTAMP", "")
    window = headers.get("X-BAPI-RECV-WINDOW", "")
    if not key:
        raise ApiError(10003, "API key is invalid.")
    check_time(exchange, stamp, window)
    account, secret = exchange.account(key), exchange.secret(key)
    if account is None or secret is None:
        raise ApiError(10003, "API key is invalid.")
    expected = signature(secret, (stamp + key + window).encode() + payload)
    if not hmac.compare_digest(expected.encode(), headers.get("X-BAPI-SIGN", "").encode(errors="replace")):
        raise ApiError(10004, "error sign! please check your signature generation algorithm.")
    return key, account


def check_time(exchange: Exchange, stamp: Any, window: Any) -> None:
    """Refuse a timestamp (ms) that is older than its window or more than a second ahead.

    Raises:
        ApiError: 10001 or 10002.
    """
    sent = _whole(stamp, "timestamp")
    width = _whole(window, "recv_window") if window not in ("", None) else _DEFAULT_WINDOW_MS
    width = min(width, _LONGEST_WINDOW_MS)
    server = exchange.now_ns() // _MS
    if not server - width <= sent < server + _AHEAD_MS:
        raise ApiError(
            10002,
            "invalid request, please check your server timestamp or recv_window param. "
            f"req_timestamp[{sent}],server_timestamp[{server}],recv_window[{width}]",
        )


def socket_authenticated(exchange: Exchange, args: Any) -> tuple[str, Account]:
    """The key and account of `{"op":"auth","args":[key, expires, signature]}`.

    Raises:
        ApiError: 10001, 10002 (expired), 10003 or 10004.
    """
    if not isinstance(args, list) or len(args) != 3:
        raise ApiError(10001, "Params Error")
    key, expires, sign = args
    until = _whole(expires, "expires")
    if not isinstance(key, str) or not isinstance(sign, str):
        raise ApiError(10001, "Params Error")
    if until <= exchange.now_ns() // _MS:
        raise ApiError(10002, "request expired")
    account, secret = exchange.account(key), exchange.secret(key)
    if account is None or secret is None:
        raise ApiError(10003, "Invalid apikey")
    expected = signature(secret, f"GET/realtime{until}".encode())
    if not hmac.compare_digest(expected.encode(), sign.encode(errors="replace")):
        raise ApiError(10004, "Invalid sign")
    return key, account


def _whole(value: Any, name: str) -> int:
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ApiError(10001, f"params error: {name} is invalid")
    return int(text)
