"""Real twins of a desk's paper pairs: opened when it opens, closed when it closes, compared order by order.

    paper opens a pair     the real gate is asked for the minimum size; refused: counted by the limit, and paper goes on
    paper sends            so does the twin, in the same turn of the loop: both waited for the same disk
    paper is not sent      neither is the twin
    paper closes, or ends  the twin is closed, whatever state it is in
    paper halts, reduces   so does the real gate; what refuses or reduces real orders leaves paper alone

Everything else is a pair's own business: the twin is hedged, unwound, retried and timed as any real pair.
"""

from collections.abc import Callable
from decimal import Decimal

from bot.clock import Clock
from bot.domain.order import Fill, Order
from bot.domain.route import Opportunity, Route
from bot.domain.shadow import ShadowStatus
from bot.engine.halt_words import causes_by_name
from bot.engine.pairs import PairDesk
from bot.engine.route_state import RouteState
from bot.engine.shadow.half import Half
from bot.engine.shadow.minimum import least_quantity
from bot.engine.shadow.tally import ShadowTally
from bot.engine.shadow.twins import Twins, Walk
from bot.engine.witness import Witness
from bot.execution.pair import Pair, PairState
from bot.execution.reasons import FLATTEN
from bot.masking import masked
from bot.ports import Journal
from bot.risk.gate import Cause, TradingState
from bot.risk.limits import Proposal, Refused

CHAIN = "chain"
"""Why a chain has no twin, nor has a route of more than two sides."""
_SIDES = 2
PAPER_MISSED = "paper_missed"
"""Why a twin is not sent whose paper pair was not."""


