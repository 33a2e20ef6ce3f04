"""How much of a route is proposed to the gate: as much as earns most, in what wallets and limits still leave."""

from math import inf

from bot.domain.order import Side
from bot.domain.route import TradeLeg
from bot.engine.books import DepthMet
from bot.engine.route_state import RouteState
from bot.engine.slot import InstrumentSlot
from bot.ports import RoundTripWatch
from bot.pricing.ladder import Ladder
from bot.pricing.sizing import Cap, Size, Terms, best_size
from bot.risk.limits import Portfolio
from bot.settings import Settings

ORDER_NOTIONAL = "order_notional"


class Sizer:
    """Sizes the routes of one run. Its caps bear the names of the gate's limits, which have the last word."""

    def __init__(self, settings: Settings, portfolio: Portfolio) -> None:
        self._risk = settings.risk
        self._portfolio = portfolio
        self._worse = 1.0 + settings.execution.price_cap_bps / 1e4
        self._depth = DepthMet(settings)

    def size(self, state: RouteState, now_ns: int) -> Size:
        """By edge, depth and the largest order; both sides have a quote, and the route has a price."""
        ladders = self._ladders(state, now_ns)
        return best_size(state.grid, *ladders, _terms(state), [self._order_cap(ladders)])

    def smaller(self, state: RouteState, now_ns: int, refused_by: str) -> Size | None:
        """By what wallets and holdings leave as well, where one of them is what the gate refused by; None elsewhere.

        It is asked then and only then: to ask every wallet takes longer than a decision may.
        """
        ladders = self._ladders(state, now_ns)
        caps = [self._order_cap(ladders), *self._held_caps(state, ladders), *self._wallet_caps(state, ladders)]
        if all(cap.name != refused_by for cap in caps):
            return None
        return best_size(state.grid, *ladders, _terms(state), caps)

    def _ladders(self, state: RouteState, now_ns: int) -> tuple[Ladder, Ladder]:
        if state.route.is_round_trip:
            assert isinstance(state.watch, RoundTripWatch), "who watches a round trip says at which prices it rests"
            # Nothing is met: what a resting order wants stands at its own price, and at that of the way back.
            buy, sell = state.watch.limits()
            quantity = state.watch.order_notional / max(buy, sell)
            return Ladder([(buy, quantity)]), Ladder([(sell, quantity)])
        first, last = state.route.priced[0], state.route.priced[-1]
        return self._ladder(state.buy, first, now_ns), self._ladder(state.sell, last, now_ns)

    def _ladder(self, slot: InstrumentSlot, leg: TradeLeg, now_ns: int) -> Ladder:
        side = leg.side
        if leg.is_maker:
            assert slot.quote is not None
            # It waits at its own side's best price until it has all: what stands there now limits nothing.
            price = slot.quote.bid_price if side is Side.BUY else slot.quote.ask_price
            return Ladder([(price, 2.0 * float(self._risk.max_order_notional) / price)])
        return self._depth.ladder(slot, side, now_ns)

    def _order_cap(self, ladders: tuple[Ladder, Ladder]) -> Cap:
        return _cap(ORDER_NOTIONAL, float(self._risk.max_order_notional), 0.0, ladders)

    def _held_caps(self, state: RouteState, ladders: tuple[Ladder, Ladder]) -> list[Cap]:
        """What of its limit each holding leaves for a leg of this route; the larger leg counts."""
        risk, portfolio, legs = self._risk, self._portfolio, state.route.opening
        base = state.route.buy.base
        exposed = portfolio.net_exposure_notional(base)
        caps = [
            _cap(f"asset_notional {base}", risk.max_asset_notional, portfolio.asset_notional(base), ladders, len(legs)),
            _cap("net_exposure", risk.max_net_exposure_notional, exposed, ladders, self._worse),
        ]
        for leg in legs:
            venue = leg.instrument.venue
            there = sum(other.instrument.venue == venue for other in legs)
            held, at_venue = portfolio.position_notional(leg.instrument), portfolio.venue_notional(venue)
            caps.append(_cap("position_notional", risk.max_position_notional, held, ladders))
            caps.append(_cap(f"venue_notional {venue}", risk.max_venue_notional, at_venue, ladders, there))
        return caps

    def _wallet_caps(self, state: RouteState, ladders: tuple[Ladder, Ladder]) -> list[Cap]:
        by_side = dict(zip((Side.BUY, Side.SELL), ladders, strict=True))
        legs = state.route.opening
        caps = [self._wallet_cap(leg, by_side[leg.side]) for leg in legs]
        if len(legs) > 1 and self._portfolio.is_one_purse(*legs):
            most = 1.0 / sum(self._part(leg, by_side[leg.side]) for leg in legs)
            return [Cap(cap.name, min(cap.quantity, most)) for cap in caps]
        return caps

    def _part(self, leg: TradeLeg, ladder: Ladder) -> float:
        """What one base unit takes of its wallet at the dearest price of the ladder, where 1 is all that it covers."""
        covered = self._portfolio.affordable_notional(leg.instrument, leg.side, ladder.best_price)
        dearest = max(ladder.levels[0][0], ladder.levels[-1][0])
        return inf if covered is None or not covered > 0.0 else dearest * self._worse / covered

    def _wallet_cap(self, leg: TradeLeg, ladder: Ladder) -> Cap:
        name = f"balance {leg.instrument.feed}"
        covered = self._portfolio.affordable_notional(leg.instrument, leg.side, ladder.best_price)
        if leg.side is Side.SELL and not leg.instrument.is_perpetual:
            # Paid in base: no price changes how much it covers.
            return Cap(name, 0.0 if covered is None else max(covered, 0.0) / ladder.best_price)
        return Cap(name, 0.0 if covered is None else ladder.quantity_for(max(covered, 0.0) / self._worse))


def _terms(state: RouteState) -> Terms:
    needed_bps = state.watch.needed_bps
    assert needed_bps is not None
    return Terms(needed_bps=state.watch.take_at_bps, costs_bps=needed_bps)


def _cap(name: str, allowed: float, held: float | None, ladders: tuple[Ladder, Ladder], weight: float = 1.0) -> Cap:
    """The quantity whose notional, counted `weight` times, fits beside what is held; 0 where that is not known."""
    left = 0.0 if held is None else max((allowed - held) / weight, 0.0)
    return Cap(name, min(one.quantity_for(left) for one in ladders))
