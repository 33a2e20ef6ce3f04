"""How much is sent through a chain: the quantity of its first link that earns most, on the grids of all of them.

    expected profit = what comes home · rate − what left · (1 + costs) − fixed costs

Without grids the profit has one top over the size: what the next unit brings only falls, link by link. With them it is
a saw below that curve: from one lot of the last link to the next, a larger first trade costs more and brings nothing.
So only the first teeth are looked at: for each lot of the last link the smallest first trade that reaches it, from the
top of the curve outwards, until the curve itself is below the best that was found. What a link cannot use of the amount
counts as lost (`rounding`): small amounts on coarse lots are refused, and not lost bit by bit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import inf

from bot.domain.route import Link
from bot.pricing.chain import DEPTH, LOT, MIN_WITHDRAW, MINIMUM, Sending, Stage, Trading, least_first, walk
from bot.pricing.sizing import EDGE, FIXED_COSTS, LARGEST, SIZE, Cap

ROUNDING = "rounding"
"""It would bring its costs, were it not for what whole lots leave over on the way."""
TEETH = 48
"""So many are looked at in each direction, as usual: of lots that are worth a thousandth, that leaves a millionth."""
_STEPS = 3
"""Lots above the smallest first trade: a quotient of 28 digits may be rounded down, a notional a little short."""
_HALVINGS = 40
_GOLDEN = (5.0**0.5 - 1.0) / 2.0
_SECTIONS = 24
_ROUNDING = 1.0 + 1e-9
"""A depth that was found by halving is a little less than it is; whether a quantity is there is told by walking it."""
_BEYOND = 1.0 + 1e-6
_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Asked:
    """What an amount costs beside the fees and books that it is walked through, and what it must earn."""

    fixed_bps: float
    """Of what left."""
    scaled_bps: float
    """Of what left, times the price ratio."""
    min_net_bps: float
    rate: float = 1.0
    """Units of what left for one of what comes home."""

    def gain(self, links: Sequence[Link], chain: Sequence[Stage]) -> float:
        """What these links earn beyond what they must, in units of what left."""
        prices = [link.price for link in links]
        return self._gain(float(links[0].spends), float(links[-1].brings), _ratio(chain, prices))

    def _gain(self, left: float, home: float, ratio: float) -> float:
        asked_bps = self.fixed_bps + self.min_net_bps + self.scaled_bps * ratio * self.rate
        return home * self.rate - left * (1.0 + asked_bps / 1e4)

    def without_grids(self, chain: Sequence[Stage], quantity: float) -> float:
        """The same as if every link took any quantity: never less than `gain`; −∞ where a book ends before."""
        left = amount = 0.0
        prices: list[float] = []
        for at, stage in enumerate(chain):
            if isinstance(stage, Sending):
                if stage.most is not None and amount - float(stage.step) > float(stage.most):
                    return -inf
                amount = max(amount * (1.0 - float(stage.ratio)) - float(stage.fee), 0.0)
                prices.append(1.0)
                continue
            base, notional = _taken(stage, quantity if at == 0 else amount, in_quote=at > 0 and stage.buys)
            if base is None:
                return -inf
            if at == 0:
                left = notional if stage.buys else base
            prices.append(notional / base if base else 1.0)
            amount = (base if stage.buys else notional) * stage.keeps_float
        return self._gain(left, amount, _ratio(chain, prices))


@dataclass(frozen=True, slots=True)
class ChainSize:
    """How much, by which links, and what kept it from being more."""

    quantity: Decimal
    """Of the first link, base units; 0: no size."""
    links: tuple[Link, ...]
    """Empty where there is no size."""
    gain: float
    """What it earns beyond the least that it must, in units of what left; of the best that was found where it is
    below zero."""
    limit: str
    """What kept it from being more, or from being at all: `depth`, `edge`, `fixed_costs`, `rounding`, a link's
    `minimum` or `largest_order`, or a cap's name."""
    most: float
    """Base units of the first link that books and caps let pass."""
    least: float
    """Base units of the first link with which every link has what its venue takes at least; `inf` where none has."""

    @property
    def reason(self) -> str:
        """What a chain without a size is refused by: `size`, `rounding`, or a largest order that is too small."""
        return self.limit if self.limit == ROUNDING or self.limit.startswith(LARGEST) else SIZE

    @property
    def figures(self) -> tuple[float, float, str]:
        """What there was, what there should have been at least, and the unit."""
        if self.limit == ROUNDING:
            return (self.gain, 0.0, "beyond its costs, with what whole lots leave over")
        return (self.most, self.least if self.least < inf else 0.0, "base units")


