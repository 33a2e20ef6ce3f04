"""Amounts that travel between venues, through the real engine, chain executor, carrier, desk, guard and journal file.

Bought at one venue, sent, sold at the other; the venues lie about all of it, and the process is killed at any step of
the journal. A transfer in flight is a state with a deadline: past it there is an ALARM, nothing new goes between those
venues, and what arrives is sold all the same. Each story ends at home, and cash adds up from the file.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Order, Side
from bot.ports.transfers import Withdrawal
from bot.risk.gate import Cause, TradingState
from bot.transfers.carrier import DeskCarrier
from strategies.arbitrage.settings import ArbitrageSettings
from tests.invariants.checks import JournalFile, i1_intent_is_durable, i7_on_the_grid, orders_live_one_life
from tests.invariants.money import ASSET, FEE, TAKING, VENUES, Money, MoneyMood, Ways, allow, carrier_of
from tests.invariants.process import SETTINGS, House, Killed, Process
from tests.invariants.wire import PLACING
from tests.invariants.world import Market, put_in

D = Decimal
S = 1_000_000_000
DEADLINE_S = 120.0
ALARMED_S = 5.0
"""After its deadline: by then somebody has been told."""
MID, HALF = 60_000.0, 1.0


def _spot(venue: str) -> Instrument:
    return Instrument(
        venue=venue, symbol="BTC/USDT", segment=Segment.SPOT, base="BTC", quote="USDT", tick_size=D("0.01"),
        lot_size=D("0.00001"), min_quantity=D("0.00001"), min_notional=D(5),
    )  # fmt: skip


SPOTS = tuple(_spot(venue) for venue in VENUES)
MARKET = Market(SPOTS, {"binance.spot": {"USDT": D(100_000)}, "bybit.unified": {"USDT": D(100_000)}})
WALLETS = {"binance": "binance.spot", "bybit": "bybit.unified"}
STRATEGY = ArbitrageSettings(
    kinds=("transfer",), networks={"BTC": ("bitcoin",)}, warmup_s=0.0, cooldown_s=0.05, adverse_moves=False,
    transfer_risk_sd=0.0,
)  # fmt: skip


class Transfers:
    """A house in which amounts are sent, and the steps of a story."""

    def __init__(self, data_dir: Path, seed: int) -> None:
        self.money = Money()
        self.logs: list[list[str]] = []
        """Of every process, the newest last."""
        self.file: JournalFile | None = None
        limits = {ASSET: D(1000)}
        own = {
            "paper": {"balances": {name: dict(one) for name, one in MARKET.balances.items()}},
            "transfers": {"enabled": True, "allow_list": allow(data_dir), "delay_h": 0, "daily_cap": limits,
                          "max_per_transfer": limits, "deadline_s": DEADLINE_S, "poll_s": 2.0},
        }  # fmt: skip
        self.house = House(
            data_dir, seed, {**SETTINGS, **own}, MARKET, STRATEGY,
            self._moves_money,
            Ways(self.money),
        )  # fmt: skip
        self.file = JournalFile(data_dir)
        self.told = [f"seed {seed}"]
        self.house.checks.append(self._on_sending)
        self.off = [0.0, 0.0]
        self.pass_time(1.2)

    def _moves_money(self, process: Process) -> DeskCarrier:
        self.logs.append(process.log)
        return carrier_of(process, self.money, lambda *sent: self._on_withdrawal(process, *sent))

    # What must hold whenever something leaves

    def _on_sending(self, process: Process, order: Order) -> None:
        assert self.file is not None
        i1_intent_is_durable(self.file, order)
        i7_on_the_grid(order)
        assert order.client_order_id not in self.house.world.orders, f"I2: {order.client_order_id} is sent again"
        chains = process.desk.chains.chains
        chain = chains[order.client_order_id.rsplit("-", 1)[0]]
        if chain.orders[order.client_order_id][1] == "link_0":
            assert process.desk.gate.state is not TradingState.HALTED, "I6: halted, and a route is begun"
            under_way = [one.id for one in chains.values() if one.underway is not None]
            assert not under_way, f"{order.client_order_id} is begun while {under_way} travel"
        if order.side is Side.SELL:
            there = self.house.world.core.accounts.balance(WALLETS[order.instrument.venue], ASSET).available
            assert order.quantity <= there, (
                f"{order.quantity} BTC are sold at {order.instrument.venue}, {there} are there"
            )

    def _on_withdrawal(self, process: Process, venue: str, withdrawal: Withdrawal) -> None:
        assert self.file is not None
        told = [body["state"] for key, body in self.file.bodies("transfer") if key == withdrawal.id]
        assert told == ["intent"], f"I1: withdrawal {withdrawal.id} leaves, and the file says {told}"
        travels = [one["id"] for _, body in self.file.bodies("pair") for one in body["travels"]]
        assert withdrawal.id in travels, f"I1: no chain in the file sends {withdrawal.id}"
        open_ = [one.withdrawal.id for one in self.money.taken.values() if one.venue == venue and one.end is None]
        assert not open_, f"I2: {withdrawal.id} leaves {venue} beside {open_}"
        assert process.desk.gate.state is not TradingState.HALTED, f"I6: halted, and {withdrawal.id} leaves {venue}"

    # Time and the market

    def books(self, size: float = 1e6) -> None:
        """Both books as they stand; sizes in quote units."""
        for slot, off in enumerate(self.off):
            mid = MID * (1 + off / 1e4)
            self.house.quote(slot, round(mid - HALF, 2), round(mid + HALF, 2), size / mid, size / mid)
        self.house.end_batch()

    def pass_time(self, seconds: float) -> None:
        """Let it pass; both books are told every second."""
        left_ms = round(seconds * 1e3)
        while left_ms > 0:
            self.house.play(min(left_ms, 1_000))
            left_ms -= 1_000
            self.books()

    def surviving(self, step: Callable[[], None]) -> None:
        """Take a step; where the process dies in it, start another."""
        try:
            step()
        except Killed:
            self.told.append("died")
            self.surviving(lambda: self.house.restart(self.house.rng.randint(0, 3)))

    # A story

    def send_one(self) -> None:
        """An amount goes its way while nothing is wrong: a story in which none was sent would prove nothing."""
        self.off = [0.0, 300.0]
        self.pass_time(20.0)
        assert len(self.money.taken) == 1, self.house.process.log
        self.off = [0.0, 0.0]

    def step(self, rng: random.Random) -> None:
        """One of the things that happen."""
        if self.house.process.desk.gate.state is TradingState.HALTED and rng.random() < 0.3:
            self.surviving(lambda: self.house.restart(0))
        kind = rng.random()
        if kind < 0.35:
            self.off[rng.randrange(2)] = rng.choice((0.0, 0.0, 150.0, 300.0)) * rng.choice((-1, 1))
            size = rng.choice((400.0, 1e6))
            self.told.append(f"books {self.off} x {size}")
            for _ in range(3):  # a jump is believed when it stays
                self.surviving(lambda: self.books(size))
                self.surviving(lambda: self.house.play(60))
        elif kind < 0.75:
            seconds = rng.choice((0.05, 1.0, 3.0, 20.0, 60.0, 130.0))
            self.told.append(f"{seconds} s pass")
            self.surviving(lambda: self.pass_time(seconds))
        else:
            self.surviving(lambda: self._accident(rng))
        self.check_deadlines()

    def _accident(self, rng: random.Random) -> None:
        venue = rng.choice(VENUES)
        mood, process = self.house.moods[venue], self.house.process
        kind = rng.randrange(6)
        if kind == 0:
            mood.placing = rng.choice((*[None] * 9, *PLACING))
        elif kind == 1:
            mood.drops_news, mood.repeats_news = rng.choice((0.0, 0.0, 0.3)), rng.choice((0.0, 0.5))
            mood.news_delay_ms = rng.choice((5, 50, 500))
        elif kind == 2:
            self.house.restart(rng.randint(0, 3))
        elif kind == 3:
            process.journal.dies_at = process.journal.steps + rng.randint(1, 20)
        else:
            self._money_accident(venue, rng)
        self.told.append(f"accident {kind} at {venue}: {mood}, {self.money.moods[venue]}")

    def _money_accident(self, venue: str, rng: random.Random) -> None:
        """A venue in another mood: of its oddities each is there sometimes, and most amounts do leave."""
        self.money.moods[venue] = MoneyMood(
            taking=rng.choice((*[None] * 6, *TAKING)),
            moving=rng.choice((*[None] * 4, *TAKING)),
            takes_s=rng.choice((2.0, 40.0, 100.0, 300.0)),
            comes_back=rng.random() < 0.3,
            fee=rng.choice((FEE, FEE, D("0.00017"))),
            blind_s=rng.choice((0.0, 0.0, 3.0, 60.0)),
            is_deaf=rng.random() < 0.1,
            shows_strangers=rng.random() < 0.6,
            is_shut=rng.random() < 0.1,
        )

    # What must hold after every step

    def check_deadlines(self) -> None:
        """What is not there in time is late, and somebody has been told."""
        process, now_ns = self.house.process, self.house.clock.now_ns()
        for chain in process.desk.chains.chains.values():
            travel = chain.underway
            if travel is None or now_ns < travel.ts_ns + (DEADLINE_S + ALARMED_S) * S:
                continue
            assert chain.is_late, f"{chain.id} travels for {(now_ns - travel.ts_ns) / S:.0f} s, and is not late"
            told = (line for log in self.logs for line in log)
            assert any("ALARM" in line and chain.id in line for line in told), (
                f"{chain.id} is late, and nobody was told"
            )

    def end(self) -> None:
        """With honest venues all comes home, and the sums are right."""
        for mood in self.house.moods.values():
            mood.placing, mood.drops_news, mood.repeats_news, mood.news_delay_ms = None, 0.0, 0.0, 5
        self.money.make_peace()
        self.house.process.journal.dies_at = None
        self.off = [0.0, 0.0]
        self.house.process.desk.gate.reduce(Cause.PERSON, "asked")
        self.pass_time(3 * DEADLINE_S)
        process = self.house.process
        assert not process.desk.chains.chains, [one.words() for one in process.desk.chains.chains.values()]
        assert self.money.between == 0, "nothing is between venues"
        assert not any(self.money.fund.values()), f"{self.money.fund} lies where nothing trades"
        process.journal.flush()
        self._cash_is_conserved()
        assert self.file is not None
        orders_live_one_life(self.file)

    def _cash_is_conserved(self) -> None:
        assert self.file is not None
        due: defaultdict[str, Decimal] = defaultdict(Decimal, put_in(MARKET))
        counted: set[tuple[str, str]] = set()
        for key, body in self.file.bodies("fill"):
            one = body["instrument"]
            assert (one["venue"], key) not in counted, f"I3: fill {key} stands twice in the journal"
            counted.add((one["venue"], key))
            signed = D(body["quantity"]) * (1 if body["side"] == "buy" else -1)
            due[one["base"]] += signed
            due[one["quote"]] -= signed * D(body["price"])
            due[body["fee_asset"]] -= D(body["fee"])
        assert counted == {(fill.instrument.venue, fill.fill_id) for fill in self.house.world.fills}
        travels = {one["id"]: one for _, body in self.file.bodies("pair") for one in body["travels"]}
        for one in travels.values():
            assert one["state"] in ("arrived", "failed", "refused"), f"transfer {one['id']} has no end: {one}"
            if one["state"] != "refused":
                due[one["asset"]] -= D(one["sent"]) - D(one["received"])
        assert {key for key, one in travels.items() if one["state"] != "refused"} == set(self.money.taken)
        wallets = self.house.world.wallets()
        assert {asset: wallets[asset] - amount for asset, amount in due.items() if wallets[asset] != amount} == {}
        left = {one.id: self.house.world.core.accounts.balance(WALLETS[one.venue], ASSET).total for one in SPOTS}
        dust = self.house.process.desk.executor.dust.amounts
        assert {id_: amount for id_, amount in left.items() if amount} == dict(dust), "what lies there is known dust"

    def file_bodies(self, kind: str) -> list[tuple[str, Mapping[str, Any]]]:
        """What lies in the file."""
        assert self.file is not None
        return list(self.file.bodies(kind))

    def close(self) -> None:
        """Let go of files and threads."""
        self.house.close()
        if self.file is not None:
            self.file.close()


def play(seed: int, data_dir: Path, steps: int) -> Transfers:
    """One story from its beginning to its end; what it came to, its files closed.

    Raises:
        AssertionError: With the seed and what happened, where an invariant was broken.
    """
    story, rng = Transfers(data_dir, seed), random.Random(seed)
    try:
        story.send_one()
        for _ in range(steps):
            story.step(rng)
        story.end()
    except AssertionError as error:
        said = (str(error), *story.told[:1], *story.told[-40:], *story.house.process.log[-30:])
        raise AssertionError("\n".join(said)) from error
    finally:
        story.close()
    return story
