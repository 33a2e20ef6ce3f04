"""Which order brings what lies at a place of a chain onwards, or home: how much of it, and at which price."""

from dataclasses import dataclass
from decimal import Decimal

from bot.domain.instrument import Instrument
from bot.domain.legs import TradeLeg
from bot.domain.order import Order, OrderType, Side, TimeInForce
from bot.execution.chain import Chain
from bot.execution.chain_ways import Hop, Ways, sized, way_home
from bot.execution.context import ExecutionContext
from bot.execution.grid import capped_price, decimal_price, meets_minimum, one_order, orders_for, plain, touch
from bot.execution.order_names import order_name

_BPS = Decimal(10_000)
_ANY_PRICE_BPS = 100.0
"""How far from the quote a buy goes that has to be done at any price, more with each try: what a market order costs is
not known before, and it would spend what is not the chain's."""


@dataclass(frozen=True, slots=True)
class Plan:
    """An order that could be made."""

    at: int
    """The place whose amount it spends; 0 for the first link's."""
    hop: Hop
    quantity: Decimal
    price: Decimal | None
    """None: at the market."""
    expected: Decimal
    goes_on: bool
    """Whether it is the place's link, and not a way home."""

    @property
    def name(self) -> str:
        """As the journal calls its order: `link_1`, `home_0`."""
        return f"{'link' if self.goes_on else 'home'}_{self.hop.link}"


