"""Margins as the simulated exchanges tell them over the wire, up to the liquidation that the bot has to come before."""

import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from bot.domain.account import Position
from bot.domain.instrument import Segment
from bot.domain.margin import MarginSource
from bot.domain.order import Side
from bot.domain.route import HoldLeg, Route, TradeLeg
from bot.engine.margins import Margins
from bot.engine.watches.margin_guard import MarginGuard
from bot.risk.limits import LiquidationDistance, MaxMarginRatio, Proposal, Refused
from exchanges.common.account import margin_watch
from exchanges.routed.actions import RoutedActions
from exchanges.simulator.core.values import PositionView
from tests.integration.actions_rig import INSTRUMENTS, VENUES, Rig, an_order, of, rig, started, until
from tests.unit.risk_rig import Held

D = Decimal
EVERY_VENUE = pytest.mark.parametrize("venue", VENUES)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(margin_watch, "BETWEEN_S", 0.02)
    monkeypatch.setattr(margin_watch, "AT_LEAST_EVERY_S", 0.1)


def at_venue(here: Rig, venue: str) -> PositionView:
    """The position as the exchange itself counts it."""
    exchange = here.exchanges[venue]
    account = exchange.account(exchange.credentials.api_key)
    assert account is not None
    listing = INSTRUMENTS.index(of(venue, Segment.LINEAR))
    return next(view for view in account.positions() if view.listing == listing)


def held(actions: Any) -> Position | None:
    return next(iter(actions.positions()), None)


def shown(here: Rig, venue: str, bid: str, ask: str, quantity: str = "1") -> None:
    """A new market, and the mark that goes with it."""
    what = of(venue, Segment.LINEAR)
    here.market.show(what, bid, ask, quantity)
    listing = INSTRUMENTS.index(what)
    here.move([here.market.mark_event(listing, (D(bid) + D(ask)) / 2, 1)])


@EVERY_VENUE
@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
async def test_a_position_carries_the_figures_by_which_the_venue_liquidates(venue: str, side: Side) -> None:
    async with rig() as here, started(here, venue) as actions:
        what = of(venue, Segment.LINEAR)
        shown(here, venue, "50000", "50000.2", "40")
        price = "50001" if side is Side.BUY else "49999"
        actions.submit(an_order("a", what, side, quantity="18", price=price))
        await until(lambda: actions.in_flight == 0)
        await until(lambda: (one := held(actions)) is not None and one.margin is not None)
        shown(here, venue, "50500", "50500.2", "40")
        own = at_venue(here, venue)
        await until(lambda: held(actions).margin.mark_price == own.mark)  # type: ignore[union-attr]
        told = held(actions).margin  # type: ignore[union-attr]
        assert told.is_usable
        assert told.maintenance == pytest.approx(own.maintenance_margin)
        assert float(told.liquidation_price) == pytest.approx(float(own.liquidation_price), abs=0.1)
        tiers = actions.margin_tiers(what)
        assert tiers.maintenance(float(18 * own.mark)) == pytest.approx(float(told.maintenance))
        await until(lambda: _sums(actions) == pytest.approx((_equity(here, venue, own), float(own.maintenance_margin))))


def _sums(actions: Any) -> tuple[float, float]:
    """Equity and maintenance of what is margin for USDT, as told."""
    for one in actions.wallet_margins():
        if one.asset in (None, "USDT"):
            return float(one.equity), float(one.maintenance)
    return 0.0, 0.0


def _equity(here: Rig, venue: str, own: PositionView) -> float:
    exchange = here.exchanges[venue]
    account = exchange.account(exchange.credentials.api_key)
    assert account is not None
    wallet = "linear" if venue == "binance" else "unified"
    total = next(one.total for one in account.balances() if (one.wallet, one.asset) == (wallet, "USDT"))
    return float(total + own.unrealised)


