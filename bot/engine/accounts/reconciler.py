"""Every few seconds: what the venues know of the account, against what the journal and the executor have.

    a trade of an order of ours that was never told   booked now, once
    a trade or an open order that is not ours         its instrument is quarantined: nothing new is opened there
    a position that no fill explains                  REDUCING after two looks, HALTED after four
    a balance that fills, fees, funding and transfers do not make  told, with the figure

An order on its way moves all of these. So an instrument is compared only in looks during which nothing of it was on its
way and nothing of it changed; a wallet, where that holds for its whole venue.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal

from bot.clock import Clock
from bot.domain.account import FundingPayment
from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Fill
from bot.engine.accounts.cash_check import CashCheck
from bot.engine.accounts.left_behind import LeftBehind
from bot.engine.pairs import PairDesk
from bot.errors import VenueError
from bot.ports import AccountQuestions, Holdings
from bot.ports.transfers import AccountCarrier
from bot.risk.gate import Cause

_REDUCE_AT = 2
_HALT_AT = 4
"""Looks in a row in which a position was another."""
_MOMENT_S = 0.5
"""A stream may bring what an answer has told already: so long it is waited for before anything is called missed."""
_BACK_NS = 60_000_000_000
"""A venue may date a trade, or show it, so late."""


class Reconciler:
    """Compares one run's accounts, for as long as it runs. Implements `bot.engine.run.Watch`."""

    def __init__(
        self,
        accounts: Sequence[AccountQuestions],
        desk: PairDesk,
        instruments: Sequence[Instrument],
        clock: Clock,
        every_s: float,
        event: Callable[[str, str], None],
        left: LeftBehind | None = None,
    ) -> None:
        """Nothing is asked before `start`.

        Args:
            accounts: Whom to ask.
            desk: Holds the ledger, the executor and the gate that is to stop.
            instruments: Of the run.
            clock: Of the wall.
            every_s: Between two looks.
            event: Takes a level and a line, for a person and the journal.
            left: What the run has taken over; its fills are no news.
        """
        self._accounts = accounts
        self._desk = desk
        self._instruments = {one.id: one for one in instruments}
        self._clock = clock
        self._every_s = every_s
        self._event = event
        self._task: asyncio.Task[None] | None = None
        self._begun_ns = 0
        self._since_ns: dict[str, int] = {}
        """By venue: its trades are asked for from there on."""
        self._beside: defaultdict[str, Decimal] = defaultdict(Decimal)
        """By instrument id: what of its position is not ours, venue units."""
        self._left = left or LeftBehind()
        self._strange: set[tuple[str, str]] = set(self._left.fill_ids)
        """Trades that are none of this run's, and known."""
        self._told: set[tuple[str, str]] = set()
        self._looks: defaultdict[str, int] = defaultdict(int)
        """By instrument id: looks in a row that found another position."""
        self._news: Counter[str] = Counter()
        """By instrument id: fills and funding that were booked."""
        self._unexplained: dict[str, str] = {}
        """By instrument id: the figures of a position that nothing has explained for too many looks."""
        self._cash = {one.venue: CashCheck(one.wallet_of) for one in accounts}
        self._begun_with_ns: dict[str, int] = {}
        """By venue: when the balances that its cash began with were asked for, UTC ns."""
        self._carrier: AccountCarrier | None = None
        self._away: dict[str, str] = {}
        """By venue: why its account could not be compared when it was asked last; empty: it could."""
        self._looked_ns: dict[str, int] = {}
        """By venue: when its account was looked at last, monotonic."""
        self.looks = 0
        """How often all accounts have been compared."""

    def follow(self, carrier: AccountCarrier) -> None:
        """Count what it moves, and ask it what brought a balance that nothing explains."""
        self._carrier = carrier
        carrier.cash = self

    def on_moved(self, venue: str, asset: str, amount: Decimal) -> None:
        """A transfer brought or took so much; `bot.ports.transfers.CashListener`."""
        wallet = self._spot_wallet(venue)
        if wallet is not None:
            self._cash[venue].move(wallet, asset, amount)

    def on_unsettled(self, venue: str, asset: str) -> None:
        """A transfer of an earlier run has ended, and may have changed the balance before this one looked."""
        wallet = self._spot_wallet(venue)
        if wallet is not None:
            self._cash[venue].accept(wallet, asset)

    def _spot_wallet(self, venue: str) -> str | None:
        account = next((one for one in self._accounts if one.venue == venue), None)
        spot = (one for one in self._instruments.values() if one.venue == venue and one.segment is Segment.SPOT)
        found = next(spot, None)
        return None if account is None or found is None else account.wallet_of(found)

    def start(self) -> None:
        """Take what is held now as it is where it is quarantined, and compare from now on.

        Trades are looked for from when the start looked for them: one that came while it went on is nobody's news else.
        """
        asked_ns = self._left.asked_ns
        self._begun_ns = self._clock.now_ns() if asked_ns is None else asked_ns - _BACK_NS
        self._desk.on_booked = self._book
        for fill in sorted((fill for pair in self._left.pairs for fill in pair.fills), key=lambda one: one.ts_event_ns):
            self._book(fill)
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(_report)

    def stop(self) -> None:
        """Compare no more."""
        if self._task is not None:
            self._task.cancel()

    def _book(self, news: Fill | FundingPayment) -> None:
        self._news[news.instrument.id] += 1
        cash = self._cash.get(news.instrument.venue)
        if cash is None:
            return
        if isinstance(news, Fill):
            cash.apply(news)
        elif news.ts_ns >= self._begun_with_ns.get(news.instrument.venue, 0):
            cash.pay(news)  # an older one, told late, lay in the balances that it began with

    async def _run(self) -> None:
        while True:
            whole = True
            for account in self._due():
                asked_ns = self._clock.now_ns()
                try:
                    await self._look(account)
                    self._since_ns[account.venue] = asked_ns - _BACK_NS
                    self._tell_away(account.venue, "")
                except VenueError as error:
                    whole = False
                    self._tell_away(account.venue, str(error))
            if whole:
                self.looks += 1
            self._settle_state()
            await asyncio.sleep(self._every_s)

    def _tell_away(self, venue: str, why: str) -> None:
        """Once for each reason, and once when it is over: it may last for hours, and is looked at every few seconds."""
        if why == self._away.get(venue, ""):
            return
        self._away[venue] = why
        if why:
            self._event("warning", f"{venue}: the account could not be compared: {why}")
        else:
            self._event("info", f"{venue}: the account is compared again")

    def _due(self) -> Sequence[AccountQuestions]:
        """Whose time it is: not every venue lets its account be asked for as often as the next."""
        now_ns = self._clock.monotonic_ns()
        due = [
            one
            for one in self._accounts
            if one.venue not in self._looked_ns or now_ns - self._looked_ns[one.venue] >= one.between_s * 1e9
        ]
        self._looked_ns |= {one.venue: now_ns for one in due}
        return due

    async def _look(self, account: AccountQuestions) -> None:
        own = [one for one in self._instruments.values() if one.venue == account.venue]
        await self._find_trades(account, [one for one in own if self._is_traded(one)])
        before, asked_ns = self._state(own), self._clock.now_ns()
        holdings = await account.holdings()
        if any(self._differs(one, holdings) for one in own):
            # Something moved it: somebody else's trades, or one of ours that is not told.
            await self._find_trades(account, own)
        for order in await account.open_orders():
            if not self._desk.knows(order.client_order_id):
                name = order.client_order_id or order.venue_order_id
                self._quarantine(order.instrument, f"open order {name} is not of this run")
        after = self._state(own)
        for one in own:
            if before[one.id] == after[one.id] and not after[one.id][1]:
                self._compare(one, holdings)
        if before == after and not any(pending for _, pending, _ in after.values()):
            await self._compare_cash(account, holdings, asked_ns)

    def _is_traded(self, instrument: Instrument) -> bool:
        """Whether an order of ours is, or lately was, on its way there."""
        return any(
            one.id == instrument.id for pair in self._desk.in_hand() for one in pair.opportunity.route.instruments
        )

    def _state(self, own: Sequence[Instrument]) -> dict[str, tuple[Decimal, int, int]]:
        """By instrument id: what fills make, how many orders may change it, and how often it has changed so far.

        In a slow look a position may have gone and come back: it is the same then, and the venue's answer another.
        """
        pending: defaultdict[str, int] = defaultdict(int)
        for pair in self._desk.in_hand():
            for order in pair.waiting():
                pending[order.instrument.id] += 1
        ledger = self._desk.ledger
        return {one.id: (ledger.position(one), pending[one.id], self._news[one.id]) for one in own}

    def moved(self, venue: str, asset: str, amount: Decimal, source: str, target: str) -> None:
        """The bot has moved money between two wallets of an account: neither changed without a reason."""
        if venue in self._cash:
            self._cash[venue].move(source, asset, -amount)
            self._cash[venue].move(target, asset, amount)

    # Trades

    def _is_known(self, instrument_id: str, fill_id: str) -> bool:
        return self._desk.ledger.has_fill(instrument_id, fill_id) or (instrument_id, fill_id) in self._strange

    async def _find_trades(self, account: AccountQuestions, instruments: Sequence[Instrument]) -> None:
        if not instruments:
            return
        found = await account.trades(instruments, self._since_of(account), self._is_known)
        if not found:
            return
        await asyncio.sleep(_MOMENT_S)
        for fill in found:
            if not self._is_known(fill.instrument.id, fill.fill_id):
                self._take(account, fill)

    def _since_of(self, account: AccountQuestions) -> int:
        return max(self._begun_ns, self._since_ns.get(account.venue, 0))

    def _take(self, account: AccountQuestions, fill: Fill) -> None:
        words = f"{fill.side} {fill.quantity:f} at {fill.price:f}"
        if self._desk.knows(fill.client_order_id):
            name = f"fill {fill.fill_id} of order {fill.client_order_id}"
            self._event("warning", f"{name} ({words}) was never told: booked")
            if not account.take(fill):
                self._desk.on_fill(fill)
            return
        if fill.forced:
            # A stream may have told of it before the fill that it took from: nobody held anything then.
            if not account.take(fill) or not self._is_known(fill.instrument.id, fill.fill_id):
                self._desk.on_fill(fill)
            if self._is_known(fill.instrument.id, fill.fill_id):
                self._event("warning", f"what the venue did itself ({fill.forced}: {words}) was never told: booked")
                return
        self._strange.add((fill.instrument.id, fill.fill_id))
        self._beside[fill.instrument.id] += fill.side.sign * fill.quantity
        self._cash[account.venue].apply(fill)
        order = fill.client_order_id or "without a name"
        self._quarantine(fill.instrument, f"trade {fill.fill_id} ({words}) of order {order} is not of this run")

    def _quarantine(self, instrument: Instrument, why: str) -> None:
        if (instrument.id, why) not in self._told:
            self._told.add((instrument.id, why))
            self._desk.portfolio.quarantine[instrument.id] = why
            self._event("error", f"QUARANTINE {instrument.id}: {why}; nothing new is opened there")

    # Positions

    def _differs(self, instrument: Instrument, holdings: Holdings) -> Decimal:
        """What the venue holds beyond what fills make; 0 for spot, whose asset is a balance."""
        if not instrument.is_perpetual:
            return Decimal(0)
        told = next((one.quantity for one in holdings.positions if one.instrument.id == instrument.id), Decimal(0))
        return told - self._desk.ledger.position(instrument) - self._beside[instrument.id]

    def _compare(self, instrument: Instrument, holdings: Holdings) -> None:
        missing = self._differs(instrument, holdings)
        if not missing:
            self._looks.pop(instrument.id, None)
            self._unexplained.pop(instrument.id, None)
            return
        if instrument.venue not in self._begun_with_ns and instrument.id in self._desk.portfolio.quarantine:
            self._beside[instrument.id] += missing  # it was there at the start, and a person knows
            return
        self._looks[instrument.id] += 1
        looks, fills = self._looks[instrument.id], self._desk.ledger.position(instrument)
        told = fills + self._beside[instrument.id] + missing
        figures = f"the venue holds {told:+f}, fills make {fills:+f}"
        words = f"{instrument.id}: {figures}: {missing:+f} is explained by nothing"
        if looks == _REDUCE_AT:
            self._event("error", words)
        if looks >= _REDUCE_AT:
            self._unexplained[instrument.id] = words
            self._settle_state()
        if looks == _HALT_AT:
            self._desk.gate.halt(words)

    def _settle_state(self) -> None:
        if self._unexplained:
            self._desk.gate.reduce(Cause.ACCOUNT, "; ".join(self._unexplained.values()))
        else:
            self._desk.gate.resume(Cause.ACCOUNT, "the accounts are what fills make again")

    # Cash

    async def _compare_cash(self, account: AccountQuestions, holdings: Holdings, asked_ns: int) -> None:
        cash, carrier = self._cash[account.venue], self._carrier
        if account.venue not in self._begun_with_ns:
            self._begun_with_ns[account.venue] = asked_ns
            cash.begin(holdings.balances, holdings.positions)
            return
        moving = () if carrier is None else carrier.moving(account.venue)
        for one in cash.compare(holdings.balances, moving):
            why = None
            if carrier is not None and one.missing > 0:
                why = await carrier.foreign(account.venue, one.asset, one.missing, self._begun_ns)
            self._event("warning", f"cash: {one.words}" + ("" if why is None else f": {why}"))


def _report(task: "asyncio.Task[None]") -> None:
    """A mistake of ours must not pass in silence: the loop's handler halts the run."""
    if not task.cancelled() and (error := task.exception()) is not None:
        task.get_loop().call_exception_handler({"message": "reconciliation failed", "exception": error})
