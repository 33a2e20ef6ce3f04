"""One pair's line of the report."""

from collections.abc import Mapping
from decimal import Decimal

from postmortem.bodies import PairBody
from postmortem.bridge import Trade, build_bridge, trades
from postmortem.chain_bridge import beside, chain_bridge, has_worth, spent
from postmortem.exact import bps, exact, plain, total
from postmortem.model import PairLine
from postmortem.net_edge import net_edge
from postmortem.story import PairStory
from postmortem.token_fees import TokenFee, without_fees


def pair_line(run_id: str, pair: PairStory, marks: Mapping[str, Decimal], token_fee: TokenFee) -> PairLine:
    """The line of a pair that has fills.

    Args:
        run_id: The run that it belongs to.
        pair: What was recorded of it.
        marks: By instrument id, the mids that the run ended with; may be empty.
        token_fee: What its fees in a venue's token are worth.
    """
    body = pair.body
    if body.is_chain:
        return _chain_line(run_id, pair, token_fee)
    done = trades(body, pair.fills, token_fee)
    own = (body.base_asset, body.quote_asset)
    funding = [payment for payment in pair.funding if payment.asset in own]
    with exact():
        bridge = build_bridge(done, funding, marks, body.base_asset)
        bought, sold = _opening(done, "open_buy"), _opening(done, "open_sell")
        notional = max(_notional(bought), _notional(sold))
        by_asset = pair.flows()
        return PairLine(
            pair=body.pair,
            run_id=run_id,
            route=body.route,
            state=body.state,
            quote_asset=body.quote_asset,
            ts_open_ns=body.ts_open_ns,
            ts_close_ns=body.ts_close_ns,
            close_reason=body.close_reason,
            bought_base=_base(bought),
            sold_base=_base(sold),
            notional=notional,
            edge_expected_bps=body.expected.gross_bps,
            edge_realised_bps=_round_trip_bps(done) if body.is_round_trip else _edge_bps(bought, sold),
            bridge=bridge,
            net=net_edge(body.expected, _opened(body, done), bridge),
            profit_bps=bps(bridge.profit, notional),
            by_asset=by_asset,
            unvalued=without_fees(
                {asset: amount for asset, amount in by_asset.items() if asset not in own},
                [fill for fill, _ in pair.fills if token_fee(fill) is not None],
            ),
        )


def _chain_line(run_id: str, pair: PairStory, token_fee: TokenFee) -> PairLine:
    body, done = pair.body, [fill for fill, _ in pair.fills]
    last = f"_{len(body.links) - 1}"
    with exact():
        bridge, notional, by_asset = chain_bridge(body, done, token_fee), spent(done), pair.flows()
        return PairLine(
            pair=body.pair,
            run_id=run_id,
            route=body.route,
            state=body.state,
            quote_asset=body.quote_asset,
            ts_open_ns=body.ts_open_ns,
            ts_close_ns=body.ts_close_ns,
            close_reason=body.close_reason,
            bought_base=total(fill.quantity for fill in done if fill.leg == "link_0"),
            sold_base=total(fill.quantity for fill in done if (fill.leg or "").endswith(last)),
            notional=notional,
            edge_expected_bps=body.expected.gross_bps,
            edge_realised_bps=bps(bridge.realised_gross, notional),
            bridge=bridge,
            net=net_edge(body.expected, notional, bridge),
            profit_bps=bps(bridge.profit, notional),
            by_asset=by_asset,
            unvalued=without_fees(
                {asset: amount for asset, amount in by_asset.items() if asset != body.quote_asset},
                [fill for fill in beside(body, done) if has_worth(body, fill, token_fee)],
            ),
        )


def assumed_costs(pair: PairStory) -> list[str]:
    """The costs of its decision that were settings, in words."""
    return [f"priced with {cost.name}" for cost in pair.body.expected.costs if cost.assumed]


def paid_fees(pair: PairStory) -> dict[str, Decimal]:
    """Fees by asset; negative is a rebate."""
    with exact():
        assets = {fill.fee_asset for fill, _ in pair.fills}
        return {asset: total(fill.fee for fill, _ in pair.fills if fill.fee_asset == asset) for asset in assets}


def received_funding(pair: PairStory) -> dict[str, Decimal]:
    """Funding by asset; positive was received."""
    with exact():
        assets = {payment.asset for payment in pair.funding}
        return {asset: total(p.payment for p in pair.funding if p.asset == asset) for asset in assets}


def describe(amounts: Mapping[str, Decimal]) -> str:
    """Amounts in words, with all their digits."""
    return ", ".join(f"{plain(amount)} {asset}" for asset, amount in amounts.items())


def _opening(done: list[Trade], leg: str) -> list[Trade]:
    return [trade for trade in done if trade.fill.leg == leg]


def _opened(body: PairBody, done: list[Trade]) -> Decimal:
    """What was opened on both sides, at the decision's buy price: that its edge in bps is of."""
    sides = [_base(_opening(done, "open_buy")), _base(_opening(done, "open_sell"))]
    return (max(sides) if body.is_round_trip else min(sides)) * body.expected.buy_price


def _base(done: list[Trade]) -> Decimal:
    return total(trade.base for trade in done)


def _notional(done: list[Trade]) -> Decimal:
    return total(trade.notional for trade in done)


def _round_trip_bps(done: list[Trade]) -> Decimal | None:
    """Of one instrument: what it was sold for over what it was bought for, whichever came first."""
    return _edge_bps([trade for trade in done if trade.sign > 0], [trade for trade in done if trade.sign < 0])


def _edge_bps(bought: list[Trade], sold: list[Trade]) -> Decimal | None:
    """Average selling price over average buying price, less one."""
    if not bought or not sold:
        return None
    # sold/base ÷ bought/base − 1, multiplied out so that only one division rounds
    paid, earned = _notional(bought) * _base(sold), _notional(sold) * _base(bought)
    return bps(earned - paid, paid)
