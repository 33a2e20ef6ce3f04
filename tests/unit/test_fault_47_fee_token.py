"""Fault 47: the token that fees are paid in runs out, and somebody is told before."""

from decimal import Decimal

from bot.clock import VirtualClock
from bot.domain.account import Balance
from bot.domain.fees import FeeSchedule, FeeSource
from bot.domain.instrument import Feed, Segment
from bot.engine.watches.fee_tokens import FeeTokens

D = Decimal
SPOT = Feed(venue="binance", segment=Segment.SPOT)
LINEAR = Feed(venue="binance", segment=Segment.LINEAR)
MINUTE_NS = 60_000_000_000


def schedule(feed: Feed, token: str | None) -> FeeSchedule:
    return FeeSchedule(feed=feed, maker_bps=D(10), taker_bps=D(10), source=FeeSource.ACCOUNT, token=token)


class Scene:
    """A spot wallet that pays in BNB, and a linear one that does not."""

    def __init__(self, total: str = "10") -> None:
        self.total: Decimal | None = D(total)
        self.clock = VirtualClock(0)
        self.said: list[tuple[str, str]] = []
        fees = {SPOT: schedule(SPOT, "BNB"), LINEAR: schedule(LINEAR, None)}
        self.watch = FeeTokens(lambda: fees, self.balances, self.clock, lambda *words: self.said.append(words))
        self.watch.start()

    def balances(self) -> list[Balance]:
        held = {} if self.total is None else {("binance.spot", "BNB"): self.total}
        held |= {("binance.spot", "USDT"): D(5), ("binance.linear", "USDT"): D(5)}
        return [Balance(wallet=wallet, asset=asset, total=total) for (wallet, asset), total in held.items()]

    def spend(self, a_minute: str, minutes: int) -> None:
        for _ in range(minutes):
            assert self.total is not None
            self.total -= D(a_minute)
            self.clock.advance_to(self.clock.now_ns() + MINUTE_NS)


def test_fault_47_it_is_an_alarm_once_before_the_token_runs_out() -> None:
    scene = Scene()
    scene.spend("0.01", 120)  # 8.8 left, which last for fourteen hours
    assert scene.said == []
    scene.spend("0.05", 110)  # 3.3 left at 3 an hour
    assert [level for level, _ in scene.said] == ["error"]
    assert "ALARM: binance.spot BNB for fees runs out in about 5.9 h" in scene.said[0][1]
    scene.total = D(100)
    scene.spend("0.05", 1)
    assert scene.said[1:] == [("info", "binance.spot BNB for fees: 99.95 again")]


def test_fault_47_a_wallet_without_it_is_an_alarm_though_the_venue_lists_no_zeros() -> None:
    scene = Scene("0.001")
    scene.total = None
    scene.clock.advance_to(MINUTE_NS)
    assert [level for level, _ in scene.said] == ["error"]
    assert "ALARM: binance.spot BNB has run out" in scene.said[0][1]


def test_a_few_minutes_are_no_pace_and_nothing_spent_lasts_for_ever() -> None:
    scene = Scene("1")
    scene.spend("0.1", 3)
    assert scene.said == []
    still = Scene("0.0001")
    still.spend("0", 600)
    assert still.said == []


def test_it_looks_no_more_once_it_was_stopped() -> None:
    scene = Scene()
    scene.watch.stop()
    scene.total = D(0)
    scene.clock.advance_to(10 * MINUTE_NS)
    assert scene.said == []
