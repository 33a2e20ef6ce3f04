"""Transfers with paper money: wallets, time, closed networks, restarts."""

from dataclasses import replace
from decimal import Decimal
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.clock import VirtualClock
from bot.domain.legs import TransferLeg
from bot.ports import RecordKind, TransferEstimate
from bot.ports.transfers import Carriage, CarryNews, CarryState
from bot.settings import PaperSettings, Settings
from bot.transfers.paper_carrier import PaperCarrier, drawn_s
from exchanges.paper.actions import PaperActions
from modes.carriers import paper_carrier
from tests.unit.executor_bench import MemoryJournal
from tests.unit.test_paper_actions import SPOT, Bench

D = Decimal
S = 1_000_000_000
TRON = TransferEstimate(mean_s=660.0, p95_s=1857.0, fee=1.5, fee_ratio=0.001, network="tron", least=10.0, most=5000.0)
CARRIAGE = Carriage("c1", "USDT", "binance", "bybit", "tron", D(1000), 7200.0)


class FixedTerms:
    """One network, open or closed as the test says. Implements `bot.ports.RouteTerms`."""

    def __init__(self, estimate: TransferEstimate | None = TRON) -> None:
        self.estimate = estimate
        self.why_closed: str | None = None
        self.asked: list[TransferLeg] = []

    def transfer(self, leg: TransferLeg) -> TransferEstimate | None:
        self.asked.append(leg)
        return self.estimate

    def closed(self, leg: TransferLeg) -> str | None:
        return self.why_closed


class World:
    """Wallets, a carrier, and what it told."""

    def __init__(self, before: "World | None" = None) -> None:
        self.clock = VirtualClock(before.clock.now_ns() if before else 0)
        self.terms = FixedTerms()
        self.journal = MemoryJournal()
        balances = {"binance.spot": {"USDT": D(3000)}, "bybit.unified": {"USDT": D(50)}}
        self.paper = PaperActions([SPOT], {}, PaperSettings(balances=balances), self.clock)
        earlier = before.bodies() if before else []
        self.carrier = PaperCarrier(self.paper, self.terms, self.journal, self.clock, 5.0, earlier)
        self.carrier.carry_listener = self
        self.news: list[CarryNews] = []

    def on_carry(self, news: CarryNews) -> None:
        self.news.append(news)

    def bodies(self) -> list[dict[str, object]]:
        return [dict(body) for kind, _, body in self.journal.records if kind is RecordKind.TRANSFER]

    def run(self, seconds: float) -> None:
        self.clock.advance_to(self.clock.now_ns() + round(seconds * S))

    def held(self) -> tuple[Decimal, Decimal]:
        at = self.paper.accounts.balance
        return at("binance.spot", "USDT").total, at("bybit.unified", "USDT").total

    def told(self) -> list[CarryState]:
        return [one.state for one in self.news]


def test_an_amount_leaves_one_wallet_and_comes_to_the_other_less_the_fee() -> None:
    world = World()
    world.carrier.send(CARRIAGE)
    assert world.news == [], "never within send"
    assert world.held() == (D(2000), D(50))
    world.run(0)
    assert world.told() == [CarryState.IN_TRANSIT]
    assert world.news[0].sent == D(1000)
    world.run(drawn_s(TRON, "c1") - 0.001)
    assert world.held() == (D(2000), D(50))
    world.run(0.002)
    assert world.told() == [CarryState.IN_TRANSIT, CarryState.ARRIVED]
    assert world.held() == (D(2000), D("1047.5"))
    assert world.news[-1].received == D("997.5")
    assert [one["state"] for one in world.bodies()] == ["in_transit", "done"]
    world.run(10_000)
    assert len(world.news) == 2, "an end is told once, and nothing is late after it"
    assert world.terms.asked == [TransferLeg(asset="USDT", from_venue="binance", to_venue="bybit", network="tron")]


@pytest.mark.parametrize(
    ("changed", "closed", "estimate", "why"),
    [
        ({"amount": D(3001)}, None, TRON, "binance has not 3001.00000000 USDT free"),
        ({"amount": D(9)}, None, TRON, "is not what the network takes at once"),
        ({"amount": D(5001)}, None, TRON, "is not what the network takes at once"),
        ({}, "tron: deposits are suspended at bybit", TRON, "deposits are suspended"),
        ({}, None, None, "its network is not known"),
    ],
)
def test_what_cannot_leave_is_refused_and_stays(
    changed: dict[str, Decimal], closed: str | None, estimate: TransferEstimate | None, why: str
) -> None:
    world = World()
    world.terms.why_closed, world.terms.estimate = closed, estimate
    world.carrier.send(replace(CARRIAGE, **changed))  # type: ignore[arg-type]
    world.run(10_000)
    assert world.told() == [CarryState.REFUSED]
    assert why in world.news[0].reason
    assert world.held() == (D(3000), D(50))
    assert [one["state"] for one in world.bodies()] == ["refused"]


def test_a_network_that_closes_meanwhile_makes_it_late_and_it_arrives_when_it_opens() -> None:
    world = World()
    world.carrier.send(CARRIAGE)
    world.run(1)
    world.terms.why_closed = "tron: deposits are suspended at bybit"
    world.run(7199.5)
    assert world.told() == [CarryState.IN_TRANSIT, CarryState.LATE]
    assert "deposits are suspended" in world.news[-1].reason
    assert world.held() == (D(2000), D(50))
    world.run(50_000)
    assert len(world.news) == 2, "late is told once"
    world.terms.why_closed = None
    world.run(5)
    assert world.told()[-1] is CarryState.ARRIVED
    assert world.held() == (D(2000), D("1047.5"))


