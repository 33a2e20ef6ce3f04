"""Every limit from both sides, and with its input broken."""

from collections.abc import Sequence
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.instrument import ListingStatus
from bot.domain.order import Side
from bot.domain.route import Route, TradeLeg
from bot.market.quote_ages import QuoteAges
from bot.ports import FeedState
from bot.risk import limits
from bot.risk.limits import KNOWN, Limit, Proposal, all_limits
from bot.settings import QuoteGateSettings, Settings
from tests.unit.risk_rig import (
    HOUR,
    NOW,
    ROUTE,
    A,
    B,
    Condition,
    Held,
    Market,
    Rolling,
    S,
    across,
    around,
    both,
    linear,
    proposal,
    quote,
    ring,
    route,
    sent,
    spot,
    wallet,
)

MS = 1_000_000
GATE = QuoteGateSettings(max_age_ms=500.0, max_event_age_ms=1000.0, max_skew_ms=300.0)
FRESH = limits.FreshQuotes(QuoteAges(GATE))
PEG = limits.QuotePeg(100.0, ("USD", "USDC", "USDT"))
UNIT = limits.NotionalUnit(("USD", "USDC", "USDT"))
USDC = linear("bybit", quote="USDC")
PURSE: dict[str, object] = {"route": route(spot("binance"), A)}
"""Both legs at one venue; one wallet may pay them."""
DELIVERED = A.model_copy(update={"delivery_ns": NOW + 24 * HOUR})


def purse(covered: float, *, is_one: bool = True) -> Held:
    return Held(covered={spot("binance").id: covered, A.id: covered}, one_purse=is_one)


def old(ms: float) -> Market:
    return Market(quote(), recv_ns=NOW - round(ms * MS))


def late(ms: float) -> Market:
    return Market(quote(), age_ns=round(ms * MS))


def mean(mid: float) -> Market:
    return Market(quote(), statistics=Rolling(mean_mid=mid))


def status(of: ListingStatus) -> dict[str, Any]:
    return {B.id: B.model_copy(update={"status": of})}


