"""What a venue knows an account by."""

import hashlib
import hmac
from typing import Any

from pydantic import BaseModel, ConfigDict, SecretStr

from bot.masking import remember
from exchanges.common.requests.signing_hosts import THIS_MACHINE, SigningHosts


class ApiKeys(BaseModel):
    """An API key and its secret; neither is shown by `str`, `repr` or `model_dump`."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    key: SecretStr
    secret: SecretStr
    hosts: SigningHosts = THIS_MACHINE
    """Where it may be used."""
    is_in_keyring: bool = False
    """Whether it was found there: `--mode kill` asks a keyring, which may hang, for no other."""

    def model_post_init(self, _: Any) -> None:
        """From now on neither is shown by this process, wherever it may turn up."""
        remember(self.key, self.secret)


class Hmac:
    """Signs with one secret, which is hashed in once and not kept as text."""

    def __init__(self, secret: SecretStr) -> None:
        self._keyed = hmac.new(secret.get_secret_value().encode(), digestmod=hashlib.sha256)

    def hex(self, payload: bytes) -> str:
        """HMAC-SHA256 of `payload`, lower-case hex."""
        keyed = self._keyed.copy()
        keyed.update(payload)
        return keyed.hexdigest()
