"""Margin that is brought to a wallet from another one before its pairs have to go: how much, when, and when not."""

import asyncio
from decimal import Decimal
from functools import cache
from math import inf, isnan, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.account import Balance
from bot.engine.margin_wallets import MarginWallet
from bot.engine.margins import Margins
from bot.engine.watches.top_up import AHEAD_S, TopUp, Trend, moved_before
from bot.errors import TransferOutcomeUnknown, TransferRefused
from bot.ports import RecordKind
from bot.risk.margin import MarginPosition, margin_figures
from tests.unit.test_engine_decisions import in_position

D = Decimal
DAY_S = 86_400
WALLET = "binance.linear USDT"


class Scene:
    """A short of one coin in a futures wallet, spot money beside it, and what is asked to be moved."""

    def __init__(self, most: float = 1e9, line_bps: float = 1e9, **change: Any) -> None:
        self.bench = in_position()
        self.margins = self.bench.engine.desk.portfolio.margins
        self.moves: list[tuple[str, str, Decimal, str, str]] = []
        self.events: list[str] = []
        self.failure: Exception | None = None
        self.is_halted = False
        self.free = D(200_000)
        (now,) = self.margins.now()
        self.distance_bps = now.distance_bps
        self.top_up = TopUp(
            margins=self.margins,
            balances=self.balances,
            move=self.move,
            is_halted=lambda: self.is_halted,
            journal=self.bench.journal,
            clock=self.bench.clock,
            event=lambda level, text: self.events.append(text),
            line_bps=line_bps,
            target_bps=change.get("target_bps", 2 * self.distance_bps),
            most_notional=most,
            earlier=change.get("earlier", ()),
        )
        self.told: list[tuple[object, ...]] = []
        self.top_up.on_moved = lambda *news: self.told.append(news)

    def balances(self) -> list[Balance]:
        spot = Balance(wallet="binance.spot", asset="USDT", total=self.free + 5, locked=D(5))
        other = Balance(wallet="bybit.unified", asset="USDT", total=D(10**9))
        coins = Balance(wallet="binance.spot", asset="ETH", total=D(10**9))
        own = Balance(wallet="binance.linear", asset="USDT", total=D(10**9))
        return [other, coins, own, spot]

    async def move(self, venue: str, asset: str, amount: Decimal, source: str, target: str) -> None:
        self.moves.append((venue, asset, amount, source, target))
        if self.failure is not None:
            raise self.failure

    async def look(self, after_s: float = 0.0) -> None:
        self.bench.clock.advance_to(self.bench.clock.now_ns() + round(after_s * 1e9))
        self.top_up.look()
        for _ in range(5):
            await asyncio.sleep(0)


async def test_what_is_lacking_comes_from_the_other_wallet_of_the_same_account_and_is_written_down_first() -> None:
    here = Scene()
    lacking = here.margins.lacking(WALLET, 2 * here.distance_bps)
    await here.look()
    ((venue, asset, amount, source, target),) = here.moves
    assert (venue, asset, source, target) == ("binance", "USDT", "spot", "linear")
    assert 0 <= D(repr(lacking)) - amount < D("0.01")
    (body,) = [body for body in here.bench.journal.of(RecordKind.EVENT) if "moved_ns" in body]
    assert moved_before([body]) == [(here.bench.clock.now_ns(), amount)]
    assert here.told == [("binance", "USDT", amount, "binance.spot", "binance.linear")]


async def test_no_more_than_what_is_free_there() -> None:
    here = Scene()
    here.free = D("12.345")
    await here.look()
    assert [amount for _, _, amount, _, _ in here.moves] == [D("12.34")]


async def test_no_more_in_a_day_than_allowed_over_restarts_too() -> None:
    earlier_ns = Scene().bench.clock.now_ns() - (DAY_S - 100) * 10**9
    here = Scene(most=100.0, earlier=[(earlier_ns, D(60)), (earlier_ns - 200 * 10**9, D(1000))])
    await here.look()
    await here.look(60.0)
    assert [amount for _, _, amount, _, _ in here.moves] == [D(40)]
    assert [text for text in here.events if "is not topped up" in text] == [
        f"{WALLET} is not topped up: 100.0 in 24 h are moved (top_up_max_notional)"
    ]
    await here.look(60.0)
    assert [amount for _, _, amount, _, _ in here.moves] == [D(40), D(60)]


