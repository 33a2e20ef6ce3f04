"""One route at one moment: size it, ask the gate, and open the pair or name the limit in the way."""

from decimal import Decimal

from bot.domain.route import Outcome
from bot.engine.chain_decider import ChainDecider
from bot.engine.decision_log import DecisionLog
from bot.engine.last_look import PAUSED
from bot.engine.pairs import PairDesk
from bot.engine.route_state import RouteState
from bot.engine.sizer import Sizer
from bot.pricing.sizing import Size
from bot.risk.gate import Approved
from bot.risk.limits import Proposal, Refused
from bot.settings import Settings

_NOTHING = Decimal(0)


class RouteDecider:
    """Decides for the engine, which knows when a route is to be asked."""

    def __init__(self, settings: Settings, desk: PairDesk, decisions: DecisionLog) -> None:
        """Nothing is decided yet. `desk` holds the gate, and opens; `decisions` keeps what was decided."""
        self._desk = desk
        self._decisions = decisions
        self.sizer = Sizer(settings, desk.portfolio)
        self._chains = ChainDecider(settings, desk.gate, desk.portfolio)
        self.opportunities = 0
        """How often an edge came that was not there before."""

    def consider(self, state: RouteState, ts_ns: int) -> None:
        """The edge is there: open the pair, or name the limit in the way."""
        if not state.is_opportunity:
            state.is_opportunity = True
            self.opportunities += 1
        if state.is_paused:
            self.refuse(state, ts_ns, PAUSED, (1.0, 0.0, "pauses"))
            return
        if ts_ns < state.rest_until_ns:
            self.refuse(state, ts_ns, "cooldown", ((state.rest_until_ns - ts_ns) / 1e9, 0.0, "s"))
            return
        if state.route.chain:
            self._consider_chain(state, ts_ns)
            return
        size = self.sizer.size(state, ts_ns)
        if not size.lots:
            self.refuse(state, ts_ns, size.reason, size.figures)
            return
        answer = self._proposed(state, ts_ns, size)
        if isinstance(answer, Refused):
            smaller = self.sizer.smaller(state, ts_ns, answer.limit)
            if smaller is not None and smaller.lots:
                size, answer = smaller, self._proposed(state, ts_ns, smaller)
        if isinstance(answer, Approved):
            averages = (size.buy_price, size.sell_price)
            self._desk.open(state, state.watch.opportunity(ts_ns, size.quantity, averages))
        else:
            self.refuse(state, ts_ns, answer.limit, (answer.observed, answer.allowed, answer.unit))

    def consider_closing(self, state: RouteState, ts_ns: int) -> None:
        """A pair is held: leave it where its watch says why."""
        assert state.holding is not None
        why = state.watch.close_reason(state.holding, ts_ns)
        if why is not None:
            self._desk.close(state, why, ts_ns)

    def refuse(self, state: RouteState, ts_ns: int, limit: str, figures: tuple[float, float, str]) -> None:
        """Name the limit in a route's way, once as long as it is the same; `figures` are observed, allowed and unit."""
        state.observed = figures
        if limit == state.reason:
            return
        state.reason = limit
        watch = state.watch
        gross, needed, net = watch.gross_bps, watch.needed_bps, watch.net_bps
        self._decisions.add(ts_ns, state.route.id, Outcome.REFUSED, limit, figures, _NOTHING, gross, needed, net)

    def _consider_chain(self, state: RouteState, ts_ns: int) -> None:
        answer = self._chains.decide(state, ts_ns)
        if isinstance(answer, Refused):
            self.refuse(state, ts_ns, answer.limit, (answer.observed, answer.allowed, answer.unit))
        else:
            self._desk.open(state, answer)

    def _proposed(self, state: RouteState, ts_ns: int, size: Size) -> Approved | Refused:
        gross_bps = state.watch.gross_bps
        assert gross_bps is not None
        quantity = size.lots * state.grid.lot_float
        proposal = Proposal(state.route, ts_ns, quantity, size.buy_price, size.sell_price, gross_bps)
        return self._desk.gate.check(proposal)