class ShadowDesk(Witness):
    """Follows one desk with another. All calls come on the engine's thread."""

    def __init__(
        self,
        *,
        run_id: str,
        money: str,
        paper: PairDesk,
        real: PairDesk,
        routes: dict[str, RouteState],
        journal: Journal,
        clock: Clock,
        max_notional: Decimal,
        no_orders_at: frozenset[str],
    ) -> None:
        """Follow `paper` from now on.

        Args:
            run_id: Of the real orders.
            money: Whose they move.
            paper: Decides.
            real: Follows; its routes are `routes`, by id.
            routes: Of the real desk.
            journal: Of the paper run: comparisons go there.
            clock: Of the engine.
            max_notional: Quote units: no twin is larger.
            no_orders_at: Venues that no order can be sent to.
        """
        self._run_id = run_id
        self._money = money
        self._paper = paper
        self._real = real
        self._routes = routes
        self._clock = clock
        self._max_notional = max_notional
        self._no_orders_at = no_orders_at
        self._by_paper: dict[str, Twins] = {}
        self._by_real: dict[str, Twins] = {}
        self.tally = ShadowTally(journal, clock)
        self._opening: Twins | None = None
        """Whose twin is being opened."""
        self.on_over: Callable[[], None] = _nothing
        """Called when a twin is over."""
        self._why_not_now = real.executor.why_not_now
        real.executor.why_not_now = self._refused_now
        paper.witness = self
        real.witness = RealWitness(self)

    # What the paper desk does

    def opened(self, pair: Pair) -> None:
        """Open a twin, or say why there is none."""
        twins = self._by_paper.setdefault(pair.id, Twins(Half(pair), None))
        why = self._why_none(pair, twins)
        if why is None:
            self.tally.shadowed += 1
            return
        twins.why_not = why
        self.tally.pass_by(pair.id, pair.opportunity.route.id, why)

    def took_chain(self, opportunity: Opportunity) -> None:
        """A chain has no twin: its links follow one another through other sizes and places."""
        self.tally.pass_by(None, opportunity.route.id, CHAIN)

    def _why_none(self, pair: Pair, twins: Twins) -> str | None:
        """Open it; the limit or the shape that is in the way, None where it was opened."""
        route, opportunity = pair.opportunity.route, pair.opportunity
        shape = self._shape_of(route)
        if shape is not None:
            return shape
        state = self._routes[route.id]
        if state.pair is not None:
            return "twin_still_open"
        lower = min(opportunity.buy_price, opportunity.sell_price)
        quantity = min(least_quantity(state.grid, lower), opportunity.quantity)
        if quantity * Decimal(repr(lower)) > self._max_notional:
            return "minimum_notional"
        now_ns = self._clock.now_ns()
        wanted = opportunity.model_copy(update={"quantity": quantity, "ts_ns": now_ns})
        buy, sell, gross = wanted.buy_price, wanted.sell_price, wanted.gross_edge_bps
        answer = self._real.gate.check(Proposal(route, now_ns, float(quantity), buy, sell, gross))
        if isinstance(answer, Refused):
            return answer.limit
        twins.quantity = quantity
        self._opening = twins
        self._real.open(state, wanted)
        return None

    def _shape_of(self, route: Route) -> str | None:
        """Why no route of this shape has a twin."""
        if route.is_round_trip:
            return "round_trip"
        if len(route.opening) != _SIDES:
            return CHAIN
        silent = sorted({one.venue for one in route.instruments} & self._no_orders_at)
        if silent:
            return f"no_orders_at {silent[0]}"
        return None if route.id in self._routes else "no_route"

    def changed(self, pair: Pair) -> None:
        """The paper pair is in a new state: its twin leaves with it."""
        twins = self._by_paper.setdefault(pair.id, Twins(Half(pair), None))
        if pair.state is PairState.CLOSING or pair.state.is_over:
            self._leave(twins, pair.close_reason or FLATTEN)
        self._settle(twins)

    def _leave(self, twins: Twins, why: str) -> None:
        if twins.real is None or twins.real.pair.state.is_over:
            return
        real = twins.real.pair
        state = self._routes[real.opportunity.route.id]
        if state.holding is not None and state.pair is real:
            self._real.close(state, why, self._clock.now_ns())
        else:
            self._real.executor.flatten(state.route.id)

    def sent(self, order: Order) -> None:
        """A paper order leaves."""
        self._note_sent(self._by_paper, order)

    def filled(self, pair: Pair, fill: Fill) -> None:
        """A paper order was filled."""
        self._note_fill(self._by_paper.get(pair.id), pair, fill)

    def ended(self, order: Order) -> None:
        """A paper order is final."""
        self._settle(self._by_paper.get(_pair_id(order)))

    def thawed(self, route_id: str | None) -> None:
        """Twins that were left alone have nobody beside them: they are closed."""
        self._real.executor.thaw(route_id)
        self._real.executor.flatten(route_id)

    def entered(self, why: str) -> None:
        """The paper gate is in a new state, or for another cause: the real one follows to where it is by now."""
        gate, paper = self._real.gate, self._paper.gate
        if paper.state is TradingState.HALTED:
            gate.halt(why, lasting=False)  # whether it lasts is the paper gate's to say, and it has
        elif paper.state is TradingState.REDUCING:
            gate.reduce(Cause.PAPER, "; ".join(paper.causes.values()))
        else:
            gate.resume(Cause.PAPER, why)

    def on_meeting(self, order: Order, walk: Walk) -> None:
        """A paper order is about to meet the book."""
        twins = self._by_paper.get(_pair_id(order))
        if twins is not None and twins.real is not None:
            twins.on_meeting(order, walk)

    # What the real desk does

    def real_changed(self, pair: Pair) -> None:
        """A twin is in a new state; one of an earlier run has nobody beside it."""
        if pair.id not in self._by_real and pair.state is PairState.OPENING and self._opening is not None:
            twins, self._opening = self._opening, None
            twins.real = Half(pair)
            self._by_real[pair.id] = twins
        self._settle(self._by_real.get(pair.id))
        if pair.state.is_over:
            self.on_over()

    def real_sent(self, order: Order) -> None:
        """A real order leaves."""
        self._note_sent(self._by_real, order, is_real=True)

    def real_filled(self, pair: Pair, fill: Fill) -> None:
        """A real order was filled."""
        self._note_fill(self._by_real.get(pair.id), pair, fill)

    def real_ended(self, order: Order) -> None:
        """A real order is final."""
        self._settle(self._by_real.get(_pair_id(order)))

    def _refused_now(self, pair: Pair) -> str | None:
        twins = self._by_real.get(pair.id)
        if twins is not None and not pair.fill_ids and twins.paper.pair.state.is_over:
            return PAPER_MISSED
        return self._why_not_now(pair)

    # Comparing

    def _note_sent(self, known: dict[str, Twins], order: Order, *, is_real: bool = False) -> None:
        twins = known.get(_pair_id(order))
        half = None if twins is None else (twins.real if is_real else twins.paper)
        if half is not None:
            # As it was when it left: this is told once both orders of the pair have.
            half.sent_ns[order.client_order_id] = half.pair.sent_ns.get(
                order.client_order_id, self._clock.monotonic_ns()
            )

    def _note_fill(self, twins: Twins | None, pair: Pair, fill: Fill) -> None:
        if twins is None or fill.client_order_id not in pair.orders:
            return  # the venue itself traded it
        half = twins.paper if twins.paper.pair is pair else twins.real
        if half is not None:
            half.on_fill(fill, self._clock.monotonic_ns(), self._real.portfolio.currency_rate)

    def _settle(self, twins: Twins | None) -> None:
        """Write down every comparison that can be made by now."""
        if twins is None:
            return
        now_ns = self._clock.now_ns()
        for row in twins.settled(now_ns):
            if twins.real is not None:  # where there is none, that was said at the start
                self.tally.add(row)
        if twins.is_over:
            self._by_paper.pop(twins.paper.pair.id, None)
            if twins.real is not None:
                self._by_real.pop(twins.real.pair.id, None)

    def status(self) -> ShadowStatus:
        """How the twins stand now."""
        total, by_venue, by_route = self.tally.told()
        gate = self._real.gate
        return ShadowStatus(
            run_id=self._run_id,
            money=self._money,
            state=gate.state.value,
            why_not_active=masked(gate.halted_because) or "; ".join(causes_by_name(gate).values()),
            shadowed=self.tally.shadowed,
            not_shadowed=dict(self.tally.not_shadowed),
            open_twins=len(self._real.executor.pairs),
            twins={pair.id: pair.opportunity.route.id for pair in self._real.executor.pairs.values()},
            real_orders=self._real.orders,
            real_pnl=self._real.ledger.realised(),
            figures=total,
            by_venue=by_venue,
            by_route=by_route,
        )


class RealWitness(Witness):
    """Tells a `ShadowDesk` what its real desk does."""

    def __init__(self, shadow: ShadowDesk) -> None:
        self._shadow = shadow

    def changed(self, pair: Pair) -> None:
        """A twin is in a new state."""
        self._shadow.real_changed(pair)

    def sent(self, order: Order) -> None:
        """A real order leaves."""
        self._shadow.real_sent(order)

    def filled(self, pair: Pair, fill: Fill) -> None:
        """A real order was filled."""
        self._shadow.real_filled(pair, fill)

    def ended(self, order: Order) -> None:
        """A real order is final."""
        self._shadow.real_ended(order)


def _pair_id(order: Order) -> str:
    return order.client_order_id.rpartition("-")[0]


def _nothing() -> None:
    """Nobody waits."""
