"""What a run had in hand, rebuilt from its journal alone: pairs that are not over, their orders, fills and funding.

Records come in the order in which they were appended, of one run or of several that follow one another: a pair that a
run left is told on by the one that took it over. A pair that is over is forgotten after a thousand others, so that a
long journal needs little more room than what is open at a time, and one that a late fill opened again is whole.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from bot.domain.instrument import Instrument
from bot.domain.legs import HoldLeg, Leg, Liquidity, TradeLeg, TransferLeg
from bot.domain.order import Fill, Order, Side
from bot.domain.route import Cost, Link, Opportunity, Route
from bot.errors import StorageError
from bot.execution.chain import Chain, Travel
from bot.execution.chain_replay import rebuilt_chain
from bot.execution.ledger import Ledger
from bot.execution.pair import Pair, PairLeg, PairState
from bot.ports import RecordKind

KINDS = (RecordKind.RUN, RecordKind.PAIR, RecordKind.ORDER, RecordKind.FILL, RecordKind.FUNDING, RecordKind.DUST)
"""What it is rebuilt from."""
_KEPT_OVER = 1_000
"""Pairs that are over and not forgotten yet: more have not ended before a venue tells of a fill that it had missed."""
_HOLD_S = 60.0
"""Of a pair whose record does not tell how long it was to be held: nothing is decided by it any more."""


class Entry(Protocol):
    """One record of a journal."""

    @property
    def kind(self) -> RecordKind:
        """What it tells of."""

    @property
    def key(self) -> str:
        """Which pair, order, fill or instrument."""

    @property
    def body(self) -> Mapping[str, Any]:
        """Plain data."""


@dataclass(slots=True)
class LeftPair:
    """A pair or a chain that is not over, as the journal left it."""

    pair: Pair | Chain
    """`pending` holds its orders without a final state: whether they were sent, nobody knows."""
    fills: list[Fill]
    """Each once, in the order of the journal."""
    funding: list[tuple[str, Decimal]]
    """Its parts of funding payments, as (asset, amount)."""

    @property
    def name(self) -> str:
        """`pair ID` or `chain ID`."""
        return f"{'chain' if isinstance(self.pair, Chain) else 'pair'} {self.pair.id}"

    def held_words(self) -> str:
        """What it holds, for a person: each leg of a pair; each place of a chain, and what is between venues."""
        if not isinstance(self.pair, Chain):
            legs = self.pair.legs
            return ", ".join(f"{leg.held:+f} {leg.instrument.base} on {leg.instrument.id}" for leg in legs)
        held = [f"{amount:+f} {asset} at {venue}" for (venue, asset), amount in self.pair.holdings.items()]
        if (travel := self.pair.underway) is not None:
            one = travel.carriage
            held.append(f"{travel.left:f} {one.asset} between {one.from_venue} and {one.to_venue}")
        return ", ".join(held) or "nothing"


@dataclass(slots=True)
class _Told:
    """What the journal has told of one pair so far."""

    body: Mapping[str, Any]
    carried: Mapping[str, str]
    """Dust that its legs take along, by side."""
    orders: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    fills: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    funding: list[tuple[str, Decimal]] = field(default_factory=list)


class JournalReplay:
    """Takes records one by one; at any moment `left` answers what was in hand after the last of them."""

    def __init__(self, instruments: Mapping[str, Instrument] | None = None) -> None:
        """Nothing is told yet. `instruments` (by id) are taken before what the journal says of them: grids change."""
        self._known = dict(instruments or {})
        self._told_instruments: dict[str, Mapping[str, Any]] = {}
        self._pairs: dict[str, _Told] = {}
        self._over: dict[str, _Told] = {}
        """Those that ended last: a fill that comes late makes one go on, from all that it was before."""

    def take(self, record: Entry) -> None:
        """The next record, of whatever kind."""
        body = record.body
        if record.kind is RecordKind.RUN:
            for one in body.get("instruments", ()):
                self._told_instruments[f"{one['venue']}:{one['symbol']}"] = one
        elif record.kind is RecordKind.PAIR:
            self._take_pair(record.key, body)
        elif (told := self._told(body.get("pair") or "")) is not None:
            self._take_part(told, record)

    def _told(self, pair_id: str) -> _Told | None:
        return self._pairs.get(pair_id) or self._over.get(pair_id)

    def _take_pair(self, pair_id: str, body: Mapping[str, Any]) -> None:
        told = self._told(pair_id) or _Told(body, {})
        told.body, told.carried = body, body.get("carried", {})
        if not PairState(body["state"]).is_over:
            self._over.pop(pair_id, None)
            self._pairs[pair_id] = told
            return
        self._pairs.pop(pair_id, None)
        self._over[pair_id] = told
        if len(self._over) > _KEPT_OVER:
            del self._over[next(iter(self._over))]

    def _take_part(self, told: _Told, record: Entry) -> None:
        body = record.body
        if record.kind is RecordKind.ORDER:
            told.orders[record.key] = body
            self._name(body)
        elif record.kind is RecordKind.FILL:
            told.fills.setdefault((self._name(body), body["fill_id"]), body)
        elif record.kind is RecordKind.FUNDING:
            told.funding.append((body["asset"], Decimal(body["payment"])))
        elif record.kind is RecordKind.DUST:
            told.carried = body["carried"]

    def _name(self, body: Mapping[str, Any]) -> str:
        one = body["instrument"]
        name = f"{one['venue']}:{one['symbol']}"
        self._told_instruments[name] = one
        return name

    def left(self, begun_by: Collection[str] | None = None) -> list[LeftPair]:
        """Every pair that is not over, in the order of opening; of these runs alone, where they are named.

        Raises:
            StorageError: If a record of one of them is not what this version writes.
        """
        wanted = (pair_id for pair_id in self._pairs if begun_by is None or pair_id.rpartition("-")[0] in begun_by)
        return [self.rebuilt(pair_id) for pair_id in wanted]

    def orders_over(self) -> dict[str, str]:
        """Client order id -> pair, of those pairs that ended last."""
        return {order_id: pair_id for pair_id, told in self._over.items() for order_id in told.orders}

    def over_since(self, ts_ns: int) -> list[str]:
        """Those of the pairs that ended last that ended since then."""
        return [pair_id for pair_id, told in self._over.items() if (told.body.get("ts_close_ns") or 0) >= ts_ns]

    def rebuilt(self, pair_id: str) -> LeftPair:
        """One of them, or of those that ended last.

        Raises:
            KeyError: If it is neither.
            StorageError: If a record of it is not what this version writes.
        """
        told = self._pairs.get(pair_id) or self._over[pair_id]
        try:
            pair = self._taken_up(pair_id, told)
            for order_id, body in told.orders.items():
                order = self._of(Order, body)
                pair.orders[order_id] = (order, body["leg"], Decimal(body["expected_price"]))
                if not order.status.is_terminal:
                    pair.pending.add(order_id)
            fills = [self.fill(body) for body in told.fills.values()]
        except (KeyError, ValueError, TypeError) as error:
            raise StorageError(f"pair {pair_id} cannot be rebuilt from the journal: {error!r}") from error
        for fill in fills:
            pair.count(fill)
        for order_id, (order, _, _) in pair.orders.items():
            if pair.filled.get(order_id, Decimal(0)) < order.filled_quantity:
                pair.pending.add(order_id)  # it ended with fills that were not told: they are asked for
        return LeftPair(pair, fills, list(told.funding))

    def fill(self, body: Mapping[str, Any]) -> Fill:
        """The fill of a record's body."""
        self._name(body)
        fill: Fill = self._of(Fill, body)
        return fill

    def _taken_up(self, pair_id: str, told: _Told) -> Pair | Chain:
        opportunity = self._opportunity(told.body)
        if opportunity.links:
            return rebuilt_chain(pair_id, opportunity, told.body, told.carried)
        pair = self._pair(pair_id, opportunity, told.body)
        for leg, name in ((pair.buy, "buy"), (pair.sell, "sell")):
            leg.carried = Decimal(told.carried.get(name, "0"))
        return pair

    def _pair(self, pair_id: str, opportunity: Opportunity, body: Mapping[str, Any]) -> Pair:
        route, expected = opportunity.route, body["expected"]
        prices = {Side.BUY: Decimal(expected["buy_price"]), Side.SELL: Decimal(expected["sell_price"])}
        if route.is_round_trip:
            side = route.opening[0].side
            buy = sell = PairLeg(route.buy, side, prices[side])
        else:
            buy = PairLeg(route.buy, Side.BUY, prices[Side.BUY])
            sell = PairLeg(route.sell, Side.SELL, prices[Side.SELL])
        pair = Pair(pair_id, opportunity, buy, sell, opened_ns=body["ts_open_ns"], state=PairState(body["state"]))
        pair.close_reason = body["close_reason"]
        if (leaving := body["exit_expected"]) is not None:
            pair.exit_expected = (Decimal(leaving["buy_price"]), Decimal(leaving["sell_price"]))
        return pair

    def _opportunity(self, body: Mapping[str, Any]) -> Opportunity:
        expected = body["expected"]
        return Opportunity(
            route=Route(kind=body["kind"], legs=tuple(self._legs(body))),
            ts_ns=body["ts_open_ns"],
            quantity=Decimal(body["quantity"]),
            buy_price=float(expected["buy_price"]),
            sell_price=float(expected["sell_price"]),
            gross_edge_bps=expected["gross_bps"],
            costs=tuple(Cost.model_validate(cost) for cost in expected["costs"]),
            net_edge_bps=expected["net_bps"],
            links=tuple(Link.model_validate(link) for link in body.get("links", ())),
        )

    def _legs(self, body: Mapping[str, Any]) -> Iterable[Leg]:
        told = body.get("legs")
        if told is None:  # an older version's: both sides are taken at once, held, and taken back
            trades = [(body["buy"], Side.BUY), (body["sell"], Side.SELL)]
            opening = [TradeLeg(instrument=self._instrument(one), side=side) for one, side in trades]
            return [*opening, HoldLeg(expected_s=_HOLD_S), *(_back(leg) for leg in opening)]
        return [self._leg(words) for words in told]

    def _leg(self, words: list[Any]) -> Leg:
        kind, *rest = words
        if kind == "hold":
            return HoldLeg(expected_s=rest[0])
        if kind == "transfer":
            asset, source, target, network, deferred = rest
            return TransferLeg(asset=asset, from_venue=source, to_venue=target, network=network, deferred=deferred)
        if kind != "trade":
            raise ValueError(f"a leg of kind {kind} is taken up by nobody")
        instrument, side, liquidity = rest
        return TradeLeg(instrument=self._instrument(instrument), side=Side(side), liquidity=Liquidity(liquidity))

    def _instrument(self, instrument_id: str) -> Instrument:
        if instrument_id not in self._known:
            self._known[instrument_id] = Instrument.model_validate(self._told_instruments[instrument_id])
        return self._known[instrument_id]

    def _of(self, kind: Any, body: Mapping[str, Any]) -> Any:
        """The `kind` (an order, a fill) that a body holds, on the instrument as it is known now."""
        fields = {name: value for name, value in body.items() if name in kind.model_fields}
        return kind.model_validate({**fields, "instrument": self._instrument(self._name(body))})


