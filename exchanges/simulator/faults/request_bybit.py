"""How Bybit refuses requests that faults strike: over HTTP, and on the trade socket by codes of its own.

Source: https://bybit-exchange.github.io/docs/v5/error, https://bybit-exchange.github.io/docs/v5/rate-limit,
https://bybit-exchange.github.io/docs/v5/system-status.
"""

from aiohttp import web

from exchanges.simulator.bybit.errors import ApiError
from exchanges.simulator.bybit.limits import Allowance, RateExceeded
from exchanges.simulator.bybit.wire import envelope
from exchanges.simulator.faults.catalogue import FaultKind
from exchanges.simulator.faults.request_fates import Asked, Fate
from exchanges.simulator.faults.request_pages import COUNTRY, FIREWALL, page

_MS = 1_000_000
_ORDERS_A_SECOND = 10
_BANNED = "access too frequent, please try again later"
_RESTARTING = ApiError(10016, "Service is restarting")
_BUSY = ApiError(
    429, "The trading service is experiencing a high server load. Please retry if you encounter this issue."
)
_ON_SOCKET = {
    FaultKind.HTTP_418: (10403, "Exceeded the IP rate limit"),
    FaultKind.HTTP_403: (10403, "Exceeded the IP rate limit"),
    FaultKind.HTTP_451: (10024, "Compliance rules triggered"),
    FaultKind.HTTP_503: (10019, "ws trade service is restarting, do not accept new request"),
    FaultKind.MAINTENANCE: (10016, "Service is restarting"),
}


def response(asked: Asked, fate: Fate, now_ns: int) -> web.Response:
    """The answer over HTTP: mostly an envelope with status 200."""
    match fate.refusal:
        case FaultKind.HTTP_418:
            return web.Response(status=403, text=_BANNED)
        case FaultKind.HTTP_403:
            return page(403, FIREWALL)
        case FaultKind.HTTP_451:
            # Bybit knows no 451: it is its content network that refuses the country.
            return page(403, COUNTRY)
        case FaultKind.HTTP_429:
            error = _too_many(fate, now_ns)
            return _enveloped(error, now_ns, error.allowance.headers())
        case FaultKind.MAINTENANCE:
            return _enveloped(_RESTARTING, now_ns)
    # To orders Bybit says itself that they were not taken; other requests do not get so far.
    return _enveloped(_BUSY, now_ns) if asked.changes else page(503, "Service Unavailable")


def socket_error(fate: Fate, now_ns: int) -> ApiError:
    """The answer on the trade socket."""
    assert fate.refusal is not None
    if fate.refusal is FaultKind.HTTP_429:
        return _too_many(fate, now_ns)
    return ApiError(*_ON_SOCKET[fate.refusal])


def system_status(maintenance: tuple[int, int], now_ns: int) -> web.Response:
    """`/v5/system/status` during maintenance, the one endpoint that stays up; begin and expected end are UTC ns."""
    begin_ns, end_ns = maintenance
    row = {
        "id": f"sim-{begin_ns // _MS}",
        "title": "System maintenance",
        "state": "ongoing",
        "begin": str(begin_ns // _MS),
        "end": str(end_ns // _MS),
        "href": "",
        "serviceTypes": [1, 2, 3, 4, 5],
        "product": [1, 2],
        "uidSuffix": [],
        "maintainType": 3,
        "env": 1,
    }
    return _json(envelope({"list": [row]}, now_ns // _MS, message=""))


def _too_many(fate: Fate, now_ns: int) -> RateExceeded:
    return RateExceeded(Allowance(_ORDERS_A_SECOND, 0, now_ns // _MS + fate.wait_s * 1_000))


def _enveloped(error: ApiError, now_ns: int, headers: dict[str, str] | None = None) -> web.Response:
    return _json(envelope(None, now_ns // _MS, code=error.code, message=error.message), headers)


def _json(text: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(text=text, content_type="application/json", headers=headers)
