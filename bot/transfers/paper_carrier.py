"""Transfers with paper money: what is taken from one paper wallet is in the other when a real one would be.

How long it takes is drawn from the distribution that the route was priced with, so that over many transfers the risk
of the time shows as it was priced; its 95th percentile would make every one of them slow. The draw is keyed by the
carriage's id: a replay, a backtest and a restart see the same time.

    in_transit   out of the wallet, with the time of its arrival
    done         credited; a network that is closed by then keeps it until it opens
    refused      nothing left
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from functools import partial
from math import log
from random import Random
from typing import Any

from bot.clock import Clock, Timer
from bot.domain.legs import TransferLeg
from bot.matching.cash import exact, from_float
from bot.ports import Journal, RecordKind, RouteTerms, TransferEstimate
from bot.ports.transfers import Carriage, CarryListener, CarryNews, CarryState, PaperMoney

KIND = "carriage"
"""Of its records in the journal."""
_QUANTUM = Decimal("1e-8")
"""No chain of those that are known sends less."""
_TAIL = log(20) - 1
"""Of an exponential time: how many of its means the 95th percentile lies above the mean."""


@dataclass(frozen=True, slots=True)
class _Trip:
    """One that left."""

    carriage: Carriage
    sent: Decimal
    received: Decimal
    sent_ns: int
    arrives_ns: int


class PaperCarrier:
    """Implements `bot.ports.transfers.Carrier` for paper wallets."""

    carry_listener: CarryListener

    def __init__(
        self,
        money: PaperMoney,
        terms: RouteTerms,
        journal: Journal,
        clock: Clock,
        look_again_s: float,
        earlier: Iterable[Mapping[str, Any]] = (),
        time_scale: float = 1.0,
    ) -> None:
        """Nothing is on its way yet.

        Args:
            money: The wallets.
            terms: What networks cost and how long they take, and which are closed now.
            journal: Of this run.
            clock: Moves the transfers.
            look_again_s: How often a closed network is looked at while an amount waits for it.
            earlier: Bodies of the `transfer` records of earlier runs on the same paper money, oldest first.
            time_scale: How much faster than life amounts travel: as at the simulated exchanges beside it.
        """
        self._money = money
        self._terms = terms
        self._journal = journal
        self._clock = clock
        self._look_again_s = look_again_s
        self._time_scale = time_scale
        self._known = {str(one["transfer"]): dict(one) for one in earlier if one["kind"] == KIND}
        self._late: dict[str, Timer] = {}

    def send(self, carriage: Carriage) -> None:
        """Take the amount out, and let it travel; one of an id that is known goes no second time."""
        if carriage.id in self._known:
            self.resume(carriage)
            return
        leg = _leg(carriage)
        estimate, closed = self._terms.transfer(leg), self._terms.closed(leg)
        sent = carriage.amount.quantize(_QUANTUM, ROUND_DOWN)
        if estimate is None or closed is not None:
            self._refuse(carriage, closed or "its network is not known")
        elif not estimate.takes(float(sent)):
            self._refuse(carriage, f"{sent:f} {carriage.asset} is not what the network takes at once")
        elif not self._money.take_out(carriage.from_venue, carriage.asset, sent):
            self._refuse(carriage, f"{carriage.from_venue} has not {sent:f} {carriage.asset} free")
        else:
            now_ns = self._clock.now_ns()
            arrives_ns = now_ns + round(drawn_s(estimate, carriage.id) / self._time_scale * 1e9)
            self._leave(_Trip(carriage, sent, _less_fee(sent, estimate), now_ns, arrives_ns))

    def resume(self, carriage: Carriage) -> None:
        """Go on with one of an earlier run, whose amount the wallets of this one still hold; or tell its end."""
        known = self._known.get(carriage.id)
        state = None if known is None else known["state"]
        if known is None or state == "refused":
            reason = "it never left" if known is None else str(known.get("reason", "refused"))
            self._tell_soon(carriage.id, CarryState.REFUSED, Decimal(0), reason)
            return
        trip = _trip(carriage, known)
        if state == "done":
            self._tell_soon(carriage.id, CarryState.ARRIVED, trip.received, "", trip.sent)
            return
        self._money.bring_in(carriage.from_venue, carriage.asset, -trip.sent)
        self._tell_soon(carriage.id, CarryState.IN_TRANSIT, Decimal(0), "", trip.sent)
        self._travel(trip)

    def restore(self, ids: Collection[str]) -> None:
        """Let the wallets hold what transfers that ended in an earlier run moved; before the first order."""
        for known in (self._known[one] for one in ids if one in self._known):
            if known["state"] == "done":
                self._money.bring_in(known["venue"], known["asset"], -Decimal(known["sent"]))
                self._money.bring_in(known["to"], known["asset"], Decimal(known["received"]))

    def _leave(self, trip: _Trip) -> None:
        # Nothing waits for the disk: what a crash forgets ends with the wallets of this process, and never left.
        self._record(trip, "in_transit")
        self._tell_soon(trip.carriage.id, CarryState.IN_TRANSIT, Decimal(0), "", trip.sent)
        self._travel(trip)

    def _travel(self, trip: _Trip) -> None:
        now_ns = self._clock.now_ns()
        due_ns = trip.sent_ns + round(trip.carriage.deadline_s * 1e9)
        self._late[trip.carriage.id] = self._clock.call_later(max(0, due_ns - now_ns) / 1e9, partial(self._delay, trip))
        self._clock.call_later(max(0, trip.arrives_ns - now_ns) / 1e9, partial(self._arrive, trip))

    def _arrive(self, trip: _Trip) -> None:
        carriage = trip.carriage
        if self._terms.closed(_leg(carriage)) is not None:
            self._clock.call_later(self._look_again_s, partial(self._arrive, trip))
            return
        self._late.pop(carriage.id).cancel()
        self._money.bring_in(carriage.to_venue, carriage.asset, trip.received)
        self._record(trip, "done")
        self._tell(carriage.id, CarryState.ARRIVED, trip.received, "", trip.sent)

    def _delay(self, trip: _Trip) -> None:
        closed = self._terms.closed(_leg(trip.carriage))
        reason = f"not arrived in {trip.carriage.deadline_s:g} s" + ("" if closed is None else f": {closed}")
        self._tell(trip.carriage.id, CarryState.LATE, Decimal(0), reason, trip.sent)

    def _refuse(self, carriage: Carriage, reason: str) -> None:
        nothing, now_ns = Decimal(0), self._clock.now_ns()
        self._record(_Trip(carriage, nothing, nothing, now_ns, now_ns), "refused", reason=reason)
        self._tell_soon(carriage.id, CarryState.REFUSED, nothing, reason)

    def _record(self, trip: _Trip, state: str, **more: str) -> None:
        one = trip.carriage
        body = {"transfer": one.id, "kind": KIND, "venue": one.from_venue, "to": one.to_venue, "asset": one.asset,
                "network": one.network, "amount": f"{one.amount:f}", "sent": f"{trip.sent:f}",
                "received": f"{trip.received:f}", "sent_ns": trip.sent_ns, "arrives_ns": trip.arrives_ns,
                "state": state, **more}  # fmt: skip
        self._known[one.id] = body
        self._journal.record(RecordKind.TRANSFER, one.id, self._clock.now_ns(), body)

    def _tell_soon(
        self, id_: str, state: CarryState, received: Decimal, reason: str, sent: Decimal = Decimal(0)
    ) -> None:
        """Never within a call of the listener's own."""
        self._clock.call_later(0.0, partial(self._tell, id_, state, received, reason, sent))

    def _tell(self, id_: str, state: CarryState, received: Decimal, reason: str, sent: Decimal) -> None:
        self.carry_listener.on_carry(CarryNews(id_, state, received, reason, self._clock.now_ns(), sent))


def drawn_s(estimate: TransferEstimate, key: str) -> float:
    """How long one transfer takes, seconds; the same key draws the same time.

    A fixed and an exponential part, with the mean and the 95th percentile of the estimate: the form that a transfer's
    time has by the model (`bot.pricing.transfers`), exactly so where blocks come by the clock.
    """
    part = Random(key).random()  # noqa: S311 - a simulation
    random_s = min(estimate.mean_s, max(0.0, estimate.p95_s - estimate.mean_s) / _TAIL)
    return estimate.mean_s - random_s - random_s * log(1.0 - part)


@exact
def _less_fee(sent: Decimal, estimate: TransferEstimate) -> Decimal:
    return sent - from_float(estimate.fee) - from_float(estimate.fee_ratio) * sent


def _leg(carriage: Carriage) -> TransferLeg:
    return TransferLeg(
        asset=carriage.asset,
        from_venue=carriage.from_venue,
        to_venue=carriage.to_venue,
        network=carriage.network,
    )


def _trip(carriage: Carriage, known: Mapping[str, Any]) -> _Trip:
    return _Trip(
        carriage,
        Decimal(known["sent"]),
        Decimal(known["received"]),
        int(known["sent_ns"]),
        int(known["arrives_ns"]),
    )
