"""Who a private request is from: key, signature, and a number that grows from request to request.

Source: https://docs.kraken.com/api/docs/guides/spot-rest-auth.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl

from exchanges.simulator.core.ports import Account, Exchange
from exchanges.simulator.kraken.errors import ApiError

_MOST_PARAMETERS = 100


class Signatures:
    """Of one exchange; remembers the last number of every key."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._nonces: dict[str, int] = {}

    def account(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[str, Account, dict[str, str]]:
        """Key, account and parameters of a request.

        Raises:
            ApiError: Why it is nobody's.
        """
        values = _parameters(body)
        nonce, key = values.pop("nonce", ""), headers.get("API-Key", "")
        account, secret = self._exchange.account(key), self._exchange.secret(key)
        if account is None or secret is None:
            raise ApiError("EAPI:Invalid key")
        if not hmac.compare_digest(signature(secret, path, nonce, body), headers.get("API-Sign", "")):
            raise ApiError("EAPI:Invalid signature")
        if not (nonce.isascii() and nonce.isdigit()) or int(nonce) <= self._nonces.get(key, -1):
            raise ApiError("EAPI:Invalid nonce")
        self._nonces[key] = int(nonce)
        return key, account, values


def signature(secret: str, path: str, nonce: str, body: bytes) -> str:
    """Base64 of an HMAC-SHA512 over the path and a digest of number and body."""
    try:
        key = base64.b64decode(secret)
    except (binascii.Error, ValueError):
        key = secret.encode()
    digest = hashlib.sha256(nonce.encode() + body).digest()
    return base64.b64encode(hmac.new(key, path.encode() + digest, hashlib.sha512).digest()).decode()


def _parameters(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_PARAMETERS))
    except ValueError:
        raise ApiError("EGeneral:Invalid arguments") from None