def best_chain(chain: Sequence[Stage], asked: Asked, caps: Sequence[Cap] = (), *, teeth: int = TEETH) -> ChainSize:
    """The quantity of the first link with the largest expected profit, on every link's grid, under books and caps.

    Args:
        chain: Beginning and ending with a trade.
        asked: What it costs beside, and must earn.
        caps: What else limits the first link's quantity; of equal ones the first is named.
        teeth: So many are looked at in each direction.

    Returns:
        The size; without links where nothing that every link takes would earn enough, with the reason.
    """
    first, last = chain[0], chain[-1]
    assert isinstance(first, Trading), "a chain begins with a trade"
    assert isinstance(last, Trading), "and it ends with one"
    if any(isinstance(stage, Trading) and not stage.levels for stage in chain):
        return _none(DEPTH, 0.0, inf)
    cap = min(caps, key=lambda one: one.quantity, default=None)
    depth = _depth(chain, asked, float(sum((quantity for _, quantity in first.levels), _NOTHING)))
    most, limit = (
        (cap.quantity, cap.name) if cap is not None and cap.quantity < depth else (depth, _end(chain, depth * _BEYOND))
    )
    least = least_first(chain, last.least(), takes_minimums=True)
    if least is None or float(least) > most * _ROUNDING:
        return _none(limit, most, inf if least is None else float(least))
    high = max(most, float(least))
    top = _top(lambda quantity: asked.without_grids(chain, quantity), float(least), high)
    if asked.without_grids(chain, top) < 0.0:  # whatever the grids are
        sends = any(isinstance(stage, Sending) and stage.fee for stage in chain)
        return _none(FIXED_COSTS if sends else EDGE, most, float(least))
    search = _Search(chain, asked, first, last, least, inf if cap is None else cap.quantity, teeth)
    search.look(top)
    if search.links is None or search.gain < 0.0:
        return _none(search.why or ROUNDING, most, float(least), search.gain)
    if float(search.links[0].quantity + first.lot) <= most:
        limit = EDGE
    return ChainSize(search.links[0].quantity, search.links, search.gain, limit, most, float(least))


