"""What a real order of minimum size came to beside the paper order that it follows, and what many of them say.

    price = model + size     the whole difference of the two prices
    model                    the real fill against the paper fill of the same small size at the same moment
    size                     that small paper fill against the one that was made, which went deeper into the book

All in bps of the paper price, positive where the real order was worse: paper was too good.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import cached_property
from math import fsum

from pydantic import BaseModel, ConfigDict

LEAST_FILLS = 5
"""Of fewer comparisons no sentence is made."""
_SAME_BPS = 0.005
"""What is less would be shown as 0.00."""


class ShadowFill(BaseModel):
    """One paper order and its real twin, once both are final; at least one of them was filled."""

    model_config = ConfigDict(frozen=True)

    ts_ns: int
    """When the later of the two was final, by the engine's clock."""
    pair: str
    """Of paper money; `twin` is the real one, None where there was none."""
    twin: str | None
    route: str
    instrument: str
    phase: str
    """`open`, `close`, or `hedge` for what unwinds a leg that stood alone."""
    side: str
    is_maker: bool
    """It was sent to rest."""
    paper_order: str | None
    real_order: str | None
    """None: none was sent on this side for this paper order."""
    paper_quantity: Decimal
    """Ordered, venue units."""
    real_quantity: Decimal
    paper_share: float
    """Of what was ordered, filled: 0 to 1."""
    real_share: float
    paper_price: Decimal | None
    """Average of the fills, quote units; None where nothing was filled."""
    same_size_price: Decimal | None
    """What the paper venue would have filled the real order's quantity at, at the moment that it filled its own."""
    real_price: Decimal | None
    paper_fee_bps: float | None
    """Of the notional; None where its asset has no price here."""
    real_fee_bps: float | None
    paper_latency_ms: float | None
    """From sending it to hearing of its last fill."""
    real_latency_ms: float | None
    reason: str
    """Of the real order, in the venue's words, or why there was none; empty where it was filled whole."""

    @cached_property
    def venue(self) -> str:
        """Where both were traded."""
        return self.instrument.partition(":")[0]

    @cached_property
    def outcome(self) -> str:
        """`filled`, `partial`, `missed` (paper was filled, the real order was not), `no order`, or `real only`."""
        if self.paper_price is None:
            return "real only"
        if self.real_order is None:
            return "no order"
        if self.real_price is None:
            return "missed"
        return "filled" if self.real_share >= self.paper_share else "partial"

    def _bps(self, against: Decimal | None, price: Decimal | None) -> float | None:
        if against is None or price is None or self.paper_price is None:
            return None
        sign = 1 if self.side == "buy" else -1
        return sign * float((price - against) / self.paper_price) * 1e4

    @cached_property
    def price_bps(self) -> float | None:
        """The real price against the paper one."""
        return self._bps(self.paper_price, self.real_price)

    @cached_property
    def model_bps(self) -> float | None:
        """The real price against that of the same size on paper: what the model is wrong by, whatever the size."""
        return self._bps(self.same_size_price, self.real_price)

    @cached_property
    def size_bps(self) -> float | None:
        """What of the difference is the size alone; mostly negative, since paper orders are larger."""
        return self._bps(self.paper_price, self.same_size_price)

    @cached_property
    def fee_bps(self) -> float | None:
        """The real fee less the paper one."""
        if self.paper_fee_bps is None or self.real_fee_bps is None:
            return None
        return self.real_fee_bps - self.paper_fee_bps

    @cached_property
    def latency_ms(self) -> float | None:
        """How much longer the real fill took."""
        if self.paper_latency_ms is None or self.real_latency_ms is None:
            return None
        return self.real_latency_ms - self.paper_latency_ms

    @cached_property
    def too_good_bps(self) -> float | None:
        """Price at the same size, and fee: what the paper fill was too good by; None where that cannot be told."""
        if self.model_bps is None or self.fee_bps is None:
            return None
        return self.model_bps + self.fee_bps


class Spread(BaseModel):
    """How one figure is distributed; positive is bad."""

    model_config = ConfigDict(frozen=True)

    n: int
    mean: float
    p10: float
    p50: float
    p90: float
    worst: float
    """The largest."""


