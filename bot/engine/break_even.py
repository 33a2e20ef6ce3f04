"""The break-even surface of a run: every watched route over a ladder of sizes, and the limit in the way of the best.

It is made for whoever looks, a few routes at a time, and never between a quote and its decision: a reader that comes
four times a second has all of a small run at once, and those of a large one after some seconds.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from bot.clock import Clock, Timer
from bot.domain.fees import FeeTier
from bot.domain.instrument import Feed
from bot.domain.legs import TradeLeg, TransferLeg
from bot.domain.order import Side
from bot.domain.snapshot import CostRow, SizeRow, SurfaceRow
from bot.engine.books import DepthMet
from bot.engine.engine import Engine
from bot.engine.route_state import RouteState
from bot.engine.slot import InstrumentSlot
from bot.engine.snapshot import limit_in_words, why_not
from bot.pricing.break_even import BreakEven, InTheWay, PricedWatch, break_even, lowest_tiers
from bot.pricing.ladder import Ladder
from bot.risk.limits import Proposal

EXECUTION = "execution"
_NOTHING = Decimal(0)
_LOOK_S = 5.0
_LOOK_NS = round(_LOOK_S * 1e9)
_SAY_EVERY_NS = 60_000_000_000
_ROUTES_A_LOOK = 4
"""A route takes the better part of a millisecond: so many hold nobody up."""


class BreakEvenDesk:
    """Prices the routes of one engine over the sizes of `break_even.notionals`."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        tiers: Mapping[Feed, Sequence[FeeTier]],
        log: Callable[[str, str], None],
    ) -> None:
        """Nothing is priced before `rows` or `start`.

        Args:
            engine: Whose routes, quotes, books and limits count.
            clock: The engine's.
            tiers: Each venue's price list, from the lowest tier.
            log: Takes a level and one line: what is in the way of the best route, when that changes.
        """
        self._engine = engine
        self._clock = clock
        self._tiers = tiers
        self._log = log
        settings = engine.settings
        self._notionals = tuple(settings.break_even.notionals)
        self._refresh_ns = settings.break_even.refresh_s * 1e9
        self._depth = DepthMet(settings)
        self._slots = {slot.instrument.id: slot for slot in engine.slots}
        self._priced = {state.route.id: state for state in engine.routes if isinstance(state.watch, PricedWatch)}
        self._rows: dict[str, SurfaceRow] = {}
        self._timer: Timer | None = None
        self._due_ns = 0
        self._said: str | None = None
        self._said_ns: int | None = None

    def start(self) -> None:
        """Look every few seconds at what is in the way of the best route."""
        self._wait()

    def _wait(self) -> None:
        self._due_ns = self._clock.now_ns() + _LOOK_NS
        self._timer = self._clock.call_later(_LOOK_S, self._look)

    @property
    def timer(self) -> Timer | None:
        """What the next look waits for."""
        return self._timer

    def is_idle(self) -> bool:
        """Whether what is in the way of the best route has been said, whichever of them is the best."""
        routes = self._engine.routes
        priced = [state for state in routes if state.watch.net_bps is not None] or routes[:1]
        return all(state.is_free and (state.reason or "") == self._said for state in priced)

    def skip_to(self, ts_ns: int) -> None:
        """Leave out the looks before this time."""
        if self._timer is None or ts_ns <= self._due_ns:
            return
        self._timer.cancel()
        self._due_ns -= (self._due_ns - ts_ns) // _LOOK_NS * _LOOK_NS
        self._timer = self._clock.call_later((self._due_ns - self._clock.now_ns()) / 1e9, self._look)

    def stop(self) -> None:
        """Look no further."""
        if self._timer is not None:
            self._timer.cancel()

    def rows(self, now_ns: int) -> tuple[SurfaceRow, ...]:
        """Every route that was priced so far, the best net edge first; the oldest few are priced anew."""
        due = [
            name
            for name in self._priced
            if (row := self._rows.get(name)) is None or now_ns - row.ts_ns >= self._refresh_ns
        ]
        due.sort(key=lambda name: self._rows[name].ts_ns if name in self._rows else -1)
        for name in due[:_ROUTES_A_LOOK]:
            self._rows[name] = self.row(self._priced[name], now_ns)
        return tuple(sorted(self._rows.values(), key=_standing))

    def row(self, state: RouteState, now_ns: int) -> SurfaceRow:
        """One route over all sizes, at the newest prices."""
        route = state.route
        return SurfaceRow(
            route=route.id,
            kind=route.kind,
            buy=route.buy.id,
            sell=route.sell.id,
            currency=route.priced[0].instrument.quote,
            ts_ns=now_ns,
            sizes=tuple(self._size(state, notional, now_ns) for notional in self._notionals),
        )

    # Inside

    def _size(self, state: RouteState, notional: float, now_ns: int) -> SizeRow:
        route, watch = state.route, state.watch
        assert isinstance(watch, PricedWatch)
        inputs, least = watch.inputs, watch.min_net_bps
        if not inputs.instruments:
            warm_up = InTheWay("warm_up", 0.0, 1.0, "known")
            return _shown(BreakEven(notional, _NOTHING, None, None, None, None, (), warm_up), warm_up)
        grid = None if route.chain else state.grid
        ladders = [self._ladder(leg.instrument.id, leg.side, leg.is_maker, now_ns) for leg in route.priced]
        found = break_even(route, inputs, ladders, grid, notional, min_net_bps=least, ts_ns=now_ns)
        if found.in_the_way is None:
            return _shown(found, self._beyond(state, found, now_ns))
        tiers = lowest_tiers(route, inputs, found, self._tiers, least)
        return _shown(found, found.in_the_way, tiers, self._beyond(state, found, now_ns) if tiers else None)

    def _ladder(self, name: str, side: Side, is_maker: bool, now_ns: int) -> Ladder | None:
        slot = self._slots[name]
        if slot.quote is None:
            return None
        if is_maker:
            return Ladder([_own_side(slot, side)])
        return self._depth.ladder(slot, side, now_ns)

    def _beyond(self, state: RouteState, found: BreakEven, now_ns: int) -> InTheWay | None:
        """What else refuses the size: what nobody can execute, then the gate's limits, asked without a trace."""
        assert isinstance(state.watch, PricedWatch)
        if state.watch.not_executable is not None:
            return InTheWay(EXECUTION, *state.watch.not_executable)
        proposal = _proposed(state, found, now_ns)
        if proposal is None:
            return None
        desk = self._engine.desk
        for limit in desk.gate.limits:
            refused = limit.check(proposal, desk.portfolio)
            if refused is not None:
                return InTheWay(refused.limit, refused.observed, refused.allowed, refused.unit)
        return None

    def _look(self) -> None:
        self._wait()
        now_ns = self._clock.now_ns()
        best = max(self._engine.routes, key=_edge, default=None)
        if best is None or (self._said_ns is not None and now_ns - self._said_ns < _SAY_EVERY_NS):
            return
        self._engine.look()
        limit = "" if not best.is_free or best.reason is None else best.reason
        if limit == self._said:
            return
        self._said, self._said_ns = limit, now_ns
        self._log("info", self._in_the_way(best, now_ns))

    def _in_the_way(self, best: RouteState, now_ns: int) -> str:
        words = why_not(best)
        about = f"best route {best.route.id}"
        if not words:
            return f"{about}: its pair is open"
        watch = best.watch
        if watch.gross_bps is not None and watch.needed_bps is not None:
            words += f"; offers {watch.gross_bps:.1f} bps, needs {watch.needed_bps:.1f}"
        if best.route.id in self._priced:
            smallest = self.row(best, now_ns).sizes[0]
            if smallest.trades_at:
                words += f"; {smallest.notional:,.0f} would trade at {smallest.tier_words}"
        return f"{about}: {words}"


