"""What is held and known now, as the limits see it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from math import nextafter

from bot.clock import Clock
from bot.domain.instrument import Feed, Instrument, Segment
from bot.domain.order import OrderStatus, Side
from bot.domain.route import Route, TradeLeg, TransferLeg
from bot.engine.chain_exposure import ChainExposure
from bot.engine.feed_health import FeedHealth
from bot.engine.margin_wallets import wallet_name
from bot.engine.margins import Margins
from bot.engine.slot import InstrumentSlot
from bot.engine.terms.prices import Prices
from bot.execution.chain import Chain
from bot.execution.chain_executor import ChainExecutor
from bot.execution.pair import Pair, PairLeg, PairState
from bot.execution.pair_executor import PairExecutor
from bot.ports import Actions, TellsStanding
from bot.risk.edge_history import EdgeHistory
from bot.risk.limits import Proposal
from bot.risk.margin import MarginAfter
from bot.risk.recent import Recent
from bot.risk.results import Drift, Results
from bot.settings.risk import RiskSettings

_NOTHING = Decimal(0)
_ONE = Decimal(1)


class EnginePortfolio:
    """Implements `bot.risk.limits.Portfolio` over the executor's pairs, the engine's slots and the venue's wallets."""

    def __init__(
        self,
        actions: Actions,
        clock: Clock,
        slots: Mapping[str, InstrumentSlot],
        feeds: Mapping[Feed, FeedHealth],
        settings: RiskSettings,
    ) -> None:
        """Nothing is held yet.

        Args:
            actions: Whose balances and positions count.
            clock: Rates and ages are taken in its monotonic time, days in its wall time.
            slots: By instrument id.
            feeds: How each feed has been.
            settings: What counts as suspicious, and how many pairs the drift is taken over.
        """
        self._actions = actions
        self._standings = actions if isinstance(actions, TellsStanding) else None
        self._clock = clock
        self._slots = slots
        self._feeds = feeds
        self._feeds_by_identity = {id(feed): health for feed, health in feeds.items()}
        """Of the very values that instruments give: hashing one takes longer than everything else about it."""
        self._slots_by_identity = {id(slot.instrument): slot for slot in slots.values()}
        self._clock_offsets = {slot.instrument.venue: slot.clock_offset for slot in slots.values()}
        self._pairs: Mapping[str, Pair] = {}
        self._unresolved: Callable[[str], int] = lambda venue: 0
        self.chains = ChainExposure()
        self.transfer_way: Callable[[TransferLeg, float], str | None] = _nobody_carries
        """Why nothing of an asset can be sent from one venue to another now; set by whoever knows the run's carrier."""
        self.top_up: Callable[[str], float | None] = lambda venue: None
        """Seconds (p95) that a transfer to a venue takes; set by whoever knows transfers."""
        self.edges = EdgeHistory(settings.persistent_edge_bps)
        self.margins = Margins(actions, slots, settings.maintenance_margin_ratio)
        self._prices = Prices(tuple(slots.values()))
        self._results = Results()
        self._drift = Drift(settings.drift_pairs)
        self._sent = Recent()
        self._rejected: dict[str, Recent] = {}
        self._listed: dict[str, Instrument] = {}
        self.quarantine: dict[str, str] = {}
        """By instrument id: why nothing new is opened there; kept by reconciliation."""
        self._affordable: dict[tuple[str | int, bool], tuple[float, float]] = {}
        """By instrument (its place in memory, where it is one of the run's) and whether it is bought."""
        self._purses: dict[tuple[str, str], bool] = {}
        """By two instruments of a venue: whether one wallet pays for both."""

    def follow(self, executor: PairExecutor, chains: ChainExecutor) -> None:
        """Count what they hold; called once all exist: they halt through the gate, the gate asks the portfolio."""
        self._pairs = executor.pairs
        self.chains.chains = chains.chains
        self._unresolved = lambda venue: executor.unresolved(venue) + chains.unresolved(venue)

    # What it is told

    def on_wallets(self) -> None:
        """Balances or positions may be others: an order, a fill, a payment, a second that has passed."""
        self.margins.changed()
        self._affordable.clear()
        self._purses.clear()

    def on_order_sent(self) -> None:
        """An order left."""
        self.on_wallets()
        self._sent.add(self._clock.monotonic_ns())

    def on_rejected(self, venue: str) -> None:
        """A venue rejected an order."""
        self._rejected.setdefault(venue, Recent()).add(self._clock.monotonic_ns())

    def restore_today(self, profit: Decimal, now_ns: int) -> None:
        """What earlier runs on these accounts realised since midnight UTC: a restart forgets no loss."""
        self._results.restore(profit, now_ns)

    def on_realised(self, profit: Decimal, now_ns: int) -> None:
        """A pair ended with this profit, quote units."""
        self._results.add(profit, now_ns)

    def on_outcome(self, expected_bps: float, realised_bps: float) -> None:
        """What a pair that was filled earned, against the net edge expected of it."""
        self._drift.add(expected_bps, realised_bps, self._clock.monotonic_ns())

    def on_listing(self, instrument: Instrument) -> None:
        """A venue lists an instrument otherwise than it did: its status, its delivery."""
        slot = self._slots.get(instrument.id)
        if slot is not None and slot.instrument == instrument:
            self._listed.pop(instrument.id, None)
        else:
            self._listed[instrument.id] = instrument

    def observe_edge(self, route: Route, gross_bps: float | None) -> None:
        """What a route offers now; None while a side has no quote."""
        self.edges.observe(route.id, gross_bps, self._clock.monotonic_ns())

    # bot.risk.limits.Portfolio: pairs

    def open_pairs(self) -> int:
        """Pairs that are not flat, and chains that are not home."""
        return len(self._pairs) + len(self.chains.chains)

    def busy(self, route: Route) -> bool:
        """Whether a pair on the route's two instruments, or a chain through the same, in either direction, is open."""
        if self.chains.chains and self.chains.busy(route):
            return True
        if not self._pairs:
            return False
        wanted = {route.buy.id, route.sell.id}
        return any({leg.instrument.id for leg in pair.legs} == wanted for pair in self._pairs.values())

    def in_flight(self, instrument: Instrument) -> int:
        """Pairs that are being opened or closed on it, and chains that are about to trade it."""
        chains = self.chains.moving(instrument) if self.chains.chains else 0
        if not self._pairs:
            return chains
        moving = (pair for pair in self._pairs.values() if pair.state is not PairState.OPEN)
        return chains + sum(any(leg.instrument.id == instrument.id for leg in pair.legs) for pair in moving)

    # Holdings

    def position_notional(self, instrument: Instrument) -> float:
        """Of what open pairs hold of it, at their opening prices; a leg that is still being filled counts whole."""
        return self._notional(lambda held: held.id == instrument.id) + self.chains.on(instrument)

    def venue_notional(self, venue: str) -> float:
        """Of every leg that open pairs hold at a venue, in the same way."""
        return self._notional(lambda held: held.venue == venue) + self.chains.at_venue(venue)

    def asset_notional(self, base: str) -> float:
        """Of every leg that open pairs hold in an asset, both sides, in the same way."""
        return self._notional(lambda held: held.base == base) + self.chains.in_asset(base)

    def net_exposure_notional(self, base: str) -> float:
        """The most of one asset that may stand unhedged, at opening prices.

        What pairs at rest are uneven by, which may cancel out, and of every pair with orders on their way a whole
        leg, since the other one may not be filled. A chain that is this asset on its way counts whole.
        """
        uneven, moving = _NOTHING, _NOTHING
        for pair in self._pairs.values():
            if pair.buy.instrument.base != base:
                continue
            if pair.pending:
                moving += max(_whole(pair, leg) for leg in pair.legs)
            else:
                uneven += pair.imbalance * pair.buy.expected_price
        return float(abs(uneven) + moving) + self.chains.in_asset(base)

    def affordable_notional(self, instrument: Instrument, side: Side, price: float) -> float:
        """What the wallet still covers on this side, quote units, less what pairs have reserved.

        Orders that are written down and not yet sent are reserved in full: the venue does not know of them. A pair
        also sells what it bought and buys back what it sold: what it needs for that is not for another pair, whatever
        market would take it.
        """
        covered = self._covered(instrument, side, price)
        if self.chains.chains:
            covered -= self._travelling(instrument, side, price)
        if not self._pairs:
            return covered
        at = Decimal(repr(price))
        covered -= float(self._reserved(instrument, side, at))
        return covered if instrument.is_perpetual else covered - float(self._spoken_for(instrument, side, at))

    def is_one_purse(self, one: TradeLeg, other: TradeLeg) -> bool:
        """Whether both legs are paid from one asset in one wallet; also where nobody tells which wallet pays."""
        first, second = one.instrument, other.instrument
        if first.venue != second.venue or _paid_in(first, one.side) != _paid_in(second, other.side):
            return False
        return self._is_one_wallet(first, second)

    def _is_one_wallet(self, first: Instrument, second: Instrument) -> bool:
        key = (first.id, second.id)
        if key not in self._purses:  # a venue may take tens of microseconds to list its balances
            wallets = {balance.wallet: None for balance in self._actions.balances()}
            names = wallet_name(first, wallets), wallet_name(second, wallets)
            self._purses[key] = None in names or names[0] == names[1]
        return self._purses[key]

    def margin_after(self, proposal: Proposal) -> Sequence[MarginAfter] | None:
        """Every margin wallet that the proposal touches, once it is filled."""
        return self.margins.after(proposal)

    def top_up_s(self, venue: str) -> float | None:
        """How long a transfer takes that brings margin there."""
        return self.top_up(venue)

    # Chains

    def in_flight_notional(self) -> float:
        """Of every chain that is not home."""
        return self.chains.notional()

    def transfers_under_way(self, venue: str, other: str) -> int:
        """Transfers of chains between two venues, either way, that have no end yet."""
        return self.chains.under_way(venue, other)

    def transfer_refused(self, leg: TransferLeg, amount: float) -> str | None:
        """Why this run would not send it, in words; None: it would."""
        return self.transfer_way(leg, amount)

    # Results

    def realised_today(self, now_ns: int) -> float:
        """Profit since midnight UTC of pairs that ended, in quote units."""
        return float(self._results.today(now_ns))

    def realised_total(self) -> float:
        """Profit of all pairs that ended."""
        return float(self._results.total)

    def drift(self) -> tuple[float, int]:
        """How much less the newest pairs earned than expected, mean in bps, and how many pairs that rests on."""
        return self._drift.mean(self._clock.monotonic_ns())

    # Orders

    def orders_last_minute(self, now_ns: int) -> int:
        """Orders sent in the last 60 s, by the monotonic clock."""
        return self._sent.last_minute(self._clock.monotonic_ns())

    def orders_last_second(self, now_ns: int) -> int:
        """Orders sent in the last second, by the monotonic clock."""
        return self._sent.last_second(self._clock.monotonic_ns())

    def rejects_last_minute(self, venue: str) -> int:
        """Orders that a venue rejected in the last 60 s."""
        rejected = self._rejected.get(venue)
        return 0 if rejected is None else rejected.last_minute(self._clock.monotonic_ns())

    def unresolved_orders(self, venue: str) -> int:
        """Orders at a venue whose outcome nobody knows."""
        return self._unresolved(venue)

    # Market

    def market(self, instrument: Instrument) -> InstrumentSlot | None:
        """The instrument's market."""
        return self._slots_by_identity.get(id(instrument)) or self._slots.get(instrument.id)

    def other_mids(self, instrument: Instrument) -> Sequence[float]:
        """Mids now of all other instruments with its base and quote currency."""
        return self._prices.other_mids(instrument)

    def edge_stood_s(self, route: Route, gross_bps: float) -> float | None:
        """How long the route's edge has been suspiciously large without a break."""
        return self.edges.stood_s(route.id, gross_bps, self._clock.monotonic_ns())

    def currency_rate(self, currency: str, other: str) -> float | None:
        """Price of one unit of `currency` in `other`, from the spot markets that are watched."""
        return self._prices.currency_rate(currency, other)

    def listing(self, instrument: Instrument) -> Instrument:
        """The instrument as its venue listed it last."""
        return self._listed.get(instrument.id, instrument) if self._listed else instrument

    # Venues

    def quarantined(self, instrument: Instrument) -> str | None:
        """What is there that is not ours, in words; None: nothing that is known of."""
        return self.quarantine.get(instrument.id) if self.quarantine else None

    def blocked(self, venue: str) -> str | None:
        """Why nothing new may be risked at a venue now; None: it may, or it does not tell."""
        return None if self._standings is None else self._standings.blocked(venue)

    def feed(self, feed: Feed) -> FeedHealth | None:
        """How it has been lately."""
        return self._feeds_by_identity.get(id(feed)) or self._feeds.get(feed)

    def clock_uncertainty_ms(self, venue: str) -> float | None:
        """Half the round trip of the venue's last clock measurement."""
        offset = self._clock_offsets.get(venue)
        uncertain_ns = None if offset is None else offset.uncertainty_ns
        return None if uncertain_ns is None else uncertain_ns / 1e6

    # Inside

    def _notional(self, counts: Callable[[Instrument], bool]) -> float:
        if not self._pairs:
            return 0.0
        return float(sum((_whole(pair, leg) for pair, leg in self._legs() if counts(leg.instrument)), _NOTHING))

    def _legs(self) -> Iterator[tuple[Pair, PairLeg]]:
        return ((pair, leg) for pair in self._pairs.values() for leg in pair.legs)

    def _covered(self, instrument: Instrument, side: Side, price: float) -> float:
        """The venue's own answer, quote units, kept until something may have changed it.

        It takes tens of microseconds, and depends on the price in one way only: what is paid in base is worth more
        quote units at a higher price.
        """
        number = id(instrument)
        key = (number if number in self._slots_by_identity else instrument.id, side is Side.BUY)
        kept = self._affordable.get(key)
        if kept is None:
            kept = self._affordable[key] = (self._actions.affordable_notional(instrument, side, price), price)
        covered, at_price = kept
        if _paid_in(instrument, side) != instrument.base or price == at_price:
            return covered
        return nextafter(covered * (price / at_price), 0.0)

    def _reserved(self, instrument: Instrument, side: Side, price: Decimal) -> Decimal:
        """Quote units of orders that are not sent yet and will be paid from the same asset at the same venue.

        Which wallet pays is the venue's affair: two wallets of one venue count as one for these few milliseconds. Where
        it is one, what buys a coin is the margin of many times as much.
        """
        paid = _paid_in(instrument, side)
        total = _NOTHING
        running: tuple[Pair | Chain, ...] = (*self._pairs.values(), *self.chains.chains.values())
        for pair in running:
            if not pair.pending:
                continue
            for order, _, expected in pair.orders.values():
                of = order.instrument
                if (
                    order.status is OrderStatus.INTENT
                    and of.venue == instrument.venue
                    and not order.reduce_only
                    and _paid_in(of, order.side) == paid
                ):
                    at = order.price or expected
                    pays = order.quantity * of.contract_multiplier * (at if paid != of.base else _ONE)
                    total += pays * self._weight(of, order.side, at, instrument, side, price)
        return total * (price if paid == instrument.base else _ONE)

    def _weight(
        self, of: Instrument, of_side: Side, at: Decimal, instrument: Instrument, side: Side, price: Decimal
    ) -> Decimal:
        """How much of what a wallet covers for `instrument` each unit paid by an order on `of` takes; at least all."""
        if of.segment is instrument.segment or not self._is_one_wallet(of, instrument):
            return _ONE
        covered, covered_of = self._covering(instrument, side, price), self._covering(of, of_side, at)
        return Decimal(covered / covered_of) if covered > covered_of > 0.0 else _ONE

    def _covering(self, instrument: Instrument, side: Side, price: Decimal) -> float:
        """The same in units of what this side pays with."""
        covered = self._covered(instrument, side, float(price))
        return covered / float(price) if _paid_in(instrument, side) == instrument.base else covered

    def _travelling(self, instrument: Instrument, side: Side, price: float) -> float:
        """Quote units, of what this side pays with, that chains have written orders for or hold on their way."""
        paid = _paid_in(instrument, side)
        kept = float(self.chains.kept(instrument.venue, paid))
        if kept and instrument.is_perpetual:  # in one wallet, what buys a coin is the margin of many times as much
            at, in_base = Decimal(repr(price)), paid == instrument.base
            legs = (leg for leg in self.chains.spending(instrument.venue, paid) if (leg.side is Side.SELL) is in_base)
            weights = (self._weight(leg.instrument, leg.side, at, instrument, side, at) for leg in legs)
            kept *= float(max(weights, default=_ONE))
        reserved = 0.0 if self._pairs else float(self._reserved(instrument, side, Decimal(repr(price))))
        return reserved + kept * (price if paid == instrument.base else 1.0)

    def _spoken_for(self, instrument: Instrument, side: Side, price: Decimal) -> Decimal:
        """Quote units that open pairs will have to pay on spot of this venue with what this side pays with."""
        paid, total = _paid_in(instrument, side), _NOTHING
        for pair, leg in self._legs():
            of, back = leg.instrument, leg.side.opposite
            if of.segment is not Segment.SPOT or of.venue != instrument.venue or _paid_in(of, back) != paid:
                continue
            quantity, at = abs(leg.held), leg.expected_price
            if of.id == instrument.id:
                quantity = max(quantity, pair.opportunity.quantity if pair.state is PairState.OPENING else _NOTHING)
                at = price
            total += quantity if back is Side.SELL else quantity * at
        return total * (price if paid == instrument.base else _ONE)


def _whole(pair: Pair, leg: PairLeg) -> Decimal:
    """What a leg holds or may yet hold, quote units at its opening price."""
    return max(abs(leg.held), pair.opportunity.quantity) * leg.expected_price


def _nobody_carries(leg: TransferLeg, amount: float) -> str | None:
    return "this run has no carrier for transfers"


def _paid_in(instrument: Instrument, side: Side) -> str:
    """The asset that an order is paid from."""
    if instrument.settle is not None:
        return instrument.settle
    return instrument.quote if side is Side.BUY else instrument.base