CASES: Sequence[tuple[Limit, Held, dict[str, Any], bool, str]] = [
    (limits.ExecutableRoute(), Held(), {}, True, ""),
    (limits.ExecutableRoute(), Held(), {"route": ROUTE.model_copy(update={"legs": ROUTE.legs[:2] * 2})}, False, "ex"),
    (limits.OppositeSides(), Held(), {}, True, ""),
    (limits.OppositeSides(), Held(), {"route": route(spot("binance"), A)}, True, ""),
    (limits.OppositeSides(), Held(), {"route": route(A, A)}, False, "leg_sides"),
    (limits.OppositeSides(), Held(), {"route": route(A, B, (Side.BUY, Side.BUY))}, False, "leg_sides"),
    (limits.OppositeSides(), Held(), {"route": route(A, linear("bybit", base="1000BTC"))}, False, "leg_sides"),
    (limits.UsableNumbers(), Held(), {"quantity": 5e-324}, True, ""),
    (limits.UsableNumbers(), Held(), {"quantity": 0.0}, False, "quantity"),
    (limits.UsableNumbers(), Held(), {"sell_price": 0.0}, False, "price"),
    (limits.MaxPlausibleEdge(25.0), Held(), {"gross_edge_bps": 25.0, "sell_price": 100.2}, True, ""),
    (limits.MaxPlausibleEdge(24.9), Held(), {}, False, "plausible_edge"),
    (limits.MaxPlausibleEdge(300.0), Held(), {"sell_price": 103.1}, False, "plausible_edge"),
    (limits.MaxPlausibleEdge(300.0), Held(), {"sell_price": 103.1, "route": route(A, USDC)}, True, ""),
    (limits.MaxPlausibleEdge(300.0), Held(), {"gross_edge_bps": -301.0}, False, "plausible_edge"),
    (limits.OnePairPerRoute(), Held(), {}, True, ""),
    (limits.OnePairPerRoute(), Held(is_busy=True), {}, False, "pair_on_route"),
    (limits.NothingInFlight(), Held(moving={"elsewhere": 1}), {}, True, ""),
    (limits.NothingInFlight(), Held(moving={A.id: 1}), {}, False, "in_flight"),
    (limits.NothingInFlight(), Held(moving={B.id: 1}), {}, False, "in_flight"),
    (limits.MaxOpenPairs(3), Held(pairs=2), {}, True, ""),
    (limits.MaxOpenPairs(3), Held(pairs=3), {}, False, "open_pairs"),
    (UNIT, Held(), {}, True, ""),
    (UNIT, Held(rates={("EUR", "USDC"): 1.1}), {"route": route(linear("a", quote="EUR"), B)}, True, ""),
    (
        UNIT,
        Held(rates={("ETH", "USDT"): 3000.0}),
        {"route": route(linear("a", quote="ETH"), B)},
        False,
        "notional_unit",
    ),
    (UNIT, Held(rates={("JPY", "USD"): 0.0067}), {"route": route(linear("a", quote="JPY"), B)}, False, "notional_unit"),
    (UNIT, Held(), {"route": route(linear("a", quote="EUR"), B)}, False, "notional_unit EUR"),
    (limits.MaxOrderNotional(501.25), Held(), {}, True, ""),
    (limits.MaxOrderNotional(501.2), Held(), {}, False, "order_notional"),
    (limits.MaxPositionNotional(2000.0), Held(position=1498.75), {}, True, ""),
    (limits.MaxPositionNotional(2000.0), Held(position=1498.8), {}, False, "position_notional"),
    (limits.MaxVenueNotional(2000.0), Held(venue=1498.75), {}, True, ""),
    (limits.MaxVenueNotional(2000.0), Held(venue=1498.8), {}, False, "venue_notional binance"),
    # Both legs of a cash and carry lie at one venue.
    (limits.MaxVenueNotional(1002.5), Held(), {"route": route(spot("binance"), A)}, True, ""),
    (limits.MaxVenueNotional(1002.4), Held(), {"route": route(spot("binance"), A)}, False, "venue_notional"),
    (limits.MaxAssetNotional(2002.5), Held(asset=1000.0), {}, True, ""),
    (limits.MaxAssetNotional(2002.5), Held(asset=1000.1), {}, False, "asset_notional BTC"),
    (limits.MaxNetExposure(600.0), Held(exposure=98.75), {}, True, ""),
    (limits.MaxNetExposure(600.0), Held(exposure=98.8), {}, False, "net_exposure"),
    (limits.MaxNetExposure(501.25, 5.0), Held(), {}, False, "net_exposure"),  # alone, and 5 bps dearer
    (limits.MaxOrdersPerMinute(60), Held(minute=58), {}, True, ""),
    (limits.MaxOrdersPerMinute(60), Held(minute=59), {}, False, "orders_per_minute"),
    (limits.MaxOrdersPerSecond(10), Held(second=8), {}, True, ""),
    (limits.MaxOrdersPerSecond(10), Held(second=9), {}, False, "orders_per_second"),
    (limits.MaxDailyLoss(200.0), Held(today=-200.0), {}, True, ""),
    (limits.MaxDailyLoss(200.0), Held(today=1e9), {}, True, ""),
    (limits.MaxDailyLoss(200.0), Held(today=-200.1), {}, False, "daily_loss"),
    (limits.MaxCumulativeLoss(500.0), Held(total=-500.0), {}, True, ""),
    (limits.MaxCumulativeLoss(500.0), Held(total=-500.1), {}, False, "cumulative_loss"),
    (limits.MaxDrift(30.0, 20), Held(drifted=(30.0, 20)), {}, True, ""),
    (limits.MaxDrift(30.0, 20), Held(drifted=(1e9, 19)), {}, True, ""),
    (limits.MaxDrift(30.0, 20), Held(drifted=(-1e9, 20)), {}, True, ""),
    (limits.MaxDrift(30.0, 20), Held(drifted=(30.1, 20)), {}, False, "drift"),
    (limits.StillListed(24.0), Held(), {}, True, ""),
    (limits.StillListed(24.0), Held(listed={A.id: DELIVERED}), {}, True, ""),
    (limits.StillListed(24.0), Held(listed={A.id: DELIVERED}), {"ts_ns": NOW + 1}, False, "delivery"),
    (limits.StillListed(24.0), Held(listed=status(ListingStatus.HALTED)), {}, False, "instrument_status"),
    (limits.StillListed(24.0), Held(listed=status(ListingStatus.DELISTING)), {}, False, "instrument_status"),
    (limits.StillListed(24.0), Held(listed=status(ListingStatus.UNKNOWN)), {}, False, "instrument_status"),
    (limits.HealthyFeeds(5, 100), Held(conditions={"bybit.linear": Condition(FeedState.LIVE, 5, 100)}), {}, True, ""),
    (limits.HealthyFeeds(5, 100), Held(conditions={"bybit.linear": Condition(FeedState.LIVE, 6)}), {}, False, "rec"),
    (limits.HealthyFeeds(5, 100), Held(conditions={"bybit.linear": Condition(FeedState.LIVE, 0, 101)}), {}, False, "m"),
    (limits.HealthyFeeds(5, 100), Held(conditions={"bybit.linear": Condition(FeedState.FAILED)}), {}, False, "feed"),
    (limits.HealthyFeeds(5, 100), Held(conditions={"bybit.linear": Condition(FeedState.RECONNECTING)}), {}, False, "f"),
    (limits.NotQuarantined(), Held(strange={"kraken:BTC/USDT": "a position"}), {}, True, ""),
    (limits.NotQuarantined(), Held(strange={B.id: "a position"}), {}, False, f"quarantine {B.id}"),
    (limits.OpenVenues(), Held(blocked_at={"kraken": "it bans us"}), {}, True, ""),
    (limits.OpenVenues(), Held(blocked_at={"bybit": "it bans us"}), {}, False, "venue_blocked bybit"),
    (limits.MaxRejects(10), Held(rejects=10), {}, True, ""),
    (limits.MaxRejects(10), Held(rejects=11), {}, False, "rejects binance"),
    (limits.KnownOrders(), Held(unresolved=0), {}, True, ""),
    (limits.KnownOrders(), Held(unresolved=1), {}, False, "unknown_orders binance"),
    (limits.ClockUncertainty(250.0, must_be_measured=True), Held(uncertain_ms=250.0), {}, True, ""),
    (limits.ClockUncertainty(250.0, must_be_measured=False), Held(uncertain_ms=250.1), {}, False, "clock_offset"),
    (limits.ClockUncertainty(250.0, must_be_measured=False), Held(uncertain_ms=None), {}, True, ""),
    (FRESH, Held(markets=both(old(300))), {}, True, ""),
    (FRESH, Held(markets=both(old(300.1))), {}, False, "quote_skew"),
    (FRESH, Held(markets={A.id: old(500), B.id: old(500)}), {}, True, ""),
    (FRESH, Held(markets={A.id: old(500.1), B.id: old(500.1)}), {}, False, "quote_age"),
    (FRESH, Held(markets={A.id: late(1000), B.id: late(1000)}), {}, True, ""),
    (FRESH, Held(markets={A.id: late(1000.1), B.id: late(1000.1)}), {}, False, "quote_event_age"),
    (FRESH, Held(markets=both(Market(None))), {}, False, "quote_gate"),
    (FRESH, Held(markets=both(old(-1))), {}, False, "quote_age"),
    (limits.CollarToMean(300.0), Held(markets=both(mean(100.25 / 1.03 + 1e-9))), {}, True, ""),
    (limits.CollarToMean(300.0), Held(markets=both(mean(100.25 / 1.0301))), {}, False, "collar_mean"),
    (limits.CollarToMean(300.0), Held(markets=both(mean(100.25 * 1.04))), {}, False, "collar_mean"),
    (limits.CollarToOthers(300.0), Held(mids={B.id: [50.0, 100.25 / 1.03 + 1e-9]}), {}, True, ""),
    (limits.CollarToOthers(300.0), Held(mids={B.id: [50.0, 100.25 / 1.0301]}), {}, False, "collar_others"),
    (limits.CollarToOthers(300.0), Held(mids={A.id: [], B.id: []}), {}, True, ""),
    (limits.PersistentEdge(30.0), Held(stood_s=30.0), {}, True, ""),
    (limits.PersistentEdge(30.0), Held(stood_s=30.1), {}, False, "edge_persistent"),
    (PEG, Held(), {}, True, ""),
    (PEG, Held(rates={("USDT", "USD"): 0.99 + 1e-12}), {}, True, ""),
    (PEG, Held(rates={("USDT", "USD"): 0.9899}), {}, False, "depeg USDT/USD"),
    (PEG, Held(rates={("USDT", "USDC"): 1.0101}), {}, False, "depeg USDT/USDC"),
    (PEG, Held(rates={("USDT", "USDC"): 1.0}), {"route": route(A, USDC)}, True, ""),
    (PEG, Held(), {"route": route(A, USDC)}, False, "depeg USDT/USDC"),
    (limits.CoveredByBalance(), Held(covered={A.id: 500.0, B.id: 501.25}), {}, True, ""),
    (limits.CoveredByBalance(), Held(covered={A.id: 499.9, B.id: 1e9}), {}, False, "balance binance.linear"),
    (limits.CoveredByBalance(), Held(covered={A.id: 1e9, B.id: 501.2}), {}, False, "balance bybit.linear"),
    (limits.CoveredByBalance(10.0), Held(covered={A.id: 500.5, B.id: 1e9}), {}, True, ""),
    (limits.CoveredByBalance(10.0), Held(covered={A.id: 500.4, B.id: 1e9}), {}, False, "balance binance.linear"),
    (limits.CoveredByBalance(), purse(1001.3), PURSE, True, ""),
    (limits.CoveredByBalance(), purse(1001.2), PURSE, False, "balance binance.linear"),
    (limits.CoveredByBalance(), purse(499.9), PURSE, False, "balance binance.spot"),
    (limits.CoveredByBalance(), purse(0.0), PURSE, False, "balance binance.spot"),
    (limits.CoveredByBalance(), purse(501.25, is_one=False), PURSE, True, ""),
    (limits.CoveredByBalance(), Held(covered={A.id: 501.25, B.id: 501.25}, one_purse=True), {}, True, ""),
    (limits.MaxMarginRatio(0.5), Held(wallets=[wallet(ratio=0.5)]), {}, True, ""),
    (limits.MaxMarginRatio(0.5), Held(wallets=[]), {}, True, ""),
    (limits.MaxMarginRatio(0.5), Held(wallets=[wallet(), wallet(ratio=0.51)]), {}, False, "margin_ratio"),
    (limits.LiquidationDistance(1000.0), Held(wallets=[wallet(distance_bps=1000.0)]), {}, True, ""),
    (limits.LiquidationDistance(1000.0), Held(wallets=[wallet(distance_bps=999.9)]), {}, False, "liquidation"),
    # 196 bps at 1 bps/√s: 100 × 1.96 σ, so 10,000 s.
    (limits.TimeToMarginCall(9_999.999), Held(wallets=[wallet(distance_bps=196.0)]), {}, True, ""),
    (limits.TimeToMarginCall(10_000.001), Held(wallets=[wallet(distance_bps=196.0)]), {}, False, "margin_call"),
    (limits.TimeToMarginCall(1.0), Held(wallets=[wallet(distance_bps=196.0)], transfer_s=1e5), {}, False, "margin_c"),
    (limits.TimeToMarginCall(1.0), Held(wallets=[wallet(distance_bps=196.0)], transfer_s=inf), {}, False, "margin_c"),
    (limits.TimeToMarginCall(1e5), Held(wallets=[wallet(distance_bps=196.0)], transfer_s=1.0), {}, True, ""),
    (limits.TimeToMarginCall(1e99), Held(wallets=[wallet(distance_bps=10_000.0, volatility=None)]), {}, True, ""),
]
SPOT, CROSS, ETH, THERE = (
    spot("binance"), spot("binance", "ETH", "BTC"), spot("binance", "ETH"), spot("bybit"),
)  # fmt: skip
RING_MARKETS = {SPOT.id: Market(quote()), CROSS.id: Market(quote(0.05)), ETH.id: Market(quote(5.0125))}
HEDGED = sent().model_copy(update={"legs": (*sent().legs, TradeLeg(instrument=A, side=Side.SELL))})
COINS = Route(
    kind="triangular",
    legs=tuple(
        TradeLeg(instrument=of, side=side) for of, side in ((SPOT, Side.SELL), (ETH, Side.BUY), (CROSS, Side.SELL))
    ),
)
"""BTC in, BTC out: what it loses is counted in BTC."""
TURNED = ring().model_copy(update={"legs": ring().legs[:2]})
CHAINS: Sequence[tuple[Limit, Held, Proposal, bool, str]] = [
    (limits.ExecutableRoute(), Held(), around(), True, ""),
    (limits.ExecutableRoute(), Held(), across(), True, ""),
    (limits.ExecutableRoute(), Held(), across(route=HEDGED), False, "execution"),
    (limits.OppositeSides(), Held(), around(), True, ""),
    (limits.OppositeSides(), Held(), across(), True, ""),
    (limits.OppositeSides(), Held(), around(route=TURNED), False, "leg_sides"),
    (limits.UsableNumbers(), Held(), around(), True, ""),
    (limits.UsableNumbers(), Held(), around(prices=(100.0, nan, 5.0)), False, "price"),
    (limits.UsableNumbers(), Held(), around(prices=()), False, "price"),
    (limits.UsableNumbers(), Held(), across(amounts=(0.0,)), False, "amount"),
    (limits.UsableNumbers(), Held(), across(amounts=()), False, "amount"),
    (limits.MaxPlausibleEdge(25.0001), Held(), around(), True, ""),
    (limits.MaxPlausibleEdge(25.0), Held(), around(prices=(100.0, 0.05, 5.013)), False, "plausible_edge"),
    (UNIT, Held(), around(), True, ""),
    (UNIT, Held(rates={("BTC", "USDT"): 100.0}), around(route=COINS), False, "notional_unit BTC"),
    (limits.MaxInFlight(1000.0), Held(travelling=500.0), around(), True, ""),
    (limits.MaxInFlight(1000.0), Held(travelling=500.1), around(), False, "in_flight_notional"),
    (limits.MaxInFlight(1000.0), Held(travelling=1e9), proposal(), True, ""),
    (limits.OneTransfer(), Held(under_way=0), across(), True, ""),
    (limits.OneTransfer(), Held(under_way=1), around(), True, ""),
    (limits.OneTransfer(), Held(under_way=1), across(), False, "transfer_under_way binance bybit"),
    (limits.TransferAllowed(), Held(), across(), True, ""),
    (limits.TransferAllowed(), Held(no_way="no address is allowed"), around(), True, ""),
    (limits.TransferAllowed(), Held(no_way="no address is allowed"), across(), False, "transfer BTC binance to bybit"),
    # The amount is in one place at a time, and counts once.
    (limits.MaxVenueNotional(1000.0), Held(venue=500.0), around(), True, ""),
    (limits.MaxVenueNotional(1000.0), Held(venue=500.1), around(), False, "venue_notional binance"),
    (limits.MaxAssetNotional(1000.0), Held(asset=500.0), around(), True, ""),
    (limits.MaxAssetNotional(1000.0), Held(asset=500.1), around(), False, "asset_notional BTC"),
    (limits.MaxNetExposure(1000.0), Held(exposure=500.0), around(), True, ""),
    (limits.MaxNetExposure(1000.0, 5.0), Held(exposure=500.0), around(), False, "net_exposure"),
    (limits.MaxPositionNotional(1000.0), Held(position=500.0), around(), True, ""),
    (limits.MaxPositionNotional(1000.0), Held(position=500.1), around(), False, "position_notional"),
    (limits.MaxOrderNotional(500.0), Held(), around(), True, ""),
    (limits.MaxOrderNotional(499.9), Held(), around(), False, "order_notional"),
    # All of its trades count, and only the first is paid from stock.
    (limits.MaxOrdersPerSecond(10), Held(second=7), around(), True, ""),
    (limits.MaxOrdersPerSecond(10), Held(second=8), around(), False, "orders_per_second"),
    (limits.CoveredByBalance(10.0), Held(covered={SPOT.id: 500.5}), around(), True, ""),
    (limits.CoveredByBalance(10.0), Held(covered={SPOT.id: 500.4}), around(), False, "balance binance.spot"),
    (limits.NothingInFlight(), Held(moving={CROSS.id: 1}), around(), False, "in_flight"),
    (limits.NothingInFlight(), Held(moving={THERE.id: 1}), across(), False, "in_flight"),
    (limits.CollarToOthers(300.0), Held(mids={CROSS.id: [0.05], ETH.id: [5.0125]}), around(), True, ""),
    (limits.CollarToOthers(300.0), Held(mids={CROSS.id: [0.052], ETH.id: []}), around(), False, "collar_others binan"),
    (FRESH, Held(markets={**RING_MARKETS}), around(), True, ""),
    (FRESH, Held(markets={**RING_MARKETS, CROSS.id: old(300.1)}), around(), False, "quote_skew"),
    (FRESH, Held(markets={**RING_MARKETS, CROSS.id: Market(None)}), around(), False, f"quote_gate {CROSS.id}"),
    (limits.OpenVenues(), Held(blocked_at={"bybit": "it bans us"}), across(), False, "venue_blocked bybit"),
]