def spread(values: Iterable[float | None]) -> Spread | None:
    """The distribution of those that are known; None where none is. Quantiles lie between neighbours, linearly.

    Example:
        >>> spread([1.0, None, 3.0]).p50
        2.0
    """
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    return Spread(
        n=len(known),
        mean=fsum(known) / len(known),
        p10=_quantile(known, 0.1),
        p50=_quantile(known, 0.5),
        p90=_quantile(known, 0.9),
        worst=known[-1],
    )


def _quantile(ordered: Sequence[float], part: float) -> float:
    at = part * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


class ShadowFigures(BaseModel):
    """What a number of comparisons come to."""

    model_config = ConfigDict(frozen=True)

    fills: int
    """Paper fills that had a real twin."""
    outcomes: dict[str, int]
    """Of every comparison, by `ShadowFill.outcome`."""
    filled_share: float | None
    """Mean of the real filled share over the paper one, over every paper fill that had a real order; 1: as good."""
    too_good_bps: Spread | None
    price_bps: Spread | None
    model_bps: Spread | None
    size_bps: Spread | None
    fee_bps: Spread | None
    latency_ms: Spread | None
    """The real one less the paper one."""
    verdict: str
    """One sentence; empty for fewer than `LEAST_FILLS`."""


def figures(rows: Sequence[ShadowFill]) -> ShadowFigures:
    """Count and distribute."""
    outcomes: dict[str, int] = {}
    for row in rows:
        outcomes[row.outcome] = outcomes.get(row.outcome, 0) + 1
    shares = [min(1.0, row.real_share / row.paper_share) for row in rows if row.paper_share and row.real_order]
    too_good = spread(row.too_good_bps for row in rows)
    share = fsum(shares) / len(shares) if shares else None
    return ShadowFigures(
        fills=sum(row.price_bps is not None for row in rows),
        outcomes=outcomes,
        filled_share=share,
        too_good_bps=too_good,
        price_bps=spread(row.price_bps for row in rows),
        model_bps=spread(row.model_bps for row in rows),
        size_bps=spread(row.size_bps for row in rows),
        fee_bps=spread(row.fee_bps for row in rows),
        latency_ms=spread(row.latency_ms for row in rows),
        verdict=_verdict(too_good, share),
    )


def _verdict(too_good: Spread | None, share: float | None) -> str:
    if too_good is None or too_good.n < LEAST_FILLS:
        return ""
    mean = too_good.mean
    word = f"too good by {mean:.2f}" if mean > 0 else f"too bad by {-mean:.2f}"
    told = "as good as real" if abs(mean) < _SAME_BPS else f"{word} bps on average"
    filled = "" if share is None else f"; of what paper filled, real orders filled {share:.0%}"
    return f"paper is {told} (n={too_good.n}){filled}"


def by_group(rows: Sequence[ShadowFill], name: Callable[[ShadowFill], str]) -> dict[str, ShadowFigures]:
    """The same for each group, in the order in which they first come."""
    groups: dict[str, list[ShadowFill]] = {}
    for row in rows:
        groups.setdefault(name(row), []).append(row)
    return {group: figures(members) for group, members in groups.items()}


class ShadowStatus(BaseModel):
    """How a run's real twins stand: for the screen, `--mode status` and the summary."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    """Under which the journal has the real orders."""
    money: str
    """Whose money the real orders move: `REAL MONEY`, `test money`, `paper money`."""
    state: str
    """Of the real orders' gate."""
    why_not_active: str = ""
    """What it is halted for, or what makes it REDUCING; empty while it is ACTIVE."""
    shadowed: int
    """Paper pairs that got a real twin."""
    not_shadowed: dict[str, int]
    """Paper pairs that got none, by the reason: a limit, a kind of route."""
    open_twins: int
    twins: dict[str, str] = {}
    """Real pairs that are not over: id -> route."""
    real_orders: int
    real_pnl: dict[str, Decimal]
    """Realised by the real orders, by asset."""
    figures: ShadowFigures
    by_venue: dict[str, ShadowFigures]
    by_route: dict[str, ShadowFigures]

    @property
    def line(self) -> str:
        """All of it in one line."""
        refused = sum(self.not_shadowed.values())
        told = self.figures.verdict or f"{self.figures.fills} fills compared, {LEAST_FILLS} are needed for a verdict"
        none = f", {refused} not shadowed" if refused else ""
        why = f": {self.why_not_active}" if self.why_not_active else ""
        return f"SHADOW ({self.money}, {self.state}{why}): {self.shadowed} pairs shadowed{none}; {told}"
