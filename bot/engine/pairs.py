"""The engine's pairs: from an approved opportunity to the ledger, with the gate between."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal

from bot.clock import Clock
from bot.domain.account import FundingPayment
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument
from bot.domain.market import TopOfBook
from bot.domain.order import Fill, Order, OrderStatus
from bot.domain.route import Opportunity, Outcome
from bot.engine.accounts.adoption import GONE, LeavingWatch
from bot.engine.chains import ChainBook
from bot.engine.decision_log import DecisionLog
from bot.engine.desk_context import DeskContext
from bot.engine.feed_health import FeedHealth
from bot.engine.pair_book import PairBook
from bot.engine.portfolio import EnginePortfolio
from bot.engine.present_fees import PresentFees
from bot.engine.route_state import RouteState
from bot.engine.slot import InstrumentSlot
from bot.engine.terms.funding import FundingClock
from bot.engine.watches.listings import ListingWatch
from bot.engine.watches.margin_guard import MarginGuard
from bot.engine.witness import Witness
from bot.errors import InvariantError
from bot.execution.chain import Chain
from bot.execution.chain_executor import ChainExecutor
from bot.execution.context import ExecutionContext
from bot.execution.journal_replay import LeftPair
from bot.execution.ledger import Ledger
from bot.execution.netting import NETTED
from bot.execution.pair import Pair, PairState
from bot.execution.pair_record import pair_record
from bot.execution.quote_executor import QuoteExecutor
from bot.execution.reasons import FLATTEN
from bot.ports import Actions, Journal, QuoteDrivenVenue, RecordKind
from bot.ports.transfers import Carrier
from bot.pricing.pricing import gross_edge_bps
from bot.risk.gate import RiskGate, TradingState
from bot.risk.limits import all_limits
from bot.settings import Settings

PATIENT = frozenset({"edge_gone"})
"""Reasons to leave that a difference which has closed gives: post-only legs may wait for somebody once more."""


class PairDesk:
    """Opens, follows and closes pairs. Implements `bot.ports.OrderListener`."""

    def __init__(
        self,
        *,
        run_id: str,
        slots: Sequence[InstrumentSlot],
        feeds: Mapping[Feed, FeedHealth],
        routes: Sequence[RouteState],
        venue: QuoteDrivenVenue,
        journal: Journal,
        clock: Clock,
        settings: Settings,
        fees: Mapping[Feed, FeeSchedule],
        decisions: DecisionLog,
        cooldown_s: float,
        log: Callable[[str, str], None],
        door: Callable[[QuoteDrivenVenue], Actions] | None = None,
        carrier: Carrier | None = None,
    ) -> None:
        """Build it; `door` may put something between its orders and the venue."""
        self._slots = {slot.instrument.id: slot for slot in slots}
        self._routes = {state.route.id: state for state in routes}
        self._venue = venue
        self._journal = journal
        self._clock = clock
        self._fees = PresentFees(self._slots, fees)
        self._decisions = decisions
        self._price_cap_bps = settings.execution.price_cap_bps
        self._log = log
        self.orders = 0
        self.fills = 0
        self.ledger = Ledger()
        self._funding = FundingClock(slots, venue, self.ledger, journal, clock)
        self.portfolio = EnginePortfolio(venue, clock, self._slots, feeds, settings.risk)
        self._margin_guard = MarginGuard(self.portfolio.margins, settings.risk.close_distance_bps, self._event)
        self._listings = ListingWatch(self._slots, self.portfolio, self._event)
        self.gate = RiskGate(
            all_limits(settings),
            self.portfolio,
            max_daily_loss=settings.risk.max_daily_loss,
            max_cumulative_loss=settings.risk.max_cumulative_loss,
            max_throttled_per_second=settings.risk.max_throttled_per_second,
            max_routes_per_second=settings.risk.max_routes_per_second,
            on_state=self._on_trading_state,
        )
        context = DeskContext(
            routes=self._routes,
            quotes=self._quote,
            gate=self.gate,
            portfolio=self.portfolio,
            ledger=self.ledger,
            fees=self._fees,
            decisions=decisions,
            clock=clock,
            cooldown_ns=round(cooldown_s * 1e9),
            log=log,
        )
        self._book = PairBook(context)
        self.chain_book = ChainBook(context, self._on_chain_fill)
        execution = ExecutionContext(
            actions=venue if door is None else door(venue),
            journal=journal,
            clock=clock,
            settings=settings.execution,
            quotes=self._quote,
            id_prefix=run_id,
            may_open=self._may_open,
            on_halt=self.gate.halt,
            taker_bps=self._fees.taker_bps,
        )
        self.executor = QuoteExecutor(
            execution,
            on_pair=self._on_pair,
            on_pair_fill=self._on_pair_fill,
            on_sent=self._on_sent,
            wanted_entry=self._book.wanted_entry,
            rest_s=self._book.rest_s,
        )
        self.executor.why_not_now = self._book.why_not_now
        self.on_booked: Callable[[Fill | FundingPayment], None] = _told_nobody
        """Hears every fill and every funding payment of the account, once."""
        self.witness = Witness()
        self.before_sending: Callable[[], None] = _nothing
        """Called before anything that opens is sent; may halt the gate."""
        self.executor.on_alarm = lambda pair, text: self._event("error", f"ALARM: {text}")
        self.executor.is_wanted = self._book.is_wanted
        self.executor.leaves_patiently = PATIENT.__contains__
        self.chains = ChainExecutor(
            execution,
            on_chain=self.chain_book.on_chain,
            on_chain_fill=self.chain_book.on_chain_fill,
            on_sent=self._on_chain_sent,
            carrier=carrier,
            deadline_s=settings.transfers.deadline_s,
            dust=self.executor.dust,
        )
        self.chains.why_not_now = self.chain_book.why_not_now
        self.chains.on_alarm = lambda chain, text: self._event("error", f"ALARM: {text}")
        self.executor.is_shut = lambda venue: self.portfolio.blocked(venue) is not None
        self.portfolio.follow(self.executor, self.chains)
        venue.listener = self
        venue.on_funding = self.on_funding

    def start(self) -> None:
        """Write down what the run starts with."""
        self._record_balances("start")
        self._funding.watch()

    def finish(self) -> None:
        """Write down what it ends with; pairs that are open stay open, and are named."""
        for pair in self.executor.pairs.values():
            held = ", ".join(f"{leg.held:f} {leg.instrument.base} on {leg.instrument.id}" for leg in pair.legs)
            self._event("warning", f"pair {pair.id} is not closed ({pair.state}): it holds {held}")
        for chain in self.chains.chains.values():
            held = LeftPair(chain, [], []).held_words()
            self._event("warning", f"chain {chain.id} is not home ({chain.words()}): it holds {held}")
        self._record_balances("end")

    def adopt(self, left: LeftPair) -> None:
        """Go on with a pair or a chain of an earlier run; one whose route this run does not have is closed.

        Raises:
            InvariantError: If its instruments are not in this run, or its route has a pair already that is not closing.
        """
        pair = left.pair
        state = self._route_of(pair)
        if not state.is_free and pair.state is PairState.OPEN:
            raise InvariantError(f"{left.name} was to be adopted, and {state.route.id} has one already")
        if isinstance(pair, Chain):
            self.chain_book.adopt(state, pair, left.fills)
            self._journal.record(RecordKind.PAIR, pair.id, self._clock.now_ns(), pair.record())
            self.chains.adopt(pair)
            return
        self._book.adopt(state, left, pair)
        self._journal.record(RecordKind.PAIR, pair.id, self._clock.now_ns(), pair_record(pair))
        self.executor.adopt(pair)
        if pair.state is PairState.OPEN and state.pair is pair and state.holding is None:
            state.hold(pair, self._clock.now_ns())
        if isinstance(state.watch, LeavingWatch):
            self._leave_gone(state)

    def remember(self, lately: Iterable[LeftPair]) -> None:
        """Know pairs of earlier runs that ended lately: funding of what they held may be told only now."""
        for left in lately:
            if isinstance(left.pair, Pair) and not self.ledger.has_pair(left.pair.id):
                self._book.remember(left, left.pair)

    def _leave_gone(self, state: RouteState) -> None:
        """Nobody asks a route of no run when to leave what is held on it: at once, or as soon as it is even."""
        if state.holding is not None:
            self.close(state, GONE, self._clock.now_ns())
        else:
            self.executor.flatten(state.route.id)

    def _route_of(self, pair: Pair | Chain) -> RouteState:
        """The route that it is on; made up for it alone where this run has none, and then never taken again."""
        route = pair.opportunity.route
        if any(instrument.id not in self._slots for instrument in route.instruments):
            raise InvariantError(f"pair {pair.id} is on an instrument that is not in this run")
        if route.id not in self._routes:
            buy, sell = self._slots[route.buy.id], self._slots[route.sell.id]
            slots = [self._slots[leg.instrument.id] for leg in route.priced]
            self._routes[route.id] = RouteState(route, LeavingWatch(route), buy, sell, self._price_cap_bps, slots)
        return self._routes[route.id]

    def journal_failed(self, why: str) -> None:
        """The journal is lost, or for now: nothing new may be opened; what is open may still be closed."""
        self.executor.on_not_durable(f"the journal cannot be written: {why}")
        self.executor.journal_failed(why)
        self.chains.journal_failed(why)

    def open(self, state: RouteState, opportunity: Opportunity) -> None:
        """Take an opportunity that the gate approved.

        Raises:
            InvariantError: If it did not, or approved another one since; nothing is opened then.
        """
        self.gate.claim(opportunity)
        state.reason = None
        state.observed = None
        self._decisions.add(
            opportunity.ts_ns,
            state.route.id,
            Outcome.TAKEN,
            "net_edge",
            None,
            opportunity.quantity,
            opportunity.gross_edge_bps,
            opportunity.needed_bps,
            opportunity.net_edge_bps,
        )
        # The executor tells of the new pair or chain before it returns.
        if state.route.chain:
            self.chains.open(opportunity)
            self.witness.took_chain(opportunity)
            return
        pair = self.executor.open(opportunity)
        if not pair.state.is_over:
            self.witness.opened(pair)

    def knows(self, client_order_id: str) -> bool:
        """Whether a pair or a chain of ours wrote this order down."""
        return self.executor.knows(client_order_id) or self.chains.knows(client_order_id)

    def in_hand(self) -> list[Pair | Chain]:
        """Every pair and every chain that is not over."""
        return [*self.executor.pairs.values(), *self.chains.chains.values()]

    def _may_open(self) -> bool:
        self.before_sending()
        return self.gate.state is TradingState.ACTIVE

    def take_back(self, state: RouteState) -> None:
        """A route is paused: its entry, if one rests, waits no longer."""
        if state.pair is not None and state.pair.state is PairState.OPENING:
            self.executor.take_back(state.pair)

    def leave(self, state: RouteState) -> None:
        """Close what the route holds; what is being opened is closed as soon as it is even."""
        if state.holding is not None:
            self.close(state, FLATTEN, self._clock.now_ns())
        elif state.chain is not None:
            self.chains.flatten(state.route.id)
        else:
            self.executor.flatten(state.route.id)

    def close(self, state: RouteState, why: str, ts_ns: int) -> None:
        """Leave a pair."""
        pair = state.pair
        assert pair is not None
        if pair.is_frozen:
            return
        state.holding = None
        state.watch.assess()  # nobody asked while the pair was open
        self._book.closed(state, pair, why, ts_ns)
        self.executor.close(pair, why)

    def thaw(self, route_id: str | None) -> None:
        """A person wants closed what a halt of theirs had left alone, of a route or of all (None)."""
        self.executor.thaw(route_id)
        self.chains.thaw(route_id)
        self.witness.thawed(route_id)

    def edge_gone(self, state: RouteState) -> None:
        """A pair is being opened on a route that is not worth it any more: no post-only entry of it waits longer."""
        if state.pair is not None and state.pair.state is PairState.OPENING and not state.route.is_round_trip:
            self.executor.take_back(state.pair)

    def tick(self, now_ns: int) -> None:
        """Once a second: funding that is due, the losses, edges that stand, and pairs that have to go."""
        self._funding.watch()
        self.gate.watch_loss(now_ns)
        self.portfolio.on_wallets()  # venues pay and charge without a word
        self.executor.look()
        endangered = self._margin_guard.endangered()
        for state in self._routes.values():
            self.portfolio.observe_edge(state.route, self._offered(state))
            if state.is_leaving and not state.is_free:
                self.leave(state)
            if state.holding is not None and self._listings.is_ending(state.route):
                self.close(state, "delisting", now_ns)
            in_danger = bool(endangered) and any(one.id in endangered for one in state.route.instruments)
            if state.holding is not None and in_danger:
                self.close(state, "liquidation_distance", now_ns)
            elif state.pair is not None and (in_danger or self._is_unwanted(state.pair)):
                self.executor.take_back(state.pair)

    def _is_unwanted(self, pair: Pair) -> bool:
        """Whether it is being opened where nothing new is by now: the gate was asked before its entry rested."""
        instruments = pair.opportunity.route.instruments
        return pair.state is PairState.OPENING and any(self.portfolio.quarantined(one) for one in instruments)

    def _offered(self, state: RouteState) -> float | None:
        """The route's gross edge at the newest quotes, also while it has no price yet: suspicion needs no warm-up."""
        route = state.route
        if route.chain or route.buy.quote != route.sell.quote:
            return state.watch.gross_bps
        buy, sell = self._slots[route.buy.id].quote, self._slots[route.sell.id].quote
        return None if buy is None or sell is None else gross_edge_bps(buy.ask_price, sell.bid_price)

    def on_listing(self, instrument: Instrument) -> None:
        """A venue lists an instrument otherwise than at the start: its status, its delivery."""
        self._listings.take(instrument)

    def unrealised(self) -> dict[str, Decimal]:
        """What the open pairs would have earned if they were closed now, by asset."""
        return self.ledger.unrealised(self._quotes(), self._fees)

    def on_funding(self, payment: FundingPayment) -> None:
        """A venue that settles funding itself tells of a payment."""
        shared = self._funding.book(payment)
        if shared is None:
            return
        for pair_id in shared:
            self._book.recount(pair_id)
        self.on_booked(payment)
        self.portfolio.on_wallets()

    # bot.ports.OrderListener

    def on_order(self, order: Order) -> None:
        """An order's state changed."""
        self.portfolio.on_wallets()
        if order.status is OrderStatus.REJECTED:
            self._event("warning", f"order {order.client_order_id} on {order.instrument.id} rejected: {order.reason}")
            self.portfolio.on_rejected(order.instrument.venue)
        if self.chains.knows(order.client_order_id):
            self.chains.on_order(order)
            return
        self.executor.on_order(order)
        self.witness.ended(order)

    def on_fill(self, fill: Fill) -> None:
        """Part of an order was done."""
        fill = self._fees.charged(fill)
        if self.chains.knows(fill.client_order_id):
            self.chains.on_fill(fill)
        elif fill.forced:
            self.executor.on_forced(fill)
        else:
            self.executor.on_fill(fill)

    # What the executor says

    def _on_sent(self, order: Order) -> None:
        self.orders += 1
        self.portfolio.on_order_sent()
        self.witness.sent(order)

    def _on_chain_sent(self, order: Order) -> None:
        self.orders += 1
        self.portfolio.on_order_sent()

    def _on_chain_fill(self, fill: Fill) -> None:
        self.fills += 1
        self.portfolio.on_wallets()
        self.on_booked(fill)

    def _on_pair_fill(self, pair: Pair, leg: str, fill: Fill) -> None:
        self.ledger.on_fill(pair.id, pair.leg_of(fill.instrument).side, fill)
        if fill.client_order_id == NETTED:
            return  # two pairs have settled it between them: no account has changed
        self.fills += 1
        self.portfolio.on_wallets()
        self.on_booked(fill)
        self.witness.filled(pair, fill)

    def _on_pair(self, pair: Pair) -> None:
        self._book.on_pair(pair)
        self.witness.changed(pair)

    def _on_trading_state(self, trading: TradingState, why: str) -> None:
        level = "error" if trading is TradingState.HALTED else "warning"
        try:
            self._event(level, f"{trading.value}: {why}")
        finally:  # a journal may take nothing more; orders that rest are taken back all the same
            if trading is not TradingState.ACTIVE:
                self.executor.take_back_entries()
            self.witness.entered(why)

    def _event(self, level: str, text: str) -> None:
        self._log(level, text)
        self._journal.record(RecordKind.EVENT, level, self._clock.now_ns(), {"level": level, "text": text})

    def _quote(self, instrument: Instrument) -> TopOfBook | None:
        return self._slots[instrument.id].quote

    def _quotes(self) -> dict[str, TopOfBook]:
        return {id_: slot.quote for id_, slot in self._slots.items() if slot.quote is not None}

    def _record_balances(self, at: str) -> None:
        balances = [balance.model_dump(mode="json") for balance in self._venue.balances()]
        self._journal.record(RecordKind.BALANCE, at, self._clock.now_ns(), {"at": at, "balances": balances})


def _nothing() -> None:
    """Nobody wants to look."""


def _told_nobody(news: Fill | FundingPayment) -> None:
    """Nobody compares."""
