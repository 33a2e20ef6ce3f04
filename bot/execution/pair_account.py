"""The account of one pair: every cash flow of its two legs, and what closing them would bring."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from bot.domain.fees import FeesOf
from bot.domain.instrument import Instrument
from bot.domain.market import TopOfBook
from bot.domain.order import Fill, Side
from bot.domain.route import Route
from bot.errors import InvariantError
from bot.execution.leg_account import LegAccount, LegView
from bot.matching.cash import exact

_NOTHING = Decimal(0)

Amounts = dict[str, Decimal]
"""By asset; positive was received."""


@dataclass(frozen=True, slots=True)
class PairView:
    """A pair at one moment."""

    pair_id: str
    route: Route
    opened_ns: int
    is_closed: bool
    """Its flows are a profit: it was closed, and no derivative position is left."""
    buy: LegView
    """The leg that the opening buys."""
    sell: LegView
    fees: Mapping[str, Decimal]
    """Paid by both legs, by asset; negative is a rebate."""
    funding: Mapping[str, Decimal]
    """By asset; positive was received."""
    flows: Mapping[str, Decimal]
    """All cash by asset, fees and funding included: the profit, once the pair is closed."""
    legs: tuple[LegView, ...] = ()
    """Of a chain, each trade's in order; empty for a pair."""
    transfer_fees: Mapping[str, Decimal] = field(default_factory=dict)
    """What transfers of a chain kept, by asset; part of `flows`."""

    @property
    def net_base(self) -> Decimal:
        """Base units that are not hedged: positive is long; of a chain, what is left of the first trade's base."""
        if self.legs:
            return self.flows.get(self.route.buy.base, _NOTHING)
        return self.buy.net_base + self.sell.net_base


class PairAccount:
    """Both legs of one pair, or every trade of a chain, and each cash flow by asset."""

    def __init__(self, pair_id: str, route: Route, opened_ns: int) -> None:
        self.id = pair_id
        self.flows: defaultdict[str, Decimal] = defaultdict(Decimal)
        self.close_requested = False
        self._route = route
        self._opened_ns = opened_ns
        self._funding: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._transfer_fees: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._travelled: set[str] = set()
        self._legs: dict[str, LegAccount] = {Side.BUY: LegAccount(route.buy), Side.SELL: LegAccount(route.sell)}
        if route.chain:
            self._legs = {one.id: LegAccount(one) for one in route.instruments}

    @property
    def is_flat(self) -> bool:
        """Whether no derivative position is left; spot base may be."""
        return all(leg.is_spot or not leg.net_quantity for leg in self._legs.values())

    @property
    def is_closed(self) -> bool:
        """Whether its flows are a profit: closing was said, and no derivative position is left or came back."""
        return self.close_requested and self.is_flat

    def check_leg(self, leg: Side | None, instrument: Instrument) -> None:
        """Raise `InvariantError` unless that leg is on `instrument`, or one of a chain's is."""
        found = self._legs.get(self._key(leg, instrument))
        if found is None or found.instrument.id != instrument.id:
            expected = "none of its" if found is None else found.instrument.id
            raise InvariantError(f"pair {self.id}: a fill of {instrument.id} on the {leg} leg, which is {expected}")

    def _key(self, leg: Side | None, instrument: Instrument) -> str:
        return instrument.id if leg is None or self._route.chain else leg

    def book_fill(self, leg: Side | None, fill: Fill) -> None:
        """Count a fill on one leg."""
        self._add(self._legs[self._key(leg, fill.instrument)].book(fill))

    def book_transfer(self, transfer_id: str, asset: str, fee: Decimal) -> None:
        """Count what a transfer kept, once; below zero where more came than had left."""
        if transfer_id not in self._travelled:
            self._travelled.add(transfer_id)
            self._transfer_fees[asset] += fee
            self.flows[asset] -= fee

    def book_funding(self, asset: str, amount: Decimal) -> None:
        """Count its part of a funding payment."""
        self._funding[asset] += amount
        self.flows[asset] += amount

    @property
    def was_position(self) -> bool:
        """Whether it ever held a derivative position."""
        return any(leg.was_position for leg in self._legs.values())

    def position(self, instrument: Instrument, held_ns: int | None) -> Decimal:
        """What it held of a derivative by that time of the venue, signed venue units; None: what it holds now."""
        legs = (leg for leg in self._legs.values() if leg.instrument.id == instrument.id)
        held = (leg.net_quantity if held_ns is None else leg.quantity_at(held_ns) for leg in legs)
        return sum(held, _NOTHING)

    @exact
    def if_closed(self, quotes: Mapping[str, TopOfBook], fees: FeesOf) -> Amounts | None:
        """All its flows if both legs were closed now; None where a leg that holds something cannot be priced."""
        total = defaultdict(Decimal, self.flows)
        for leg in self._legs.values():
            flows = leg.exit_flows(quotes, fees)
            if flows is None:
                return None
            for asset, amount in flows:
                total[asset] += amount
        return total

    @exact
    def view(self) -> PairView:
        """It as a value."""
        route = self._route
        views = {key: leg.view() for key, leg in self._legs.items()}
        buy, sell = (views[self._key(side, one)] for side, one in ((Side.BUY, route.buy), (Side.SELL, route.sell)))
        legs = tuple(views.values()) if route.chain else ()
        return PairView(
            pair_id=self.id,
            route=route,
            opened_ns=self._opened_ns,
            is_closed=self.is_closed,
            buy=buy,
            sell=sell,
            fees=total_amounts(leg.fees for leg in legs or (buy, sell)),
            funding=dict(self._funding),
            flows=dict(self.flows),
            legs=legs,
            transfer_fees=dict(self._transfer_fees),
        )

    def _add(self, flows: Iterable[tuple[str, Decimal]]) -> None:
        for asset, amount in flows:
            self.flows[asset] += amount


@exact
def total_amounts(parts: Iterable[Mapping[str, Decimal]]) -> Amounts:
    """Sums by asset."""
    total: defaultdict[str, Decimal] = defaultdict(Decimal)
    for part in parts:
        for asset, amount in part.items():
            total[asset] += amount
    return dict(total)
