"""A ccxt client behind a door: one host, reading requests, no redirects, no proxies, exact numbers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import aiohttp

from bot.clock import SystemClock
from bot.errors import Banned, GeoBlocked, InvariantError, RateLimited, VenueError, VenueUnavailable
from exchanges.ccxt.door import Door
from exchanges.ccxt.library import exchange_class
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.common.requests.request_pool import Lane, Rate

_PATIENCE_MS = 10_000
_REQUESTS = "requests"
_RATES = {"kraken": Rate(_REQUESTS, 15, 45.0), "coinbase": Rate(_REQUESTS, 10, 1.0)}
"""Kraken's counter of 15 that goes down by one in three seconds; Coinbase's ten public requests a second. ccxt's own
pace knows neither Retry-After nor a ban, and is switched off."""
_BY_STATUS: dict[int, type[VenueError]] = {418: Banned, 429: RateLimited, 451: GeoBlocked}


@asynccontextmanager
async def opened(venue: str, base_url: str, keys: ApiKeys | None = None) -> AsyncIterator[Any]:
    """ccxt's client of a venue, closed at the end of the block. Numbers are text, digits as the venue printed them.

    Args:
        venue: ccxt's name, which is ours.
        base_url: The venue's own, or one on this machine; without a slash at the end.
        keys: To read the account; None for public facts.

    Raises:
        SettingsError: If the base URL is anything else, or ccxt is not installed.
    """
    door = Door.of(venue, base_url)
    budget = RequestBudget(venue, (_RATES[venue],), SystemClock())
    # In a thread: ccxt takes seconds to load, in which the answers of other venues would come too late.
    client = _guarded(await asyncio.to_thread(exchange_class, venue), door, budget)
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, trace_configs=[_no_redirects(venue)]
    ) as session:
        exchange = client(_config(keys) | {"session": session})
        exchange.urls["api"] = dict.fromkeys(exchange.urls["api"], base_url)
        # Text keeps every digit. Decimal would too, and crashes Kraken's markets: ccxt reads no Decimal back.
        exchange.number = str
        # Kraken's assets matter (a lot may not be finer than its asset); Coinbase's come from two more interfaces.
        exchange.has["fetchCurrencies"] = venue == "kraken"
        try:
            yield exchange
        finally:
            await exchange.close()


def _config(keys: ApiKeys | None) -> dict[str, Any]:
    secrets = {} if keys is None else {"apiKey": keys.key.get_secret_value(), "secret": keys.secret.get_secret_value()}
    # Coinbase's balances would come from its older interface, which does not tell what orders hold.
    options = {"fetchBalance": "v3PrivateGetBrokerageAccounts"}
    limits = {"enableRateLimit": False, "timeout": _PATIENCE_MS, "aiohttp_trust_env": False}
    return {**limits, "options": options, **secrets}


def _guarded(exchange: Any, door: Door, budget: RequestBudget) -> Any:
    """ccxt's class, asking door and budget before anything is sent, and telling by status why an answer is none."""

    class Guarded(exchange):  # type: ignore[misc]
        async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            door.check(method, url)
            ticket = await budget.acquire({_REQUESTS: 1}, Lane.READ)
            try:
                return await super().fetch(url, method, headers, body)
            finally:
                ticket.settle()

        def handle_errors(self, code: int, reason: str, *args: Any) -> Any:
            if code in _BY_STATUS:
                refusal = _BY_STATUS[code](door.venue, f"refuses with HTTP {code}", retry_after_s=_wait_s(args))
                budget.bans.sit_out(refusal)
                raise refusal
            if code >= 500:
                raise VenueUnavailable(door.venue, f"answers with HTTP {code}")
            return super().handle_errors(code, reason, *args)

        def check_proxy_settings(self, *args: Any) -> Any:
            proxies = super().check_proxy_settings(*args)
            if any(proxies):
                raise InvariantError(f"{door.venue}: ccxt was about to use a proxy; nothing was sent")
            return proxies

        def __repr__(self) -> str:
            return f"<ccxt {door.venue}>"  # its attributes hold the key and the secret

    return Guarded


def _wait_s(args: tuple[Any, ...]) -> float | None:
    """`Retry-After` out of what ccxt hands to `handle_errors`: URL, method, headers, ..."""
    headers = args[2] if len(args) > 2 and isinstance(args[2], dict) else {}
    text = str(next((value for name, value in headers.items() if name.lower() == "retry-after"), ""))
    return float(text) if text.isascii() and text.isdigit() else None


def _no_redirects(venue: str) -> aiohttp.TraceConfig:
    """ccxt lets aiohttp follow redirects, and a signed request would follow to wherever."""

    async def refuse(*_: aiohttp.ClientSession | SimpleNamespace | object) -> None:
        raise VenueUnavailable(venue, "answers with a redirect, which is not followed")

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(refuse)
    return trace
