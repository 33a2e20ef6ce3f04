"""What was approved, held against its route and the gate once more: prices went on while the disk wrote its intents."""

from collections.abc import Callable

from bot.domain.legs import TradeLeg
from bot.domain.order import Side
from bot.domain.route import Opportunity, Outcome
from bot.engine.desk_context import DeskContext
from bot.engine.route_state import RouteState
from bot.risk.limits import Proposal

PAUSED = "paused"
"""Why a route opens nothing: a person wanted it."""


class LastLook:
    """Asked when intents are durable, before anything of them is sent."""

    def __init__(self, context: DeskContext) -> None:
        """Look at the routes and quotes of one desk."""
        self._context = context

    def refused(self, opportunity: Opportunity, proposed: Callable[[tuple[float, ...], int], Proposal]) -> str | None:
        """The limit that it does not meet any more, written down as a decision; None: it may still be sent.

        Args:
            opportunity: What was approved.
            proposed: How the gate is asked about it: at these prices of the route's trades now, at this time (UTC ns).
        """
        state, now_ns = self._context.routes[opportunity.route.id], self._context.clock.now_ns()
        found = self._found(state, proposed, now_ns)
        if found is None:
            return None
        state.reason, state.observed = found
        figures = (state.watch.gross_bps, state.watch.needed_bps, state.watch.net_bps)
        self._context.decisions.add(now_ns, state.route.id, Outcome.REFUSED, *found, opportunity.quantity, *figures)
        return state.reason

    def _found(
        self, state: RouteState, proposed: Callable[[tuple[float, ...], int], Proposal], now_ns: int
    ) -> tuple[str, tuple[float, float, str]] | None:
        if state.is_paused:
            return PAUSED, (1.0, 0.0, "pauses")
        limit = state.watch.assess()
        if limit is not None:
            return limit, state.watch.figures(limit)
        prices = tuple(self._price_now(leg) for leg in state.route.priced)
        refused = self._context.gate.recheck(proposed(prices, now_ns))
        return None if refused is None else (refused.limit, (refused.observed, refused.allowed, refused.unit))

    def _price_now(self, leg: TradeLeg) -> float:
        quote = self._context.quotes(leg.instrument)
        assert quote is not None, "the watch has just priced it"
        at_ask = (leg.side is Side.BUY) is not leg.is_maker
        return quote.ask_price if at_ask else quote.bid_price
