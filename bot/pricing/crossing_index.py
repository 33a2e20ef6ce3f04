"""Which quotes may make a route worth taking: a look at a group's best prices instead of one at every route.

A route that buys at price `a` and sells at price `b` is taken where `b / a` reaches a ratio `t` of its own, which
changes once a second. Between `n` instruments there are `n·(n−1)` routes, and a quote touches `2·(n−1)` of them. But
a route's ratio is made of what buying costs here and what selling costs there. So every instrument gets a weight `B`
for being bought and a weight `S` for being sold, with

    B / S <= t    for every route

and a route can be worth taking only where `b·S >= a·B`. None is while the best `b·S` is below the best `a·B`: two
numbers, in each of which a quote changes one place. The weights are fitted to the ratios by turns, first to their mean,
then down to their least. Where the ratios are products of two parts the bound is exact; elsewhere it says "maybe" too
often, and never too seldom.

Source: the feasible labelling of an assignment problem, Kuhn (1955), "The Hungarian method for the assignment problem".
"""

from collections.abc import Sequence
from math import exp, inf, log
from typing import NamedTuple, Protocol

_FITTINGS = 4
"""Turns at each refresh; they begin where the last one ended."""
_SLACK = 1e-9
"""Relative: more than rounding, less than any price step."""
_BETTER = 1e-12
"""Relative: a new best that is less than this above the old one is none."""


class Crossing(NamedTuple):
    """A route between two instruments, by numbers that the caller gives them."""

    buy: int
    sell: int


class CrossingGroup:
    """The bound over some routes. It is told prices by its members, and ratios by its owner."""

    __slots__ = (
        "_buy_logs",
        "_routes",
        "_sell_logs",
        "buy_keys",
        "floor",
        "least",
        "least_at",
        "members",
        "most",
        "most_at",
        "nearest",
        "sell_keys",
    )

    def __init__(self, routes: Sequence[Crossing], *, buys_at_bid: bool = False, sells_at_ask: bool = False) -> None:
        """Nothing can be taken before the first `refresh`.

        Args:
            routes: Their order is that of the ratios of `refresh`.
            buys_at_bid: They buy with post-only orders, at their own side's price; otherwise at the ask.
            sells_at_ask: The same of what they sell.
        """
        numbers = dict.fromkeys(number for route in routes for number in route)
        self.members = {
            number: CrossingMember(self, place, at_bid=buys_at_bid, at_ask=sells_at_ask)
            for place, number in enumerate(numbers)
        }
        self._routes = [(self.members[route.buy], self.members[route.sell]) for route in routes]
        self.buy_keys = [inf] * len(numbers)
        """By place: price times weight of what is bought; the least is the best."""
        self.sell_keys = [0.0] * len(numbers)
        self._buy_logs = [0.0] * len(numbers)
        self._sell_logs = [0.0] * len(numbers)
        self.least, self.least_at = inf, 0
        """The best of `buy_keys`, and whose it is; `most` is that of `sell_keys`."""
        self.most, self.most_at = 0.0, 0
        self.nearest = 0.0
        """The largest part of its own ratio that any route has ever offered; 1 and more: it was worth taking."""
        self.floor = 0.0

    def refresh(self, ratios: Sequence[float]) -> None:
        """Take each route's ratio anew; every member's price has to be told again afterwards.

        Args:
            ratios: Sell price over buy price at which it is taken; infinite where it cannot be, whatever the prices.
                At 0 and below it is taken at any price, and every quote may make it so.
        """
        finite = [
            (buy.place, sell.place, log(ratio))
            for (buy, sell), ratio in zip(self._routes, ratios, strict=True)
            if 0.0 < ratio < inf
        ]
        bought, sold = _fitted(finite, self._buy_logs, self._sell_logs)
        for member in self.members.values():
            place = member.place
            member.buy_weight = exp(bought[place]) if place in bought else inf
            member.sell_weight = exp(-sold[place]) if place in sold else 0.0
        for at, ratio in enumerate(ratios):
            if not ratio > 0.0:
                self.lower(at, ratio)

    def lower(self, at: int, ratio: float) -> None:
        """One route's ratio has changed: keep the bound below it until the next `refresh`.

        The prices of its two members have to be told again.
        """
        buy, sell = self._routes[at]
        ratio = ratio if ratio > 0.0 else 0.0  # NaN too: what is not known to be out of reach may be in it
        if ratio == inf or (buy.buy_weight <= ratio * sell.sell_weight and sell.sell_weight):
            return
        if sell.sell_weight == 0.0:  # nobody could sell there: its weight is free
            sell.sell_weight = buy.buy_weight / ratio if ratio > 0.0 and 0.0 < buy.buy_weight < inf else 1.0
        buy.buy_weight = min(buy.buy_weight, ratio * sell.sell_weight)

    def next_least(self, place: int, key: float) -> float:
        """Whose key was the least has a new one; the least of the others."""
        keys = self.buy_keys
        keys[place] = inf
        least = min(keys)
        if key > least:
            self.least, self.least_at = least, keys.index(least)
        else:
            self.least, self.least_at = key, place
        keys[place] = key
        return least

    def next_most(self, place: int, key: float) -> float:
        """Whose key was the most has a new one; the most of the others."""
        keys = self.sell_keys
        keys[place] = 0.0
        most = max(keys)
        if key < most:
            self.most, self.most_at = most, keys.index(most)
        else:
            self.most, self.most_at = key, place
        keys[place] = key
        return most

    def note(self, part: float) -> None:
        """A route offers this part of its ratio now, exactly."""
        if part > self.nearest:
            self.nearest = part
            self.floor = min(1.0 - _SLACK, part * (1.0 + _BETTER))