def replay_ledger(records: Iterable[Entry], instruments: Mapping[str, Instrument] | None = None) -> Ledger:
    """The ledger of all pairs of these records, ended ones too: positions, fees, funding and profit from fills alone.

    Raises:
        StorageError: If a record is not what this version writes.
    """
    replay, ledger, pairs = JournalReplay(instruments), Ledger(), dict[str, Pair | Chain]()
    for record in records:
        replay.take(record)
        body = record.body
        if record.kind is RecordKind.PAIR:
            if record.key not in pairs:
                pair = pairs[record.key] = replay.rebuilt(record.key).pair
                ledger.open_pair(pair.id, pair.opportunity.route, pair.opened_ns)
            _book_transfers(ledger, record.key, body)
            if PairState(body["state"]).is_over:
                ledger.close_pair(record.key)
        elif record.kind is RecordKind.FILL:
            fill, pair = replay.fill(body), pairs[body["pair"]]
            ledger.on_fill(pair.id, leg_of(pair, fill), fill)
        elif record.kind is RecordKind.FUNDING and body["pair"] is not None:
            ledger.restore_funding(body["pair"], body["asset"], Decimal(body["payment"]))
    return ledger


def leg_of(pair: Pair | Chain, fill: Fill) -> Side | None:
    """Which leg of a pair a fill is on, as the ledger names it; None for a chain's."""
    return None if isinstance(pair, Chain) else pair.leg_of(fill.instrument).side


def _book_transfers(ledger: Ledger, pair_id: str, body: Mapping[str, Any]) -> None:
    for told in body.get("travels", ()):
        travel = Travel.of(told)
        if travel.is_over:
            ledger.on_transfer(pair_id, travel.carriage.id, travel.carriage.asset, travel.fee)


def _back(leg: TradeLeg) -> TradeLeg:
    return leg.model_copy(update={"side": leg.side.opposite})