@EVERY_VENUE
async def test_a_venue_that_does_not_tell_its_tiers_is_traded_on_with_what_is_assumed(venue: str) -> None:
    path = {"binance": "/fapi/v1/leverageBracket", "bybit": "/v5/market/risk-limit"}[venue]
    async with rig() as here:
        here.requests.fail.append((path, 500))
        async with started(here, venue) as actions:
            assert actions.margin_tiers(of(venue, Segment.LINEAR)) is None
            assert any("ASSUMED" in line for _, line in here.log)


@contextlib.asynccontextmanager
async def both(here: Rig) -> AsyncIterator[RoutedActions]:
    routed = RoutedActions({venue: here.actions(venue) for venue in VENUES})
    await routed.start()
    try:
        yield routed
    finally:
        await routed.stop()


BUY, SELL = (of(venue, Segment.LINEAR) for venue in VENUES)
ROUTE = Route(
    kind="convergence",
    legs=(
        TradeLeg(instrument=BUY, side=Side.BUY),
        TradeLeg(instrument=SELL, side=Side.SELL),
        HoldLeg(expected_s=60.0),
        TradeLeg(instrument=BUY, side=Side.SELL),
        TradeLeg(instrument=SELL, side=Side.BUY),
    ),
)


async def test_fault_49_a_hedged_pair_is_refused_and_then_left_before_its_paying_side_is_liquidated() -> None:
    async with rig() as here, both(here) as actions:
        mids = {BUY.id: 50_000.1, SELL.id: 50_000.1}
        slots = {one.id: _slot(one, mids) for one in (BUY, SELL)}
        margins = Margins(actions, slots, 0.01)
        guard = MarginGuard(margins, 200.0, lambda *_: None)
        for venue in VENUES:
            shown(here, venue, "50000", "50000.2", "40")
        actions.submit(an_order("a", BUY, Side.BUY, quantity="18", price="50001"))
        actions.submit(an_order("b", SELL, Side.SELL, quantity="18", price="49999"))
        await until(lambda: actions.in_flight == 0)
        story: list[str] = []
        # Up and up: the short at Bybit pays, and its profit lies at Binance.
        for step in range(40):
            bid = D(50_000) + 150 * step
            for venue in VENUES:
                shown(here, venue, str(bid), str(bid + D("0.2")), "40")
            mids.update(dict.fromkeys(mids, float(bid) + 0.1))
            if not at_venue(here, "bybit").quantity:
                story.append("liquidated")
                break
            await until(partial(_is_known, actions, bid + D("0.1")))
            margins.changed()
            refused = _asked(margins, mids[SELL.id])
            if refused is not None and refused.limit.split()[0] not in story:
                assert refused.limit.endswith("bybit.unified USDT")
                assert "ASSUMED" not in refused.unit
                story.append(refused.limit.split()[0])
            if SELL.id in guard.endangered() and "left" not in story:
                assert guard.endangered() == {SELL.id}  # the winning side is not in danger: its pair is the same
                story.append("left")
            assert all(one.source is MarginSource.VENUE for one in margins.now())
        assert story == ["liquidation_distance", "left", "margin_ratio", "liquidated"]


def _slot(what: Any, mids: dict[str, float]) -> Any:
    class Quote:
        mid = property(lambda self: mids[what.id])

    statistics = SimpleNamespace(mean_mid=None, volatility_bps_per_sqrt_s=1.0)
    return SimpleNamespace(instrument=what, quote=Quote(), statistics=statistics)


def _is_known(actions: RoutedActions, mark: Decimal) -> bool:
    marks = {one.margin.mark_price for one in actions.positions() if one.margin is not None}
    return marks == {mark} and len(actions.wallet_margins()) >= 2


def _asked(margins: Margins, price: float) -> Refused | None:
    """What refuses one more lot."""
    proposal = Proposal(ROUTE, 1, 0.001, price, price, 25.0)
    wallets = Held(wallets=margins.after(proposal))
    answers = (limit.check(proposal, wallets) for limit in (MaxMarginRatio(0.5), LiquidationDistance(1000.0)))
    return next((answer for answer in answers if answer is not None), None)
