"""The API keys that orders are signed with, found where they are kept and bound to the hosts that they are for."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from pydantic import SecretStr

from bot.errors import SettingsError
from bot.settings.keys import KeySettings
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.keys.names import PARTS, account_name, variable
from exchanges.keys.sources import Environment, KeyFile, Keyring, KeySource
from exchanges.signing import signing_hosts


def find_keys(
    venues: Iterable[str],
    market: str,
    settings: KeySettings,
    environ: Mapping[str, str],
    optional: Collection[str] = (),
) -> dict[str, ApiKeys]:
    """Venue -> the account's key for `market`, usable at the hosts of that market alone.

    Args:
        venues: That orders are sent to.
        market: `live` or `testnet`: each has keys of its own.
        settings: Where to look.
        environ: Environment variables.
        optional: Of the venues: those that are left out where they have none, as long as another has one.

    Raises:
        SettingsError: If one of the others has none, or half of one, or a file of keys can be read by others: one line
            that says where keys are looked for, and nothing of a key.
    """
    sources = key_sources(settings, environ)
    found: dict[str, ApiKeys] = {}
    missing: list[str] = []
    for venue in sorted(venues):
        pair = _pair(account_name(venue, market), sources)
        if pair is None:
            missing.append(account_name(venue, market))
        else:
            key, secret, source = pair
            hosts, is_in_keyring = signing_hosts(market, venue), isinstance(source, Keyring)
            found[venue] = ApiKeys(key=key, secret=secret, hosts=hosts, is_in_keyring=is_in_keyring)
    if missing and (not found or not set(missing) <= set(optional)):
        raise SettingsError(_nowhere(missing, sources))
    return found


def key_sources(settings: KeySettings, environ: Mapping[str, str]) -> Sequence[KeySource]:
    """The first that has an account's key gives its secret too."""
    ring: list[KeySource] = [Keyring()] if settings.keyring else []
    file: list[KeySource] = [] if settings.file is None else [KeyFile(settings.file)]
    return [*ring, *file, Environment(environ)]


def _pair(account: str, sources: Sequence[KeySource]) -> tuple[SecretStr, SecretStr, KeySource] | None:
    for source in sources:
        key, secret = (source.find(account, part) for part in PARTS)
        if key is not None and secret is not None:
            return _clean(account, source, key), _clean(account, source, secret), source
        if key is not None or secret is not None:
            half = PARTS[0] if secret is None else PARTS[1]
            raise SettingsError(f"{source.words} has the {half} of {account} and not the other half: put both there")
    return None


def _clean(account: str, source: KeySource, secret: SecretStr) -> SecretStr:
    """Without the line break that editors and `echo` leave behind.

    Raises:
        SettingsError: If it can be no key: what it holds would end up in a header as it is.
    """
    text = secret.get_secret_value().strip()
    if len(text) < 8 or not text.isascii() or not text.isprintable() or " " in text:
        raise SettingsError(f"{source.words}: what is kept of {account} is no API key; put it there anew")
    return SecretStr(text)


def _nowhere(accounts: Sequence[str], sources: Sequence[KeySource]) -> str:
    first = accounts[0]
    looked = ", ".join(source.words for source in sources)
    return (
        f"no API keys for {' and '.join(accounts)}; looked into {looked}. Set {variable(first, 'key')} and "
        f"{variable(first, 'secret')}, or run `python -m keyring set crypto-pipe {first}.key` and the same for "
        f"{first}.secret; or leave the venue out of instruments"
    )
