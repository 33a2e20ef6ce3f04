"""Orders and costs as the journal keeps them: what `model_dump(mode="json")` gives.

Orders are written down between a decision and their sending, and are put into words by hand for that. What an
instrument says of itself is put into words once.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from bot.domain.instrument import Instrument
from bot.domain.order import Order
from bot.domain.route import Cost
from bot.execution.spelling import decimal_or_null, text, text_or_null, truth, whole_or_null
from bot.ports import Spelled

_MOST = 1_000
_words: dict[int, tuple[Instrument, str]] = {}
"""By identity: the hash of an instrument is made of all its fields. It is kept, so that its id is no other's."""


def order_record(order: Order, pair_id: str, leg_name: str, expected: Decimal) -> Spelled:
    """The body of a record: the order, its pair, its leg, and the price expected at the decision."""
    return Spelled(
        f'{{"client_order_id":{text(order.client_order_id)},"instrument":{_instrument(order.instrument)},'
        f'"side":"{order.side}","type":"{order.type}","time_in_force":"{order.time_in_force}",'
        f'"quantity":"{order.quantity}","price":{decimal_or_null(order.price)},'
        f'"reduce_only":{truth(order.reduce_only)},"status":"{order.status}",'
        f'"filled_quantity":"{order.filled_quantity}","average_price":{decimal_or_null(order.average_price)},'
        f'"venue_order_id":{text_or_null(order.venue_order_id)},"reason":{text_or_null(order.reason)},'
        f'"ts_decision_ns":{order.ts_decision_ns},"ts_sent_ns":{whole_or_null(order.ts_sent_ns)},'
        f'"ts_final_ns":{whole_or_null(order.ts_final_ns)},'
        f'"pair":{text(pair_id)},"leg":{text(leg_name)},"expected_price":"{expected}"}}'
    )


def cost_record(cost: Cost) -> Mapping[str, Any]:
    """A cost of a route."""
    return {"name": cost.name, "bps": cost.bps, "assumed": cost.assumed}


def _instrument(instrument: Instrument) -> str:
    found = _words.get(id(instrument))
    if found is None:
        if len(_words) >= _MOST:
            _words.clear()
        words = json.dumps(instrument.model_dump(mode="json"), separators=(",", ":"))
        found = _words[id(instrument)] = instrument, words
    return found[1]
