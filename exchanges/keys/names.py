"""What a key is called in each of the places where it may be kept."""

import re
from collections.abc import MutableMapping

SERVICE = "crypto-pipe"
"""In the keyring: `python -m keyring set crypto-pipe binance.key`."""
PARTS = ("key", "secret")
_VARIABLE = re.compile(r"CRYPTO_PIPE_[A-Z0-9]+(_TESTNET)?_(KEY|SECRET)")


def account_name(venue: str, market: str) -> str:
    """`binance`, or `binance.testnet`: a key of one system is none of the other."""
    return f"{venue}.testnet" if market == "testnet" else venue


def variable(account: str, part: str) -> str:
    """`CRYPTO_PIPE_BINANCE_TESTNET_KEY`."""
    return f"CRYPTO_PIPE_{account.replace('.', '_')}_{part}".upper()


def forget(environ: MutableMapping[str, str]) -> None:
    """Take every API key out of the environment, so that no program that is started from here inherits one."""
    for name in [name for name in environ if _VARIABLE.fullmatch(name)]:
        del environ[name]
