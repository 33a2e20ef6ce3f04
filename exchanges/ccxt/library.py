"""The one place that imports ccxt: it takes seconds to load and changes aiohttp, so import this module late."""

import importlib
import logging
import warnings
from typing import Any

from bot.errors import SettingsError


def exchange_class(venue: str) -> Any:
    """ccxt's asynchronous class of a venue.

    Raises:
        SettingsError: If ccxt is not installed, or does not know the venue.
    """
    _imported("ccxt.async_support.base.exchange", venue)
    # With its logger at DEBUG, ccxt writes every request with its signature and keys.
    logging.getLogger("ccxt").setLevel(logging.WARNING)
    return getattr(_imported(f"ccxt.async_support.{venue}", venue), venue)


def error_class(name: str) -> type[Exception]:
    """ccxt's error of this name; it is loaded already where one was raised."""
    found: type[Exception] = getattr(importlib.import_module("ccxt.base.errors"), name)
    return found


def _imported(name: str, venue: str) -> Any:
    try:
        with warnings.catch_warnings():
            # ccxt and what it pins use calls that their own dependencies have deprecated.
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{venue} is read through ccxt, which is not installed ({error.name} is missing): "
            f"pip install ccxt, or take {venue} out of instruments"
        ) from None
