"""How much is proposed to be sent through a chain: as much as earns most, in what wallets and limits still leave."""

from collections.abc import Sequence
from decimal import Decimal

from bot.domain.legs import TradeLeg, TransferLeg
from bot.domain.route import Link, Route
from bot.engine.books import DepthMet
from bot.engine.route_state import RouteState
from bot.engine.sizer import ORDER_NOTIONAL
from bot.pricing.chain import Sending, Stage, Trading, first_bringing, walk
from bot.pricing.chain_sizing import ChainSize, best_chain
from bot.pricing.ladder import Ladder
from bot.pricing.sizing import Cap
from bot.pricing.watch import PriceWatch
from bot.risk.limits import Portfolio
from bot.risk.limits.chains import transfer_limit
from bot.settings import Settings

_HALVINGS = 12
_TEETH = 12
"""A size is looked for at every quote that offers something: the last tenth of a bp is not worth the time."""


class ChainSizer:
    """Sizes the chains of one run. Its caps bear the names of the gate's limits, which have the last word."""

    def __init__(self, settings: Settings, portfolio: Portfolio) -> None:
        """Look at `portfolio` where a limit has refused, and at nothing but books and the largest order before."""
        self._risk = settings.risk
        self._portfolio = portfolio
        self._price_cap_bps = settings.execution.price_cap_bps
        self._worse = 1.0 + settings.execution.price_cap_bps / 1e4
        self._depth = DepthMet(settings)

    def size(self, state: RouteState, now_ns: int) -> ChainSize:
        """By edge, depth and the largest order; every trade has a quote, and the route has a price."""
        ladders = self._ladders(state, now_ns)
        return self._sized(state, ladders, [self._order_cap(ladders[0])])

    def smaller(self, state: RouteState, now_ns: int, refused_by: str) -> ChainSize | None:
        """By what wallets and holdings leave as well, where one of them is what the gate refused by; None elsewhere."""
        ladders = self._ladders(state, now_ns)
        first = ladders[0]
        caps = [self._order_cap(first), *self._held_caps(state.route, first), self._wallet_cap(state.route, first)]
        caps += self._sent_caps(state, ladders, refused_by)
        if all(cap.name != refused_by for cap in caps):
            return None
        return self._sized(state, ladders, caps)

    def _sized(self, state: RouteState, ladders: Sequence[Ladder], caps: Sequence[Cap]) -> ChainSize:
        watch = state.watch
        assert isinstance(watch, PriceWatch), "who watches a chain prices its links"
        return best_chain(self._stages(state, ladders), watch.asked(), caps, teeth=_TEETH)

    def _stages(self, state: RouteState, ladders: Sequence[Ladder]) -> tuple[Stage, ...]:
        watch = state.watch
        assert isinstance(watch, PriceWatch), "who watches a chain prices its links"
        chain = watch.links(ladders, self._price_cap_bps)
        assert chain is not None, "a route that is worth taking has a price"
        return chain

    def _ladders(self, state: RouteState, now_ns: int) -> list[Ladder]:
        return [
            self._depth.ladder(slot, leg.side, now_ns)
            for slot, leg in zip(state.slots, state.route.priced, strict=True)
        ]

    def _order_cap(self, first: Ladder) -> Cap:
        return _cap(ORDER_NOTIONAL, self._risk.max_order_notional, 0.0, first)

    def _held_caps(self, route: Route, first: Ladder) -> list[Cap]:
        """What each limit leaves: the amount counts once in each, wherever it is on its way."""
        risk, held = self._risk, self._portfolio
        caps = [_cap("in_flight_notional", risk.max_in_flight_notional, held.in_flight_notional(), first)]
        for asset in route.passed:
            exposed, owned = held.net_exposure_notional(asset), held.asset_notional(asset)
            caps.append(_cap("net_exposure", risk.max_net_exposure_notional, exposed, first, self._worse))
            caps.append(_cap(f"asset_notional {asset}", risk.max_asset_notional, owned, first))
        for one in route.instruments:
            position, there = held.position_notional(one), held.venue_notional(one.venue)
            caps.append(_cap("position_notional", risk.max_position_notional, position, first))
            caps.append(_cap(f"venue_notional {one.venue}", risk.max_venue_notional, there, first))
        return caps

    def _sent_caps(self, state: RouteState, ladders: Sequence[Ladder], refused_by: str) -> list[Cap]:
        """What the carrier would send at most, where it refused an amount and not the way."""
        route = state.route
        wanted = [leg for leg in route.sent if transfer_limit(leg) == refused_by]
        if not wanted:
            return []
        chain = self._stages(state, ladders)
        return [self._sent_cap(chain, route.chain.index(leg), leg) for leg in wanted]

    def _sent_cap(self, chain: Sequence[Stage], at: int, leg: TransferLeg) -> Cap:
        """By halving: an allow-list, a cap of the day and one of each transfer are the carrier's affair."""
        first, sending = chain[0], chain[at]
        assert isinstance(first, Trading)
        assert isinstance(sending, Sending)
        links = walk(chain[:at], first.quantity_for(Decimal(repr(float(self._risk.max_order_notional)))))
        low, high = sending.least, sending.least if isinstance(links, str) else links[-1].brings
        if self._portfolio.transfer_refused(leg, float(low)) is not None:
            return Cap(transfer_limit(leg), 0.0)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            is_refused = self._portfolio.transfer_refused(leg, float(middle)) is not None
            low, high = (low, middle) if is_refused else (middle, high)
        most = first_bringing(chain[:at], low)
        return Cap(transfer_limit(leg), 0.0 if most is None else max(float(most - first.lot), 0.0))

    def _wallet_cap(self, route: Route, first: Ladder) -> Cap:
        leg = route.priced[0]
        name = f"balance {leg.instrument.feed}"
        covered = self._portfolio.affordable_notional(leg.instrument, leg.side, first.best_price)
        if covered is None:
            return Cap(name, 0.0)
        if leg.spends == leg.instrument.base:  # no price changes how much stock covers
            return Cap(name, max(covered, 0.0) / first.best_price)
        return _cap(name, covered / self._worse, 0.0, first)


def average_prices(route: Route, links: Sequence[Link]) -> list[float]:
    """Of each of `route.priced`."""
    return [link.price for leg, link in zip(route.chain, links, strict=True) if isinstance(leg, TradeLeg)]


def _cap(name: str, allowed: float, held: float | None, first: Ladder, weight: float = 1.0) -> Cap:
    """The first trade's quantity whose notional, counted `weight` times, fits beside what is held; 0: not known."""
    left = 0.0 if held is None else max((allowed - held) / weight, 0.0)
    return Cap(name, first.quantity_for(left))
