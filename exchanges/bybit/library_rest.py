"""Signed requests as pybit forms and signs them, handed over instead of sent.

pybit 5.17.0 blocks the loop, stamps with this machine's clock, sends orders again by itself on six codes and sleeps in
between, and lets `requests`' errors out as they are (`tests/integration/test_library_requests.py`). So it stops where
it would send, and `VenueHttp` goes on: to the hosts of the key alone, in time, once.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import requests
from pybit.unified_trading import HTTP
from pydantic import SecretStr

from exchanges.common.requests.formed import Formed

_NO_RETRY = {0}
"""pybit replaces an empty set by codes that it sends again after a sleep."""

_OF_CONNECTIONS = frozenset({"connection", "content-length", "accept-encoding"})
"""What `requests` says of a connection that is not its own."""


class LibraryRest:
    """One key's requests, formed by pybit."""

    def __init__(self, key: SecretStr, secret: SecretStr, now_ms: Callable[[], int]) -> None:
        """`now_ms` is Bybit's time."""
        self._client = _Client(now_ms, api_key=key.get_secret_value(), api_secret=secret.get_secret_value(),
                               max_retries=1, retry_codes=_NO_RETRY)  # fmt: skip
        self._client.client = _Session()

    def formed(self, method: str, url: str, values: Mapping[str, Any], window_ms: int) -> Formed:
        """A signed request, refused by Bybit when it is older than `window_ms` on arrival. Nothing is sent."""
        self._client.recv_window = window_ms
        found: requests.PreparedRequest = self._client._submit_request(method, url, dict(values), True)
        body = found.body.encode() if isinstance(found.body, str) else None
        headers = {name: str(value) for name, value in found.headers.items() if name.lower() not in _OF_CONNECTIONS}
        return Formed(method, str(found.url), headers, body)


class _Client(HTTP):  # type: ignore[misc]  # pybit has no types
    """pybit with the venue's time, and with answers left to others."""

    def __init__(self, now_ms: Callable[[], int], **rest: Any) -> None:
        root = logging.NullHandler()
        logging.root.addHandler(root)  # without a handler there pybit takes one of its own, to the terminal
        try:
            super().__init__(**rest)
        finally:
            logging.root.removeHandler(root)
        self._now_ms = now_ms

    def _prepare_headers(self, payload: str, recv_window: int, content_type: str = "application/json") -> Any:
        stamp = self._now_ms()
        return {
            "Content-Type": content_type,
            "X-BAPI-API-KEY": self.api_key,
            "X-BAPI-SIGN": self._auth(payload=payload, recv_window=recv_window, timestamp=stamp),
            "X-BAPI-SIGN-TYPE": "2",
            "X-BAPI-TIMESTAMP": str(stamp),
            "X-BAPI-RECV-WINDOW": str(recv_window),
        }

    def _check_status_code(self, *_: Any) -> None:
        """There is no answer yet."""

    def _handle_response(self, response: Any, *_: Any) -> Any:
        return response


class _Session:
    """Stands where `requests`' would: what is to be sent is given back."""

    def __init__(self) -> None:
        self._forming = requests.Session()
        self._forming.trust_env = False  # no proxy and no netrc from the environment

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        return self._forming.prepare_request(request)

    def send(self, request: requests.PreparedRequest, timeout: float) -> requests.PreparedRequest:
        return request
