"""Rings through the real engine, gate, chain executor, order carriers and journal file, with accidents and kills.

A ring on one venue, whose wallet holds nothing but USDT: what an order spends that is not there is refused. Each story
ends at home: the wallet's BTC and ETH are what the dust ledger says, and cash adds up from the file.
"""

import os
import random
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Order
from bot.ports import FeedState
from bot.risk.gate import Cause, TradingState
from tests.invariants.checks import JournalFile, i1_intent_is_durable, i7_on_the_grid, orders_live_one_life
from tests.invariants.process import SETTINGS, House, Killed, Process
from tests.invariants.wire import PLACING
from tests.invariants.world import Market, put_in

D = Decimal
SEEDS = int(os.environ.get("CRYPTO_PIPE_RING_SEEDS", "6"))
STEPS = int(os.environ.get("CRYPTO_PIPE_CHAOS_STEPS", "250"))
VENUE = "binance"


def _spot(symbol: str, tick: str, lot: str, least: str) -> Instrument:
    base, quote = symbol.split("/")
    return Instrument(
        venue=VENUE, symbol=symbol, segment=Segment.SPOT, base=base, quote=quote, tick_size=D(tick), lot_size=D(lot),
        min_quantity=D(lot), min_notional=D(least),
    )  # fmt: skip


RING = (
    _spot("BTC/USDT", "0.01", "0.00001", "5"),
    _spot("ETH/BTC", "0.00001", "0.0001", "0.0001"),
    _spot("ETH/USDT", "0.01", "0.0001", "5"),
)
MIDS = (60_000.0, 0.05, 3_000.0)
HALF = (1.0, 0.00001, 0.1)
MARKET = Market(RING, {"binance.spot": {"USDT": D(100_000)}, "bybit.unified": {"USDT": D(100)}})
OWN = SETTINGS | {"paper": {"balances": {name: dict(one) for name, one in MARKET.balances.items()}}}


