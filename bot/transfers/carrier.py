"""Transfers of chains at venues that hold real accounts: the engine's side of `bot.transfers.desk`.

A carriage is a withdrawal under its own id, an arrival, and the move into the wallet that trades; each step stands in
the journal before it is taken. So a later run goes on at any of them: what was intended is asked for by its id and not
sent again.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from bot.clock import Clock, Timer
from bot.domain.legs import TransferLeg
from bot.errors import TransferRefused, VenueError
from bot.matching.cash import from_float
from bot.ports.transfers import Carriage, CarryListener, CarryNews, CarryState, CashListener, MoveState
from bot.text import clip, inert
from bot.transfers.desk import TransferDesk
from bot.transfers.on_its_way import OnItsWay, read_back
from bot.transfers.spent import Sent

_NOTHING = Decimal(0)
_SHOWN = 80
"""Characters of a transaction's id."""


@dataclass(slots=True)
class _Trip:
    carriage: Carriage
    begun_ns: int
    is_new: bool
    """Whether this run sends it; of an earlier one it is not known which balances it has changed already."""
    state: CarryState | None = None
    """As it was told last; None: nothing was."""
    sent: Decimal = _NOTHING
    late: Timer | None = None
    is_awaited: bool = True
    """Whether somebody waits for its news; what an earlier run left and nobody took over is followed all the same."""


