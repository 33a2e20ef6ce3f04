"""What orders that are not sent yet will pay, and open pairs when they are closed: in the currency of who asks."""

from types import SimpleNamespace
from typing import Any

import pytest

from bot.clock import VirtualClock
from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Order, OrderType, Side, TimeInForce
from bot.engine.portfolio import EnginePortfolio
from bot.execution.pair import PairLeg, PairState
from bot.settings import RiskSettings
from tests.unit.executor_bench import D, spot

BTC_USDT = spot("a", "BTC", "USDT", "0.01", "0.0001", "5")
ETH_BTC = spot("a", "ETH", "BTC", "0.00001", "0.001", "0.0001")
ETH_USDT = spot("a", "ETH", "USDT", "0.01", "0.0001", "5")
BTC_USDC = spot("a", "BTC", "USDC", "0.01", "0.0001", "5")
THERE = ETH_USDT.model_copy(update={"venue": "b"})
USDT_BRL = spot("a", "USDT", "BRL", "0.01", "0.01", "5")
LINEAR = BTC_USDT.model_copy(update={"symbol": "BTC/USDT:USDT", "segment": Segment.LINEAR, "settle": "USDT"})
INVERSE = BTC_USDT.model_copy(
    update={"symbol": "BTC/USD:BTC", "segment": Segment.INVERSE, "quote": "USD", "settle": "BTC"}
)


class OneWallet:
    """Covers so much of each instrument, quote units, and tells of no wallet: it may be one."""

    def __init__(self, covered: dict[Instrument, float]) -> None:
        self._covered = {instrument.id: much for instrument, much in covered.items()}

    def affordable_notional(self, instrument: Instrument, side: Side, price: float) -> float:
        return self._covered[instrument.id]

    def balances(self) -> tuple[()]:
        return ()


def written(instrument: Instrument, side: str, quantity: str, price: str | None = None) -> Order:
    return Order(
        client_order_id="run-1-1", instrument=instrument, side=Side(side), time_in_force=TimeInForce.IOC,
        type=OrderType.LIMIT if price else OrderType.MARKET, quantity=D(quantity), price=D(price) if price else None,
        reduces_risk=False, ts_decision_ns=1,
    )  # fmt: skip


def following(covered: dict[Instrument, float], pair: object) -> EnginePortfolio:
    wallet: Any = OneWallet(covered)
    portfolio = EnginePortfolio(wallet, VirtualClock(), {}, {}, RiskSettings())
    executor: Any = SimpleNamespace(pairs={"run-1": pair}, unresolved=lambda venue: 0)
    chains: Any = SimpleNamespace(chains={}, unresolved=lambda venue: 0)
    portfolio.follow(executor, chains)
    return portfolio


@pytest.mark.parametrize(
    ("order", "asked", "side", "price", "covered", "left"),
    [
        # Of one coin half is going to be sold: half a coin is left to buy with.
        (written(BTC_USDT, "sell", "0.5", "60000"), ETH_BTC, "buy", 0.05, {BTC_USDT: 6e4, ETH_BTC: 1.0}, 0.5),
        # Of one coin half is going to be paid for another: half is left to sell.
        (written(ETH_BTC, "buy", "10", "0.05"), BTC_USDT, "sell", 6e4, {BTC_USDT: 6e4, ETH_BTC: 1.0}, 3e4),
        (written(BTC_USDT, "sell", "0.5", "60000"), BTC_USDT, "sell", 6e4, {BTC_USDT: 6e4}, 3e4),
        # An order without a limit pays what was expected of it.
        (written(ETH_USDT, "buy", "1"), BTC_USDT, "buy", 6e4, {BTC_USDT: 1e4, ETH_USDT: 1e4}, 7e3),
        # The coin is margin of five times as much.
        (written(ETH_BTC, "buy", "10", "0.05"), INVERSE, "sell", 6e4, {INVERSE: 3e5, ETH_BTC: 1.0}, 1.5e5),
        (written(BTC_USDT, "sell", "0.5", "60000"), INVERSE, "sell", 6e4, {INVERSE: 3e5, BTC_USDT: 6e4}, 1.5e5),
        # Of 1000 half is going to be sold for reais: half is left to pay with, or as margin of twice as much.
        (written(USDT_BRL, "sell", "500", "5"), BTC_USDT, "buy", 6e4, {BTC_USDT: 1e3, USDT_BRL: 5e3}, 500.0),
        (written(USDT_BRL, "sell", "500", "5"), LINEAR, "buy", 6e4, {LINEAR: 2e3, USDT_BRL: 5e3}, 1e3),
    ],
)
def test_what_an_order_will_pay_is_taken_off_once_and_in_the_right_currency(
    order: Order, asked: Instrument, side: str, price: float, covered: dict[Instrument, float], left: float
) -> None:
    pair = SimpleNamespace(pending={"run-1-1"}, orders={"run-1-1": (order, "", order.price or D(3000))}, legs=())
    portfolio = following(covered, pair)
    assert portfolio.affordable_notional(asked, Side(side), price) == pytest.approx(left)


@pytest.mark.parametrize(
    ("held_on", "held", "asked", "side", "price", "covered", "left"),
    [
        # Half of the coin that is there will be sold when the pair is closed.
        (BTC_USDT, "0.5", BTC_USDT, "sell", 6e4, 6e4, 3e4),
        (BTC_USDT, "0.5", BTC_USDC, "sell", 6e4, 6e4, 3e4),
        (BTC_USDT, "0.5", ETH_BTC, "buy", 0.05, 1.0, 0.5),
        (BTC_USDT, "0.5", BTC_USDT, "buy", 6e4, 6e4, 6e4),
        # One that was sold will be bought back.
        (ETH_USDT, "-1", ETH_USDT, "buy", 3e3, 1e4, 7e3),
        (ETH_USDT, "-1", BTC_USDT, "buy", 6e4, 1e4, 7e3),
        (ETH_USDT, "-1", ETH_BTC, "sell", 0.05, 1.0, 1.0),
        (THERE, "-1", BTC_USDT, "buy", 6e4, 1e4, 1e4),
        (LINEAR, "-1", BTC_USDT, "buy", 6e4, 1e4, 1e4),
    ],
)
def test_what_a_pair_needs_to_be_closed_is_nobody_elses_on_whatever_market(
    held_on: Instrument, held: str, asked: Instrument, side: str, price: float, covered: float, left: float
) -> None:
    leg = PairLeg(held_on, Side.BUY if D(held) > 0 else Side.SELL, D(3000), held=D(held))
    pair = SimpleNamespace(
        pending=set(), orders={}, legs=(leg,), state=PairState.OPEN, opportunity=SimpleNamespace(quantity=abs(D(held)))
    )
    portfolio = following({asked: covered}, pair)
    assert portfolio.affordable_notional(asked, Side(side), price) == pytest.approx(left)
