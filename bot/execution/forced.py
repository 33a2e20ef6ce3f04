"""Positions that a venue trades by itself (a liquidation, ADL): which pairs lost how much of them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bot.domain.order import Fill
from bot.execution.beside import naming_each_other
from bot.execution.pair import Pair
from bot.matching.cash import share


def shares(fill: Fill, pairs: Iterable[Pair]) -> Iterator[tuple[Pair, Fill]]:
    """Each pair that held some of what the venue took, with its part of the fill, until all of it is given out.

    The first part keeps the fill's id; what no pair held belongs to none. The last part has what is left of the fee:
    all of them sum to it.
    """
    left, fee_left = fill.quantity, fill.fee
    for pair in pairs:
        legs = [leg for leg in pair.legs if leg.instrument.id == fill.instrument.id]
        if legs and left and legs[0].held * fill.side.sign < 0:
            part = min(left, abs(legs[0].held) / fill.instrument.contract_multiplier)
            name = fill.fill_id if left == fill.quantity else f"{fill.fill_id}.{pair.id}"
            fee = fee_left if part == left else share(fill.fee, part, fill.quantity)
            left, fee_left = left - part, fee_left - fee
            yield pair, fill.model_copy(update={"quantity": part, "fee": fee, "fill_id": name})


def part_records(parts: Iterable[tuple[Pair, Fill]]) -> Iterator[Mapping[str, Any]]:
    """The parts as the journal keeps them."""
    return naming_each_other(
        [
            {
                **part.model_dump(mode="json"),
                "pair": pair.id,
                "leg": leg_of_part(part),
                "expected_price": str(part.price),
            }
            for pair, part in parts
        ]
    )


def leg_of_part(part: Fill) -> str:
    """What stands for the leg that such a part is on."""
    return f"hedge_{part.side}"