class DeskCarrier:
    """Implements `AccountCarrier` and `RefusesTransfers` over a `TransferDesk`, for the loop that it is used on."""

    carry_listener: CarryListener

    def __init__(self, desk: TransferDesk, clock: Clock, event: Callable[[str, str], None]) -> None:
        """Nothing is sent or asked yet; `event` takes a level and a line for a person."""
        self._desk = desk
        self._clock = clock
        self._event = event
        self._trips: dict[str, _Trip] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.cash: CashListener | None = None
        self._settling: asyncio.Task[None] | None = None

    def send(self, carriage: Carriage) -> None:
        """Move it, once: one of an id that is known is followed, and not sent again."""
        if self._desk.spent.of(carriage.id) is not None or carriage.id in self._tasks:
            self.resume(carriage)
            return
        self._begin(_Trip(carriage, self._clock.now_ns(), is_new=True), self._set_out)

    def resume(self, carriage: Carriage) -> None:
        """Go on with one of an earlier run, or tell its end."""
        known, trip = self._desk.spent.of(carriage.id), self._trips.get(carriage.id)
        if trip is not None and not self._tasks[carriage.id].done():
            trip.is_awaited = True
            if trip.state is not None:
                self._clock.call_later(0.0, partial(self._tell, trip, trip.state, _NOTHING, ""))
        elif known is None:
            trip = _Trip(carriage, self._clock.now_ns(), is_new=False)
            self._clock.call_later(0.0, partial(self._tell, trip, CarryState.REFUSED, _NOTHING, "it never left"))
        else:
            self._begin(_Trip(carriage, known.sent_ns, is_new=False), partial(self._go_on, known))

    def refuses(self, leg: TransferLeg, amount: float) -> str | None:
        """Why it would not send `amount` now, by allow-list, delay, caps and what is on its way; None: it would."""
        return self._desk.guard.refuses(leg.from_venue, leg.to_venue, leg.asset, leg.network, from_float(amount))

    def start(self) -> None:
        """Follow what earlier runs sent and nobody has taken over, and ask about withdrawals that no chain sent."""
        self._settling = asyncio.get_running_loop().create_task(self._desk.settle())
        self._settling.add_done_callback(_report)
        for known in self._desk.spent.carriages():
            if known.id in self._tasks or not self._is_under_way(known):
                continue
            carriage = _carriage(known)
            words = f"{known.amount:f} {known.asset} from {known.venue} to {carriage.to_venue}"
            words = f"transfer {known.id} of an earlier run ({words})"
            if absent := self._desk.following.not_here(known.venue, carriage.to_venue):
                self._event("error", f"ALARM: {words} cannot be asked about: this run has no account at {absent}")
                continue
            self._event("warning", f"{words} belongs to no chain: it is followed")
            self._begin(_Trip(carriage, known.sent_ns, is_new=False, is_awaited=False), partial(self._go_on, known))

    def _is_under_way(self, known: Sent) -> bool:
        if not known.is_over:
            return True
        venue = known.body["to_venue"] if known.state == MoveState.DONE else known.venue
        return known.has_left and self._desk.landing.is_due(known.id, venue)

    def stop(self) -> None:
        """Follow nothing any more; a later run goes on."""
        for trip in self._trips.values():
            if trip.late is not None:
                trip.late.cancel()
        for task in (*self._tasks.values(), *([] if self._settling is None else [self._settling])):
            task.cancel()

    def moving(self, venue: str) -> frozenset[str]:
        """Assets of a venue whose balance a transfer may change at any moment, or has changed unheard of."""
        found = set()
        for id_, trip in self._trips.items():
            if not self._tasks[id_].done():
                one = trip.carriage
                if venue == one.to_venue or (venue == one.from_venue and trip.state in (None, CarryState.UNKNOWN)):
                    found.add(one.asset)
        return frozenset(found)

    async def foreign(self, venue: str, asset: str, amount: Decimal, since_ns: int) -> str | None:
        """Which deposit that no carriage brought made a balance grow by so much, in words; None: none that is known."""
        try:
            found = await self._desk.following.deposits(venue, asset, since_ns)
        except VenueError:
            return None
        ours = {one.body.get("tx_id") for one in self._desk.spent.carriages()}
        others = [one for one in found if one.amount == amount and one.tx_id not in ours]
        if not others:
            return None
        network, tx_id = inert(others[0].network), clip(inert(others[0].tx_id), _SHOWN)
        return f"a deposit of {amount:f} {asset} on {network}, transaction {tx_id}, that this run did not send"

    # One carriage

    def _begin(self, trip: _Trip, run: Callable[[_Trip], Coroutine[Any, Any, None]]) -> None:
        carriage = trip.carriage
        self._trips[carriage.id] = trip
        passed_s = (self._clock.now_ns() - trip.begun_ns) / 1e9
        trip.late = self._clock.call_later(max(0.0, carriage.deadline_s - passed_s), partial(self._delay, trip))
        task = asyncio.get_running_loop().create_task(run(trip))
        self._tasks[carriage.id] = task
        task.add_done_callback(_report)

    async def _set_out(self, trip: _Trip) -> None:
        try:
            sent = await self._desk.carry(trip.carriage)
        except (TransferRefused, VenueError) as error:
            self._end(trip, CarryState.REFUSED, _NOTHING, str(error))
            return
        await self._follow(trip, sent)

    async def _go_on(self, known: Sent, trip: _Trip) -> None:
        if not known.has_left:
            self._end(trip, CarryState.REFUSED, _NOTHING, str(known.body.get("reason", "it never left")))
            return
        sent = read_back(known)
        if not known.is_over:
            await self._follow(trip, sent)
            return
        trip.sent = known.amount
        state = MoveState(known.state)
        await self._land(trip, sent, state, Decimal(known.body.get("received", "0")))

    async def _follow(self, trip: _Trip, sent: OnItsWay) -> None:
        trip.sent = sent.withdrawal.amount
        if sent.is_unknown:
            self._tell(trip, CarryState.UNKNOWN, _NOTHING, "no answer came: it is asked about")
        else:
            self._found(trip)
        try:
            end = await self._desk.following.arrived(sent, partial(self._found, trip))
        except TransferRefused as never:
            self._end(trip, CarryState.REFUSED, _NOTHING, str(never))
            return
        await self._land(trip, sent, end.state, end.amount)

    async def _land(self, trip: _Trip, sent: OnItsWay, state: MoveState, received: Decimal) -> None:
        carriage, is_there = trip.carriage, state is MoveState.DONE
        venue = carriage.to_venue if is_there else carriage.from_venue
        amount = received if is_there else sent.withdrawal.amount
        await self._desk.landing.land(carriage.id, venue, carriage.asset, amount)
        self._book(trip, venue, amount)
        if is_there:
            self._end(trip, CarryState.ARRIVED, amount, "")
        else:
            self._end(trip, CarryState.FAILED, amount, f"{carriage.from_venue} gave it up")

    # Telling

    def _found(self, trip: _Trip) -> None:
        """Its venue has it: it has left the wallet."""
        self._book(trip, trip.carriage.from_venue, -trip.sent)
        self._tell(trip, CarryState.IN_TRANSIT, _NOTHING, "")

    def _book(self, trip: _Trip, venue: str, amount: Decimal) -> None:
        if self.cash is None:
            return
        if trip.is_new:
            self.cash.on_moved(venue, trip.carriage.asset, amount)
        else:
            self.cash.on_unsettled(venue, trip.carriage.asset)

    def _delay(self, trip: _Trip) -> None:
        state = "nobody knows whether it left" if trip.state is CarryState.UNKNOWN else "it is on its way"
        reason = f"not arrived in {trip.carriage.deadline_s:g} s: {state}"
        if not trip.is_awaited:
            self._event("error", f"ALARM: transfer {trip.carriage.id}, which belongs to no chain: {reason}")
        self._tell(trip, CarryState.LATE, _NOTHING, reason)

    def _end(self, trip: _Trip, state: CarryState, received: Decimal, reason: str) -> None:
        if trip.late is not None:
            trip.late.cancel()
        if not trip.is_awaited:
            one = trip.carriage
            self._event(
                "warning", f"transfer {one.id}, which belongs to no chain, is {state}: {received:f} {one.asset}"
            )
        self._tell(trip, state, received, reason)

    def _tell(self, trip: _Trip, state: CarryState, received: Decimal, reason: str) -> None:
        if state is not CarryState.LATE:
            trip.state = state
        if trip.is_awaited:
            now_ns = self._clock.now_ns()
            self.carry_listener.on_carry(CarryNews(trip.carriage.id, state, received, reason, now_ns, trip.sent))


def _carriage(known: Sent) -> Carriage:
    body = known.body
    way = (known.venue, body["to_venue"], body["chain"])
    return Carriage(known.id, known.asset, *way, known.amount, float(body["deadline_s"]))


def _report(task: "asyncio.Task[None]") -> None:
    """A mistake of ours must not pass in silence: the loop's handler halts the run."""
    if not task.cancelled() and (error := task.exception()) is not None:
        task.get_loop().call_exception_handler({"message": "a transfer is not followed any more", "exception": error})
