"""A chain: one amount that travels through links, each of which turns it into another asset or moves it elsewhere.

It stands at **places**: a venue and an asset. Link 0 spends from the first, link i takes what lies at place i and
brings it to place i + 1. Home is the asset that link 0 spends, wherever it lies, and what the last link brings.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

from bot.clock import Timer
from bot.domain.legs import TradeLeg, TransferLeg
from bot.domain.order import Fill, Order, OrderStatus, Side
from bot.domain.route import Opportunity, Route
from bot.execution.episode import Episode
from bot.execution.leg_words import words
from bot.execution.order_record import cost_record
from bot.execution.pair import PairState
from bot.execution.reasons import LATE_FILL
from bot.matching.cash import cash_asset, cash_flow, exact
from bot.ports.transfers import Carriage, CarryNews, CarryState

Place = tuple[str, str]
"""Venue and asset."""

_NOTHING = Decimal(0)


@dataclass(slots=True)
class Travel:
    """A transfer of a chain, as far as it is known."""

    link: int
    carriage: Carriage
    ts_ns: int
    """When it was decided on, UTC ns."""
    state: CarryState | None = None
    """None: written down, and nothing told yet."""
    received: Decimal = _NOTHING
    reason: str = ""
    ended_ns: int | None = None
    sent: Decimal | None = None
    """What left its place, where that was told: less than the amount by what is below the network's grid."""

    @property
    def left(self) -> Decimal:
        """What left its place, for all that is known."""
        return self.carriage.amount if self.sent is None else self.sent

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be told of it."""
        return self.state is not None and self.state.is_final

    @property
    def fee(self) -> Decimal:
        """What it kept of the amount, units of its asset; 0 before its end."""
        return self.left - self.received if self.is_over else _NOTHING

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "Travel":
        """The one that a journal's record tells of; `KeyError` or `ValueError` where it is none."""
        carriage = Carriage(
            id=body["id"],
            asset=body["asset"],
            from_venue=body["from_venue"],
            to_venue=body["to_venue"],
            network=body["network"],
            amount=Decimal(body["amount"]),
            deadline_s=body["deadline_s"],
        )
        state = None if body["state"] is None else CarryState(body["state"])
        received, ended_ns = Decimal(body["received"]), body["ts_end_ns"]
        sent = None if body["sent"] is None else Decimal(body["sent"])
        return cls(body["link"], carriage, body["ts_ns"], state, received, body["reason"], ended_ns, sent)

    def record(self) -> dict[str, Any]:
        """It as the journal keeps it."""
        one = self.carriage
        return {
            "link": self.link,
            "id": one.id,
            "asset": one.asset,
            "from_venue": one.from_venue,
            "to_venue": one.to_venue,
            "network": one.network,
            "amount": str(one.amount),
            "deadline_s": one.deadline_s,
            "state": None if self.state is None else self.state.value,
            "sent": None if self.sent is None else str(self.sent),
            "received": str(self.received),
            "reason": self.reason,
            "ts_ns": self.ts_ns,
            "ts_end_ns": self.ended_ns,
        }


