"""From a chain that is worth taking to an opportunity that the gate approved, or to the limit in the way."""

from bot.domain.legs import TransferLeg
from bot.domain.route import Opportunity
from bot.engine.chain_sizer import ChainSizer, average_prices
from bot.engine.route_state import RouteState
from bot.pricing.chain_sizing import ChainSize
from bot.pricing.watch import NET_EDGE, PriceWatch
from bot.risk.gate import RiskGate
from bot.risk.limits import Portfolio, Proposal, Refused
from bot.settings import Settings


class ChainDecider:
    """Sizes a chain, prices it at that size, and asks the gate."""

    def __init__(self, settings: Settings, gate: RiskGate, portfolio: Portfolio) -> None:
        self._sizer = ChainSizer(settings, portfolio)
        self._gate = gate

    def decide(self, state: RouteState, ts_ns: int) -> Opportunity | Refused:
        """What is to be opened now, approved and not yet claimed; `state.watch` has just said that it is worth it."""
        answer = self._asked(state, ts_ns, self._sizer.size(state, ts_ns))
        if not isinstance(answer, Refused):
            return answer
        smaller = self._sizer.smaller(state, ts_ns, answer.limit)
        return answer if smaller is None or not smaller.links else self._asked(state, ts_ns, smaller)

    def _asked(self, state: RouteState, ts_ns: int, size: ChainSize) -> Opportunity | Refused:
        if not size.links:
            return Refused(size.reason, *size.figures)
        watch = state.watch
        assert isinstance(watch, PriceWatch), "who watches a chain prices its links"
        unpriced = watch.unpriced_at(size.quantity)
        if unpriced is not None:
            return Refused(unpriced.limit, unpriced.observed, unpriced.allowed, unpriced.unit)
        prices = average_prices(state.route, size.links)
        opportunity = watch.opportunity(ts_ns, size.quantity, prices, size.links)
        if opportunity.net_edge_bps < watch.min_net_bps:  # a fixed fee weighs on this amount, not on the usual one
            return Refused(NET_EDGE, opportunity.net_edge_bps, watch.min_net_bps, "bps")
        answer = self._gate.check(proposed(opportunity, tuple(prices), ts_ns))
        return answer if isinstance(answer, Refused) else opportunity


def proposed(opportunity: Opportunity, prices: tuple[float, ...], ts_ns: int) -> Proposal:
    """A chain as the gate is asked about it, at these prices of its trades."""
    route = opportunity.route
    amounts = tuple(
        float(link.spends)
        for leg, link in zip(route.chain, opportunity.links, strict=True)
        if isinstance(leg, TransferLeg)
    )
    quantity = float(opportunity.quantity)
    return Proposal(route, ts_ns, quantity, prices[0], prices[-1], opportunity.gross_edge_bps, prices, amounts)
