"""How Binance refuses requests that faults strike: over HTTP, and on the WebSocket API with the same status.

Source: https://developers.binance.com/docs (HTTP return codes, error codes); 451 as clients' issue trackers show it.
"""

import json

from aiohttp import web

from bot.domain.instrument import Segment
from exchanges.simulator.binance.errors import Rejected
from exchanges.simulator.binance.limits import limits_of
from exchanges.simulator.faults.catalogue import FaultKind
from exchanges.simulator.faults.request_fates import Asked, Fate
from exchanges.simulator.faults.request_pages import FIREWALL, page

_SECOND_NS = 1_000_000_000
_RESTRICTED = (
    "Service unavailable from a restricted location according to 'b. Eligibility' in "
    "https://www.binance.com/en/terms. Please contact customer service if you believe you received this message in "
    "error."
)


def response(asked: Asked, fate: Fate, now_ns: int) -> web.Response:
    """The answer over HTTP."""
    if fate.refusal is FaultKind.HTTP_403:
        return page(403, FIREWALL)
    error = refusal(asked, fate, now_ns)
    headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    text = json.dumps(error.body(), separators=(",", ":"))
    return web.Response(status=error.status, text=text, content_type="application/json", headers=headers)


def system_status() -> web.Response:
    """`/sapi/v1/system/status` during maintenance: the one endpoint that stays up."""
    return web.json_response({"status": 1, "msg": "system maintenance"})


def refusal(asked: Asked, fate: Fate, now_ns: int) -> Rejected:
    """The error, without its envelope."""
    match fate.refusal:
        case FaultKind.HTTP_418:
            return Rejected(-1003, _banned(fate, now_ns), status=418, retry_after_s=fate.wait_s)
        case FaultKind.HTTP_429:
            return Rejected(-1003, _too_many(asked), status=429, retry_after_s=fate.wait_s)
        case FaultKind.HTTP_403:
            return Rejected(0, FIREWALL, status=403)
        case FaultKind.HTTP_451:
            return Rejected(0, _RESTRICTED, status=451)
        case FaultKind.HTTP_503 if asked.changes:
            # Of the three forms of 503 the two that say that nothing was executed; this one is told to orders.
            words = "Server is currently overloaded with other requests. Please try again in a few minutes."
            return Rejected(-1008, words, status=503)
    return Rejected(0, "Service Unavailable.", status=503)


def _banned(fate: Fate, now_ns: int) -> str:
    until_ms = (now_ns + fate.wait_s * _SECOND_NS) // 1_000_000
    return (
        f"Way too much request weight used; IP banned until {until_ms}. "
        "Please use WebSocket Streams for live updates to avoid bans."
    )


def _too_many(asked: Asked) -> str:
    rate = limits_of(asked.segment or Segment.SPOT).weight
    return (
        f"Too much request weight used; current limit is {rate.limit} request weight per {rate.number} "
        f"{rate.interval}. Please use WebSocket Streams for live updates to avoid polling the API."
    )