@pytest.mark.parametrize(("limit", "held", "asked", "passes", "name"), CHAINS)
def test_a_limit_reads_the_links_of_a_chain(limit: Limit, held: Held, asked: Proposal, passes: bool, name: str) -> None:
    answer = limit.check(asked, held)
    assert (answer is None) is passes, answer
    if answer is not None:
        assert answer.limit.startswith(name)
        assert answer.observed != answer.allowed


@pytest.mark.parametrize(("limit", "held", "change", "passes", "name"), CASES)
def test_a_limit_holds_on_its_border_and_refuses_beyond(
    limit: Limit, held: Held, change: dict[str, Any], passes: bool, name: str
) -> None:
    answer = limit.check(proposal(**change), held)
    assert (answer is None) is passes, answer
    if answer is not None:
        assert answer.limit.startswith(name)
        assert answer.observed != answer.allowed


def test_every_limit_is_tried_from_both_sides() -> None:
    tried = {(type(limit), passes) for limit, _, _, passes, _ in (*CASES, *CHAINS)}
    assert tried == {(type(limit), passes) for limit in all_limits(Settings()) for passes in (True, False)}


def test_the_shipped_limits_let_a_good_proposal_pass() -> None:
    assert [limit.check(proposal(), Held()) for limit in all_limits(Settings(market="live"))] == [None] * 37


