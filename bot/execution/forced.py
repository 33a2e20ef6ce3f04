"""Positions that a venue trades by itself (a liquidation, ADL): which pairs lost how much of them."""

from collections.abc import Iterable, Iterator

from bot.domain.order import Fill
from bot.execution.pair import Pair


def shares(fill: Fill, pairs: Iterable[Pair]) -> Iterator[tuple[Pair, Fill]]:
    """Each pair that held some of what the venue took, with its part of the fill, until all of it is given out.

    The first part keeps the fill's id; what no pair held belongs to none.
    """
    left = fill.quantity
    for pair in pairs:
        legs = [leg for leg in pair.legs if leg.instrument.id == fill.instrument.id]
        if legs and left and legs[0].held * fill.side.sign < 0:
            part = min(left, abs(legs[0].held) / fill.instrument.contract_multiplier)
            name = fill.fill_id if left == fill.quantity else f"{fill.fill_id}.{pair.id}"
            left -= part
            share = {"quantity": part, "fee": fill.fee * part / fill.quantity, "fill_id": name}
            yield pair, fill.model_copy(update=share)