class ChainOrders:
    """Says which orders chains could send, and makes them; sends none."""

    def __init__(self, context: ExecutionContext) -> None:
        """Make orders by the context's quotes, within the caps of its settings."""
        self._clock = context.clock
        self._settings = context.settings
        self._quotes = context.quotes
        self._ways = Ways(context.quotes, context.taker_bps)
        self._run_id = context.id_prefix
        self._count = 0

    # What can be traded

    def too_small(self, chain: Chain) -> str | None:
        """What a venue would not take of the sizes that were decided on: `size binance:ETH/BTC`; None: they take it."""
        for leg, link in zip(chain.links, chain.opportunity.links, strict=True):
            if not isinstance(leg, TradeLeg):
                continue
            price = min(decimal_price(link.price), self._capped(leg.instrument, leg.side, decimal_price(link.price)))
            on_grid = link.quantity % leg.instrument.lot_size == 0
            on_grid = on_grid and orders_for(leg.instrument, link.quantity, price, at_market=False) == 1
            if not on_grid or not meets_minimum(leg.instrument, link.quantity, price, reduces=False):
                return f"size {leg.instrument.id}"
        return None

    def must_go(self, chain: Chain, at: int) -> bool:
        """Whether what lies at a place is more than dust: a trade that leads on from it, or home, takes it."""
        held = chain.held(at)
        if held <= 0:
            return False
        return any(self._is_taken(chain, hop, held) for hop in self._exits(chain, at))

    def _exits(self, chain: Chain, at: int) -> list[Hop]:
        hops = list(way_home(chain.route, chain.places[at])[:1])
        leg = chain.links[at]
        if isinstance(leg, TradeLeg) and not (chain.has_given_up or at in chain.returning):
            hops.append(Hop(at, leg.instrument, leg.side))
        return hops

    def _is_taken(self, chain: Chain, hop: Hop, amount: Decimal) -> bool:
        expected = self._expected(chain, hop)
        price = self._capped(hop.instrument, hop.side, expected)
        quantity = sized(hop.instrument, hop.side, amount, max(price, expected))
        return meets_minimum(hop.instrument, quantity, min(price, expected), reduces=True)

    def _expected(self, chain: Chain, hop: Hop) -> Decimal:
        quote = self._quotes(hop.instrument)
        return decimal_price(chain.opportunity.links[hop.link].price) if quote is None else touch(quote, hop.side)

    # Onwards

    def first(self, chain: Chain) -> Plan:
        """Link 0 as it was decided on, as an IOC order within the price cap."""
        leg, link = chain.links[0], chain.opportunity.links[0]
        assert isinstance(leg, TradeLeg), "a chain that is opened begins with a trade"
        expected = decimal_price(link.price)
        price = self._capped(leg.instrument, leg.side, expected)
        return Plan(0, Hop(0, leg.instrument, leg.side), link.quantity, price, expected, goes_on=True)

    def is_worth_sending(self, chain: Chain, at: int) -> bool:
        """Whether a transfer from a place brings home at least what selling there would, at the quotes."""
        onwards, home = self._ways.onwards(chain, at, chain.held(at)), self._ways.home(chain, at)
        if onwards is None:
            return home is None
        return onwards > 0 and (home is None or onwards >= home)

    def onwards(self, chain: Chain, at: int) -> Plan | None:
        """The next IOC order of a link; None where it cannot be had for less than going home costs, or not at all.

        Each try goes one more price cap beyond the quote, and all of them stay within so many of the decision.
        """
        leg, expected = chain.links[at], decimal_price(chain.opportunity.links[at].price)
        assert isinstance(leg, TradeLeg), "a transfer is sent, and not ordered"
        quote = self._quotes(leg.instrument)
        most = None if quote is None else self._most_bps(chain, at)
        if quote is None or most is None:
            return None
        now, sign = touch(quote, leg.side), leg.side.sign
        if sign * (now - expected) / expected * _BPS > most:
            return None
        bound = expected * (1 + sign * most / _BPS)
        wanted = self._wanted(chain, at, now, quote.ask_qty if leg.side is Side.BUY else quote.bid_qty)
        price = self._on_grid(leg.instrument, leg.side, min(bound, wanted) if sign > 0 else max(bound, wanted))
        quantity = sized(leg.instrument, leg.side, chain.held(at), price)
        if not meets_minimum(leg.instrument, quantity, min(price, now), reduces=True):
            return None
        return Plan(at, Hop(at, leg.instrument, leg.side), quantity, price, now, goes_on=True)

    def _most_bps(self, chain: Chain, at: int) -> Decimal | None:
        """How much worse than decided a link may be: never so much that going home is cheaper; None: it cannot go on.

        On the last link going on is going home: then the cap alone counts.
        """
        most = decimal_price(self._settings.price_cap_bps) * (self._settings.complete_tries + 1)
        leg, link = chain.links[at], chain.opportunity.links[at]
        assert isinstance(leg, TradeLeg)
        onwards, home = self._ways.onwards(chain, at, chain.held(at)), self._ways.home(chain, at)
        if not onwards:
            return None
        if at == len(chain.links) - 1 or home is None:
            return most
        quote = self._quotes(leg.instrument)
        assert quote is not None, "its value was asked for"
        expected = decimal_price(link.price)
        slippage = leg.side.sign * (touch(quote, leg.side) - expected) / expected * _BPS
        return min(most, slippage + (onwards - home) / onwards * _BPS)

    def _wanted(self, chain: Chain, at: int, now: Decimal, shown: float) -> Decimal:
        """The limit price of this try, before it is held against the most that it may be.

        A buy can spend no more than lies there, and so buys less, the worse its limit: what a limit beyond the fill
        saves stays behind. The first try of a buy therefore stops at the quote where the quote shows enough of it.
        """
        leg, cap = chain.links[at], decimal_price(self._settings.price_cap_bps) / _BPS
        assert isinstance(leg, TradeLeg)
        tries, sign = chain.tries.get(at, 0), leg.side.sign
        enough = decimal_price(shown) >= sized(leg.instrument, leg.side, chain.held(at), now)
        if leg.side is Side.BUY and not tries and enough:
            return now
        decided = decimal_price(chain.opportunity.links[at].price) * (1 + sign * cap)
        beyond = now * (1 + sign * cap * (tries + 1))
        return max(decided, beyond) if sign > 0 else min(decided, beyond)

    # Home

    def homewards(self, chain: Chain, at: int, *, at_any_price: bool) -> Plan | None:
        """The next order of the way home, further off with each try in vain; None where it would not be taken now."""
        hops = way_home(chain.route, chain.places[at])
        if not hops or not self._is_taken(chain, hops[0], chain.held(at)):
            return None
        hop, quote = hops[0], self._quotes(hops[0].instrument)
        expected = self._expected(chain, hop)
        if at_any_price and hop.side is Side.SELL:
            quantity = sized(hop.instrument, hop.side, chain.held(at), expected)
            return Plan(at, hop, quantity, None, expected, goes_on=False)
        if quote is None:
            return None
        reach_bps = self._settings.price_cap_bps * (1 + min(chain.fruitless_rounds, self._settings.complete_tries))
        if at_any_price:
            reach_bps = max(reach_bps, _ANY_PRICE_BPS * (1 + chain.fruitless_rounds))
        price = capped_price(hop.instrument, hop.side, expected, reach_bps)
        quantity = sized(hop.instrument, hop.side, chain.held(at), price)
        if not meets_minimum(hop.instrument, quantity, min(price, expected), reduces=True):
            return None
        return Plan(at, hop, quantity, price, expected, goes_on=False)

    # Orders

    def make(self, chain: Chain, plan: Plan) -> Order:
        """The order of a plan, entered in its chain as an intent."""
        hop, price = plan.hop, plan.price
        # Of what the venue does not take in one order it is a part: the rest lies there still when that has ended.
        quantity = one_order(hop.instrument, plan.quantity, price or plan.expected, at_market=price is None)
        order = Order(
            client_order_id=self._next_id(chain),
            instrument=hop.instrument,
            side=hop.side,
            type=OrderType.MARKET if price is None else OrderType.LIMIT,
            time_in_force=TimeInForce.IOC,
            quantity=plain(quantity, hop.instrument.lot_size),
            price=None if price is None else plain(price, hop.instrument.tick_size),
            reduces_risk=bool(chain.fill_ids),
            ts_decision_ns=self._clock.now_ns(),
        )
        chain.orders[order.client_order_id] = (order, plan.name, plan.expected)
        return order

    def _next_id(self, chain: Chain) -> str:
        while True:
            self._count += 1
            client_order_id = order_name(chain.id, self._run_id, self._count)
            if client_order_id not in chain.orders:
                return client_order_id

    def _capped(self, instrument: Instrument, side: Side, expected: Decimal) -> Decimal:
        return capped_price(instrument, side, expected, self._settings.price_cap_bps)

    def _on_grid(self, instrument: Instrument, side: Side, price: Decimal) -> Decimal:
        on_tick = instrument.floor_price(price) if side is Side.BUY else instrument.ceil_price(price)
        return max(on_tick, instrument.tick_size)
