"""The one place that imports python-binance: it takes the better part of a second, so import this module late."""

import warnings

with warnings.catch_warnings():
    # It imports a class that websockets has deprecated and that is not used here.
    warnings.simplefilter("ignore", DeprecationWarning)
    from binance import AsyncClient
    from binance.exceptions import BinanceAPIException, BinanceRequestException

__all__ = ["AsyncClient", "BinanceAPIException", "BinanceRequestException"]
