"""Chains and top-ups move money of the same accounts: over one desk, one after the other."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bot.clock import SystemClock
from bot.domain.account import Balance
from bot.engine.watches.top_up import TOP_UP
from bot.errors import TransferRefused
from bot.ports import RecordKind
from bot.ports.transfers import CarryNews, CarryState
from bot.risk.gate import TradingState
from bot.settings import Settings
from bot.storage.journal import SqliteJournal
from bot.storage.queries import JournalReader
from modes.carriers import MoneyMovers, carriers
from modes.top_ups import TopUps
from tests.integration.actions_rig import INSTRUMENTS, VENUES, until
from tests.integration.carrier_rig import LIMITS, WITHDRAW, Process, World, carriage, world
from tests.unit.test_engine_decisions import in_position

D = Decimal
MOVE = "POST /sapi/v1/asset/transfer"


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as one:
        yield one


async def test_a_top_up_whose_outcome_nobody_knows_holds_no_amount_of_a_chain_up(there: World) -> None:
    run = Process(there, deadline_s=3600)
    there.here.requests.lose.append(MOVE)
    top_up = asyncio.create_task(run.desk.move("binance", "USDT", D(5), "spot", "linear"))
    await until(lambda: "unknown" in run.states())
    run.carrier.send(carriage("binance"))
    assert (await run.end()).state is CarryState.ARRIVED
    assert not top_up.done()
    top_up.cancel()
    assert there.sent(MOVE) == 1


async def test_a_run_tops_up_over_the_desk_that_its_chains_use(there: World, tmp_path: Path) -> None:
    run, events = Run(), list[str]()
    journal = SqliteJournal(tmp_path, "r")
    opened: Any = SimpleNamespace(
        market=SimpleNamespace(instruments=INSTRUMENTS, clock=SystemClock(), name="simulated"),
        accounts=VENUES, deliver=None, dies_with_run=True, budgets={}, settings=there.here.settings(),
        keys={venue: there.here.keys(venue) for venue in VENUES},
    )  # fmt: skip
    settings = Settings.model_validate({
        "data_dir": tmp_path, "market": "simulated",
        "transfers": {"enabled": True, "allow_list": tmp_path / "allowed.yaml", "delay_h": 0, "daily_cap": LIMITS,
                      "max_per_transfer": LIMITS, "poll_s": 0.05},
        "risk": {"top_up_max_notional": 5, "top_up_distance_bps": 1e9},
    })  # fmt: skip
    event = lambda _, text: events.append(text)  # noqa: E731
    async with carriers(opened, settings, journal, None, event, is_paper=False) as movers:
        carrier: Any = movers.carrier(run.venue)
        carrier.carry_listener = run
        released = there.here.requests.hold[WITHDRAW["binance"]] = asyncio.Event()
        carrier.send(carriage("binance"))
        await until(lambda: there.sent(WITHDRAW["binance"]) == 1)
        top_ups = TopUps(opened, settings, journal)
        top_ups.watch(run, movers.desk)  # type: ignore[arg-type]
        top_ups.start()
        await until(lambda: any("moving 5.00 USDT" in text for text in run.events))
        for _ in range(20):  # time enough for whoever does not wait
            await there.operations["binance"].networks("USDT")
        assert there.sent(MOVE) == 0
        released.set()
        await until(lambda: any("5.00 USDT have come" in text for text in run.events))
        top_ups.stop()
        await until(lambda: bool(run.news) and run.news[-1].state is CarryState.ARRIVED)
    journal.close()
    assert there.sent(WITHDRAW["binance"]) == there.sent(MOVE) == 1
    with JournalReader.open(tmp_path) as reader:
        told = [(one.body["kind"], one.body["state"]) for one in reader.records("r", RecordKind.TRANSFER)]
    assert told.index(("withdrawal", "in_transit")) < told.index(("internal", "intent"))


class Run:
    """As much of a run as top-ups look at: a wallet near its liquidation, and money beside it."""

    def __init__(self) -> None:
        bench = in_position()
        self.events: list[str] = []
        self.news: list[CarryNews] = []
        self.engine = SimpleNamespace(
            desk=SimpleNamespace(
                portfolio=bench.engine.desk.portfolio, gate=SimpleNamespace(state=TradingState.ACTIVE)
            ),
            event=lambda _, text: self.events.append(text),
        )
        spot = Balance(wallet="binance.spot", asset="USDT", total=D(1000))
        self.venue: Any = SimpleNamespace(balances=lambda: [spot])

    def money_moved(self, *news: object) -> None:
        """Nobody counts here."""

    def on_carry(self, news: CarryNews) -> None:
        self.news.append(news)


async def test_a_run_that_halts_by_itself_sends_nothing_without_any_flag(there: World) -> None:
    run, gate = Process(there), SimpleNamespace(state=TradingState.ACTIVE)
    MoneyMovers(lambda _: run.carrier, run.desk).obey(gate)  # type: ignore[arg-type]
    gate.state = TradingState.HALTED
    run.carrier.send(carriage("binance"))
    end = await run.end()
    assert (end.state, end.reason.endswith("the run is HALTED")) == (CarryState.REFUSED, True)
    assert there.sent(WITHDRAW["binance"]) == 0
    gate.state = TradingState.REDUCING
    run.carrier.send(carriage("binance", id_="c2"))
    await until(lambda: there.sent(WITHDRAW["binance"]) == 1)


async def test_a_top_up_that_waited_for_a_withdrawal_while_the_run_was_halted_moves_nothing(there: World) -> None:
    run, gate = Process(there), SimpleNamespace(state=TradingState.ACTIVE)
    MoneyMovers(lambda _: run.carrier, run.desk).obey(gate)  # type: ignore[arg-type]
    released = there.here.requests.hold[WITHDRAW["binance"]] = asyncio.Event()
    run.carrier.send(carriage("binance"))
    await until(lambda: there.sent(WITHDRAW["binance"]) == 1)
    top_up = asyncio.create_task(run.desk.move("binance", "USDT", D(5), "spot", "linear"))
    await asyncio.sleep(0)
    gate.state = TradingState.HALTED
    released.set()
    with pytest.raises(TransferRefused, match="the run is HALTED"):
        await top_up
    assert there.sent(MOVE) == 0


async def test_what_was_topped_up_on_another_market_counts_for_nothing(tmp_path: Path) -> None:
    for market, amount in (("simulated", "70"), ("testnet", "30")):
        journal = SqliteJournal(tmp_path, market)
        journal.record(RecordKind.RUN, market, 1, {"run_id": market, "market": market, "started_ns": 1})
        journal.record(RecordKind.EVENT, TOP_UP, 2, {"level": "info", "text": "", "amount": amount, "moved_ns": 2})
        journal.close()
    settings = Settings.model_validate({"data_dir": tmp_path, "market": "testnet"})
    unused: Any = None
    assert TopUps(unused, settings, unused)._earlier() == [(2, D(30))]
