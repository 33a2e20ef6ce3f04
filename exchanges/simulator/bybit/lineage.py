"""Amended orders: to the account a cancelled and a new order, to the client one order that keeps its id.

Only what has to go to the end of its queue is replaced: an order that shrinks at its price stays what it is.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from decimal import Decimal

from exchanges.simulator.core.values import OrderState, OrderView

_MARK = "~"
"""Begins the client id of a successor; no client may send it."""
_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Lineage:
    """What an order brings along from the orders that it replaced."""

    first: int
    client_id: str
    filled: Decimal
    notional: Decimal
    fees: tuple[tuple[str, Decimal], ...]
    created_ns: int
    generation: int

    @property
    def internal_id(self) -> str:
        """The client id that the account knows the successor by."""
        return f"{_MARK}{self.first}-{self.generation}"


class Lineages:
    """Which orders are one to the client."""

    def __init__(self) -> None:
        self._by_internal: dict[str, Lineage] = {}
        self._newest: OrderedDict[int, str] = OrderedDict()
        self._first_of: dict[int, int] = {}
        self.replaced: set[int] = set()

    def succeed(self, view: OrderView) -> Lineage:
        """The lineage of the order that is to replace `view`, which the account shows."""
        old = self._by_internal.get(view.client_id)
        first = old.first if old else view.number
        shown = self.shown(view)
        lineage = Lineage(
            first=first,
            client_id=shown.request.client_id,
            filled=shown.filled,
            notional=shown.filled_notional,
            fees=shown.fees,
            created_ns=shown.created_ns,
            generation=old.generation + 1 if old else 1,
        )
        self._by_internal[lineage.internal_id] = lineage
        self._newest[first] = lineage.internal_id
        self.replaced.add(view.number)
        self._first_of[view.number] = first
        self._forget()
        return lineage

    def stay(self, view: OrderView, lineage: Lineage) -> None:
        """Take back what `succeed` said of an order that was filled before it could be replaced."""
        del self._by_internal[lineage.internal_id]
        self.replaced.discard(view.number)
        if lineage.generation == 1:
            del self._newest[lineage.first]
            del self._first_of[view.number]
        else:
            self._newest[lineage.first] = view.client_id

    def newest(self, first: int) -> str | None:
        """The client id of an order's newest successor; None where it was never amended."""
        return self._newest.get(first)

    def shown(self, view: OrderView) -> OrderView:
        """The order as the client knows it."""
        lineage = self._by_internal.get(view.client_id)
        if lineage is None:
            return view
        self._first_of[view.number] = lineage.first
        is_partial = view.state is OrderState.NEW and lineage.filled > 0
        return replace(
            view,
            state=OrderState.PARTIALLY_FILLED if is_partial else view.state,
            number=lineage.first,
            client_id=lineage.client_id,
            request=replace(view.request, client_id=lineage.client_id),
            quantity=view.quantity + lineage.filled,
            filled=view.filled + lineage.filled,
            filled_notional=view.filled_notional + lineage.notional,
            fees=_added(lineage.fees, view.fees),
            created_ns=lineage.created_ns,
        )

    def first(self, number: int) -> int:
        """The number that the client knows an order by."""
        return self._first_of.get(number, number)

    def _forget(self) -> None:
        if len(self._newest) > _KEPT:
            _, internal = self._newest.popitem(last=False)
            self._by_internal.pop(internal, None)


def _added(
    one: tuple[tuple[str, Decimal], ...], two: tuple[tuple[str, Decimal], ...]
) -> tuple[tuple[str, Decimal], ...]:
    total = dict(one)
    for asset, amount in two:
        total[asset] = total.get(asset, Decimal(0)) + amount
    return tuple(total.items())