def test_what_is_below_the_smallest_unit_stays() -> None:
    world = World()
    world.carrier.send(replace(CARRIAGE, amount=D("999.1234567899")))
    world.run(0)
    assert world.news[0].sent == D("999.12345678")
    assert world.held()[0] == D("2000.87654322")


@pytest.mark.parametrize("after_s", [1.0, 20_000.0])
def test_a_restart_goes_on_with_it_at_the_same_time(after_s: float) -> None:
    first = World()
    first.carrier.send(CARRIAGE)
    first.run(1)
    second = World(first)
    second.clock.advance_to(round(after_s * S))
    second.carrier.resume(CARRIAGE)
    assert second.held() == (D(2000), D(50)), "it had left"
    second.run(0)
    due = max(0.0, drawn_s(TRON, "c1") - after_s)
    assert (CarryState.ARRIVED in second.told()) == (due == 0)
    second.run(due + 0.001)
    assert second.told()[0] is CarryState.IN_TRANSIT
    assert second.told()[-1] is CarryState.ARRIVED
    assert second.held() == (D(2000), D("1047.5"))


def test_a_restart_tells_the_end_that_was_written_down() -> None:
    first = World()
    first.carrier.send(CARRIAGE)
    first.run(20_000)
    second = World(first)
    second.carrier.restore(["c1", "unheard of"])
    assert second.held() == (D(2000), D("1047.5"))
    second.carrier.resume(CARRIAGE)
    second.run(20_000)
    assert second.told() == [CarryState.ARRIVED]
    assert second.news[0].received == D("997.5")
    assert second.held() == (D(2000), D("1047.5")), "credited once"


def test_a_restart_tells_of_one_that_nobody_wrote_down_that_it_never_left() -> None:
    world = World()
    world.carrier.resume(CARRIAGE)
    assert world.news == []
    world.run(1)
    assert world.told() == [CarryState.REFUSED]
    assert world.held() == (D(3000), D(50))


def test_one_of_an_id_goes_once() -> None:
    world = World()
    world.carrier.send(CARRIAGE)
    world.run(20_000)
    world.carrier.send(CARRIAGE)
    world.run(20_000)
    assert world.held() == (D(2000), D("1047.5"))
    assert world.told() == [CarryState.IN_TRANSIT, CarryState.ARRIVED, CarryState.ARRIVED]


def test_the_time_is_that_of_the_distribution() -> None:
    times = sorted(drawn_s(TRON, f"key{number}") for number in range(4000))
    assert times[0] >= 60 - 1, "confirmations come by the clock"
    assert abs(fmean(times) - TRON.mean_s) < 0.06 * TRON.mean_s
    assert abs(times[3800] - TRON.p95_s) < 0.08 * TRON.p95_s
    assert drawn_s(TRON, "a") == drawn_s(TRON, "a")


@given(mean=st.floats(0, 1e6), more=st.floats(0, 1e6), key=st.text())
def test_no_time_is_below_nothing(mean: float, more: float, key: str) -> None:
    assert 0 <= drawn_s(replace(TRON, mean_s=mean, p95_s=mean + more), key) < float("inf")


@given(st.lists(st.decimals("0.00000001", 2000, places=8), min_size=1, max_size=6), st.integers(0, 9))
def test_paper_money_is_conserved(amounts: list[Decimal], places: int) -> None:
    world = World()
    for number, amount in enumerate(amounts):
        world.carrier.send(replace(CARRIAGE, id=f"c{number}", amount=amount + D(1).scaleb(-places - 8)))
    world.run(1_000_000)
    left, came = world.held()
    arrived = [one for one in world.news if one.state is CarryState.ARRIVED]
    assert D(3000) - left == sum((one.sent for one in arrived), D(0))
    assert came - D(50) == sum((one.received for one in arrived), D(0))
    assert len([one for one in world.news if one.state.is_final]) == len(amounts)


def test_what_an_order_on_its_way_needs_does_not_leave() -> None:
    bench = Bench()
    bench.quote(0, 2500.0)
    bench.actions.submit(bench.order(quantity="1"))
    assert not bench.actions.take_out("binance", "USDT", D("7500.01"))
    assert bench.actions.take_out("binance", "USDT", D(7500))


@pytest.mark.parametrize(("market", "scale"), [("simulated", 60.0), ("live", 1.0), ("recorded", 1.0)])
def test_paper_money_travels_as_fast_as_that_of_the_exchanges_beside_it(market: str, scale: float) -> None:
    world = World()
    settings = Settings.model_validate({"market": market, "simulator": {"time_scale": 60}})
    carrier = paper_carrier(world.paper, world.terms, world.journal, world.clock, settings)
    assert carrier is not None
    carrier.carry_listener = world
    carrier.send(CARRIAGE)
    world.run(drawn_s(TRON, "c1") / scale - 0.001)
    assert world.told() == [CarryState.IN_TRANSIT]
    world.run(0.002)
    assert world.told() == [CarryState.IN_TRANSIT, CarryState.ARRIVED]
