"""From the net edge that the decisions to open promised to the profit: which costs came to more than was priced.

A decision prices every cost by name, in bps of its buy notional (`bot.pricing`). On `N`, what was opened on both sides
at its buy price (of a chain: what left home), it promised

    expected = N × (gross edge − Σ priced costs)

A bridge (`postmortem.bridge`) says what each kind of cost came to in the end. That, less what it was priced at, is a
cause, positive where it cost more:

    price         slippage and drift, against adverse moves and late hedges
    leaving       what the gross edge was on `N` less what came of both decisions' prices, against depth and exit basis:
                  the gross edge is that of the best prices, a decision's prices are what its quantity gets on average
    fees          those in tokens too, against fees and their discounts
    funding       paid, against funding
    transfers     what they kept, against withdrawal fees
    revaluation   what rests have lost since, against what whole lots leave over on a chain's way
    set_aside     nothing, against what no pair pays by itself: rebalancing, conversion, the risk of a transfer, ...

    expected − profit = Σ causes

`profit` is the bridge's, from the cash. `residual` is what this does not explain and is exactly 0.
"""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from postmortem.bodies import Expected
from postmortem.bridge import Bridge
from postmortem.exact import ZERO, Money, exact, from_float, total

_KINDS = {
    "adverse move": "price", "late hedge": "price", "depth": "leaving", "exit basis": "leaving", "fee": "fees",
    "funding": "funding", "withdrawal fee": "transfers", "rounding": "revaluation",
}  # fmt: skip
"""By how the name of a cost begins; all others are set aside."""
CAUSES = ("price", "leaving", "fees", "funding", "transfers", "revaluation", "set_aside")


class NetEdge(BaseModel):
    """All in quote units; a cause is positive where it cost more than it was priced at."""

    model_config = ConfigDict(frozen=True)

    expected: Money = ZERO
    price: Money = ZERO
    leaving: Money = ZERO
    fees: Money = ZERO
    funding: Money = ZERO
    transfers: Money = ZERO
    revaluation: Money = ZERO
    set_aside: Money = ZERO
    profit: Money = ZERO
    residual: Money = ZERO
    """`expected` less `profit` less the causes: exactly 0."""


def net_edge(promised: Expected, notional: Decimal, bridge: Bridge) -> NetEdge | None:
    """What became of one pair's or chain's net edge; None where its decision recorded no edge.

    Args:
        promised: What the decision to open expected.
        notional: `N`, quote units.
        bridge: What came of it.
    """
    if promised.gross_bps is None:
        return None
    with exact():
        gross = (notional * from_float(promised.gross_bps)).scaleb(-4)
        priced: defaultdict[str, Decimal] = defaultdict(Decimal)
        for cost in promised.costs:
            priced[_kind(cost.name)] += (notional * from_float(cost.bps or 0.0)).scaleb(-4)
        came_to = {
            "price": bridge.slippage + bridge.drift,
            "leaving": gross - bridge.expected_gross,
            "fees": bridge.fees + bridge.token_fees,
            "funding": -bridge.funding,
            "transfers": bridge.transfers,
            "revaluation": -bridge.revaluation,
            "set_aside": ZERO,
        }
        causes = {name: amount - priced[name] for name, amount in came_to.items()}
        expected = gross - total(priced.values())
        residual = expected - bridge.profit - total(causes.values())
        return NetEdge(expected=expected, **causes, profit=bridge.profit, residual=residual)


def add_net_edges(parts: Iterable[NetEdge | None]) -> NetEdge:
    """Line by line; those that recorded none are left out."""
    found = [part for part in parts if part is not None]
    with exact():
        return NetEdge(**{name: total(getattr(part, name) for part in found) for name in NetEdge.model_fields})


def _kind(name: str) -> str:
    return next((kind for begins, kind in _KINDS.items() if name.startswith(begins)), "set_aside")
