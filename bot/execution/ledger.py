"""What every pair earned, rebuilt from fills and funding alone.

A pair's profit is the sum of its cash flows per asset: what was received less what was paid, less fees in the asset
they were taken in, plus its part of the funding. A spot leg's base asset is a flow like any other, so what a fee or
a lot grid left of it stays visible as an amount of that asset. Nothing is converted and nothing is rounded.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal

from bot.domain.account import FundingPayment
from bot.domain.fees import FeesOf
from bot.domain.instrument import Instrument
from bot.domain.market import TopOfBook
from bot.domain.order import Fill, Side
from bot.domain.route import Route
from bot.errors import InvariantError
from bot.execution.funding_shares import funding_shares
from bot.execution.pair_account import Amounts, PairAccount, PairView, total_amounts
from bot.matching.cash import exact

_NOTHING = Decimal(0)
_Part = tuple[str, Decimal]
_LATELY = 1_000
"""Pairs that held a position and are closed: funding may be told of when what it was settled on is gone."""


class Ledger:
    """Pairs, positions and profit. Every fill and every funding payment counts once, however often it is told."""

    def __init__(self) -> None:
        self._pairs: dict[str, PairAccount] = {}
        self._open: dict[str, PairAccount] = {}
        self._before: dict[str, PairAccount] = {}
        """Of earlier runs, and over: what they came to is counted there."""
        self._lately: deque[PairAccount] = deque(maxlen=_LATELY)
        self._realised: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._positions: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._unallocated: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._fills: set[tuple[str, str]] = set()
        self._fundings: set[tuple[str, int]] = set()

    def open_pair(self, pair_id: str, route: Route, ts_ns: int) -> None:
        """Begin a pair; its fills may come from now on.

        Raises:
            InvariantError: If the id is known already.
        """
        if pair_id in self._pairs:
            raise InvariantError(f"pair {pair_id} was opened twice")
        self._pairs[pair_id] = self._open[pair_id] = PairAccount(pair_id, route, ts_ns)

    @exact
    def remember(
        self, pair_id: str, route: Route, ts_ns: int, fills: Iterable[tuple[Side, Fill]], funding: Iterable[_Part]
    ) -> None:
        """Know a pair of an earlier run that is over: of all that it came to, funding that is told now counts alone.

        Args:
            pair_id: As it was called.
            route: Of the pair.
            ts_ns: When it was opened.
            fills: Each with its leg, as `on_fill` takes them.
            funding: What it had of earlier payments, as (asset, amount).
        """
        pair = self._before[pair_id] = PairAccount(pair_id, route, ts_ns)
        for leg, fill in fills:
            pair.book_fill(leg, fill)
        for asset, amount in funding:
            pair.book_funding(asset, amount)
        pair.close_requested = True
        if pair.was_position:
            self._lately.append(pair)

    @exact
    def on_fill(self, pair_id: str, leg: Side | None, fill: Fill) -> bool:
        """Book a fill to one leg of a pair; returns False, and changes nothing, where it was booked before.

        Args:
            pair_id: An opened pair; a closed one takes late fills too, and is open again while they leave it a
                derivative position.
            leg: What the pair's opening does there: `BUY` for the leg on `route.buy`, `SELL` for `route.sell`,
                whether this fill opens or closes; None for a chain, whose trades are on instruments of their own.
            fill: Unique by its instrument and `fill_id`.

        Raises:
            InvariantError: If the pair is unknown, or the leg is on another instrument.
        """
        pair = self._known(pair_id)
        pair.check_leg(leg, fill.instrument)
        key = (fill.instrument.id, fill.fill_id)
        if key in self._fills:
            return False
        self._fills.add(key)
        self._positions[fill.instrument.id] += fill.side.sign * fill.quantity
        with self._changing(pair):
            pair.book_fill(leg, fill)
        return True

    def on_chain_fill(self, chain_id: str, fill: Fill) -> bool:
        """Book a fill of a chain, as `on_fill` does a pair's."""
        return self.on_fill(chain_id, None, fill)

    def knows(self, payment: FundingPayment) -> bool:
        """Whether this payment (same instrument and time) was shared out before."""
        return (payment.instrument.id, payment.ts_ns) in self._fundings

    @exact
    def on_funding(self, payment: FundingPayment) -> Mapping[str, Decimal]:
        """Share a funding payment out to those that held the position; returns pair id -> amount in `payment.asset`.

        A pair gets what its own signed quantity when it was settled makes at the mark price and rate, also where it
        has been closed since; the rest of the payment (a position of no pair, a fill not told yet) is
        `unallocated_funding`. A payment told before (same instrument and time) changes nothing and returns nothing.
        """
        key = (payment.instrument.id, payment.ts_ns)
        if key in self._fundings:
            return {}
        self._fundings.add(key)
        settled, present = self._shares(payment, payment.ts_ns), self._shares(payment, None)
        # A venue may settle what was traded some seconds after the time that it names: what it paid says which.
        missing, missing_now = (abs(payment.amount - sum(one.values(), _NOTHING)) for one in (settled, present))
        shares = present if missing_now < missing else settled
        for pair_id, part in shares.items():
            pair = self._known(pair_id)
            with self._changing(pair):
                pair.book_funding(payment.asset, part)
        self._unallocated[payment.asset] += payment.amount - sum(shares.values(), _NOTHING)
        return shares

    def _shares(self, payment: FundingPayment, held_ns: int | None) -> dict[str, Decimal]:
        pairs = {pair.id: pair for pair in (*self._lately, *self._open.values())}
        held = {pair.id: pair.position(payment.instrument, held_ns) for pair in pairs.values()}
        return funding_shares(payment, {pair_id: quantity for pair_id, quantity in held.items() if quantity})

    @exact
    def on_transfer(self, pair_id: str, transfer_id: str, asset: str, fee: Decimal) -> None:
        """Book what a transfer of a chain kept of its amount, once it has ended; told again it changes nothing.

        Raises:
            InvariantError: If the chain is unknown.
        """
        pair = self._known(pair_id)
        with self._changing(pair):
            pair.book_transfer(transfer_id, asset, fee)

    @exact
    def restore_funding(self, pair_id: str, asset: str, amount: Decimal) -> None:
        """Book a part of a payment that an earlier run shared out to this pair.

        Raises:
            InvariantError: If the pair is unknown.
        """
        pair = self._known(pair_id)
        with self._changing(pair):
            pair.book_funding(asset, amount)

    @exact
    def close_pair(self, pair_id: str) -> bool:
        """Nothing more is planned for it: its flows move from open to realised; returns whether they did.

        While it holds a derivative position its cash flows are no profit: it stays open, and closes by itself with
        the fill that makes it flat. A rest of spot base is an amount of that asset and does not matter.

        Raises:
            InvariantError: If the pair is unknown.
        """
        pair = self._known(pair_id)
        with self._changing(pair):
            pair.close_requested = True
        return pair.is_closed

    def has_pair(self, pair_id: str) -> bool:
        """Whether it was opened, or taken over, here."""
        return pair_id in self._pairs

    def pair(self, pair_id: str) -> PairView:
        """One pair as it stands now; `InvariantError` where it is unknown."""
        return self._known(pair_id).view()

    def pairs(self) -> Iterator[PairView]:
        """Every pair, in the order of opening."""
        return (pair.view() for pair in self._pairs.values())

    def open_pairs(self) -> tuple[str, ...]:
        """Ids of the pairs that are not closed."""
        return tuple(self._open)

    def has_fill(self, instrument_id: str, fill_id: str) -> bool:
        """Whether this fill has been booked."""
        return (instrument_id, fill_id) in self._fills

    def position(self, instrument: Instrument) -> Decimal:
        """The sum of all its fills: signed, venue units, fees not taken off."""
        return self._positions.get(instrument.id, _NOTHING)

    def unallocated_funding(self) -> Amounts:
        """Funding that belongs to no pair, by asset."""
        return _without_zeros(self._unallocated)

    def realised(self) -> Amounts:
        """Profit of the closed pairs, by asset, net of fees and funding. Never holds anything of an open pair."""
        return _without_zeros(self._realised)

    def unrealised(self, quotes: Mapping[str, TopOfBook], fees: FeesOf) -> Amounts:
        """What the open pairs would have earned in all if they were closed now, by asset.

        Args:
            quotes: By instrument id; longs are sold at the bid and shorts bought back at the ask, whatever the depth.
            fees: Taker rates of the exit.

        Returns:
            Flows so far plus the exit's, net of exit fees. A pair that lacks a quote or a fee schedule for a leg
            that it holds is left out: `unpriced_pairs` names it.
        """
        exits = (pair.if_closed(quotes, fees) for pair in self._open.values())
        return _without_zeros(total_amounts(flows for flows in exits if flows is not None))

    def unpriced_pairs(self, quotes: Mapping[str, TopOfBook], fees: FeesOf) -> tuple[str, ...]:
        """Open pairs that `unrealised` leaves out for want of a quote or a fee."""
        return tuple(pair.id for pair in self._open.values() if pair.if_closed(quotes, fees) is None)

    def _known(self, pair_id: str) -> PairAccount:
        pair = self._pairs.get(pair_id) or self._before.get(pair_id)
        if pair is None:
            raise InvariantError(f"pair {pair_id} was never opened")
        return pair

    @contextmanager
    def _changing(self, pair: PairAccount) -> Iterator[None]:
        # Profit is kept as a running sum: it is asked for at every risk check, and pairs are never forgotten.
        if pair.is_closed:
            self._count(pair, -1)
        yield
        if pair.is_closed:
            self._count(pair, +1)
            if self._open.pop(pair.id, None) is not None and pair.was_position:
                self._lately.append(pair)
        else:
            self._open[pair.id] = pair

    def _count(self, pair: PairAccount, sign: int) -> None:
        for asset, amount in pair.flows.items():
            self._realised[asset] += sign * amount


def _without_zeros(amounts: Mapping[str, Decimal]) -> Amounts:
    return {asset: amount for asset, amount in amounts.items() if amount}
