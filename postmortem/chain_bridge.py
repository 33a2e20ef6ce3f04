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
    fees               = Σ fee × u
    token_fees         = Σ what the fee schedule charges × u_q, of fees in an asset that is no place of the chain
    transfers          = Σ (sent − received) × u
    revaluation        = −Σ rest × u                         once it is over, what stayed on the way is worth nothing

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
        tokens = total(
            (token_fee(fill) or ZERO) * values[fill.instrument.venue, fill.instrument.quote]
            for fill in outside(chain, done)
        )
        flows = chain_flows(chain, done)
        rest = {place: amount for place, amount in flows.items() if place[1] != chain.quote_asset}
        bridge = Bridge(
            expected_gross=total(_gross(chain, fill, values) for fill in done),
            slippage_opening=total(_slippage(fill, values) for fill in done if fill.leg == "link_0"),
            slippage_closing=total(_slippage(fill, values) for fill in done if _is_later(fill)),
            slippage_hedging=total(_slippage(fill, values) for fill in done if _goes_home(fill)),
            drift=total(_drift(chain, fill, values) for fill in done),
            fees=total(fill.fee * values.get((fill.instrument.venue, fill.fee_asset), ZERO) for fill in done),
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


def outside(chain: PairBody, fills: Iterable[FillBody]) -> list[FillBody]:
    """Those whose fee was taken in an asset that is no place of the chain: no value above holds for it."""
    places = {place for leg in chain.chain_legs for place in (leg.takes, leg.brings)}
    return [fill for fill in fills if (fill.instrument.venue, fill.fee_asset) not in places]


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
