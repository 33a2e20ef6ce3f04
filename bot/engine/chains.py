"""The engine's chains: from an approved opportunity to what came home."""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from bot.clock import Clock
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument
from bot.domain.legs import TradeLeg
from bot.domain.market import TopOfBook
from bot.domain.order import Fill, OrderStatus, Side
from bot.domain.route import Outcome
from bot.engine.chain_decider import proposed
from bot.engine.decision_log import DecisionLog
from bot.engine.portfolio import EnginePortfolio
from bot.engine.route_state import RouteState
from bot.execution.chain import Chain
from bot.execution.in_quote import profit_in_quote
from bot.execution.ledger import Ledger
from bot.execution.pair import PairState
from bot.risk.gate import RiskGate

PAUSED = "paused"
"""Why a route opens nothing: a person wanted it."""
FAILED_IN_A_ROW = 5
"""Pairs or chains of one route that a venue refused an order of, or that had to be brought back: then a person has to
look."""
_NOTHING = Decimal(0)


class ChainBook:
    """Follows the chains of one run for the engine: routes, results, ledger, and what refuses them at the last."""

    def __init__(
        self,
        *,
        routes: Mapping[str, RouteState],
        quote: Callable[[Instrument], TopOfBook | None],
        gate: RiskGate,
        portfolio: EnginePortfolio,
        ledger: Ledger,
        fees: Mapping[Feed, FeeSchedule],
        decisions: DecisionLog,
        clock: Clock,
        cooldown_ns: int,
        log: Callable[[str, str], None],
        on_fill: Callable[[Fill], None],
    ) -> None:
        """Follow chains on `routes`; `on_fill` hears every fill of one, once."""
        self._routes = routes
        self._quote = quote
        self._gate = gate
        self._portfolio = portfolio
        self._ledger = ledger
        self._fees = fees
        self._decisions = decisions
        self._clock = clock
        self._cooldown_ns = cooldown_ns
        self._log = log
        self._on_fill = on_fill
        self.on_told: Callable[[], None] = _nobody_waits
        """Called after every news of a chain's state."""
        self._counted: dict[str, Decimal] = {}
        """Profit of chains that are over, as the results know it: a fill that comes late changes it."""

    # What the executor asks

    def why_not_now(self, chain: Chain) -> str | None:
        """The limit that an approved chain does not meet any more: prices went on while the disk wrote its intent."""
        state, now_ns = self._routes[chain.route.id], self._clock.now_ns()
        found = self._refused_now(state, chain, now_ns)
        if found is None:
            return None
        state.reason, state.observed = found
        watch, quantity = state.watch, chain.opportunity.quantity
        figures = (watch.gross_bps, watch.needed_bps, watch.net_bps)
        self._decisions.add(now_ns, state.route.id, Outcome.REFUSED, *found, quantity, *figures)
        return state.reason

    def _refused_now(self, state: RouteState, chain: Chain, now_ns: int) -> tuple[str, tuple[float, float, str]] | None:
        if state.is_paused:
            return PAUSED, (1.0, 0.0, "pauses")
        limit = state.watch.assess()
        if limit is not None:
            return limit, state.watch.figures(limit)
        prices = tuple(self._price_now(leg) for leg in state.route.priced)
        refused = self._gate.recheck(proposed(chain.opportunity, prices, now_ns))
        return None if refused is None else (refused.limit, (refused.observed, refused.allowed, refused.unit))

    def _price_now(self, leg: TradeLeg) -> float:
        quote = self._quote(leg.instrument)
        assert quote is not None, "the watch has just priced it"
        return quote.ask_price if leg.side is Side.BUY else quote.bid_price

    # What it tells

    def adopt(self, state: RouteState, chain: Chain, fills: Iterable[Fill]) -> None:
        """A chain of an earlier run is taken over: its account goes on."""
        state.chain = chain
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
        if state.chain is None and chain.id not in self._counted:
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
        base_price = Decimal(repr(chain.opportunity.buy_price))
        profit = profit_in_quote(self._ledger.pair(chain.id), base_price, self._fees.get)
        self._portfolio.on_realised(profit - self._counted.get(chain.id, _NOTHING), now_ns)
        was_over, self._counted[chain.id] = chain.id in self._counted, profit
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
        state.failed_in_a_row += 1
        if state.failed_in_a_row >= FAILED_IN_A_ROW:
            self._gate.halt(f"{state.route.id}: {state.failed_in_a_row} chains in a row failed; {why}")


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
