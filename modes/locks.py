"""The locks on real orders: what must be said before one is signed, and whose account it is then."""

from collections.abc import Mapping, MutableMapping

from pydantic import SecretStr

from bot.errors import SettingsError
from bot.settings import Settings
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.keys.finding import find_keys
from exchanges.keys.names import PARTS, forget, variable
from exchanges.registry import MAY_BE_WATCHED, order_venues
from modes.hardening import hide_memory


def unlocked_keys(
    settings: Settings, *, flag: bool, environ: MutableMapping[str, str], said: str = "--real-money"
) -> Mapping[str, ApiKeys]:
    """Venue -> the account that orders are sent for; none where they go to the paper venue or to exchanges we start.

    Afterwards no API key stands in `environ`: what is started from here must not inherit one.

    Args:
        settings: Say the market, and `real_money`.
        flag: Whether `--real-money` was given.
        environ: Environment variables of this process.
        said: How the flag is given, for the words of the error.

    Raises:
        SettingsError: If real money was asked for and a lock is closed: one line that names every one of them.
    """
    try:
        if settings.market == "testnet":
            _refuse_real_money(settings, flag=flag, said=said)
        elif not _is_unlocked(settings, flag=flag, said=said):
            return _of_running_simulator(settings, environ)
        hide_memory()
        return find_keys(_traded(settings), settings.market, settings.keys, environ, MAY_BE_WATCHED)
    finally:
        forget(environ)


def _of_running_simulator(settings: Settings, environ: Mapping[str, str]) -> Mapping[str, ApiKeys]:
    """The one key of simulated exchanges that run already; none where the bot starts its own."""
    if settings.market != "simulated" or settings.simulator.address is None:
        return {}
    key, secret = (environ.get(variable("simulated", part), "") for part in PARTS)
    if not key or not secret:
        names = " and ".join(variable("simulated", part) for part in PARTS)
        raise SettingsError(f"simulator.address is set: {names} must hold what --mode simulate printed")
    return dict.fromkeys(order_venues(settings), ApiKeys(key=SecretStr(key), secret=SecretStr(secret)))


def is_real(settings: Settings, keys: Mapping[str, ApiKeys]) -> bool:
    """Whether orders that are sent with `keys` move real money."""
    return bool(keys) and settings.market == "live"


def _is_unlocked(settings: Settings, *, flag: bool, said: str) -> bool:
    """Whether real money is to be traded; where nobody asked for it, it is not."""
    if not (flag or settings.real_money):
        return False
    closed = [
        *([] if settings.market == "live" else [f"the market is {settings.market}: add --market live"]),
        *([] if flag else [f"{said} was not given"]),
        *([] if settings.real_money else ["real_money is not true in the settings"]),
    ]
    if closed:
        raise SettingsError(
            f"real money stays locked: {'; '.join(closed)}; or, for paper money, leave {said} and real_money away"
        )
    return True


def _refuse_real_money(settings: Settings, *, flag: bool, said: str) -> None:
    if flag or settings.real_money:
        word = said if flag else "real_money"
        raise SettingsError(f"the testnet knows no real money: leave {word} away, or use --market live")


def _traded(settings: Settings) -> frozenset[str]:
    named = {venue for venue, feeds in settings.instruments.items() if any(feeds.values())}
    able = order_venues(settings)
    traded = frozenset(named & able)
    if not traded:
        raise SettingsError(f"no venue to trade on: instruments names none of {', '.join(sorted(able))}")
    return traded
