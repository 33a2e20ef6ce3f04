"""The invariants, each by itself, by code that shares nothing with the bot: from the exchanges' truth and the file.

Every function raises `AssertionError` with figures. `I4` and others that speak of time remember in `Watch`.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Any

from bot.domain.order import Fill, Order
from bot.risk.gate import TradingState
from tests.invariants.process import House, Process
from tests.invariants.world import INSTRUMENTS, MS, put_in

D = Decimal
UNHEDGED_NS = 10_000 * MS
NEWS_NS = 2_000 * MS
"""The longest that the stories' venues keep a fill to themselves: the bot's seconds begin when it is told."""
_BY_ID = {instrument.id: instrument for instrument in INSTRUMENTS}
_FINAL = ("filled", "expired", "cancelled", "rejected")


class JournalFile:
    """What really lies in the file, by a connection of its own."""

    def __init__(self, data_dir: Path) -> None:
        self._file = sqlite3.connect(f"file:{data_dir / 'journal.db'}?mode=ro", uri=True)

    def bodies(self, kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Key and body of every record of a kind, in order."""
        for key, body in self._file.execute("SELECT key, body FROM records WHERE kind = ? ORDER BY seq", (kind,)):
            yield key, json.loads(body)

    def has_intent(self, client_order_id: str) -> bool:
        """Whether the intent of an order is there."""
        found = self._file.execute("SELECT body FROM records WHERE kind = 'order' AND key = ?", (client_order_id,))
        return any(json.loads(body)["status"] == "intent" for (body,) in found)

    def close(self) -> None:
        """Let go of it."""
        self._file.close()


# At every order that is about to leave


def i1_intent_is_durable(file: JournalFile, order: Order) -> None:
    """An intent is durable before the first byte."""
    assert file.has_intent(order.client_order_id), f"I1: {order.client_order_id} leaves without an intent on the disk"


def i2_one_order_a_leg(house: House, process: Process, order: Order) -> None:
    """One client id a leg: no second order on it while the first is unresolved."""
    leg = (pair_of(order.client_order_id), order.instrument.id)
    assert order.client_order_id not in house.world.orders, f"I2: {order.client_order_id} is sent a second time"
    for one, _, _ in process.desk.executor.pairs[leg[0]].orders.values():
        same = one.instrument.id == leg[1] and one.client_order_id != order.client_order_id
        was_sent = one.ts_sent_ns is not None
        # One that is known to be filled whole can do no more, whether or not its end was told.
        is_whole = process.told_filled[one.client_order_id] >= one.quantity
        open_ = one.client_order_id not in process.told_final and not is_whole
        assert not (same and was_sent and open_), f"I2: {order.client_order_id} beside {one.client_order_id}"


def i6_halted_only_reduces(process: Process, order: Order) -> None:
    """HALTED lets only risk reduction out: what makes the leg smaller, or the pair more even."""
    if process.desk.gate.state is not TradingState.HALTED:
        return
    pair = process.desk.executor.pairs[pair_of(order.client_order_id)]
    signed = order.side.sign * order.quantity * order.instrument.contract_multiplier
    held = pair.leg_of(order.instrument).held
    smaller = abs(held + signed) <= abs(held)
    more_even = abs(pair.imbalance + signed) <= abs(pair.imbalance)
    assert smaller or more_even, f"I6: halted, and {order.side} {order.quantity} {order.instrument.id} leaves"


def i7_on_the_grid(order: Order) -> None:
    """Finite, positive, on tick and lot, and not below what the venue takes."""
    one = order.instrument
    assert isfinite(order.quantity), f"I7: {order.quantity}"
    assert order.quantity > 0, f"I7: {order.quantity}"
    assert order.quantity % one.lot_size == 0, f"I7: {order.quantity} is off the lot"
    if order.price is not None:
        assert isfinite(order.price), f"I7: {order.price}"
        assert order.price > 0, f"I7: {order.price}"
        assert order.price % one.tick_size == 0, f"I7: {order.price} is off the tick"


# After every step


class Watch:
    """Invariants that need a memory: for how long something has been so."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._uneven_since: dict[str, int] = {}
        self._past: dict[str, Decimal] = {}
        """What earlier processes left in pairs that nobody has taken over."""
        self.episodes: list[tuple[int, str]] = []
        """Nanoseconds for which a pair was uneven, and the pair."""
        self._imbalances: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._fills_taken = 0

    def i4_net_exposure(self) -> None:
        """Below its cap always; more than dust no longer than the budget, unless HALTED and announced."""
        house = self._house
        process, now_ns = house.process, house.clock.now_ns()
        mid = 1_000.0
        cap = process.settings.risk.max_net_exposure_notional * 1.1
        self._take_new_fills(mid, now_ns)
        exposed = {pair: amount for pair, amount in self._imbalances.items() if _is_exposed(amount, mid)}
        total = float(abs(sum(exposed.values(), D(0)))) * mid
        assert total <= cap * process.settings.risk.max_open_pairs, f"I4: {total:.0f} of net exposure"
        for pair in list(self._uneven_since):
            if pair not in exposed:
                self.episodes.append((now_ns - self._uneven_since.pop(pair), pair))
        for pair in exposed:
            since_ns = self._uneven_since.setdefault(pair, now_ns)
            if now_ns - since_ns > UNHEDGED_NS + NEWS_NS:
                assert process.desk.gate.state is TradingState.HALTED, (
                    f"I4: {pair} is uneven by {exposed[pair]} ETH for {(now_ns - since_ns) / 1e9:.1f} s, "
                    f"and the bot is {process.desk.gate.state}"
                )
                assert any("HALTED" in text for text in process.journal.events), "I4: halted, and nobody was told"

    def restarted(self) -> None:
        """Nobody can be blamed for the time in which no process lived."""
        now_ns = self._house.clock.now_ns()
        self._uneven_since = dict.fromkeys(self._uneven_since, now_ns)

    def _take_new_fills(self, mid: float, now_ns: int) -> None:
        """Signed base units by pair, from the exchanges' own fills; who was even between two looks, was even."""
        fills = self._house.world.fills
        for fill in fills[self._fills_taken :]:
            pair = pair_of(fill.client_order_id)
            self._imbalances[pair] += base_change(fill)
            if pair in self._uneven_since and not _is_exposed(self._imbalances[pair], mid):
                self.episodes.append((now_ns - self._uneven_since.pop(pair), pair))
        self._fills_taken = len(fills)


