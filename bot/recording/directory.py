"""The instruments of a recording by slot."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from numpy.typing import NDArray

from bot.domain.instrument import Feed, Instrument


class Directory:
    """Which instrument has which slot, and which slots a feed has."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        """An instrument's place in the sequence is its slot."""
        self.instruments = tuple(instruments)
        self.by_id: Mapping[str, Instrument] = {one.id: one for one in self.instruments}
        slots: dict[Feed, list[int]] = {}
        for slot, one in enumerate(self.instruments):
            slots.setdefault(one.feed, []).append(slot)
        self.slots_of: Mapping[Feed, Sequence[int]] = slots
        self._ids = pa.array([one.id for one in self.instruments], pa.string())

    def __len__(self) -> int:
        return len(self.instruments)

    def names(self, slots: NDArray[Any]) -> pa.Array:
        """The ids of the instruments with these slots, row by row."""
        return self._ids.take(pa.array(slots))

    def named_in(self, table: pa.Table) -> dict[str, Instrument]:
        """The instruments that a table has rows of, by id; names of other things (a view's symbol) are left out."""
        ids = table.column("instrument").unique().to_pylist()
        return {one: self.by_id[one] for one in ids if one in self.by_id}
