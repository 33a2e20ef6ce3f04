"""The bridge of one chain: from what the decision expected of its links to what came home, closing to zero.

Every asset on the way is valued at the decision's own prices, walking the links from home: `u = 1` at home,
`u × price` behind a link that buys, `u / price` behind one that sells, and `u` behind a transfer. At these values a
link that trades at its decided price gains nothing, until the last brings home what the others made cheaper: that is
the expected gross. For every fill, with `s`, `b`, `k`, `e` as a pair's bridge has them, `P` its price and `u_b`, `u_q`
the values of base and quote where it was traded:

    expected_gross     = Σ s b (u_b − k u_q)
    slippage_opening   = Σ s (P − e) b u_q over link 0
    slippage_closing   = the same over all later links
    slippage_hedging   = the same over what was returned home
    drift              = Σ s (e − k) b u_q                   time passed between the decision and the order
    fees               = Σ fee × u, of fees that were taken from what their trade brought, or in the asset of home
    token_fees         = Σ what the fee schedule charges × u_q, or fee × u of base or quote, of fees paid beside
    transfers          = Σ (sent − received) × u
    revaluation        = −Σ rest × u                         once it is over, what stayed on the way is worth nothing

A fee that is paid beside the amount (in a venue's token, whether the chain trades it or not) is no rest of it: the
wallet has paid it, and nothing of it comes home.

`profit` is what came home less what left, in the asset of home, from the cash, less the token fees. `residual` is
exactly 0.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from postmortem.bodies import FillBody, PairBody
from postmortem.bridge import Bridge, explained
from postmortem.exact import ZERO, exact, quotient, total
from postmortem.token_fees import TokenFee

Place = tuple[str, str]
"""Venue and asset."""


def chain_bridge(chain: PairBody, fills: Iterable[FillBody], token_fee: TokenFee = lambda fill: None) -> Bridge:
    """The bridge of a chain; of one that is not over, what is on its way counts at its value.

    `token_fee` tells what a fee in a venue's token is worth, in quote units of its instrument.
    """
    done = list(fills)
    with exact():
        values = place_values(chain)
        paid = beside(chain, done)
        tokens = total(_worth_of_fee(fill, values, token_fee) for fill in paid)
        flows = defaultdict(Decimal, chain_flows(chain, done))
        for fill in paid:
            flows[fill.instrument.venue, fill.fee_asset] += fill.fee
        rest = {place: amount for place, amount in flows.items() if place[1] != chain.quote_asset}
        bridge = Bridge(
            expected_gross=total(_gross(chain, fill, values) for fill in done),
            slippage_opening=total(_slippage(fill, values) for fill in done if fill.leg == "link_0"),
            slippage_closing=total(_slippage(fill, values) for fill in done if _is_later(fill)),
            slippage_hedging=total(_slippage(fill, values) for fill in done if _goes_home(fill)),
            drift=total(_drift(chain, fill, values) for fill in done),
            fees=total(_fee(fill, values) for fill in done if not _is_beside(chain, fill)),
            token_fees=tokens,
            transfers=total(
                (travel.left - travel.received) * values[travel.from_venue, travel.asset]
                for travel in chain.travels
                if travel.is_over
            ),
            revaluation=-_worth(rest, values) if chain.is_over else ZERO,
            profit=total(amount for place, amount in flows.items() if place[1] == chain.quote_asset)
            + (ZERO if chain.is_over else _worth(rest, values))
            - tokens,
        )
        return bridge.model_copy(update={"residual": bridge.profit - explained(bridge)})


def place_values(chain: PairBody) -> dict[Place, Decimal]:
    """What one unit of an asset is worth where a chain passes it, in units of home, at the decision's prices."""
    value = Decimal(1)
    values: dict[Place, Decimal] = {}
    for link, leg in enumerate(chain.chain_legs):
        values.setdefault(leg.takes, value)
        price = chain.links[link].price
        if leg.side is not None:
            value = value * price if leg.side == "buy" else quotient(value, price)
        values.setdefault(leg.brings, value)
    return {place: Decimal(1) if place[1] == chain.quote_asset else value for place, value in values.items()}