def _proposed(state: RouteState, found: BreakEven, now_ns: int) -> Proposal | None:
    """The size as the gate would be asked about it at the newest quotes; None where it is not on offer."""
    buy, sell = state.buy.quote, state.sell.quote
    if buy is None or sell is None or found.offered_bps is None:
        return None
    route, quantity = state.route, float(found.quantity)
    if not found.links:
        return Proposal(route, now_ns, quantity, buy.ask_price, sell.bid_price, found.offered_bps)
    told = list(zip(route.chain, found.links, strict=True))
    prices = tuple(link.price for leg, link in told if isinstance(leg, TradeLeg))
    amounts = tuple(float(link.spends) for leg, link in told if isinstance(leg, TransferLeg))
    return Proposal(route, now_ns, quantity, prices[0], prices[-1], found.offered_bps, prices, amounts)


def _shown(
    found: BreakEven,
    why: InTheWay | None,
    tiers: Mapping[Feed, FeeTier] | None = None,
    then: InTheWay | None = None,
) -> SizeRow:
    return SizeRow(
        notional=found.notional,
        quantity=f"{found.quantity:f}",
        offered_bps=found.offered_bps,
        needed_bps=found.needed_bps,
        missing_bps=found.missing_bps,
        net_bps=found.net_bps,
        costs=tuple(CostRow(name=cost.name, bps=cost.bps, assumed=cost.assumed) for cost in found.costs),
        limit="" if why is None else why.limit,
        why_not="" if why is None else _words(why),
        trades_at={str(feed): tier.name for feed, tier in (tiers or {}).items()},
        then="" if then is None else _words(then),
    )


def _words(why: InTheWay) -> str:
    return limit_in_words(why.limit, why.observed, why.allowed, why.unit)


def _own_side(slot: InstrumentSlot, side: Side) -> tuple[float, float]:
    """Where a post-only order of `side` waits: the best price of its own side."""
    assert slot.quote is not None
    quote = slot.quote
    return (quote.bid_price, quote.bid_qty) if side is Side.BUY else (quote.ask_price, quote.ask_qty)


def _edge(state: RouteState) -> float:
    net = state.watch.net_bps
    return float("-inf") if net is None else net


def _standing(row: SurfaceRow) -> tuple[float, str]:
    net = max((size.net_bps for size in row.sizes if size.net_bps is not None), default=float("-inf"))
    return (-net, row.route)
