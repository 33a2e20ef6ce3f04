"""Spot and perpetual of one unified account: both legs are paid from the same money, which is there once."""

from collections.abc import Callable
from typing import Any

import pytest

from bot.domain.instrument import Instrument
from bot.domain.market import TopOfBook
from bot.domain.order import Side
from bot.domain.route import Outcome, TradeLeg
from bot.ports import RecordKind
from tests.unit.test_engine_decisions import BYBIT, LINEAR, MS, SPOT, START_MS, Bench, D

BYBIT_SPOT = SPOT.model_copy(update={"venue": "bybit"})
BYBIT_BTC = BYBIT.model_copy(update={"symbol": "BTC/USDT:USDT", "base": "BTC"})


class Unified(Bench):
    """Cash and carry at Bybit, whose unified wallet pays both legs."""

    def __init__(self, usdt: float, also: tuple[Instrument, ...] = ()) -> None:
        super().__init__(
            (BYBIT_SPOT, BYBIT, *also),
            taker={"bybit.spot": "10", "bybit.linear": "5.5"},
            paper={"balances": {"bybit.unified": {"USDT": usdt}}},
        )
        for at_ms in range(0, 2_001, 100):
            self.quote(0, at_ms, 1000.0)
            self.quote(1, at_ms, 1000.0)

    def quote(self, slot: int, at_ms: int, mid: float) -> None:
        self.sequence += 1
        ts_ns = START_MS * MS + at_ms * MS
        self.clock.advance_to(ts_ns)
        book = TopOfBook(bid_price=mid - 0.1, bid_qty=5.0, ask_price=mid + 0.1, ask_qty=5.0, sequence=self.sequence)
        self.engine.on_quote(slot, book, ts_ns, b"")
        self.engine.on_batch_end(ts_ns)

    def edge(self) -> None:
        """The perpetual is dearer by 1 %, for long enough that both orders have met the book."""
        for at_ms in range(2_100, 2_900, 100):
            self.quote(0, at_ms, 1000.0)
            self.quote(1, at_ms, 1010.0)


@pytest.mark.parametrize("usdt", [100, 400, 1_000, 1_001, 1_050, 1_100, 1_105, 1_200, 5_000])
def test_what_a_pair_opens_with_one_wallet_pays_for_both_of_its_legs(usdt: int) -> None:
    bench = Unified(usdt)
    bench.edge()
    taken = [one for one in bench.decisions if one.outcome is Outcome.TAKEN]
    assert len(taken) == 1
    (pair,) = bench.engine.desk.executor.pairs.values()
    assert [leg.opened_quantity for leg in pair.legs] == [taken[0].quantity] * 2
    assert not any("rejected" in body["text"] for body in bench.journal.of(RecordKind.EVENT))
    # A fifth is margin: what fees and the worst price leave of the rest is used.
    assert taken[0].quantity * 1000 >= min(D(usdt) * D("0.82"), D(985))


def test_what_a_pair_will_take_of_the_wallet_is_no_other_coins_margin_before_it_is_sent() -> None:
    """A spot leg of 914 that waits for the disk takes the margin of five times as much, and not of as much."""
    bench = Unified(1_100, also=(BYBIT_BTC,))
    waiting: list[Callable[[], None]] = []
    bench.journal.when_durable = waiting.append  # type: ignore[method-assign]
    portfolio = bench.engine.desk.portfolio
    before = portfolio.affordable_notional(BYBIT_BTC, Side.SELL, 1000.0)
    bench.quote(1, 2_100, 1010.0)
    assert waiting, "the intents are written, and wait"
    meanwhile = portfolio.affordable_notional(BYBIT_BTC, Side.SELL, 1000.0)
    for callback in waiting:
        callback()
    bench.edge()
    assert len(bench.engine.desk.executor.pairs) == 1
    assert bench.engine.desk.fills == 2
    after = portfolio.affordable_notional(BYBIT_BTC, Side.SELL, 1000.0)
    assert meanwhile <= after < before / 5


@pytest.mark.parametrize(
    ("one", "other", "is_one"),
    [
        ((BYBIT_SPOT, "buy"), (BYBIT, "sell"), True),
        ((BYBIT_SPOT, "sell"), (BYBIT, "buy"), False),  # coins pay the one, dollars the other
        ((SPOT, "buy"), (LINEAR, "sell"), False),  # two wallets
        ((SPOT, "buy"), (BYBIT, "sell"), False),  # two venues
    ],
)
def test_which_legs_are_paid_from_one_purse(one: Any, other: Any, is_one: bool) -> None:
    portfolio = Bench((SPOT, LINEAR, BYBIT)).engine.desk.portfolio
    legs = [TradeLeg(instrument=instrument, side=Side(side)) for instrument, side in (one, other)]
    assert portfolio.is_one_purse(*legs) is is_one