BROKEN = st.sampled_from([nan, inf, -inf, -1.0, -1e-300])
NO_NUMBER = st.sampled_from([nan, inf, -inf])
INPUTS: Sequence[tuple[Limit, str, Any]] = [
    (limits.MaxPositionNotional(1e12), "position", BROKEN | st.none()),
    (limits.MaxVenueNotional(1e12), "venue", BROKEN | st.none()),
    (limits.MaxAssetNotional(1e12), "asset", BROKEN | st.none()),
    (limits.MaxNetExposure(1e12), "exposure", BROKEN | st.none()),
    (limits.MaxOrdersPerMinute(10**9), "minute", BROKEN | st.none()),
    (limits.MaxOrdersPerSecond(10**9), "second", BROKEN | st.none()),
    (limits.MaxRejects(10**9), "rejects", BROKEN | st.none()),
    (limits.KnownOrders(), "unresolved", BROKEN | st.none()),
    (limits.MaxDailyLoss(1e12), "today", st.sampled_from([nan, -inf, None])),
    (limits.MaxCumulativeLoss(1e12), "total", st.sampled_from([nan, -inf, None])),
    (limits.MaxDrift(1e12, 1), "drifted", st.tuples(NO_NUMBER, st.just(1)) | st.just((nan, -1))),
    (limits.ClockUncertainty(1e12, must_be_measured=True), "uncertain_ms", BROKEN | st.none()),
    (limits.PersistentEdge(1e12), "stood_s", BROKEN | st.none()),
    (limits.MaxMarginRatio(1.0), "wallets", st.just(None) | BROKEN.map(lambda r: [wallet(ratio=r)])),
    (limits.LiquidationDistance(0.0), "wallets", st.sampled_from([None, [wallet(distance_bps=nan)]])),
    (
        limits.TimeToMarginCall(0.0),
        "wallets",
        st.just(None) | st.sampled_from([None, nan, inf, -1.0]).map(lambda v: [wallet(volatility=v)]),
    ),
    (limits.TimeToMarginCall(1.0), "transfer_s", st.sampled_from([nan, -1.0])),
    (limits.CollarToMean(1e12), "markets", (NO_NUMBER | st.sampled_from([0.0, -1.0])).map(lambda m: both(mean(m)))),
    (limits.CollarToMean(1e12), "markets", st.just(both(None))),
    (limits.CollarToOthers(1e12), "mids", (BROKEN | st.just(0.0)).map(lambda m: {B.id: [100.0, m]})),
    (limits.HealthyFeeds(10**9, 10**9), "conditions", st.just({"binance.linear": None})),
    (limits.HealthyFeeds(9, 10**9), "conditions", BROKEN.map(lambda n: {"bybit.linear": Condition(FeedState.LIVE, n)})),
    (PEG, "rates", st.sampled_from([nan, inf, -1.0, 0.0]).map(lambda r: {("USDT", "USD"): r})),
    (limits.MaxInFlight(1e12), "travelling", BROKEN | st.none()),
    (limits.OneTransfer(), "under_way", BROKEN | st.none()),
    (limits.CoveredByBalance(), "covered", st.sampled_from([nan, -1.0, None]).map(lambda c: {A.id: 1e9, B.id: c})),
    (FRESH, "markets", st.just(both(None))),
]  # fmt: skip


