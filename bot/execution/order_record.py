"""Orders and costs as the journal keeps them: what `model_dump(mode="json")` gives, in a third of the time.

They are written down between a decision and its orders. What an instrument says of itself is put into words once.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from bot.domain.instrument import Instrument
from bot.domain.order import Order
from bot.domain.route import Cost

_MOST = 1_000
_words: dict[int, tuple[Instrument, Mapping[str, Any]]] = {}
"""By identity: the hash of an instrument is made of all its fields. It is kept, so that its id is no other's."""


def order_record(order: Order, pair_id: str, leg_name: str, expected: Decimal) -> dict[str, Any]:
    """The body of a record: the order, its pair, its leg, and the price expected at the decision."""
    price, average = order.price, order.average_price
    return {
        "client_order_id": order.client_order_id,
        "instrument": instrument_record(order.instrument),
        "side": order.side.value,
        "type": order.type.value,
        "time_in_force": order.time_in_force.value,
        "quantity": str(order.quantity),
        "price": None if price is None else str(price),
        "reduce_only": order.reduce_only,
        "status": order.status.value,
        "filled_quantity": str(order.filled_quantity),
        "average_price": None if average is None else str(average),
        "venue_order_id": order.venue_order_id,
        "reason": order.reason,
        "ts_decision_ns": order.ts_decision_ns,
        "ts_sent_ns": order.ts_sent_ns,
        "ts_final_ns": order.ts_final_ns,
        "pair": pair_id,
        "leg": leg_name,
        "expected_price": str(expected),
    }


def cost_record(cost: Cost) -> dict[str, Any]:
    """A cost of a route."""
    return {"name": cost.name, "bps": cost.bps, "assumed": cost.assumed}


def instrument_record(instrument: Instrument) -> Mapping[str, Any]:
    """What `model_dump(mode="json")` gives; not to be changed."""
    found = _words.get(id(instrument))
    if found is None:
        if len(_words) >= _MOST:
            _words.clear()
        found = _words[id(instrument)] = instrument, instrument.model_dump(mode="json")
    return found[1]