class _Search:
    """The teeth around the top of the curve."""

    def __init__(
        self,
        chain: Sequence[Stage],
        asked: Asked,
        first: Trading,
        last: Trading,
        least: Decimal,
        most: float,
        teeth: int,
    ) -> None:
        self._teeth = teeth
        self._chain, self._asked = chain, asked
        self._first, self._last = first, last
        self._least, self._most = least, most
        self.links: tuple[Link, ...] | None = None
        self.gain = -inf
        self.why: str | None = None
        """Where no quantity could be walked at all: what was in the way of the last."""

    def look(self, top: float) -> None:
        """From the tooth at the top of the curve outwards."""
        lot = self._first.lot
        start = Decimal(repr(top))
        start = max(start - start % lot, self._least)
        here = self._try(start)
        self._down((here or start) - lot)
        self._up(start)
        if self.links is not None:
            self.why = None

    def _down(self, quantity: Decimal) -> None:
        for _ in range(self._teeth):
            if quantity < self._least or self._bound(quantity) <= self.gain:
                return
            quantity = (self._try(quantity) or quantity) - self._first.lot

    def _up(self, quantity: Decimal) -> None:
        for _ in range(self._teeth):
            following = self._next(quantity)
            if following is None or float(following) > self._most or self._bound(following) <= self.gain:
                return
            self._try(following)
            quantity = following

    def _next(self, quantity: Decimal) -> Decimal | None:
        """The next first trade that reaches one more lot of the last link; while none is walked, one lot more."""
        links = walk(self._chain, quantity)
        if isinstance(links, str):
            return quantity + self._first.lot if links in (LOT, MINIMUM, MIN_WITHDRAW) else None
        following = least_first(self._chain, links[-1].quantity + self._last.lot)
        return None if following is None else max(following, quantity + self._first.lot)

    def _try(self, quantity: Decimal) -> Decimal | None:
        """Look at a quantity, made as small as its last link allows; returns that, None where it cannot be walked."""
        links = walk(self._chain, quantity)
        if isinstance(links, str):
            self.why = links
            return None
        smallest = least_first(self._chain, links[-1].quantity)
        for step in range(_STEPS) if smallest is not None else ():
            fewer = max(smallest or _NOTHING, self._least) + step * self._first.lot
            walked = walk(self._chain, fewer) if fewer < quantity else LOT
            if not isinstance(walked, str) and walked[-1].quantity >= links[-1].quantity:
                quantity, links = fewer, walked
                break
        gain = self._asked.gain(links, self._chain)
        if float(quantity) <= self._most and gain > self.gain:
            self.links, self.gain = links, gain
        return quantity

    def _bound(self, quantity: Decimal) -> float:
        return self._asked.without_grids(self._chain, float(quantity))


def _none(limit: str, most: float, least: float, gain: float = -inf) -> ChainSize:
    return ChainSize(_NOTHING, (), gain if gain > -inf else 0.0, limit, most, least)


def _depth(chain: Sequence[Stage], asked: Asked, first: float) -> float:
    """Up to which quantity of the first link all books reach."""
    if asked.without_grids(chain, first) > -inf:
        return first
    low, high = 0.0, first
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if asked.without_grids(chain, middle) > -inf else (low, middle)
    return low


def _end(chain: Sequence[Stage], quantity: float) -> str:
    """What a quantity of the first link meets that is more than all books hold, or than all orders may be."""
    amount = quantity
    for at, stage in enumerate(chain):
        if isinstance(stage, Sending):
            amount = amount * (1.0 - float(stage.ratio)) - float(stage.fee)
            continue
        base, notional = _taken(stage, amount, in_quote=at > 0 and stage.buys)
        if base is None:
            return stage.end
        amount = (base if stage.buys else notional) * stage.keeps_float
    return DEPTH


def _top(curve: Callable[[float], float], low: float, high: float) -> float:
    """About where a curve with one top has it: by the golden section, which needs one new point a step."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = curve(left), curve(right)
    for _ in range(_SECTIONS):
        if at_left < at_right:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = curve(right)
        else:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = curve(left)
    # At an end the top may be the end itself, which no section reaches.
    return max((low, (low + high) / 2, high), key=curve)


def _taken(stage: Trading, amount: float, *, in_quote: bool) -> tuple[float | None, float]:
    """Base units and quote units of what an amount of one of them takes; None where the book ends before."""
    left, base, notional = amount, 0.0, 0.0
    for price, offered in stage.floats:
        there = offered * price if in_quote else offered
        part = min(left, there)
        base += part / price if in_quote else part
        notional += part if in_quote else part * price
        left -= part
        if left <= 0.0:
            return base, notional
    # Two ways of adding up a depth may differ by a rounding.
    return (base, notional) if left <= amount * 1e-12 else (None, 0.0)


def _ratio(chain: Sequence[Stage], prices: Sequence[float]) -> float:
    """What one unit of the first link's money becomes at these prices, fees aside."""
    ratio = 1.0
    for stage, price in zip(chain, prices, strict=True):
        if isinstance(stage, Trading):
            ratio = ratio / price if stage.buys else ratio * price
    return ratio