def _is_exposed(amount: Decimal, mid: float) -> bool:
    """Whether so much base is more than dust."""
    return float(abs(amount)) * mid > 21.0


def i3_positions_are_fills(house: House, file: JournalFile) -> None:
    """Once everything was told: position change = sum of fills, each counted once."""
    counted: set[tuple[str, str]] = set()
    booked: defaultdict[str, Decimal] = defaultdict(Decimal)
    for key, body in file.bodies("fill"):
        instrument = _instrument(body)
        assert (instrument.id, key) not in counted, f"I3: fill {key} of {instrument.id} stands twice in the journal"
        counted.add((instrument.id, key))
        sign = 1 if body["side"] == "buy" else -1
        booked[instrument.id] += sign * D(body["quantity"])
        if not instrument.is_perpetual and body["fee_asset"] == instrument.base:
            booked[instrument.id] -= D(body["fee"])
    for instrument in INSTRUMENTS:
        held = house.world.position(instrument)
        assert booked[instrument.id] == held, f"I3: {instrument.id} is {held}, its fills sum to {booked[instrument.id]}"


def i5_cash_is_conserved(house: House, file: JournalFile) -> None:
    """Per asset: what the wallets hold = what was put in + fills − fees in their own asset + funding."""
    due: defaultdict[str, Decimal] = defaultdict(Decimal, put_in())
    for _, body in file.bodies("fill"):
        instrument = _instrument(body)
        sign = 1 if body["side"] == "buy" else -1
        quantity, price = D(body["quantity"]), D(body["price"])
        due["USDT"] -= sign * quantity * instrument.contract_multiplier * price
        if not instrument.is_perpetual:
            due[instrument.base] += sign * quantity
        due[body["fee_asset"]] -= D(body["fee"])
    for _, body in file.bodies("funding"):
        due[body["asset"]] += D(body["payment"])
    wallets = dict(house.world.wallets())
    for position in house.world.core.positions():
        # A venue books a position's profit when it is closed: until then its entry value is still in the wallet.
        wallets["USDT"] -= position.quantity * position.instrument.contract_multiplier * position.average_price
    for asset, amount in wallets.items():
        rest = amount - due[asset]
        is_flat = not house.world.core.positions()
        assert rest == 0 if is_flat else abs(rest) < D("1e-9"), (
            f"I5: {asset}: {amount} in the wallets, {due[asset]} due"
        )


def i8_ledger_is_the_journal(house: House, file: JournalFile) -> None:
    """What the file says of this run's fills is what the ledger holds."""
    process = house.process
    known = {pair.pair_id for pair in process.desk.ledger.pairs()}
    flows: defaultdict[str, Decimal] = defaultdict(Decimal)
    for _, body in file.bodies("fill"):
        if body["pair"] in known:
            instrument = _instrument(body)
            sign = 1 if body["side"] == "buy" else -1
            flows[instrument.id] += sign * D(body["quantity"])
    for instrument in INSTRUMENTS:
        booked = process.desk.ledger.position(instrument)
        assert booked == flows[instrument.id], f"I8: {instrument.id}: ledger {booked}, journal {flows[instrument.id]}"


def orders_live_one_life(file: JournalFile) -> None:
    """Intent, sent, an end: each once, in this order."""
    lives: defaultdict[str, list[str]] = defaultdict(list)
    for key, body in file.bodies("order"):
        lives[key].append(body["status"])
    for key, statuses in lives.items():
        assert statuses[0] == "intent", f"{key}: {statuses}"
        assert statuses.count("sent") <= 1, f"{key}: {statuses}"
        assert sum(status in _FINAL for status in statuses) <= 1, f"{key}: {statuses}"


def pair_of(client_order_id: str) -> str:
    """The pair that an order belongs to."""
    return client_order_id.rsplit("-", 1)[0]


def base_change(fill: Fill) -> Decimal:
    """Signed base units that a fill brings, less what it costs of the base."""
    change = fill.side.sign * fill.quantity * fill.instrument.contract_multiplier
    spot = not fill.instrument.is_perpetual
    return change - fill.fee if spot and fill.fee_asset == fill.instrument.base else change


def _instrument(body: Mapping[str, Any]) -> Any:
    return _BY_ID[f"{body['instrument']['venue']}:{body['instrument']['symbol']}"]