class Member(Protocol):
    """Who is told an instrument's prices."""

    def moved(self, bid: float, ask: float) -> bool:
        """Take new prices, both above zero; whether its routes have to be asked."""

    def withdraw(self) -> None:
        """There is no price."""


class _Always:
    """Stands for routes that are fewer than an index is worth: any new price may change any answer."""

    def moved(self, bid: float, ask: float) -> bool:
        """They have to be asked."""
        return True

    def withdraw(self) -> None:
        """Nobody is told."""


ALWAYS: Member = _Always()


class CrossingMember:
    """One instrument's place in a group."""

    __slots__ = ("_at_ask", "_at_bid", "buy_weight", "group", "place", "sell_weight")

    def __init__(self, group: CrossingGroup, place: int, *, at_bid: bool, at_ask: bool) -> None:
        self.group = group
        self.place = place
        self._at_bid = at_bid
        self._at_ask = at_ask
        self.buy_weight = inf
        self.sell_weight = 0.0

    def moved(self, bid: float, ask: float) -> bool:
        """Take new prices, both above zero; whether a route of this instrument may now be worth taking, or come nearer
        to it than any route of the group ever has."""
        bought = (bid if self._at_bid else ask) * self.buy_weight
        sold = (ask if self._at_ask else bid) * self.sell_weight
        group, place = self.group, self.place
        # It is no partner of its own: what counts are the best of the others, which mostly stand.
        if group.least_at == place:
            least = group.next_least(place, bought)
        else:
            least = group.least
            group.buy_keys[place] = bought
            if bought < least:
                group.least, group.least_at = bought, place
        if group.most_at == place:
            most = group.next_most(place, sold)
        else:
            most = group.most
            group.sell_keys[place] = sold
            if sold > most:
                group.most, group.most_at = sold, place
        floor = group.floor
        return sold > floor * least or most > floor * bought

    def withdraw(self) -> None:
        """There is no price."""
        group, place = self.group, self.place
        group.buy_keys[place], group.sell_keys[place] = inf, 0.0
        if group.least_at == place:
            group.next_least(place, inf)
        if group.most_at == place:
            group.next_most(place, 0.0)


def _fitted(
    routes: Sequence[tuple[int, int, float]], bought: list[float], sold: list[float]
) -> tuple[dict[int, float], dict[int, float]]:
    """By place, b and s with b + s at most each route's logarithm, as near to it as turns of fitting bring them.

    `bought` and `sold` are where to begin, and where the mean fit ends.
    """
    by_buy: dict[int, list[tuple[int, float]]] = {}
    by_sell: dict[int, list[tuple[int, float]]] = {}
    for buy, sell, ratio in routes:
        by_buy.setdefault(buy, []).append((sell, ratio))
        by_sell.setdefault(sell, []).append((buy, ratio))
    for _ in range(_FITTINGS):
        for place, links in by_sell.items():
            sold[place] = sum([ratio - bought[other] for other, ratio in links]) / len(links)
        for place, links in by_buy.items():
            bought[place] = sum([ratio - sold[other] for other, ratio in links]) / len(links)
    least = {place: min([ratio - sold[other] for other, ratio in links]) for place, links in by_buy.items()}
    most = {place: min([ratio - least[other] for other, ratio in links]) for place, links in by_sell.items()}
    least = {place: min([ratio - most[other] for other, ratio in links]) for place, links in by_buy.items()}
    return least, most
