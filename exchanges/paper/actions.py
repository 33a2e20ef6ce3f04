"""Orders with paper money: they meet the quotes of any market after a latency, through the matching engine."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from math import nextafter

from bot.clock import Clock, Timer
from bot.domain.account import Balance, FundingPayment, Position
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument
from bot.domain.market import PublicTrade, TopOfBook
from bot.domain.order import Fill, Order, OrderStatus, Side
from bot.domain.order_book import OrderBook
from bot.errors import InvariantError, OrderRejected
from bot.matching.accounts import Accounts, paying_asset
from bot.matching.book import VisibleBook
from bot.matching.cash import from_float
from bot.matching.matching_engine import MatchingEngine, MatchResult
from bot.matching.resting import RestingOrders
from bot.ports import AccountQuestions, OrderListener
from bot.settings import PaperSettings
from exchanges.paper.account import PaperAccount
from exchanges.paper.wallets import transfer_wallet, wallet_of

Walk = Callable[[Decimal], Sequence[tuple[Decimal, Decimal]]]
"""(price, quantity) of the fills that so much (venue units) would get, best first."""


class PaperActions:
    """`Actions` over the matching engine.

    An order travels `latency_ms`, meets the quote that is newest by then, and its answer travels as long again: fills
    first, then the order in its final state. `balances` and `positions` tell the venue's truth, which is ahead of
    the answers by that second way. An order that is still on its way can be cancelled; one that has met the quotes
    is final, unless it was sent to rest: that one waits in a book of our own (`bot.matching.resting`), a cancel
    travels to it as an order does, and its fills travel back.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        fees: Mapping[Feed, FeeSchedule],
        settings: PaperSettings,
        clock: Clock,
        listener: OrderListener | None = None,
    ) -> None:
        """Trade `instruments`, whose place is their slot. `listener` may be set later, before the first order."""
        self.listener = listener
        self.on_funding: Callable[[FundingPayment], None] | None = None
        self.on_meeting: Callable[[Order, Walk], None] | None = None
        """Hears of every order that takes, right before it meets the book, and may ask what a smaller one would get."""
        self.accounts = Accounts(settings.balances, settings.initial_margin_ratio, wallet_of)
        self._fees = fees
        self._engine = MatchingEngine(self.accounts, fees)
        self._resting = RestingOrders(self._engine, settings.resting_fill)
        self._clock = clock
        self._latency_s = settings.latency_ms / 1e3
        self._slots = {instrument.id: slot for slot, instrument in enumerate(instruments)}
        self._books = [VisibleBook(instrument) for instrument in instruments]
        self._quotes: list[TopOfBook | None] = [None] * len(instruments)
        self._depths: list[OrderBook | None] = [None] * len(instruments)
        self._used = [False] * len(instruments)
        """Whether its quotes are followed one by one: own fills are remembered, or orders rest."""
        self._submitted: set[str] = set()
        self._travelling: dict[str, tuple[Order, Timer]] = {}
        self._unanswered = 0

    def account_questions(self) -> Sequence[AccountQuestions]:
        """What reconciliation asks, for each venue that is played."""
        venues = dict.fromkeys(book.instrument.venue for book in self._books)
        return [PaperAccount(venue, self.balances, self.positions, self._on_the_way) for venue in venues]

    def _on_the_way(self) -> Sequence[Order]:
        return [order for order, _ in self._travelling.values()]

    def rebuild(self, fills: Sequence[Fill]) -> None:
        """Hold what these fills of earlier runs brought and took; before the first order."""
        for fill in fills:
            self.accounts.apply(fill)

    def take_out(self, venue: str, asset: str, amount: Decimal) -> bool:
        """Take an amount away for a transfer; False where so much is not free, orders on their way counted."""
        wallet = transfer_wallet(venue)
        if amount > self.accounts.balance(wallet, asset).available - self._reserved(wallet, asset):
            return False
        self.accounts.move(wallet, asset, -amount)
        return True

    def bring_in(self, venue: str, asset: str, amount: Decimal) -> None:
        """Put what a transfer brought into the wallet that trades it."""
        self.accounts.move(transfer_wallet(venue), asset, amount)

    async def start(self) -> None:
        """Nothing to connect."""

    async def stop(self) -> None:
        """Nothing to disconnect."""

    @property
    def in_flight(self) -> int:
        """Orders whose final state has not been told yet."""
        return self._unanswered

    def on_quote(self, slot: int, quote: TopOfBook) -> None:
        """A quote that passed the gate. Every one must come here: a price that leaves and returns is offered anew."""
        self._quotes[slot] = quote
        if self._used[slot]:
            self._follow(slot, quote)

    def needs_every_quote(self, slot: int) -> bool:
        """Whether none of its quotes may be left out now: own fills are remembered, orders rest or are on their way."""
        return self._used[slot] or self._unanswered > 0

    def on_quote_refused(self, slot: int) -> None:
        """The instrument has no valid quote until the next one; orders that meet none expire."""
        self._quotes[slot] = None

    def on_book(self, slot: int, book: OrderBook | None) -> None:
        """From now on orders meet this book behind the quotes, as it is when they come; None: the quotes alone."""
        self._depths[slot] = book

    def on_trade(self, slot: int, trade: PublicTrade) -> None:
        """A public trade: one beyond the price of a resting order would have come to that order first."""
        instrument_id = self._books[slot].instrument.id
        if self._resting.has(instrument_id):
            now_ns = self._clock.now_ns()
            self._tell_later(self._resting.on_trade(instrument_id, trade.price, trade.quantity, now_ns))

    def submit(self, order: Order) -> None:
        """Send an order; its fills and its final state come to the listener.

        Raises:
            OrderRejected: If the client order id was used before. The listener hears nothing then: an order state
                under that id would be taken for the first order's.
            InvariantError: If nobody listens.
        """
        if self.listener is None:
            raise InvariantError("the paper venue was given an order before it was given a listener")
        if order.client_order_id in self._submitted:
            raise OrderRejected(order.client_order_id, "duplicate client order id")
        self._submitted.add(order.client_order_id)
        if order.ts_sent_ns is None:
            order = order.model_copy(update={"ts_sent_ns": self._clock.now_ns()})
        timer = self._clock.call_later(self._latency_s, partial(self._arrive, order))
        self._travelling[order.client_order_id] = (order, timer)
        self._unanswered += 1

    def cancel(self, order: Order) -> None:
        """Call back an order that has not met the quotes, or that rests; any other is left as it is."""
        travelling = self._travelling.pop(order.client_order_id, None)
        if travelling is None:
            if order.time_in_force.rests:
                self._clock.call_later(self._latency_s, partial(self._take_out, order))
            return
        sent, timer = travelling
        timer.cancel()
        self._answer(MatchResult(self._ended(sent, OrderStatus.CANCELLED, "cancelled on its way")))

    def balances(self) -> Sequence[Balance]:
        """Every wallet, as the venue has it."""
        return self.accounts.balances()

    def positions(self) -> Sequence[Position]:
        """Every derivative position that is not flat, as the venue has it."""
        return self.accounts.positions()

    def settle_funding(self, instrument: Instrument, rate: Decimal, mark_price: Decimal) -> FundingPayment | None:
        """Settle funding now; longs pay when `rate` is positive. None where nothing is held."""
        return self.accounts.settle_funding(instrument, rate, mark_price, self._clock.now_ns())

    def affordable_notional(self, instrument: Instrument, side: Side, price: float) -> float:
        """Quote units that its wallet covers for a new trade at `price`, less what orders on their way will need.

        Margin and fee for a derivative, the whole amount for spot; 0 where the fee is not known.
        """
        schedule = self._fees.get(instrument.feed)
        if schedule is None:
            return 0.0
        reserved = self._reserved(self.accounts.wallet_of(instrument), paying_asset(instrument, side))
        covered = self.accounts.covered_notional(instrument, side, from_float(price), schedule.taker_bps, reserved)
        return max(0.0, nextafter(float(covered), 0.0))

    def _reserved(self, wallet: str, asset: str) -> Decimal:
        same = (
            order
            for order, _ in self._travelling.values()
            if self.accounts.wallet_of(order.instrument) == wallet
            and paying_asset(order.instrument, order.side) == asset
        )
        return sum((self._needed(order) for order in same), Decimal(0))

    def _needed(self, order: Order) -> Decimal:
        schedule, slot = self._fees.get(order.instrument.feed), self._slots.get(order.instrument.id)
        if schedule is None or slot is None:
            return Decimal(0)
        price = order.price if order.price is not None else self._book(slot).touch(order.side)
        if price is None:
            return Decimal(0)
        return self.accounts.needed(order.instrument, order.side, price, order.quantity, schedule.taker_bps)

    def _follow(self, slot: int, quote: TopOfBook) -> None:
        book = self._books[slot]
        book.on_quote(quote, self._depths[slot])
        if self._resting.has(book.instrument.id):
            self._tell_later(self._resting.on_quote(book.instrument.id, quote, book, self._clock.now_ns()))
        self._look(slot)

    def _look(self, slot: int) -> None:
        book = self._books[slot]
        self._used[slot] = book.is_used or self._resting.has(book.instrument.id)

    def _arrive(self, order: Order) -> None:
        del self._travelling[order.client_order_id]
        slot = self._slots.get(order.instrument.id)
        if slot is None:
            reason = f"{order.instrument.id} is not traded here"
            self._answer(MatchResult(self._ended(order, OrderStatus.REJECTED, reason)))
            return
        if order.time_in_force.rests:
            self._tell_later([self._resting.place(order, self._book(slot), self._clock.now_ns())])
        else:
            book = self._book(slot)
            if self.on_meeting is not None:
                self.on_meeting(order, partial(_would_get, order, book))
            self._answer(self._engine.match(order, book, self._clock.now_ns()))
        self._look(slot)

    def _take_out(self, order: Order) -> None:
        result = self._resting.cancel(order, self._clock.now_ns())
        if result is not None:  # else it was filled meanwhile, and has been told so
            self._answer(result)

    def _book(self, slot: int) -> VisibleBook:
        # Quotes are folded into the book only when an order comes, or while own fills must be remembered.
        book, quote = self._books[slot], self._quotes[slot]
        if quote is None:
            book.withdraw()
        else:
            book.on_quote(quote, self._depths[slot])
        return book

    def _ended(self, order: Order, status: OrderStatus, reason: str) -> Order:
        return order.model_copy(update={"status": status, "reason": reason, "ts_final_ns": self._clock.now_ns()})

    def _answer(self, result: MatchResult) -> None:
        self._clock.call_later(self._latency_s, partial(self._tell, result))

    def _tell_later(self, results: Iterable[MatchResult]) -> None:
        """What became of resting orders; that one begins to rest is no news."""
        for result in results:
            if result.fills or result.order.status.is_terminal:
                self._answer(result)

    def _tell(self, result: MatchResult) -> None:
        assert self.listener is not None, "checked when the order was submitted"
        for fill in result.fills:
            self.listener.on_fill(fill)
        if result.order.status.is_terminal:
            self._unanswered -= 1
            self.listener.on_order(result.order)


def _would_get(order: Order, book: VisibleBook, quantity: Decimal) -> Sequence[tuple[Decimal, Decimal]]:
    return book.would_take(order.side, quantity, order.price)
