"""A ccxt client behind a door: one host, known requests, a budget, no redirects, no proxies, no retries, exact numbers.

What is raised never holds ccxt's own words: they hold the whole URL, and with it keys and signatures.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import aiohttp

from bot.clock import SystemClock
from bot.errors import Banned, ClockSkew, GeoBlocked, InvariantError, RateLimited, VenueError, VenueUnavailable
from exchanges.ccxt.door import Door
from exchanges.ccxt.library import error_class, exchange_class
from exchanges.ccxt.wire import Manners, lane, of_network
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.refusals import ServerFault
from exchanges.common.requests.request_budget import Cost, RequestBudget
from exchanges.common.requests.request_pool import Rate
from exchanges.common.requests.retry_after import seconds_of

_PATIENCE_MS = 10_000
_REQUESTS = "requests"
_RATES = {"kraken": Rate(_REQUESTS, 15, 45.0), "coinbase": Rate(_REQUESTS, 10, 1.0)}
"""Kraken's counter of 15 that goes down by one in three seconds; Coinbase's ten public requests a second. ccxt's own
pace knows neither Retry-After nor a ban, and is switched off."""
_BY_STATUS: dict[int, type[VenueError]] = {418: Banned, 429: RateLimited, 451: GeoBlocked}


@asynccontextmanager
async def opened(
    venue: str,
    base_url: str,
    keys: ApiKeys | None = None,
    manners: Manners | None = None,
    *,
    may_trade: bool = False,
) -> AsyncIterator[Any]:
    """ccxt's client of a venue, closed at the end of the block. Numbers are text, digits as the venue printed them.

    Args:
        venue: ccxt's name, which is ours.
        base_url: The venue's own, or one on this machine; without a slash at the end.
        keys: To read the account; None for public facts.
        manners: Of the venue; None: it is asked by a budget of its own, and its errors are told as ccxt has them.
        may_trade: Whether orders and cancels are let out too.

    Raises:
        SettingsError: If the base URL is anything else, the key must not be used there, or ccxt is not installed.
    """
    door = Door.of(venue, base_url, may_trade=may_trade)
    if keys is not None:
        keys.hosts.require(base_url)
    # In a thread: ccxt takes seconds to load, in which the answers of other venues would come too late.
    client = _guarded(await asyncio.to_thread(exchange_class, venue), door, manners or _reading(venue))
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


def _reading(venue: str) -> Manners:
    return Manners(RequestBudget(venue, (_RATES[venue],), SystemClock()), lambda name: {_REQUESTS: 1})


def _config(keys: ApiKeys | None) -> dict[str, Any]:
    secrets = {} if keys is None else {"apiKey": keys.key.get_secret_value(), "secret": keys.secret.get_secret_value()}
    # Coinbase's balances would come from its older interface, which does not tell what orders hold. ccxt itself sends
    # a request again where it is told to: an order must not be.
    options = {"fetchBalance": "v3PrivateGetBrokerageAccounts", "maxRetriesOnFailure": 0}
    limits = {"enableRateLimit": False, "timeout": _PATIENCE_MS, "aiohttp_trust_env": False}
    return {**limits, "options": options, **secrets}


def _guarded(exchange: Any, door: Door, manners: Manners) -> Any:
    """ccxt's class, asking door and budget before anything is sent, and telling by status and code what came of it."""
    budget = manners.budget

    class Guarded(exchange):  # type: ignore[misc]  # ccxt is loaded late, and has no types
        async def fetch2(
            self, path: str, api: str | Sequence[str] = "public", method: str = "GET", params: Any = None,
            *args: Any, **more: Any,
        ) -> Any:  # fmt: skip
            name = "/".join([*([api] if isinstance(api, str) else api), path])
            cost, send = manners.cost(name), super().fetch2

            def ask() -> Awaitable[Any]:
                sent: Awaitable[Any] = send(
                    path, api, method, {**(params or {}), **manners.besides(name)}, *args, **more
                )
                return sent

            try:
                return await self._paid(name, cost, ask)
            except ClockSkew:
                if name in manners.once:
                    raise
                # Turned away unread: one that was signed later has come first, over another connection, by another
                # client of the key, or from kill mode. Numbers have grown since.
                return await self._paid(name, cost, ask)

        async def _paid(self, name: str, cost: Cost, ask: Callable[[], Awaitable[Any]]) -> Any:
            """Signed after the wait for the budget, so that who did not have to wait has no higher number."""
            ticket = await budget.acquire(cost, lane(), manners.patience_s.get(name))
            try:
                async with manners.turn(name, lane()):
                    answer = await ask()
            except VenueError as refusal:
                budget.heed(refusal, cost)
                raise
            finally:
                ticket.settle()
            budget.bans.answered()
            return answer

        async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            door.check(method, url)
            try:
                return await super().fetch(url, method, headers, body)
            except error_class("NetworkError") as error:
                if error.__cause__ is None:
                    raise  # an answer, and no trouble of the network's: `translated` knows its class
                raise of_network(door.venue, error) from None

        def handle_errors(self, code: int, *args: Any) -> Any:
            refusal = _refusal(door.venue, manners, code, args[2:])
            if refusal is not None:
                raise refusal
            return super().handle_errors(code, *args)

        def check_proxy_settings(self, *args: Any) -> Any:
            proxies = super().check_proxy_settings(*args)
            if any(proxies):
                raise InvariantError(f"{door.venue}: ccxt was about to use a proxy; nothing was sent")
            return proxies

        def __repr__(self) -> str:
            return f"<ccxt {door.venue}>"  # its attributes hold the key and the secret

    return Guarded


def _refusal(venue: str, manners: Manners, status: int, args: tuple[Any, ...]) -> VenueError | None:
    """What an answer says is wrong, by status and the venue's code; `args`: method, headers, body, JSON, ..."""
    if status in _BY_STATUS:
        return _BY_STATUS[status](venue, f"refuses with HTTP {status}", retry_after_s=_wait_s(args))
    if status >= 500 or status == 408:
        return ServerFault(venue, f"answers with HTTP {status}")
    return manners.complaint(status, args[3] if len(args) > 3 else None)


def _wait_s(args: tuple[Any, ...]) -> float | None:
    """`Retry-After` out of what ccxt hands to `handle_errors`: method, headers, body, ..."""
    headers = args[1] if len(args) > 1 and isinstance(args[1], dict) else {}
    text = str(next((value for name, value in headers.items() if name.lower() == "retry-after"), ""))
    return seconds_of(text)


def _no_redirects(venue: str) -> aiohttp.TraceConfig:
    """ccxt lets aiohttp follow redirects, and a signed request would follow to wherever."""

    async def refuse(*_: aiohttp.ClientSession | SimpleNamespace | object) -> None:
        raise VenueUnavailable(venue, "answers with a redirect, which is not followed")

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(refuse)
    return trace
