"""The budget of a chain, in time: how long its amount is neither home nor between venues.

What travels is not counted: its time was priced, and has a deadline of its own.
"""

from collections.abc import Sequence
from decimal import Decimal

from bot.domain.order import Fill, OrderStatus
from bot.execution.budget import BudgetClock
from bot.execution.chain import Chain
from bot.execution.grid import decimal_price
from bot.execution.unhedged import Unhedged

_NOTHING = Decimal(0)


class AwayWatch(BudgetClock[Chain]):
    """Begins and ends the episodes of chains."""

    def look(self, chain: Chain, left: Sequence[int]) -> None:
        """Bring a chain's episode up to date; `left` are the places where more lies than dust."""
        if not left and not chain.has_unknown:
            self.end(chain)
            return
        notional = possible(chain)
        self.note(chain, _base_units(chain, notional), notional, is_known=bool(left))

    def unhedged(self, chain: Chain) -> Unhedged | None:
        """What of a chain is away now, in base units and in units of its home asset; None while nothing is."""
        episode = chain.uneven
        if episode is None:
            return None
        notional, seconds = possible(chain), episode.seconds(self._clock.monotonic_ns())
        return Unhedged(chain.id, chain.route.id, seconds, _base_units(chain, notional), notional, episode.stage)

    def count(self, chain: Chain, fill: Fill, planned: Decimal) -> None:
        """Count a fill of the way home; what it cost beyond its quote is in the quote currency of its instrument."""
        episode = chain.uneven
        if episode is None or fill.instrument.quote != chain.home:
            return
        episode.loss += fill.side.sign * (fill.price - planned) * fill.quantity + self._fee(episode, fill)
        episode.traded += fill.quantity * fill.price

    def words(self, chain: Chain) -> str:
        """A chain that is away for a person: since when, with what, and which orders have no answer."""
        found = self.unhedged(chain)
        assert found is not None, "a deadline comes while it is away"
        unknown = [order.client_order_id for order in chain.waiting() if order.status is OrderStatus.UNKNOWN]
        words = f"; the outcome of {', '.join(unknown)} is unknown" if unknown else ""
        amount = f"may be {found.notional:.2f} {chain.home}"
        return f"chain {chain.id} has not been home for {found.seconds:.1f} s: {held_words(chain)} ({amount}){words}"


def held_words(chain: Chain) -> str:
    """What a chain holds where, for a person."""
    held = ", ".join(f"{amount:f} {asset} at {venue}" for (venue, asset), amount in chain.holdings.items())
    return f"chain {chain.id} ({chain.state}) holds {held or 'nothing'}"


def possible(chain: Chain) -> Decimal:
    """The most of a chain that may be away, in units of its home asset at the prices of the decision."""
    links = chain.opportunity.links
    spent = links[0].spends
    known = sum((max(chain.held(at), _NOTHING) * spent / links[at - 1].brings for at in chain.inner), _NOTHING)
    for order in chain.waiting():
        if chain.is_unknown(order) and chain.orders[order.client_order_id][1] == "link_0":
            known += chain.left_of(order) * spent / links[0].quantity
    return known


def _base_units(chain: Chain, notional: Decimal) -> Decimal:
    link = chain.opportunity.links[0]
    is_quote = chain.home == chain.route.buy.quote
    return notional / decimal_price(link.price) if is_quote else notional