def beside(chain: PairBody, fills: Iterable[FillBody]) -> list[FillBody]:
    """Those whose fee was neither taken from what they brought, nor in the asset of home."""
    return [fill for fill in fills if _is_beside(chain, fill)]


def has_worth(chain: PairBody, fill: FillBody, token_fee: TokenFee) -> bool:
    """Whether something tells what a fee that was paid beside is worth."""
    with exact():
        return token_fee(fill) is not None or (fill.instrument.venue, fill.fee_asset) in place_values(chain)


def chain_flows(chain: PairBody, fills: Iterable[FillBody]) -> dict[Place, Decimal]:
    """Everything that its fills, fees and ended transfers did, by place; call it inside `exact()`."""
    flows: defaultdict[Place, Decimal] = defaultdict(Decimal)
    for fill in fills:
        one, signed = fill.instrument, fill.side.sign * fill.quantity
        flows[one.venue, one.base] += signed
        flows[one.venue, one.quote] -= signed * fill.price
        flows[one.venue, fill.fee_asset] -= fill.fee
    for travel in chain.travels:
        if travel.is_over:
            flows[travel.from_venue, travel.asset] -= travel.left
            flows[travel.end_venue, travel.asset] += travel.received
    return dict(flows)


def spent(fills: Sequence[FillBody]) -> Decimal:
    """What link 0 took from home; call it inside `exact()`."""
    first = [fill for fill in fills if fill.leg == "link_0"]
    return total(fill.quantity * fill.price if fill.side.sign > 0 else fill.quantity for fill in first)


def _is_beside(chain: PairBody, fill: FillBody) -> bool:
    brought = fill.instrument.base if fill.side.sign > 0 else fill.instrument.quote
    return fill.fee_asset not in (brought, chain.quote_asset)


def _worth_of_fee(fill: FillBody, values: Mapping[Place, Decimal], token_fee: TokenFee) -> Decimal:
    """What the schedule charges for the trade; where it does not tell, what the asset is worth on the way."""
    charged = token_fee(fill)
    if charged is None:
        return _fee(fill, values)
    return charged * values[fill.instrument.venue, fill.instrument.quote]


def _fee(fill: FillBody, values: Mapping[Place, Decimal]) -> Decimal:
    return fill.fee * values.get((fill.instrument.venue, fill.fee_asset), ZERO)


def _worth(rest: Mapping[Place, Decimal], values: Mapping[Place, Decimal]) -> Decimal:
    return total(amount * values.get(place, ZERO) for place, amount in rest.items())


def _gross(chain: PairBody, fill: FillBody, values: Mapping[Place, Decimal]) -> Decimal:
    one, decided = fill.instrument, _decided(chain, fill)
    value = values[one.venue, one.base] - decided * values[one.venue, one.quote]
    return fill.side.sign * fill.quantity * value


def _slippage(fill: FillBody, values: Mapping[Place, Decimal]) -> Decimal:
    worse = fill.side.sign * (fill.price - _expected(fill)) * fill.quantity
    return worse * values[fill.instrument.venue, fill.instrument.quote]


def _drift(chain: PairBody, fill: FillBody, values: Mapping[Place, Decimal]) -> Decimal:
    worse = fill.side.sign * (_expected(fill) - _decided(chain, fill)) * fill.quantity
    return worse * values[fill.instrument.venue, fill.instrument.quote]


def _expected(fill: FillBody) -> Decimal:
    return fill.price if fill.expected_price is None else fill.expected_price


def _decided(chain: PairBody, fill: FillBody) -> Decimal:
    return chain.links[int((fill.leg or "_0").partition("_")[2])].price


def _goes_home(fill: FillBody) -> bool:
    return fill.leg is not None and fill.leg.startswith("home")


def _is_later(fill: FillBody) -> bool:
    return fill.leg != "link_0" and not _goes_home(fill)
