"""A pair as the journal keeps it, in words at once: it is written down between a decision and its orders.

What does not change from pair to pair of a route is put into words once.
"""

import json
from collections.abc import Iterable

from bot.domain.order import Side
from bot.domain.route import Cost, Route
from bot.execution.leg_words import words
from bot.execution.pair import Pair
from bot.execution.spelling import number, text, text_or_null, truth, whole_or_null
from bot.ports import Spelled

_MOST = 1_000
_routes: dict[int, tuple[Route, str]] = {}
"""By identity, as instruments: a route is kept, so that its id is no other's."""


def pair_record(pair: Pair) -> Spelled:
    """The body of a record of kind `pair`."""
    opportunity, buy, sell = pair.opportunity, pair.buy.instrument, pair.sell.instrument
    quantity = opportunity.quantity
    exits = pair.exit_expected
    exit_expected = "null" if exits is None else f'{{"buy_price":"{exits[0]}","sell_price":"{exits[1]}"}}'
    unhedged = json.dumps([one.record() for one in pair.episodes], separators=(",", ":")) if pair.episodes else "[]"
    return Spelled(
        f'{{"pair":{text(pair.id)},{_of(opportunity.route)},"state":"{pair.state}","quantity":"{quantity}",'
        f'"base_asset":{text(buy.base)},"quote_asset":{text(buy.quote)},'
        f'"buy":{text(buy.id)},"sell":{text(sell.id)},"expected":{{"quantity":"{quantity}",'
        f'"buy_price":"{pair.expected(Side.BUY)}","sell_price":"{pair.expected(Side.SELL)}",'
        f'"gross_bps":{number(opportunity.gross_edge_bps)},"needed_bps":{number(opportunity.needed_bps)},'
        f'"net_bps":{number(opportunity.net_edge_bps)},"costs":[{_costs(opportunity.costs)}]}},'
        f'"exit_expected":{exit_expected},"close_reason":{text_or_null(pair.close_reason)},'
        f'"held":{{"buy":"{pair.held_by(Side.BUY)}","sell":"{pair.held_by(Side.SELL)}"}},'
        f'"carried":{{"buy":"{pair.buy.carried}","sell":"{pair.sell.carried}"}},'
        f'"unhedged":{unhedged},"ts_open_ns":{pair.opened_ns},'
        f'"ts_close_ns":{whole_or_null(pair.closed_ns)}}}'
    )


def _of(route: Route) -> str:
    found = _routes.get(id(route))
    if found is None:
        if len(_routes) >= _MOST:
            _routes.clear()
        legs = json.dumps([words(leg) for leg in route.legs], separators=(",", ":"))
        found = _routes[id(route)] = route, f'"route":{text(route.id)},"kind":{text(route.kind)},"legs":{legs}'
    return found[1]


def _costs(costs: Iterable[Cost]) -> str:
    return ",".join(map(_cost, costs))


def _cost(cost: Cost) -> str:
    return f'{{"name":{text(cost.name)},"bps":{number(cost.bps)},"assumed":{truth(cost.assumed)}}}'
