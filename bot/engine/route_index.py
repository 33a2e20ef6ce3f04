"""Who has to be asked when a price moves: nobody, the routes that are hot, or every route of the instrument.

Asking a route is cheap, and asking all of them at every quote is not: they grow with the square of the venues. Routes
of one asset make a group; while no price can make one of its routes worth taking (`crossing_index`), it is left alone.
Some routes are asked at every quote all the same, until they have cooled down: those with an open pair, those that are
worth taking and wait for a limit, and those whose edge is made of more than two prices.
"""

from collections.abc import Sequence
from math import inf

from bot.engine.route_state import RouteState
from bot.engine.slot import InstrumentSlot
from bot.pricing.crossing_index import Crossing, CrossingGroup, CrossingMember

_FEW = 3
"""So many routes of one instrument are asked as fast as an index is."""
_Key = tuple[str, bool, bool]
"""Asset, and which of the two prices are those of post-only orders."""


class RouteIndex:
    """The groups of one run's routes."""

    def __init__(self, routes: Sequence[RouteState], slots: Sequence[InstrumentSlot]) -> None:
        """Give every slot its places in groups."""
        self._routes = routes
        self._slots = slots
        self._groups: dict[CrossingGroup, list[RouteState]] = {}
        self._places: dict[RouteState, tuple[CrossingGroup, int]] = {}
        many = {state.route.buy.base for state in routes if max(len(s.routes) for s in (state.buy, state.sell)) > _FEW}
        by_key: dict[_Key, list[RouteState]] = {}
        for state in routes:
            if state.route.buy.base in many and state.watch.take_ratio is not None:
                by_key.setdefault(_key(state), []).append(state)
        members: dict[int, list[CrossingMember]] = {}
        for key, states in by_key.items():
            for number, member in self._group(key, states).members.items():
                members.setdefault(number, []).append(member)
        for slot in slots:
            if any(state.route.buy.base in many for state in slot.routes):
                slot.members = tuple(members.get(slot.index, ()))
        self.refresh()

    def _group(self, key: _Key, states: list[RouteState]) -> CrossingGroup:
        crossings = [Crossing(state.buy.index, state.sell.index) for state in states]
        group = CrossingGroup(crossings, buys_at_bid=key[1], sells_at_ask=key[2])
        self._groups[group] = states
        self._places |= {state: (group, at) for at, state in enumerate(states)}
        return group

    def refresh(self) -> None:
        """Take every route's ratio anew, and cool down who is hot no more."""
        hot = {state for state in self._routes if self._is_hot(state)}
        for group, states in self._groups.items():
            for state in states:
                self._note(state)
            group.refresh([inf if state in hot else _ratio(state) for state in states])
        for slot in self._slots:
            slot.tell_index()
            slot.hot = [state for state in slot.routes if state in hot]

    def changed(self, states: Sequence[RouteState]) -> None:
        """The costs of these routes have changed before the next `refresh`."""
        for state in states:
            if state in self._places:
                group, at = self._places[state]
                group.lower(at, _ratio(state))
        for slot in {slot.index: slot for state in states for slot in (state.buy, state.sell)}.values():
            slot.tell_index()

    def heat(self, state: RouteState) -> None:
        """Ask this route at every quote from now on."""
        for slot in (state.buy, state.sell):
            if state not in slot.hot:
                slot.hot = [one for one in slot.routes if one is state or one in slot.hot]

    def note(self, slot: InstrumentSlot) -> None:
        """All routes of an instrument were asked: how near the nearest one is."""
        for state in slot.routes:
            self._note(state)

    def _note(self, state: RouteState) -> None:
        place, watch = self._places.get(state), state.watch
        if place is not None and watch.gross_bps is not None and -1e4 < watch.take_at_bps < inf:
            place[0].note((1.0 + watch.gross_bps / 1e4) / (1.0 + watch.take_at_bps / 1e4))

    def _is_hot(self, state: RouteState) -> bool:
        if not state.is_free or state.is_opportunity:
            return True
        if state not in self._places:
            return state.watch.take_ratio is None
        # Who stands above its ratio, or would answer otherwise than it did, is to be heard when that ends.
        answer, gross = state.watch.assess(), state.watch.gross_bps
        return answer != state.reason or (gross is not None and gross >= state.watch.take_at_bps)


def _key(state: RouteState) -> _Key:
    first, last = state.route.priced[0], state.route.priced[-1]
    return (state.route.buy.base, first.is_maker, last.is_maker)


def _ratio(state: RouteState) -> float:
    ratio = state.watch.take_ratio
    return inf if ratio is None else ratio
