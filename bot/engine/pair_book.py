"""The engine's pairs: from an approved opportunity to what each came to."""

from decimal import Decimal

from bot.domain.order import OrderStatus, Side
from bot.domain.route import Outcome
from bot.engine.desk_context import DeskContext
from bot.engine.last_look import LastLook
from bot.engine.realised import Realised
from bot.engine.route_state import RouteState
from bot.errors import InvariantError
from bot.execution.grid import own_touch, resting_price
from bot.execution.journal_replay import LeftPair
from bot.execution.pair import Pair, PairState
from bot.execution.reasons import REVERTED
from bot.ports import RoundTripWatch
from bot.risk.limits import Proposal


class PairBook:
    """Follows the pairs of one run for the engine: routes, results, ledger, and what refuses them at the last."""

    def __init__(self, context: DeskContext) -> None:
        """Follow pairs on a desk's routes."""
        self._routes = context.routes
        self._quote = context.quotes
        self._portfolio = context.portfolio
        self._ledger = context.ledger
        self._gate = context.gate
        self._decisions = context.decisions
        self._clock = context.clock
        self._cooldown_ns = context.cooldown_ns
        self._log = context.log
        self._last_look = LastLook(context)
        self._realised = Realised(context)

    # What the executor asks

    def why_not_now(self, pair: Pair) -> str | None:
        """The limit that an approved pair does not meet any more when its intents are durable."""
        state, quantity = self._routes[pair.opportunity.route.id], float(pair.opportunity.quantity)
        if len(pair.legs) < len(state.route.opening):
            return None

        def proposed(prices: tuple[float, ...], ts_ns: int) -> Proposal:
            gross_bps = state.watch.gross_bps
            assert gross_bps is not None, "the watch has just priced it"
            return Proposal(state.route, ts_ns, quantity, prices[0], prices[-1], gross_bps)

        return self._last_look.refused(pair.opportunity, proposed)

    def is_wanted(self, pair: Pair) -> bool:
        """Whether a post-only entry would be placed now at the price at which it rests."""
        state = self._routes[pair.opportunity.route.id]
        if state.watch.assess() is not None:
            return False
        for leg in state.route.opening:
            quote, mine = self._quote(leg.instrument), pair.leg_of(leg.instrument).expected_price
            if leg.is_maker and (
                quote is None or mine != resting_price(leg.instrument, leg.side, own_touch(quote, leg.side), quote)
            ):
                return False
        return True

    def wanted_entry(self, pair: Pair) -> float | None:
        """The price at which a round trip's entry would be placed now; None where it would not."""
        watch = self._round_trip(pair)
        if watch.assess() is not None:
            return None
        buy, sell = watch.limits()
        return buy if pair.buy.side is Side.BUY else sell

    def rest_s(self, pair: Pair) -> float:
        """A round trip's entry rests at one price for at least so long."""
        return self._round_trip(pair).rest_s

    def _round_trip(self, pair: Pair) -> RoundTripWatch:
        watch = self._routes[pair.opportunity.route.id].watch
        assert isinstance(watch, RoundTripWatch), "a round trip was opened, so it was sized by its watch"
        return watch

    # What it tells

    def adopt(self, state: RouteState, left: LeftPair, pair: Pair) -> None:
        """A pair of an earlier run is taken over: its account goes on.

        Where its route has another, a fill that came late had opened this one again: it is seen off beside that one.
        """
        if state.is_free:
            state.pair = pair
        else:
            self._realised.take_late(pair.id)
        self._ledger.open_pair(pair.id, pair.opportunity.route, pair.opened_ns)
        for fill in left.fills:
            self._ledger.on_fill(pair.id, pair.leg_of(fill.instrument).side, fill)
        for asset, amount in left.funding:
            self._ledger.restore_funding(pair.id, asset, amount)

    def remember(self, left: LeftPair, pair: Pair) -> None:
        """A pair of an earlier run is over, and may have held what funding is told of now."""
        fills = ((pair.leg_of(fill.instrument).side, fill) for fill in left.fills)
        self._ledger.remember(pair.id, pair.opportunity.route, pair.opened_ns, fills, left.funding)
        self._realised.remember(pair.id, pair.buy.expected_price)

    def on_pair(self, pair: Pair) -> None:
        """A pair is in a new state."""
        state = self._routes[pair.opportunity.route.id]
        if self._realised.was_over(pair.id) and not pair.state.is_over:
            return  # it was over, and a fill came late: the executor sees it off
        if pair.state is PairState.OPENING:
            state.pair = pair
            self._ledger.open_pair(pair.id, state.route, pair.opened_ns)
        elif pair.state is PairState.OPEN:
            state.hold(pair, self._clock.now_ns())
            state.failed_in_a_row = 0
        elif pair.state.is_over:
            self._over(state, pair)

    def recount(self, pair_id: str) -> None:
        """Something was booked to a pair; where that is over, its result is another."""
        if self._realised.recount(pair_id, self._clock.now_ns()):
            self._gate.watch_loss(self._clock.now_ns())

    def closed(self, state: RouteState, pair: Pair, why: str, ts_ns: int) -> None:
        """Write down the decision to leave a pair."""
        gross, needed, net = state.watch.gross_bps, state.watch.needed_bps, state.watch.net_bps
        quantity = min(abs(pair.buy.held), abs(pair.sell.held)) or pair.buy.opened_quantity
        self._decisions.add(ts_ns, state.route.id, Outcome.CLOSED, why, None, quantity, gross, needed, net)

    def _over(self, state: RouteState, pair: Pair) -> None:
        now_ns = self._clock.now_ns()
        if not self._ledger.close_pair(pair.id):
            raise InvariantError(f"pair {pair.id} is over, and holds a derivative still")
        was_over = self._realised.was_over(pair.id)
        profit = self._realised.count(pair.id, pair.buy.expected_price, now_ns)
        if pair.state is not PairState.MISSED or not (pair.is_round_trip or _has_maker(pair)):
            # An entry that nobody came for is priced anew, time and again.
            why = f" ({pair.close_reason})" if pair.close_reason else ""
            self._log("info", f"pair {pair.id} {pair.state.value}{why}: {profit:.4f} {pair.buy.instrument.quote}")
        if not was_over:
            self._leave(state, pair, profit, now_ns)
        self._gate.watch_loss(now_ns)

    def _leave(self, state: RouteState, pair: Pair, profit: Decimal, now_ns: int) -> None:
        """The route is free again."""
        state.pair = None
        state.holding = None
        state.is_opportunity = False
        nobody_came = pair.state is PairState.MISSED and _has_maker(pair)
        state.rest_until_ns = now_ns + (0 if nobody_came else self._cooldown_ns)
        if (realised_bps := _realised_bps(profit, pair)) is not None:
            self._portfolio.on_outcome(pair.opportunity.net_edge_bps, realised_bps)
        if pair.close_reason == REVERTED:  # nobody decided: somebody came
            self.closed(state, pair, REVERTED, now_ns)
        self._watch_failures(state, pair)

    def _watch_failures(self, state: RouteState, pair: Pair) -> None:
        """Halt a route's attempts that fail on one leg time after time: each may cost an unwound leg."""
        orders = [order for order, _, _ in pair.orders.values()]
        rejected = [order for order in orders if order.status is OrderStatus.REJECTED and pair.opens(order)]
        crossed = [order for order in rejected if order.time_in_force.rests]
        if len(rejected) > len(crossed) or (crossed and pair.is_round_trip):
            self._realised.failed(state, "pairs", f"the last was refused by a venue: {rejected[-1].reason}")
        elif pair.state is PairState.FAILED and any(name.startswith("hedge") for _, name, _ in pair.orders.values()):
            self._realised.failed(state, "pairs", "of the last one leg alone was filled")
        elif pair.is_round_trip or (pair.state is PairState.CLOSED and not pair.opportunity.route.closing):
            state.failed_in_a_row = 0  # its entry was taken; or it was opened whole, and that was all of it


def _has_maker(pair: Pair) -> bool:
    return not pair.is_round_trip and any(leg.is_maker for leg in pair.opportunity.route.opening)


def _realised_bps(profit: Decimal, pair: Pair) -> float | None:
    """A pair's profit in bps of what it bought; of the larger leg where it could not be opened whole, None unfilled."""
    notional = pair.buy.opened_notional or pair.sell.opened_notional
    return float(profit / notional) * 1e4 if notional else None
