"""Runs chains: link by link, then whatever it takes to end at home, or halted and announced.

What comes next is decided from what lies at which place and what is on its way, after every fill, every final state,
every news of a transfer and every deadline, and never from a plan:

    an order is on its way            -> wait for its answer
    something lies at a place         -> on through its link while that costs less than going home, else home
    its link is a transfer            -> send all of it, once nothing before it is open any more
    a transfer is on its way          -> wait; late is an alarm, what comes back goes home from where it lies
    nothing is left, nothing pending  -> closed; missed, where nothing was filled; failed, where nothing came through

An order without an answer is never sent again, and what it may have spent is spent by no other. `AwayWatch` keeps the
time that the amount is neither home nor between venues: an alarm, then home at any price, then HALTED.
"""

from collections.abc import Callable, Mapping

from bot.domain.order import Fill, Order, OrderStatus
from bot.domain.route import Opportunity
from bot.errors import InvariantError
from bot.execution.away import AwayWatch, held_words
from bot.execution.chain import Chain, Travel
from bot.execution.chain_dust import ChainDust
from bot.execution.chain_orders import ChainOrders, Plan
from bot.execution.chain_steps import ChainSteps
from bot.execution.chain_transfers import ChainTransfers, in_words
from bot.execution.context import ExecutionContext
from bot.execution.dust import DustLedger, dust_records
from bot.execution.episode import Stage
from bot.execution.order_rounds import OrderRounds
from bot.execution.pair import PairState
from bot.execution.reasons import FLATTEN, NOT_SENT
from bot.execution.retry_pause import RetryPause
from bot.execution.unhedged import Unhedged
from bot.ports import RecordKind
from bot.ports.transfers import Carrier, CarryNews, CarryState