class Rings:
    """A house in which rings are taken, and the steps of a story."""

    def __init__(self, data_dir: Path, seed: int) -> None:
        self.house = House(data_dir, seed, OWN, MARKET)
        self.file = JournalFile(data_dir)
        self.told = [f"seed {seed}"]
        self.house.checks.append(self._on_sending)
        self.calm(1_200)

    def _on_sending(self, process: Process, order: Order) -> None:
        i1_intent_is_durable(self.file, order)
        i7_on_the_grid(order)
        assert order.client_order_id not in self.house.world.orders, f"I2: {order.client_order_id} is sent again"
        if process.desk.gate.state is TradingState.HALTED:
            chain = process.desk.chains.chains[order.client_order_id.rsplit("-", 1)[0]]
            name = chain.orders[order.client_order_id][1]
            assert name != "link_0", "I6: halted, and a ring is begun"

    def books(self, off_bps: tuple[float, ...], size: float) -> None:
        """All books move at once, each so far from a ring that closes."""
        for slot, (mid, half, off) in enumerate(zip(MIDS, HALF, off_bps, strict=True)):
            at = mid * (1 + off / 1e4)
            digits = 2 if mid > 1 else 5
            bid, ask = round(at - half, digits), round(at + half, digits)
            self.house.quote(
                slot, bid, ask, size / mid if mid > 1 else size / 3_000, size / mid if mid > 1 else size / 3_000
            )
        self.house.end_batch()

    def calm(self, ms: int) -> None:
        """No ring is worth taking, for a while."""
        for at in range(0, ms, 100):
            self.house.play(min(100, ms - at))
            self.books((0.001 * (self.house.sequence % 5), 0.0, 0.0), 1e6)

    def wait(self, ms: int) -> None:
        """Nothing moves for a while."""
        for at in range(0, ms, 500):
            self.house.play(min(500, ms - at))

    def surviving(self, step: Callable[[], None]) -> None:
        """Take a step; where the process dies in it, start another."""
        try:
            step()
        except Killed:
            self.told.append("died")
            self.house.restart(self.house.rng.randint(0, 3))

    def step(self, rng: random.Random) -> None:
        """One of the things that happen."""
        if self.house.process.desk.gate.state is TradingState.HALTED and rng.random() < 0.2:
            self.surviving(lambda: self.house.restart(0))
        kind = rng.random()
        if kind < 0.55:
            off = [0.0, 0.0, 0.0]
            off[rng.randrange(3)] = rng.choice((0.0, 20.0, 40.0, 60.0)) * rng.choice((-1, 1))
            size = rng.choice((300.0, 5_000.0, 1e6))
            self.told.append(f"books {off} x {size}")
            self.surviving(lambda: self.books(tuple(off), size))
        elif kind < 0.85:
            ms = rng.choice((0, 5, 10, 25, 200, 1_000, 3_000))
            self.told.append(f"wait {ms}")
            self.surviving(lambda: self.wait(ms))
        else:
            self.surviving(lambda: self._accident(rng))

    def _accident(self, rng: random.Random) -> None:
        mood, process = self.house.moods[VENUE], self.house.process
        kind = rng.randrange(6)
        if kind == 0:
            mood.placing = rng.choice((None, None, None, *PLACING))
        elif kind == 1:
            mood.drops_news, mood.repeats_news = rng.choice((0.0, 0.0, 0.3, 1.0)), rng.choice((0.0, 0.5))
            mood.news_delay_ms = rng.choice((5, 50, 2_000))
        elif kind == 2:
            mood.is_deaf, mood.blind_ms = rng.random() < 0.3, rng.choice((0, 0, 500, 5_000))
        elif kind == 3:
            process.engine.on_feed_state(RING[0].feed, FeedState.SILENT, "")
            self.house.end_batch()
        elif kind == 4:
            self.house.restart(rng.randint(0, 3))
        else:
            process.journal.dies_at = process.journal.steps + rng.randint(1, 30)
        self.told.append(f"accident {kind}: {mood}")

    def end(self) -> None:
        """With honest venues all comes home, and the sums are right."""
        mood = self.house.moods[VENUE]
        mood.placing, mood.drops_news, mood.repeats_news, mood.news_delay_ms = None, 0.0, 0.0, 5
        mood.is_deaf, mood.blind_ms, mood.trouble = False, 0, 0.0
        self.house.process.journal.dies_at = None
        self.house.process.desk.gate.reduce(Cause.PERSON, "asked")
        self.calm(30_000)
        process = self.house.process
        assert not process.desk.chains.chains, [one.words() for one in process.desk.chains.chains.values()]
        process.journal.flush()
        self._cash_is_conserved()
        orders_live_one_life(self.file)

    def _cash_is_conserved(self) -> None:
        due: defaultdict[str, Decimal] = defaultdict(Decimal, put_in(MARKET))
        counted: set[tuple[str, str]] = set()
        for key, body in self.file.bodies("fill"):
            one = body["instrument"]
            assert (one["symbol"], key) not in counted, f"I3: fill {key} stands twice in the journal"
            counted.add((one["symbol"], key))
            signed = D(body["quantity"]) * (1 if body["side"] == "buy" else -1)
            due[one["base"]] += signed
            due[one["quote"]] -= signed * D(body["price"])
            due[body["fee_asset"]] -= D(body["fee"])
        assert counted == {(fill.instrument.symbol, fill.fill_id) for fill in self.house.world.fills}
        wallets = self.house.world.wallets()
        assert {asset: wallets[asset] - amount for asset, amount in due.items() if wallets[asset] != amount} == {}
        dust = self.house.process.desk.executor.dust.amounts
        left = {one.id: wallets[one.base] for one in (RING[0], RING[2]) if wallets[one.base]}
        assert left == dict(dust), "what lies on the way is dust, and known"

    def close(self) -> None:
        """Let go of files and threads."""
        self.house.close()
        self.file.close()


def play(seed: int, data_dir: Path, steps: int) -> Rings:
    """One story from its beginning to its end; what it came to, its files closed.

    Raises:
        AssertionError: With the seed and what happened, where an invariant was broken.
    """
    rings, rng = Rings(data_dir, seed), random.Random(seed)
    try:
        for _ in range(steps):
            rings.step(rng)
        rings.end()
    except AssertionError as error:
        said = (str(error), *rings.told[:1], *rings.told[-40:], *rings.house.process.log[-30:])
        raise AssertionError("\n".join(said)) from error
    finally:
        rings.close()
    return rings


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_rings_come_home_with_every_invariant_kept(seed: int, tmp_path: Path) -> None:
    assert play(seed, tmp_path, STEPS).house.world.fills, "a story in which nothing was traded proves nothing"
