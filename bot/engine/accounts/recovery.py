"""Before the first order of a run: what earlier runs left in hand, held against what the venues know.

    every order without a final state   asked for by client id, cancelled where it still rests; its fills are journalled
    own trades around the end           a fill that the journal lacks is journalled, once
    positions                           what the pairs that are left hold, and nothing else
    open orders, trades of others       not of this journal: the start is refused, or the instrument quarantined

Afterwards each pair is handed to the executor, which goes on with it. A question that cannot be asked is asked again
until the deadline; without an answer there is no start.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import TypeVar

from bot.clock import Clock, pause
from bot.domain.instrument import Instrument
from bot.domain.order import Fill, Order, OrderStatus
from bot.engine.accounts.abandoned import abandon
from bot.engine.accounts.left_behind import LeftBehind
from bot.engine.accounts.runs_before import ADOPTED
from bot.errors import AuthenticationFailed, PreflightFailed, VenueError, VenueUnavailable
from bot.execution.chain import Chain
from bot.execution.forced import part_records, shares
from bot.execution.journal_replay import LeftPair
from bot.execution.pair import Pair, PairState
from bot.execution.pair_record import pair_record
from bot.ports import AccountQuestions, Journal, OrderFound, RecordKind
from bot.settings.reconciliation import ReconciliationSettings

_AGAIN_S = 0.5
_NOTHING = Decimal(0)
_WHAT_TO_DO = (
    "close what is not the bot's at the venue, or start with --set reconciliation.foreign=quarantine (docs/recovery.md)"
)

_T = TypeVar("_T")


class Recovery:
    """Settles the accounts of one run; everything that it learns is in the journal before it returns."""

    def __init__(
        self,
        left: LeftBehind,
        accounts: Sequence[AccountQuestions],
        instruments: Sequence[Instrument],
        journal: Journal,
        clock: Clock,
        settings: ReconciliationSettings,
        event: Callable[[str, str], None],
        wait_s: float = 0.0,
    ) -> None:
        """Nothing is asked before `settle`.

        Args:
            left: What the journal says was in hand.
            accounts: Whom to ask.
            instruments: Of this run.
            journal: Of this run.
            clock: Dates what is found.
            settings: What to do about what is not ours.
            event: Takes a level and a line, for a person and the journal.
            wait_s: How long the start has for venues that are away, if that is longer than its deadline.
        """
        self._deadline_s = max(settings.deadline_s, wait_s)
        self._trouble: VenueError | None = None
        """Why a venue could not be asked last; None: it could."""
        self._left = left
        self._accounts = {one.venue: one for one in accounts}
        self._instruments = list(instruments)
        self._journal = journal
        self._clock = clock
        self._settings = settings
        self._event = event
        self.quarantined: dict[str, str] = {}
        """By instrument id, what there is not ours; filled by `settle`."""

    async def settle(self) -> list[LeftPair]:
        """Every pair that is to be adopted, with no order of it left in doubt.

        Raises:
            PreflightFailed: If the venues tell otherwise than the journal, or do not agree with it in time.
            VenueUnavailable: If one cannot be asked in time: the next start may find it.
        """
        given_up: list[LeftPair] = []
        if self._settings.pairs == "abandon":
            given_up, self._left.pairs = self._left.pairs, []
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._settle()
        except TimeoutError as error:
            words = f"could not be compared with the journal within {self._deadline_s:g} s"
            if self._trouble is not None:
                raise VenueUnavailable(self._trouble.venue, f"the account {words}: {self._trouble}") from error
            raise PreflightFailed(f"the accounts {words}") from error
        self._left.take_up = lambda pair_id: None
        # Only now: where a venue still holds some of it, the start is refused, and the next one has to know the pair.
        self._forget(given_up)
        return self._left.pairs

    async def _settle(self) -> None:
        unknown = [left.name for left in self._left.pairs if not self._is_here(left.pair)]
        if unknown:
            where = "is on an instrument that is not in this run: name it in the settings, so that it can be closed"
            raise PreflightFailed("\n".join(f"{name} of an earlier run {where}" for name in unknown))
        await asyncio.gather(
            *(self._settle_order(left, order_id) for left in self._left.pairs for order_id in sorted(left.pair.pending))
        )
        troubles = [line for account in self._accounts.values() for line in await self._compare(account)]
        if troubles:
            raise PreflightFailed("\n".join(troubles))

    def _is_here(self, pair: Pair | Chain) -> bool:
        known = {one.id for one in self._instruments if one.venue in self._accounts}
        return all(instrument.id in known for instrument in pair.opportunity.route.instruments)

    def _forget(self, given_up: Iterable[LeftPair]) -> None:
        """A person has closed them, and the venues hold nothing of them, or what is in quarantine: they are over."""
        for left in given_up:
            now_ns = self._clock.now_ns()
            record, known = abandon(left, now_ns)
            self._journal.record(RecordKind.PAIR, left.pair.id, now_ns, record)
            self._event("warning", f"{left.name} of an earlier run is abandoned, as was asked for: {known}")

    # One order

    async def _settle_order(self, left: LeftPair, order_id: str) -> None:
        order = left.pair.orders[order_id][0]
        account = self._accounts[order.instrument.venue]
        missed = 0
        while True:
            found = await self._asked(lambda: account.order(order))
            if found is None:
                missed += 1
                if missed > 1 or not account.unknown_for_s:
                    self._end(left, order, None, ())
                    return
                await pause(self._clock, account.unknown_for_s)
            elif not found.status.is_terminal:
                await self._asked(lambda: account.cancel(order))
                await pause(self._clock, _AGAIN_S)
            else:
                fills = await self._asked(partial(account.fills, order, found))
                if sum((fill.quantity for fill in fills), _NOTHING) >= found.filled_quantity:
                    self._end(left, order, found, fills)
                    return
                await pause(self._clock, _AGAIN_S)

    def _end(self, left: LeftPair, order: Order, found: OrderFound | None, fills: Iterable[Fill]) -> None:
        """Write down how an order ended: its fills first, as every order's."""
        for fill in fills:
            self._count(left, fill)
        pair = left.pair
        status, reason = OrderStatus.REJECTED, "it never arrived: the venue knows no such order"
        if found is not None:
            status, reason = found.status, found.reason or ""
        update = {
            "status": status,
            "filled_quantity": pair.filled.get(order.client_order_id, _NOTHING),
            "venue_order_id": None if found is None else found.venue_order_id,
            "reason": reason or None,
            "ts_final_ns": self._clock.now_ns(),
        }
        ended = order.model_copy(update=update)
        _, leg, expected = pair.orders[order.client_order_id]
        pair.orders[order.client_order_id] = (ended, leg, expected)
        pair.pending.discard(order.client_order_id)
        body = {**ended.model_dump(mode="json"), "pair": pair.id, "leg": leg, "expected_price": str(expected)}
        self._journal.record(RecordKind.ORDER, order.client_order_id, self._clock.now_ns(), body)
        what = f"{status.value}, filled {ended.filled_quantity:f}"
        self._event("info", f"order {order.client_order_id} of an earlier run: {what}")

    def _count(self, left: LeftPair, fill: Fill) -> bool:
        if not left.pair.count(fill):
            return False
        left.fills.append(fill)
        self._left.fill_ids.add((fill.instrument.id, fill.fill_id))
        _, leg, expected = left.pair.orders[fill.client_order_id]
        body = {**fill.model_dump(mode="json"), "pair": left.pair.id, "leg": leg, "expected_price": str(expected)}
        self._journal.record(RecordKind.FILL, fill.fill_id, fill.ts_event_ns, body)
        return True

    # One account

    async def _compare(self, account: AccountQuestions) -> list[str]:
        """What stands in the way of a start, a line each."""
        strange = await self._strange_trades(account)
        orders = await self._asked(account.open_orders)
        holdings = await self._asked(account.holdings)
        held = {position.instrument.id: position.quantity for position in holdings.positions}
        lines: dict[str, list[str]] = defaultdict(list)
        for order in orders:
            lines[order.instrument.id].append(f"open order {order.client_order_id or order.venue_order_id}")
        ours = self._held()
        broken: list[str] = []
        for instrument in self._instruments:
            if instrument.venue != account.venue or not instrument.is_perpetual:
                continue
            told, expected = held.get(instrument.id, _NOTHING), ours.get(instrument.id, _NOTHING)
            if told != expected and not self._lost(expected, told, strange.get(instrument.id, ())):
                figures = f"position {told:+f}, and the journal's pairs hold {expected:+f}"
                if expected:
                    broken.append(f"{instrument.id}: {figures}; {self._explained(strange.get(instrument.id, ()))}")
                lines[instrument.id].append(figures)
        return broken or self._foreign(lines)

    async def _strange_trades(self, account: AccountQuestions) -> Mapping[str, Sequence[Fill]]:
        """Trades that the journal does not have, by instrument; those of pairs, also of those over, are journalled."""
        since_ns = self._left.since_ns
        if since_ns is None:
            return {}
        if self._left.asked_ns is None:
            self._left.asked_ns = self._clock.now_ns()
        fills = await self._asked(
            lambda: account.trades(self._instruments, since_ns, lambda *key: key in self._left.fill_ids)
        )
        strange: dict[str, list[Fill]] = defaultdict(list)
        for fill in fills:
            left = await self._owner(fill)
            if left is None:
                strange[fill.instrument.id].append(fill)
                self._left.fill_ids.add((fill.instrument.id, fill.fill_id))
                self._tell_late(fill)
            elif self._count(left, fill):
                self._event(
                    "warning", f"fill {fill.fill_id} of order {fill.client_order_id} was missed: journalled now"
                )
        return strange

    def _lost(self, expected: Decimal, told: Decimal, strange: Sequence[Fill]) -> bool:
        """Count what the venue took away itself while nobody ran, where that is all that is missing."""
        taken = [fill for fill in strange if fill.forced]
        missing = sum((fill.side.sign * fill.quantity for fill in taken), _NOTHING)
        shrank = expected * told >= 0 and abs(told) < abs(expected)
        if missing != told - expected or not shrank or len({fill.side for fill in taken}) != 1:
            return False
        pairs = [left.pair for left in self._left.pairs if isinstance(left.pair, Pair)]
        for fill in taken:
            parts = [(pair, part) for pair, part in shares(fill, pairs) if pair.count(part)]
            for body in part_records(parts):
                self._journal.record(RecordKind.FILL, body["fill_id"], fill.ts_event_ns, body)
            for pair, part in parts:
                next(left for left in self._left.pairs if left.pair is pair).fills.append(part)
                self._left.fill_ids.add((part.instrument.id, part.fill_id))
                pair.state = PairState.CLOSING if pair.state is PairState.OPEN else pair.state
                pair.close_reason = pair.close_reason or fill.forced
                what = f"{part.quantity:f} of {part.instrument.id} at {part.price:f} away ({fill.forced})"
                self._event("error", f"ALARM: the venue took {what}: the other leg of pair {pair.id} is closed")
        return True

    async def _owner(self, fill: Fill) -> LeftPair | None:
        """The pair that a fill belongs to; one that is over is taken up again, as a run does that hears of it."""
        order_id = fill.client_order_id
        left = next((left for left in self._left.pairs if order_id in left.pair.orders), None)
        pair_id = self._left.orders_over.get(order_id)
        if left is not None or pair_id is None or self._settings.pairs == "abandon":
            return left
        left = self._left.take_up(pair_id)
        if left is None or not self._is_here(left.pair):
            return None
        pair = left.pair
        if (fill.instrument.id, fill.fill_id) in pair.fill_ids:
            return left  # no news
        pair.reopen()
        record = pair.record() if isinstance(pair, Chain) else pair_record(pair)
        self._journal.record(RecordKind.PAIR, pair_id, self._clock.now_ns(), record)
        self._event("error", f"ALARM: {left.name} was over, and its order {order_id} was filled: it is closed again")
        self._left.pairs.append(left)
        self._left.reopened.append(pair_id)
        for pending in sorted(pair.pending):
            await self._settle_order(left, pending)
        return left

    def _tell_late(self, fill: Fill) -> None:
        """Say what an order of ours was filled with after its pair was over: of spot no position shows it."""
        pair_id = self._left.orders_over.get(fill.client_order_id)
        if pair_id is None or fill.instrument.is_perpetual:
            return
        what = f"fill {fill.fill_id} ({fill.side} {fill.quantity:f} at {fill.price:f}) of order {fill.client_order_id}"
        why = f"{what} came when pair {pair_id} was over, and no pair holds it"
        self.quarantined[fill.instrument.id] = why
        self._event("error", f"QUARANTINE {fill.instrument.id}: {why}; nothing new is opened there")

    def _held(self) -> Mapping[str, Decimal]:
        """By instrument: what the fills of all pairs that are left come to, venue units."""
        held: dict[str, Decimal] = defaultdict(Decimal)
        for left in self._left.pairs:
            for fill in left.fills:
                held[fill.instrument.id] += fill.side.sign * fill.quantity
        return held

    def _explained(self, strange: Sequence[Fill]) -> str:
        traded = sum((fill.side.sign * fill.quantity for fill in strange), _NOTHING)
        others = f"others traded {traded:+f} there since; " if strange else ""
        return (
            f"{others}make it what the journal says, or close it at the venue and start with "
            "--set reconciliation.pairs=abandon (docs/recovery.md)"
        )

    def _foreign(self, lines: Mapping[str, Sequence[str]]) -> list[str]:
        if self._settings.foreign == "refuse":
            return [f"{one}: {'; '.join(found)}: {_WHAT_TO_DO}" for one, found in lines.items()]
        for instrument_id, found in lines.items():
            self.quarantined[instrument_id] = "; ".join(found)
            self._event("error", f"QUARANTINE {instrument_id}: {'; '.join(found)}; nothing new is opened there")
        return []

    async def _asked(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """The answer, however often it takes; a key that is refused will not be taken later either."""
        while True:
            try:
                answer = await ask()
            except AuthenticationFailed:
                raise
            except VenueError as error:
                self._trouble = error
                self._event("warning", f"not known yet what the account holds: {error}")
                await pause(self._clock, max(_AGAIN_S, error.retry_after_s or 0.0))
            else:
                self._trouble = None
                return answer


def tell_adopted(journal: Journal, clock: Clock, pairs: Sequence[LeftPair]) -> None:
    """Say once, for the next start, from where on it has to read."""
    now_ns = clock.now_ns()
    names = [left.pair.id for left in pairs]
    text = f"adopted {', '.join(names)}" if names else "nothing was left to adopt"
    journal.record(RecordKind.EVENT, ADOPTED, now_ns, {"level": "info", "text": text, "pairs": names})
