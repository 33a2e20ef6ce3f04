"""The engine's chains: from an approved opportunity to what came home."""

from collections.abc import Callable, Iterable
from decimal import Decimal

from bot.domain.legs import TradeLeg
from bot.domain.order import Fill, OrderStatus, Side
from bot.engine.chain_decider import proposed
from bot.engine.desk_context import DeskContext
from bot.engine.last_look import LastLook
from bot.engine.realised import Realised
from bot.engine.route_state import RouteState
from bot.execution.chain import Chain
from bot.execution.grid import decimal_price
from bot.execution.pair import PairState

_NOTHING = Decimal(0)


class ChainBook:
    """Follows the chains of one run for the engine: routes, results, ledger, and what refuses them at the last."""

    def __init__(self, context: DeskContext, on_fill: Callable[[Fill], None]) -> None:
        """Follow chains on a desk's routes; `on_fill` hears every fill of one, once."""
        self._routes = context.routes
        self._portfolio = context.portfolio
        self._ledger = context.ledger
        self._gate = context.gate
        self._clock = context.clock
        self._cooldown_ns = context.cooldown_ns
        self._log = context.log
        self._on_fill = on_fill
        self._last_look = LastLook(context)
        self._realised = Realised(context)
        self.on_told: Callable[[], None] = _nobody_waits
        """Called after every news of a chain's state."""

    # What the executor asks

    def why_not_now(self, chain: Chain) -> str | None:
        """The limit that an approved chain does not meet any more when its intent is durable."""
        opportunity = chain.opportunity
        return self._last_look.refused(opportunity, lambda prices, ts_ns: proposed(opportunity, prices, ts_ns))

    # What it tells

    def adopt(self, state: RouteState, chain: Chain, fills: Iterable[Fill]) -> None:
        """A chain of an earlier run is taken over: its account goes on, beside its route's as a pair's does."""
        if state.is_free:
            state.chain = chain
        else:
            self._realised.take_late(chain.id)
        self._ledger.open_pair(chain.id, chain.route, chain.opened_ns)
        for fill in fills:
            self._ledger.on_fill(chain.id, None, fill)
        self._book_transfers(chain)

    def on_chain_fill(self, chain: Chain, name: str, fill: Fill) -> None:
        """Part of an order of a chain was done."""
        self._ledger.on_fill(chain.id, None, fill)
        self._on_fill(fill)

    def on_chain(self, chain: Chain) -> None:
        """A chain has got further, or is over."""
        state = self._routes[chain.route.id]
        if state.chain is None and not self._realised.was_over(chain.id):
            state.chain = chain
            self._ledger.open_pair(chain.id, chain.route, chain.opened_ns)
        self._portfolio.on_wallets()
        self._book_transfers(chain)
        if chain.state.is_over:
            self._over(state, chain)
        self.on_told()

    def _book_transfers(self, chain: Chain) -> None:
        for travel in chain.travels.values():
            if travel.is_over:
                self._ledger.on_transfer(chain.id, travel.carriage.id, travel.carriage.asset, travel.fee)

    def _over(self, state: RouteState, chain: Chain) -> None:
        now_ns = self._clock.now_ns()
        self._ledger.close_pair(chain.id)
        was_over = self._realised.was_over(chain.id)
        profit = self._realised.count(chain.id, decimal_price(chain.opportunity.buy_price), now_ns)
        why = f" ({chain.close_reason})" if chain.close_reason else ""
        self._log("info", f"chain {chain.id} {chain.state.value}{why}: {profit:.4f} {chain.home}")
        if not was_over:
            self._leave(state, chain, profit, now_ns)
        self._gate.watch_loss(now_ns)

    def _leave(self, state: RouteState, chain: Chain, profit: Decimal, now_ns: int) -> None:
        """The route is free again."""
        state.chain = None
        state.is_opportunity = False
        state.rest_until_ns = now_ns + self._cooldown_ns
        spent = _spent(chain)
        if spent:
            self._portfolio.on_outcome(chain.opportunity.net_edge_bps, float(profit / spent) * 1e4)
        self._watch_failures(state, chain)

    def _watch_failures(self, state: RouteState, chain: Chain) -> None:
        """Halt a route whose chains fail time after time: each may cost the way home."""
        rejected = [order for order, _, _ in chain.orders.values() if order.status is OrderStatus.REJECTED]
        if rejected:
            why = f"the last was refused by a venue: {rejected[-1].reason}"
        elif chain.state is PairState.FAILED:
            why = "the last had to be brought home on its way"
        else:
            if chain.state is PairState.CLOSED:
                state.failed_in_a_row = 0
            return
        self._realised.failed(state, "chains", why)


def _nobody_waits() -> None:
    """Nothing ends."""


def _spent(chain: Chain) -> Decimal:
    """What its first link has taken from home, units of the home asset."""
    leg = chain.links[0]
    assert isinstance(leg, TradeLeg), "a chain that is opened begins with a trade"
    first = [(order, expected) for order, name, expected in chain.orders.values() if name == "link_0"]
    total = _NOTHING
    for order, expected in first:
        filled = chain.filled.get(order.client_order_id, _NOTHING)
        total += filled * (order.average_price or expected) if leg.side is Side.BUY else filled
    return total
