"""A paper pair and its real twin: which of their orders belong together, and what came of each two.

The first order that opens a leg belongs to the other's first, the second to the second; so for closing, and for what
unwinds a leg that stood alone. Two are compared once both are final. An order that the other half never sends is told
of when that half is over.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import zip_longest

from bot.domain.order import Order
from bot.domain.shadow import ShadowFill
from bot.engine.shadow.half import Filled, Half, is_over, why

PHASES = ("open", "close", "hedge")
Walk = Callable[[Decimal], Sequence[tuple[Decimal, Decimal]]]
"""(price, quantity) of the fills that an order of so much would get now, best first."""


@dataclass(slots=True)
class Twins:
    """One paper pair, and the real one beside it."""

    paper: Half
    real: Half | None
    """None where there is none; `why_not` says why."""
    why_not: str = ""
    quantity: Decimal = Decimal(0)
    """Base units of the real one."""
    same_size: dict[str, Decimal] = field(default_factory=dict)
    """By paper order: the average price that the real order's quantity would have been filled at."""
    told: set[tuple[str, str, int]] = field(default_factory=set)

    def on_meeting(self, order: Order, walk: Walk) -> None:
        """A paper order meets the book: what would a small one come to?"""
        wanted = self.quantity / order.instrument.contract_multiplier
        if not wanted or wanted > order.quantity:
            wanted = order.quantity
        fills = walk(wanted)
        taken = sum((quantity for _, quantity in fills), Decimal(0))
        if taken:
            value = sum((price * quantity for price, quantity in fills), Decimal(0))
            self.same_size[order.client_order_id] = value / taken

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.paper.pair.state.is_over and is_over(self.real)

    def settled(self, now_ns: int) -> Iterator[ShadowFill]:
        """Every comparison that can be made now, and was not made before."""
        for leg in self.paper.pair.legs:
            for phase in PHASES:
                instrument_id = leg.instrument.id
                paper = self.paper.orders(instrument_id, phase)
                real = [] if self.real is None else self.real.orders(instrument_id, phase)
                for rank, (one, other) in enumerate(zip_longest(paper, real)):
                    key = (instrument_id, phase, rank)
                    if key not in self.told and self._is_ready(one, other):
                        self.told.add(key)
                        if self._was_filled(one, other):
                            yield self._row(phase, one, other, now_ns)

    def _is_ready(self, paper: Order | None, real: Order | None) -> bool:
        paper_ready = self.paper.pair.state.is_over if paper is None else self.paper.is_settled(paper)
        if real is None or self.real is None:
            return paper_ready and is_over(self.real)
        return paper_ready and self.real.is_settled(real)

    def _was_filled(self, paper: Order | None, real: Order | None) -> bool:
        on_paper = paper is not None and paper.client_order_id in self.paper.filled
        return on_paper or (real is not None and self.real is not None and real.client_order_id in self.real.filled)

    def _row(self, phase: str, paper: Order | None, real: Order | None, now_ns: int) -> ShadowFill:
        of = paper or real
        assert of is not None, "one of them was filled"
        played, traded = _of(self.paper, paper), _of(self.real, real)
        same = None if paper is None else self.same_size.get(paper.client_order_id, played.price)
        return ShadowFill(
            ts_ns=now_ns,
            pair=self.paper.pair.id,
            twin=None if self.real is None else self.real.pair.id,
            route=self.paper.pair.opportunity.route.id,
            instrument=of.instrument.id,
            phase=phase,
            side=of.side.value,
            is_maker=of.time_in_force.rests,
            paper_order=None if paper is None else paper.client_order_id,
            real_order=None if real is None else real.client_order_id,
            paper_quantity=Decimal(0) if paper is None else paper.quantity,
            real_quantity=Decimal(0) if real is None else real.quantity,
            paper_share=0.0 if paper is None else self.paper.share(paper),
            real_share=0.0 if real is None or self.real is None else self.real.share(real),
            paper_price=played.price,
            same_size_price=same if played.quantity else None,
            real_price=traded.price,
            paper_fee_bps=played.fee_bps,
            real_fee_bps=traded.fee_bps,
            paper_latency_ms=None if paper is None else self.paper.latency_ms(paper),
            real_latency_ms=None if real is None or self.real is None else self.real.latency_ms(real),
            reason=self._reason(real),
        )

    def _reason(self, real: Order | None) -> str:
        if real is not None:
            return why(real)
        if self.real is None:
            return self.why_not
        pair = self.real.pair
        return f"its pair was {pair.state.value}" + (f": {pair.close_reason}" if pair.close_reason else "")


def _of(half: Half | None, order: Order | None) -> Filled:
    found = None if half is None or order is None else half.filled.get(order.client_order_id)
    return Filled() if found is None else found