class ChainExecutor:
    """Runs every chain of a run, on the engine's thread. Implements `bot.ports.transfers.CarryListener`."""

    def __init__(
        self,
        context: ExecutionContext,
        *,
        on_chain: Callable[[Chain], None],
        on_chain_fill: Callable[[Chain, str, Fill], None],
        on_sent: Callable[[Order], None],
        carrier: Carrier | None = None,
        deadline_s: float = 7200.0,
        dust: DustLedger | None = None,
    ) -> None:
        """Build it.

        Args:
            context: What it works with.
            on_chain: Hears every change of a chain's state.
            on_chain_fill: Hears every fill, once, with its chain and the name of its order.
            on_sent: Hears every order as it is sent.
            carrier: Moves amounts between venues; None: the run has none, and chains with transfers are not opened.
            deadline_s: A transfer that has not ended by then is late.
            dust: Where remainders go; None: a ledger of its own.
        """
        clock, settings, journal = context.clock, context.settings, context.journal
        self._journal = journal
        self._clock = clock
        self._id_prefix = context.id_prefix
        self._may_open = context.may_open
        self._on_chain = on_chain
        self._on_chain_fill = on_chain_fill
        self._on_halt = context.on_halt
        self.on_not_durable = context.on_halt
        """Called where an intent cannot be durable; a disk that may come back need not halt."""
        self.on_alarm: Callable[[Chain, str], None] = lambda chain, text: None
        """Called with what a person should know of a chain: away too long, an unknown order, a transfer too late."""
        self.why_not_now: Callable[[Chain], str | None] = lambda chain: None
        """Asked when the intent of link 0 is durable: what refuses the chain by now. None: it is sent."""
        self._chains: dict[str, Chain] = {}
        self._chain_count = 0
        self._is_stopped = False
        self._orders = ChainOrders(context)
        self._rounds = OrderRounds[Chain](
            context,
            opens=_opens,
            why_withheld=self._why_withheld,
            on_sent=on_sent,
            on_ended=self._ended,
            on_lost=self._next,
            on_alarm=lambda chain, text: self.on_alarm(chain, text),
            on_not_durable=lambda why: self.on_not_durable(why),
            look_at="balances",
        )
        self._pause = RetryPause[Chain](clock, settings.retry_wait_ms, self._next)
        self._transfers = ChainTransfers(
            carrier,
            journal,
            clock,
            deadline_s,
            may_open=context.may_open,
            on_refused=self.on_carry,
            on_not_durable=lambda why: self.on_not_durable(why),
        )
        self._steps = ChainSteps(self._orders, settings, context.may_open, can_send=carrier is not None)
        self._watch = AwayWatch(clock, settings, self._on_stage, context.taker_bps)
        self.dust = dust or DustLedger(dust_records(journal, clock))
        self._rests = ChainDust(self.dust)
        if carrier is not None:
            carrier.carry_listener = self

    @property
    def chains(self) -> Mapping[str, Chain]:
        """Chains that are not over, by id."""
        return self._chains

    def knows(self, client_order_id: str) -> bool:
        """Whether it wrote this order down, in this run or with a chain that it took over."""
        return self._rounds.knows(client_order_id)

    def unresolved(self, venue: str) -> int:
        """How many orders at a venue have an outcome that nobody knows: it takes no new risk meanwhile."""
        return self._rounds.unresolved(venue)

    def unhedged(self) -> list[Unhedged]:
        """Every chain whose amount is neither home nor between venues, or may be so for all that is known."""
        return [found for chain in self._chains.values() if (found := self._watch.unhedged(chain)) is not None]

    def underway(self, from_venue: str, to_venue: str) -> list[Travel]:
        """The transfers between two venues that have no end yet."""
        travels = (chain.underway for chain in self._chains.values())
        return [
            one
            for one in travels
            if one is not None and (one.carriage.from_venue, one.carriage.to_venue) == (from_venue, to_venue)
        ]

    def open(self, opportunity: Opportunity) -> Chain:
        """Start a chain on an approved opportunity; MISSED at once where a link cannot take its size, or nobody can.

        `Chain.close_reason` says then what was in the way.
        """
        self._chain_count += 1
        chain_id = f"{self._id_prefix}-c{self._chain_count}"
        chain = self._chains[chain_id] = Chain(chain_id, opportunity, opened_ns=opportunity.ts_ns)
        self._changed(chain)
        why = self._steps.not_openable(opportunity) or self._orders.too_small(chain)
        if why is not None:
            chain.close_reason = why
            self._over(chain)
        else:
            self._round(chain, [self._orders.first(chain)])
        return chain

    def flatten(self, route_id: str | None = None) -> int:
        """Bring everything home, or every chain of one route; returns how many chains that are.

        What is between venues goes home as soon as it has arrived.
        """
        wanted = [chain for chain in self._chains.values() if route_id in (None, chain.route.id)]
        for chain in wanted:
            chain.give_up(FLATTEN)
            self._next(chain)
        return len(wanted)

    def thaw(self, route_id: str | None = None) -> None:
        """A person has said what is to become of chains that were left alone (`Chain.is_frozen`): go on with them."""
        for chain in list(self._chains.values()):
            if chain.is_frozen and route_id in (None, chain.route.id):
                chain.is_frozen = False
                self._next(chain)

    @property
    def unsettled(self) -> int:
        """Chains that are neither home nor waiting for a transfer alone: an order, or what comes after it, is due.

        A transfer of which the carrier has told nothing yet may be refused, and what it was to take lies there then.
        """
        moving = (chain for chain in self._chains.values() if not chain.is_frozen)
        busy = sum(chain.underway is None or bool(chain.pending) for chain in moving)
        return busy + self._transfers.untold

    def stop(self) -> None:
        """The run has ended: no timer does anything any more, and what chains hold stays as it is."""
        self._is_stopped = True
        self._rounds.stop()
        self._transfers.stop()
        for chain in self._chains.values():
            self._pause.end(chain)
            self._watch.stop(chain)

    def adopt(self, chain: Chain) -> None:
        """Go on with a chain that an earlier run began, from whatever state: what it holds goes home.

        Its orders without a final state (`Chain.pending`) have an unknown outcome, and are never sent again; a transfer
        without an end is asked about. `on_chain` hears of its next change, not of the adoption.

        Raises:
            InvariantError: If it is over, or known already.
        """
        if chain.state.is_over or chain.id in self._chains:
            raise InvariantError(f"chain {chain.id} ({chain.state}) was to be adopted")
        self._chains[chain.id] = chain
        self._rounds.adopt(chain)
        chain.has_given_up = True
        unknown = self._transfers.adopt(chain)
        if unknown is not None:
            self._on_halt(unknown)
        self._next(chain)

    def journal_failed(self, why: str) -> None:
        """No intent becomes durable any more: what waited for it brings something home and is sent, or never leaves."""
        for chain in list(self._chains.values()):
            self._rounds.journal_failed(chain, why)
        self._transfers.journal_failed(why)

    # What the venues say

    def on_fill(self, fill: Fill) -> None:
        """Count a fill of one of our orders; told a second time it changes nothing."""
        self._rounds.tell_sent()
        chain = self._rounds.owner(fill.client_order_id)
        if not chain.count(fill):
            return
        order, name, expected = chain.orders[fill.client_order_id]
        chain.fruitless_rounds = 0
        chain.tries.pop(int(name.partition("_")[2]), None)
        # A venue that tells again has more to tell: its final state.
        chain.must_pause = order.status is OrderStatus.UNKNOWN
        if order.status.is_terminal and order.client_order_id not in chain.pending:
            self._came_late(chain, order)
        chain.settle(order)
        self._rounds.record_fill(chain, fill, name, expected)
        self._on_chain_fill(chain, name, fill)
        if name.startswith("home"):
            self._watch.count(chain, fill, expected)
        self._next(chain)

    def _came_late(self, chain: Chain, order: Order) -> None:
        self.on_alarm(chain, f"a fill of order {order.client_order_id} came after its final state: {held_words(chain)}")
        if not chain.state.is_over:
            return
        chain.reopen()
        self._chains[chain.id] = chain
        self._changed(chain)

    def on_order(self, order: Order) -> None:
        """Take an order's new state."""
        self._rounds.on_order(order)

    def _ended(self, chain: Chain, order: Order) -> None:
        chain.settle(order)
        name = chain.orders[order.client_order_id][1]
        if order.status is OrderStatus.REJECTED and name != "link_0":
            self._rests.give_back(chain, chain.places.index(chain.taken_from(order)))
        if order.status is OrderStatus.REJECTED and name.startswith("link"):
            link = int(name.partition("_")[2])
            chain.tries[link] = chain.tries.get(link, 0) + 1  # a venue that refuses is asked once less
        self._next(chain)

    def on_carry(self, news: CarryNews) -> None:
        """Take news of a transfer.

        Raises:
            InvariantError: If it is none of this run's.
        """
        chain = self._transfers.chain_of(news.id)
        self._transfers.told(news.id)
        if not chain.tell(news):
            return
        travel = chain.travels[news.id]
        if news.state in (CarryState.REFUSED, CarryState.FAILED):
            chain.returning.add(travel.link)
            chain.close_reason = chain.close_reason or NOT_SENT
        if news.state in (CarryState.REFUSED, CarryState.FAILED, CarryState.LATE):
            self.on_alarm(chain, in_words(chain, travel))
        if news.state.is_final:
            chain.fruitless_rounds, chain.must_pause = 0, False
        self._changed(chain)
        self._next(chain)

    # Deadlines

    def _on_stage(self, chain: Chain, stage: Stage) -> None:
        """A deadline of the budget has come."""
        text = self._watch.words(chain)
        if stage is Stage.ALARMED:
            self.on_alarm(chain, text)
        elif stage is Stage.ACTING:
            chain.give_up()
            self._rounds.stop_waiting(chain)
            chain.must_pause = False
            self._pause.end(chain)
            self._next(chain)
        else:
            self._on_halt(f"{text}: look at {' and '.join(one.id for one in chain.route.instruments)}")

    # What comes next

    def _next(self, chain: Chain) -> None:
        """Decide from what lies where and what is on its way."""
        if chain.state.is_over or self._is_stopped:
            return
        left = [at for at in chain.inner if self._orders.must_go(chain, at)]
        self._watch.look(chain, left)
        if chain.is_frozen or chain.is_live or chain.retry is not None:
            return
        if left:
            self._lead(chain, left)
        elif chain.underway is None and not chain.pending:
            self._over(chain)
        self._settle_state(chain)

    def _lead(self, chain: Chain, left: list[int]) -> None:
        """Something lies at these places: send it on, send it home, or look again later."""
        free = [at for at in left if not chain.is_busy(at)]
        turned_back = self._steps.turn_back(chain, free)
        if chain.must_pause and free and not turned_back:
            self._pause.begin(chain)
            return
        for at in free:
            if not self._steps.travels(chain, at):
                self._rests.take(chain, at)
        plans = [plan for at in free if (plan := self._steps.plan(chain, at)) is not None]
        if plans:
            self._round(chain, plans)
            return
        sent = next((at for at in free if self._steps.may_send(chain, at)), None)
        if sent is not None:
            self._depart(chain, sent)
        elif free:
            self._pause.begin(chain)

    def _round(self, chain: Chain, plans: list[Plan]) -> None:
        chain.fruitless_rounds += bool(chain.fill_ids)
        chain.must_pause = True
        for plan in plans:
            if plan.goes_on and plan.at:
                chain.tries[plan.at] = chain.tries.get(plan.at, 0) + 1
        self._rounds.begin(chain, [self._orders.make(chain, plan) for plan in plans])

    def _why_withheld(self, chain: Chain) -> str | None:
        if not self._may_open():
            return "nothing new may be opened any more"
        if chain.has_given_up:
            return chain.close_reason or "it was given up"
        why = self.why_not_now(chain)
        if why is not None:
            chain.close_reason = why
        return why

    # Between venues

    def _depart(self, chain: Chain, at: int) -> None:
        travel = self._transfers.depart(chain, at)
        chain.state = PairState.IN_FLIGHT
        self._changed(chain)
        self._watch.look(chain, [one for one in chain.inner if self._orders.must_go(chain, one)])
        self._transfers.send(chain, travel)

    # Ends

    def _settle_state(self, chain: Chain) -> None:
        if chain.state.is_over:
            return
        state = PairState.CLOSING if chain.has_given_up else PairState.OPENING
        if chain.underway is not None:
            state = PairState.IN_FLIGHT
        if state is not chain.state:
            chain.state = state
            self._changed(chain)

    def _over(self, chain: Chain) -> None:
        self._pause.end(chain)
        self._watch.end(chain)
        self._rests.leave(chain)
        through = PairState.CLOSED if chain.came_through else PairState.FAILED
        chain.state = through if chain.fill_ids else PairState.MISSED
        chain.closed_ns = self._clock.now_ns()
        del self._chains[chain.id]
        self._changed(chain)

    # Writing down

    def _changed(self, chain: Chain) -> None:
        self._journal.record(RecordKind.PAIR, chain.id, self._clock.now_ns(), chain.record())
        self._on_chain(chain)


def _opens(chain: Chain, orders: list[Order]) -> bool:
    """Whether they are link 0's, of which nothing was filled yet."""
    return not chain.fill_ids and any(chain.orders[order.client_order_id][1] == "link_0" for order in orders)
