"""Closing pairs that hold one perpetual the other way round, each by less than its venue takes: matched, both end.

The account is flat there: an order of either would not shrink its position, and is too small for any other. So what the
one has to sell goes to the one that has to buy, at the middle of the quote, without an order and without a fee. The
cash that leaves one pair comes to the other: ledger, pairs and wallets agree to the last digit.

Each of the two records names the other as well (`beside`).
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from bot.clock import Clock
from bot.domain.order import Fill, Side
from bot.execution.beside import naming_each_other
from bot.execution.context import Quotes
from bot.execution.grid import touch
from bot.execution.pair import Pair, PairLeg, PairState
from bot.execution.pair_orders import PairOrders, reducing_side
from bot.ports import Journal, RecordKind

NETTED = "netted"
"""What stands for the client order id of such a fill: no order asked for it, and no venue knows of it."""


class Netted(NamedTuple):
    """What one of the two pairs got."""

    pair: Pair
    leg_name: str
    fill: Fill

    def record(self) -> dict[str, Any]:
        """Its fill as the journal keeps it."""
        fill = self.fill
        what = {"pair": self.pair.id, "leg": self.leg_name, "expected_price": str(fill.price)}
        return {**fill.model_dump(mode="json"), **what}


class Netting:
    """Finds such pairs, and writes down what they hand over; who counts it is the executor's business."""

    def __init__(
        self, pairs: Mapping[str, Pair], orders: PairOrders, quotes: Quotes, journal: Journal, clock: Clock
    ) -> None:
        """Among `pairs`; `orders` knows what a venue takes."""
        self._pairs = pairs
        self._orders = orders
        self._quotes = quotes
        self._journal = journal
        self._clock = clock

    def match(self, pair: Pair) -> tuple[Netted, Netted] | None:
        """Both parts of what a pair and another hand over, written down; None where there is no such pair, or no quote.

        A smaller rest is used up; of a larger one the difference stays.
        """
        for leg in pair.legs:
            if not self._orders.is_stuck(pair, leg):
                continue
            for other in self._pairs.values():
                across = other.leg_of(leg.instrument)
                is_opposite = across.instrument.id == leg.instrument.id and across.held * leg.held < 0
                if is_opposite and self._orders.is_stuck(other, across):
                    return self._handed_over((pair, leg), (other, across))
        return None

    def waits(self, pair: Pair) -> Iterator[tuple[str, str]]:
        """What of a pair waits until others end that are not being closed: the instrument's id, and words for a person.

        Where another is being closed there, that one will do.
        """
        for leg in pair.legs:
            if not self._orders.is_stuck(pair, leg):
                continue
            across = ((one, one.leg_of(leg.instrument)) for one in self._pairs.values())
            others = [one for one, it in across if it.instrument.id == leg.instrument.id and it.held * leg.held < 0]
            if others and all(one.state is not PairState.CLOSING or one.is_frozen for one in others):
                what, whose = f"{leg.held:+f} {leg.instrument.base}", " and ".join(one.id for one in others)
                yield leg.instrument.id, f"{what} on {leg.instrument.id}, which {whose} holds the other way round"

    def _handed_over(self, one: tuple[Pair, PairLeg], other: tuple[Pair, PairLeg]) -> tuple[Netted, Netted] | None:
        instrument = one[1].instrument
        quote = self._quotes(instrument)
        if quote is None:
            return None
        price = instrument.floor_price((touch(quote, Side.BUY) + touch(quote, Side.SELL)) / 2)
        quantity = min(abs(leg.held) for _, leg in (one, other)) / instrument.contract_multiplier
        now_ns = self._clock.now_ns()

        def part(of: Pair, leg: PairLeg) -> Netted:
            side = reducing_side(leg)
            fill = Fill(
                # A pair counts each of its fills, so that no later one of the same two has this name.
                fill_id=f"{NETTED}-{of.id}-{len(of.fill_ids)}",
                client_order_id=NETTED,
                instrument=instrument,
                side=side,
                price=max(price, instrument.tick_size),
                quantity=quantity,
                fee=Decimal(0),
                fee_asset=instrument.settle or instrument.quote,
                is_maker=False,
                ts_event_ns=now_ns,
            )
            return Netted(of, f"close_{side}", fill)

        parts = part(*one), part(*other)
        for body in naming_each_other([part.record() for part in parts]):
            self._journal.record(RecordKind.FILL, body["fill_id"], now_ns, body)
        return parts