@pytest.mark.parametrize(("limit", "name", "values"), INPUTS)
@given(data=st.data())
def test_a_limit_whose_own_input_is_broken_refuses(limit: Limit, name: str, values: Any, data: st.DataObject) -> None:
    held = Held()
    setattr(held, name, data.draw(values))
    asked = across() if name in ("travelling", "under_way") else proposal()
    refused = limit.check(asked, held)
    assert refused is not None
    assert -inf < refused.observed < inf


FIGURES = st.sampled_from(["quantity", "buy_price", "sell_price", "gross_edge_bps"])


@given(name=FIGURES, value=NO_NUMBER)
def test_fault_13_a_proposal_with_a_figure_that_is_no_number_is_refused(name: str, value: float) -> None:
    asked = proposal(**{name: value})
    refused = [found for limit in all_limits(Settings()) if (found := limit.check(asked, Held())) is not None]
    assert refused
    assert all(-inf < found.observed < inf for found in refused)
    assert refused[0].unit == KNOWN


@given(name=st.sampled_from(["quantity", "buy_price", "sell_price"]), value=st.sampled_from([0.0, -1.0, -1e300]))
def test_fault_13_a_price_or_quantity_that_is_not_above_zero_is_refused(name: str, value: float) -> None:
    asked: Proposal = proposal(**{name: value})
    assert limits.UsableNumbers().check(asked, Held()) is not None


def test_seconds_are_what_they_say() -> None:
    """Of the persistent edge: the unit that people read."""
    refused = limits.PersistentEdge(30.0).check(proposal(ts_ns=NOW + S), Held(stood_s=31.0))
    assert refused is not None
    assert (refused.observed, refused.allowed, refused.unit) == (31.0, 30.0, "s")
