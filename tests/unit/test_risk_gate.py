"""Every limit from both sides, and the gate's states."""

from dataclasses import dataclass, field
from math import nan

import pytest

from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Side
from bot.domain.route import HoldLeg, Route, TradeLeg
from bot.risk import limits
from bot.risk.gate import Approved, RiskGate, TradingState
from bot.risk.limits import Limit, Proposal, Refused
from bot.settings import RiskSettings


def linear(venue: str) -> Instrument:
    return Instrument(
        venue=venue,
        symbol="BTC/USDT:USDT",
        segment=Segment.LINEAR,
        base="BTC",
        quote="USDT",
        settle="USDT",
        tick_size="0.1",  # type: ignore[arg-type]
        lot_size="0.001",  # type: ignore[arg-type]
    )


A, B = linear("binance"), linear("bybit")
ROUTE = Route(
    kind="convergence",
    legs=(
        TradeLeg(instrument=A, side=Side.BUY),
        TradeLeg(instrument=B, side=Side.SELL),
        HoldLeg(expected_s=60.0),
        TradeLeg(instrument=A, side=Side.SELL),
        TradeLeg(instrument=B, side=Side.BUY),
    ),
)


@dataclass
class Held:
    pairs: int = 0
    is_busy: bool = False
    moving: dict[str, int] = field(default_factory=dict)
    position: float = 0.0
    exposure: float = 0.0
    today: float = 0.0
    orders: int = 0
    covered: dict[str, float] = field(default_factory=lambda: {A.id: 1e9, B.id: 1e9})

    def open_pairs(self) -> int:
        return self.pairs

    def busy(self, route: Route) -> bool:
        return self.is_busy

    def in_flight(self, instrument: Instrument) -> int:
        return self.moving.get(instrument.id, 0)

    def position_notional(self, instrument: Instrument) -> float:
        return self.position

    def net_exposure_notional(self, base: str) -> float:
        return self.exposure

    def realised_today(self, now_ns: int) -> float:
        return self.today

    def orders_last_minute(self, now_ns: int) -> int:
        return self.orders

    def affordable_notional(self, instrument: Instrument, side: Side, price: float) -> float:
        return self.covered[instrument.id]


def proposal(gross_bps: float = 25.0) -> Proposal:
    """1,000 on the buy side, 1,002.5 on the sell side."""
    return Proposal(ROUTE, 1, 10.0, 100.0, 100.25, gross_bps)


@pytest.mark.parametrize(
    ("limit", "held", "passes"),
    [
        (limits.MaxPlausibleEdge(25.0), Held(), True),
        (limits.MaxPlausibleEdge(24.9), Held(), False),
        (limits.OnePairPerRoute(), Held(), True),
        (limits.OnePairPerRoute(), Held(is_busy=True), False),
        (limits.NothingInFlight(), Held(moving={"elsewhere": 1}), True),
        (limits.NothingInFlight(), Held(moving={A.id: 1}), False),
        (limits.NothingInFlight(), Held(moving={B.id: 1}), False),
        (limits.MaxOpenPairs(3), Held(pairs=2), True),
        (limits.MaxOpenPairs(3), Held(pairs=3), False),
        (limits.MaxOrderNotional(1002.5), Held(), True),
        (limits.MaxOrderNotional(1002.4), Held(), False),
        (limits.MaxPositionNotional(2000.0), Held(position=997.5), True),
        (limits.MaxPositionNotional(2000.0), Held(position=997.6), False),
        (limits.MaxNetExposure(200.0), Held(exposure=200.0), True),
        (limits.MaxNetExposure(200.0), Held(exposure=200.1), False),
        (limits.MaxOrdersPerMinute(60), Held(orders=58), True),
        (limits.MaxOrdersPerMinute(60), Held(orders=59), False),
        (limits.CoveredByBalance(), Held(covered={A.id: 1000.0, B.id: 1002.5}), True),
        (limits.CoveredByBalance(), Held(covered={A.id: 999.9, B.id: 1e9}), False),
        (limits.CoveredByBalance(), Held(covered={A.id: 1e9, B.id: 1002.4}), False),
    ],
)
def test_a_limit_holds_on_its_border_and_refuses_beyond(limit: Limit, held: Held, passes: bool) -> None:
    answer = limit.check(proposal(), held)
    assert (answer is None) is passes
    if answer is not None:
        assert answer.observed > answer.allowed


@pytest.mark.parametrize(
    ("limit", "held"),
    [
        (limits.MaxPositionNotional(2000.0), Held(position=nan)),
        (limits.MaxNetExposure(200.0), Held(exposure=nan)),
        (limits.CoveredByBalance(), Held(covered={A.id: nan, B.id: nan})),
    ],
)
def test_a_limit_whose_input_is_broken_refuses(limit: Limit, held: Held) -> None:
    assert isinstance(limit.check(proposal(), held), Refused)
    assert isinstance(limits.MaxPlausibleEdge(300.0).check(proposal(gross_bps=nan), held), Refused)


class States(list[tuple[TradingState, str]]):
    def __call__(self, state: TradingState, why: str) -> None:
        self.append((state, why))


def gate(held: Held, states: States) -> RiskGate:
    return RiskGate(
        limits.all_limits(RiskSettings(max_order_notional=2000.0)), held, max_daily_loss=50.0, on_state=states
    )


def test_only_an_active_gate_approves() -> None:
    states = States()
    door = gate(Held(), states)
    assert isinstance(door.check(proposal()), Approved)
    door.reduce("a person asked")
    assert door.check(proposal()) == Refused("state_reducing", 0.0, 1.0, "active")
    door.resume("a person asked")
    assert isinstance(door.check(proposal()), Approved)
    door.halt("trouble")
    door.resume("not so fast")
    assert door.check(proposal()) == Refused("state_halted", 0.0, 1.0, "active")
    assert [state for state, _ in states] == [TradingState.REDUCING, TradingState.ACTIVE, TradingState.HALTED]


@pytest.mark.parametrize(("today", "halted"), [(-49.99, False), (-50.0, True), (nan, True), (10.0, False)])
def test_the_daily_loss_halts_and_so_does_not_knowing_it(today: float, halted: bool) -> None:
    door = gate(Held(today=today), States())
    door.watch_loss(1)
    assert (door.state is TradingState.HALTED) is halted
