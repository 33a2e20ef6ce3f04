"""ccxt's orders and trades as ours. Numbers come as text; one that is missing is an error, never 0."""

from decimal import Decimal, InvalidOperation
from typing import Any

from bot.domain.instrument import Instrument
from bot.domain.order import Fill, OrderStatus, Side, TimeInForce
from bot.errors import VenueUnavailable
from exchanges.ccxt.dialect import Row
from exchanges.common.account.order_desk import OrderReport

_MS = 1_000_000
_ENDED = {
    "closed": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELLED,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
}


def report_of(venue: str, client_order_id: str, row: Row, lifetime: TimeInForce | None = None) -> OrderReport:
    """What an order's row says.

    Args:
        venue: For errors.
        client_order_id: Ours.
        row: ccxt's.
        lifetime: Of the order, where it is known: what is left of one that must trade at once is EXPIRED.

    Raises:
        VenueUnavailable: It is not understood.
    """
    filled = number(venue, row.get("filled"), "what an order has filled")
    status = _ENDED.get(str(row.get("status")))
    if status is None and row.get("status") != "open":
        raise VenueUnavailable(venue, "tells a state of an order that is not understood")
    if status is OrderStatus.CANCELLED and lifetime is TimeInForce.IOC:
        status = OrderStatus.EXPIRED
    if status is None:
        status = OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.SENT
    return OrderReport(client_order_id, status, filled, _text(row.get("id")), _reason(row, status))


def fill_of(venue: str, instrument: Instrument, client_order_id: str, row: Row) -> Fill:
    """One trade.

    Raises:
        VenueUnavailable: It is not understood.
    """
    fee = row.get("fee") or {}
    asset, name, side = fee.get("currency"), _text(row.get("id")), row.get("side")
    if not asset or not name or side not in ("buy", "sell") or not isinstance(row.get("timestamp"), int):
        raise VenueUnavailable(venue, "tells a trade that is not understood")
    price, quantity = (number(venue, row.get(name), f"the {name} of a trade") for name in ("price", "amount"))
    if price <= 0 or quantity <= 0:
        raise VenueUnavailable(venue, "tells a trade of nothing, or for nothing")
    return Fill(
        fill_id=name,
        client_order_id=client_order_id,
        instrument=instrument,
        side=Side(side),
        price=price,
        quantity=quantity,
        fee=number(venue, fee.get("cost"), "the fee of a trade"),
        fee_asset=asset,
        is_maker=row.get("takerOrMaker") == "maker",
        ts_event_ns=row["timestamp"] * _MS,
    )


def number(venue: str, value: Any, what: str) -> Decimal:
    """A finite number, exactly as it was printed.

    Raises:
        VenueUnavailable: It is none; `what` names it.
    """
    try:
        found = Decimal(value) if isinstance(value, str) else Decimal(str(value)) if type(value) is int else None
    except InvalidOperation:
        found = None
    if found is None or not found.is_finite():
        raise VenueUnavailable(venue, f"{what} is missing or not understood")
    return found


def _reason(row: Row, status: OrderStatus) -> str | None:
    if not status.is_terminal or status is OrderStatus.FILLED:
        return None
    info = row.get("info")
    said = info.get("reason") if isinstance(info, dict) else None
    return str(said or row.get("status"))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