async def test_a_halted_bot_moves_no_money() -> None:
    here = Scene()
    here.is_halted = True
    await here.look()
    assert here.moves == []


async def test_a_wallet_that_is_far_enough_is_left_alone() -> None:
    here = Scene(line_bps=0.5)
    await here.look()
    assert here.moves == []
    assert here.events == []


async def test_a_refusal_is_told_and_tried_again_after_a_minute() -> None:
    here = Scene()
    here.failure = TransferRefused("id", "transfers.enabled is false")
    await here.look()
    await here.look(59.0)
    assert len(here.moves) == 1
    await here.look(2.0)
    assert len(here.moves) == 2
    assert "was not topped up" in here.events[1]
    assert here.told == []


async def test_what_was_refused_is_not_counted_as_moved_neither_now_nor_by_a_later_run() -> None:
    here = Scene(most=100.0)
    here.failure = TransferRefused("id", "the venue is away")
    for _ in range(3):
        await here.look(61.0)
    here.failure = None
    await here.look(61.0)
    assert [amount for _, _, amount, _, _ in here.moves] == [D(100)] * 4
    assert len(here.told) == 1
    told = moved_before(body for body in here.bench.journal.of(RecordKind.EVENT) if "moved_ns" in body)
    assert sum(amount for _, amount in told) == 100


async def test_where_nobody_knows_what_became_of_a_move_no_second_one_is_made() -> None:
    here = Scene()
    here.failure = TransferOutcomeUnknown("id", "no answer")
    await here.look()
    await here.look(3600.0)
    assert len(here.moves) == 1
    assert "ALARM" in here.events[1]


@pytest.mark.parametrize("free", ["0", "0.009"])
async def test_without_another_wallet_it_is_said_once(free: str) -> None:
    here = Scene()
    here.free = D(free)
    await here.look()
    await here.look(60.0)
    assert here.events == [f"{WALLET} cannot be topped up: no other wallet of the account has what it needs"]


def test_the_forecast_follows_the_last_minute_downwards_only() -> None:
    trend = Trend()
    assert trend.expected_bps(0.0, 900.0) == 900.0
    assert trend.expected_bps(1.0, 400.0) == 400.0, "too short to tell"
    trend = Trend()
    for second in range(11):
        expected = trend.expected_bps(float(second), 900.0 - 10.0 * second)
    assert expected == 800.0 - 10.0 * AHEAD_S
    for second in range(11, 100):
        expected = trend.expected_bps(float(second), 800.0 + second)
    assert expected == 899.0
    assert trend.expected_bps(101.0, inf) == inf
    assert isnan(trend.expected_bps(102.0, nan))


@cache
def a_wallet() -> tuple[Margins, MarginWallet]:
    bench = in_position()
    margins = bench.engine.desk.portfolio.margins
    wallet = margins._wallet(bench.instruments[1])
    assert wallet is not None
    return margins, wallet


@given(
    cash=st.floats(10, 1e6),
    held=st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-100, 100)), min_size=1, max_size=3),
    target_bps=st.floats(1, 5e4),
)
def test_with_what_is_lacking_the_wallet_stands_where_it_should(
    cash: float, held: list[tuple[float, float]], target_bps: float
) -> None:
    positions = [MarginPosition(f"i{at}", "BTC", notional, profit) for at, (notional, profit) in enumerate(held)]
    margins, wallet = a_wallet()
    margins._wallets = {wallet.name: wallet._replace(cash=cash, beside=1.0)}
    margins._valued = lambda *_: (positions, inf)  # type: ignore[method-assign,assignment,return-value]
    margins._needed = lambda _, notional: 0.01 * abs(notional)  # type: ignore[method-assign]
    lacking = margins.lacking(WALLET, target_bps)
    now_bps = margin_figures(cash, positions, margins._needed, 1.0)[1]
    after_bps = margin_figures(cash + lacking, positions, margins._needed, 1.0)[1]
    if lacking:
        assert after_bps == pytest.approx(target_bps, rel=1e-6)
        assert now_bps < target_bps * (1 + 1e-9)
    else:
        assert now_bps >= target_bps * (1 - 1e-9)