@dataclass
class Chain:
    """One attempt at a route of links, from the decision to home."""

    id: str
    opportunity: Opportunity
    opened_ns: int
    state: PairState = PairState.OPENING
    close_reason: str | None = None
    closed_ns: int | None = None
    orders: dict[str, tuple[Order, str, Decimal]] = field(default_factory=dict)
    """By client order id: newest state, name (`link_1`, `home_0`), price expected when it was made."""
    pending: set[str] = field(default_factory=set)
    """Client order ids that have no final state yet, or fills that are not told."""
    filled: dict[str, Decimal] = field(default_factory=dict)
    """By client order id: what its fills sum to, venue units."""
    fill_ids: set[tuple[str, str]] = field(default_factory=set)
    """Instrument and fill id of every fill counted: a venue may tell one twice."""
    flows: dict[Place, Decimal] = field(default_factory=dict)
    """Everything that its fills, fees and transfers did, signed; what is between venues is taken off already. A fee
    that was taken neither from what its trade brought nor from home is the wallet's: nothing of the amount is gone."""
    dust: dict[Place, Decimal] = field(default_factory=dict)
    """What it takes along at a place that others left there; below zero: what it left itself."""
    travels: dict[str, Travel] = field(default_factory=dict)
    """By the id of the carriage."""
    tries: dict[int, int] = field(default_factory=dict)
    """By link: orders in a row that brought nothing."""
    returning: set[int] = field(default_factory=set)
    """Places whose amount goes home, and not on."""
    has_given_up: bool = False
    """Nothing of it goes on: all that it holds goes home."""
    is_frozen: bool = False
    """A person has halted the bot: nothing of it is sent until a person says what is to become of it."""
    fruitless_rounds: int = 0
    """Rounds since the last fill."""
    must_pause: bool = False
    """A round has filled nothing: the next one of its kind waits for a moment."""
    retry: Timer | None = None
    """Set while it waits for that moment."""
    sent_ns: dict[str, int] = field(default_factory=dict)
    """By client order id: when it left, monotonic."""
    uneven: Episode | None = None
    """Set while its amount is neither home nor between venues, or may be so for all that is known."""
    episodes: list[Episode] = field(default_factory=list)

    @property
    def route(self) -> Route:
        """What it goes through."""
        return self.opportunity.route

    @cached_property
    def links(self) -> tuple[TradeLeg | TransferLeg, ...]:
        """In order."""
        return self.route.chain

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """One more than links: place i is where link i takes from."""
        return places(self.route)

    @property
    def home(self) -> str:
        """The asset that link 0 spends."""
        return self.places[0][1]

    @property
    def inner(self) -> range:
        """The places between the first and the last: what lies there is on its way."""
        return range(1, len(self.links))

    def held(self, at: int) -> Decimal:
        """What lies at an inner place, dust that it took along included; below zero where a fee took more."""
        place = self.places[at]
        return self.flows.get(place, _NOTHING) + self.dust.get(place, _NOTHING)

    @property
    def holdings(self) -> dict[Place, Decimal]:
        """What it holds where, home left out."""
        return {self.places[at]: held for at in self.inner if (held := self.held(at))}

    @property
    def away(self) -> Decimal:
        """What left home and has not come back, units of the home asset; profit makes it negative."""
        return -sum((amount for (_, asset), amount in self.flows.items() if asset == self.home), _NOTHING)

    def taken_from(self, order: Order) -> Place:
        """The place whose amount an order spends."""
        one = order.instrument
        return one.venue, TradeLeg(instrument=one, side=order.side).spends

    @property
    def underway(self) -> Travel | None:
        """The transfer that has no end yet; None where nothing is between venues."""
        return next((travel for travel in self.travels.values() if not travel.is_over), None)

    @property
    def is_late(self) -> bool:
        """Whether a transfer of it should have ended long ago."""
        return self.underway is not None and self.underway.state is CarryState.LATE

    @property
    def link(self) -> int:
        """The link that it is at: where the furthest of it lies, or travels."""
        if self.underway is not None:
            return self.underway.link
        return max((at for at in self.inner if self.held(at) > 0), default=0)

    def words(self) -> str:
        """Where it is, for a person: `link 2 of 3: sell binance:ETH/BTC`, `returning home`, `closed`."""
        if self.state.is_over:
            return self.state.value
        if self.state is PairState.CLOSING:
            return "returning home"
        leg = self.links[self.link]
        if isinstance(leg, TradeLeg):
            what = f"{leg.side} {leg.instrument.id}"
        else:
            what = f"{leg.asset} from {leg.from_venue} to {leg.to_venue}{', late' if self.is_late else ''}"
        return f"link {self.link + 1} of {len(self.links)}: {what}"

    def give_up(self, reason: str | None = None) -> None:
        """Nothing of it goes on any more; the first reason stays."""
        self.has_given_up = True
        self.close_reason = self.close_reason or reason

    def reopen(self) -> None:
        """It was over, and an order of it was filled after all: what that brought goes home."""
        self.state, self.closed_ns = PairState.CLOSING, None
        self.give_up(LATE_FILL)

    @property
    def came_through(self) -> bool:
        """Whether an order of its last link, or of the way home over that link, was filled."""
        last = str(len(self.links) - 1)
        return any(name.partition("_")[2] == last and self.filled.get(id_) for id_, (_, name, _) in self.orders.items())

    def waiting(self) -> Iterator[Order]:
        """Its orders without a final state, in the order in which they were made."""
        return (order for order, _, _ in list(self.orders.values()) if order.client_order_id in self.pending)

    def left_of(self, order: Order) -> Decimal:
        """What of an order its fills have left, venue units."""
        return order.quantity - self.filled.get(order.client_order_id, _NOTHING)

    @property
    def is_live(self) -> bool:
        """Whether an order of it is written down or on its way: its answer decides what comes next."""
        return any(o.status is not OrderStatus.UNKNOWN and not o.status.is_terminal for o in self.waiting())

    @property
    def has_unknown(self) -> bool:
        """Whether nobody knows what became of one of its orders, or its fills are not told."""
        return any(self.is_unknown(order) and self.left_of(order) for order in self.waiting())

    def is_unknown(self, order: Order) -> bool:
        """Whether one that waits has no answer, or ended with fills that nobody told."""
        return order.status is OrderStatus.UNKNOWN or order.status.is_terminal

    def is_busy(self, at: int) -> bool:
        """Whether an order may still spend what lies at a place: no second one is sent beside it."""
        return any(self.taken_from(order) == self.places[at] and self.left_of(order) for order in self.waiting())

    @exact
    def count(self, fill: Fill) -> bool:
        """Count a fill of one of its orders, once; False where it was counted before."""
        key = (fill.instrument.id, fill.fill_id)
        if key in self.fill_ids:
            return False
        self.fill_ids.add(key)
        self.filled[fill.client_order_id] = self.filled.get(fill.client_order_id, _NOTHING) + fill.quantity
        one = fill.instrument
        self._flow((one.venue, one.base), fill.side.sign * fill.quantity)
        self._flow((one.venue, cash_asset(one)), cash_flow(one, fill.side, fill.price, fill.quantity))
        brought = one.base if fill.side is Side.BUY else one.quote
        if fill.fee_asset in (brought, self.home):
            self._flow((one.venue, fill.fee_asset), -fill.fee)
        return True

    def settle(self, order: Order) -> None:
        """Forget an order that has ended, once all its fills are told: until then it may have spent what they tell."""
        if order.status.is_terminal and self.filled.get(order.client_order_id, _NOTHING) >= order.filled_quantity:
            self.pending.discard(order.client_order_id)

    def depart(self, travel: Travel) -> None:
        """An amount leaves its place by a transfer; one that a journal tells of may have ended already."""
        self.travels[travel.carriage.id] = travel
        self._flow(self.places[travel.link], -travel.left)
        if travel.is_over:
            self._flow(self._end_of(travel), travel.received)

    def tell(self, news: CarryNews) -> bool:
        """Take news of a transfer; False where they change nothing, or come after its end."""
        travel = self.travels[news.id]
        if travel.is_over or travel.state is news.state:
            return False
        # One that its venue finds after the deadline has left, and is as late as before.
        stays_late = travel.state is CarryState.LATE and not news.state.is_final
        if stays_late and news.sent in (_NOTHING, travel.sent):
            return False
        travel.state, travel.reason = CarryState.LATE if stays_late else news.state, news.reason
        if news.sent and news.state is not CarryState.REFUSED:  # what the network's grid did not take never left
            self._flow(self.places[travel.link], travel.left - news.sent)
            travel.sent = news.sent
        if news.state.is_final:
            is_refused = news.state is CarryState.REFUSED
            travel.received, travel.ended_ns = travel.left if is_refused else news.received, news.ts_ns
            self._flow(self._end_of(travel), travel.received)
        return True

    def _end_of(self, travel: Travel) -> Place:
        return self.places[travel.link + (travel.state is CarryState.ARRIVED)]

    @exact
    def _flow(self, place: Place, amount: Decimal) -> None:
        self.flows[place] = self.flows.get(place, _NOTHING) + amount

    def carried(self) -> dict[str, str]:
        """The dust that it takes along, or left when it was over before, by the place's number."""
        found = {str(at): self.dust.get(self.places[at], _NOTHING) for at in self.inner}
        return {at: str(amount) for at, amount in found.items() if amount}

    def record(self) -> dict[str, Any]:
        """The chain as the journal keeps it: a pair's record, and what only a chain has."""
        opportunity, route = self.opportunity, self.route
        return {
            "pair": self.id,
            "route": route.id,
            "kind": route.kind,
            "legs": [words(leg) for leg in route.legs],
            "state": self.state.value,
            "quantity": str(opportunity.quantity),
            "base_asset": route.buy.base,
            "quote_asset": self.home,
            "buy": route.buy.id,
            "sell": route.sell.id,
            "expected": {
                "quantity": str(opportunity.quantity),
                "buy_price": str(opportunity.buy_price),
                "sell_price": str(opportunity.sell_price),
                "gross_bps": opportunity.gross_edge_bps,
                "needed_bps": opportunity.needed_bps,
                "net_bps": opportunity.net_edge_bps,
                "costs": [cost_record(cost) for cost in opportunity.costs],
            },
            "exit_expected": None,
            "links": [link.model_dump(mode="json") for link in opportunity.links],
            "travels": [travel.record() for travel in self.travels.values()],
            "places": [
                {"venue": venue, "asset": asset, "held": str(held)} for (venue, asset), held in self.holdings.items()
            ],
            "carried": self.carried(),
            "returning": sorted(self.returning),
            "at": self.words(),
            "close_reason": self.close_reason,
            "unhedged": [episode.record() for episode in self.episodes],
            "ts_open_ns": self.opened_ns,
            "ts_close_ns": self.closed_ns,
        }


def places(route: Route) -> tuple[Place, ...]:
    """Where the amount of a chain lies before each link, and after the last."""
    found: list[Place] = []
    end: Place | None = None
    for leg in route.chain:
        if isinstance(leg, TransferLeg):
            start, end = (leg.from_venue, leg.asset), (leg.to_venue, leg.asset)
        else:
            start, end = (leg.instrument.venue, leg.spends), (leg.instrument.venue, leg.brings)
        found.append(start)
    return (*found, end) if end is not None else ()
