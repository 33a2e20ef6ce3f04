"""Sizes worked out by hand: what is offered and needed, the limit in the way, and at which tiers it trades."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from bot.domain.fees import FeeSchedule, FeeSource, FeeTier
from bot.domain.instrument import Feed, Instrument, Segment
from bot.domain.legs import HoldLeg, Liquidity, TradeLeg
from bot.domain.order import Side
from bot.domain.route import Route
from bot.pricing.break_even import BreakEven, break_even, lowest_tiers
from bot.pricing.inputs import FundingInput, InstrumentInput, PricingInputs, PricingRules
from bot.pricing.ladder import Ladder
from bot.pricing.sizing import size_grid

D = Decimal
TAKER, MAKER = Liquidity.TAKER, Liquidity.MAKER
NOW_NS = 1_800_000_000_000_000_000
RULES = PricingRules(converged=True, warmup_s=0.0, adverse_moves=False)


def instrument(venue: str, symbol: str = "BTC/USDT:USDT", lot: str = "0.001") -> Instrument:
    pair, _, settle = symbol.partition(":")
    base, quote = pair.split("/")
    return Instrument(
        venue=venue, symbol=symbol, segment=Segment.LINEAR if settle else Segment.SPOT, base=base, quote=quote,
        settle=settle or None, tick_size=D("0.1"), lot_size=D(lot), min_quantity=D(lot), min_notional=D(5),
    )  # fmt: skip


HERE, THERE = instrument("binance"), instrument("bybit")


def route(buy_as: Liquidity = TAKER) -> Route:
    def trade(of: Instrument, side: Side) -> TradeLeg:
        return TradeLeg(instrument=of, side=side, liquidity=buy_as if of is HERE else TAKER)

    legs = (trade(HERE, Side.BUY), trade(THERE, Side.SELL), HoldLeg(expected_s=3600.0), trade(HERE, Side.SELL),
            trade(THERE, Side.BUY))  # fmt: skip
    return Route(kind="convergence", legs=legs)


def inputs(here: tuple[str, str] = ("2", "5"), there: tuple[str, str] = ("2", "5.5"), **more: Any) -> PricingInputs:
    def known(of: Instrument, maker: str, taker: str) -> InstrumentInput:
        fees = FeeSchedule(feed=of.feed, maker_bps=D(maker), taker_bps=D(taker), source=FeeSource.ACCOUNT)
        given = {"funding": FundingInput(0.0, 28_800.0), "latency_s": 0.0, "volatility_bps": 0.0} | more
        return InstrumentInput(of, fees, 60_000.0, 0.0, 100.0, fill_probability=0.5, **given)

    return PricingInputs({HERE.id: known(HERE, *here), THERE.id: known(THERE, *there)}, rules=RULES)


def ladder(*levels: tuple[float, float]) -> Ladder:
    return Ladder(levels)


ASKS = ladder((60_000.0, 0.1), (60_060.0, 1.0))
BIDS = ladder((60_180.0, 0.1), (60_120.0, 1.0))


def asked(notional: float, ladders: Sequence[Ladder | None] = (ASKS, BIDS), **more: Any) -> BreakEven:
    grid = more.pop("grid", size_grid(HERE, THERE))
    given = {"inputs": inputs(), "route": route(), "min_net_bps": 1.0} | more
    return break_even(given["route"], given["inputs"], ladders, grid, notional, min_net_bps=given["min_net_bps"],
                      ts_ns=NOW_NS)  # fmt: skip


def tiers(venue: str, *rates: tuple[str, str, str]) -> dict[Feed, list[FeeTier]]:
    listed = [
        FeeTier(name=name, maker_bps=D(maker), taker_bps=D(taker), as_of="2026", url="here")
        for name, maker, taker in rates
    ]
    return {Feed(venue=venue, segment=Segment.LINEAR): listed}


BINANCE = tiers("binance", ("Regular", "2", "5"), ("VIP 1", "1.8", "5"), ("VIP 2", "1.6", "4"), ("VIP 3", "1.2", "3.2"))
BYBIT = tiers("bybit", ("VIP 0", "2", "5.5"), ("VIP 1", "1.8", "4"), ("VIP 2", "1.6", "3.75"))


def test_a_size_that_the_top_takes_by_hand() -> None:
    found = asked(3_000)
    # 60,180 over 60,000 is 30 bps. Fees: twice 5 on the first trade's money, twice 5.5 on the last one's.
    # Break-even: g = 10 + 11 (1 + g/10⁴), so g = 21 / (1 − 0.0011).
    assert found.quantity == D("0.050")
    assert found.offered_bps == pytest.approx(30.0, abs=1e-9)
    assert found.needed_bps == pytest.approx(21.0 / 0.9989, abs=1e-9)
    assert found.take_at_bps == pytest.approx(22.0 / 0.9989, abs=1e-9)
    assert found.missing_bps == pytest.approx(22.0 / 0.9989 - 30.0, abs=1e-9)
    assert found.net_bps == pytest.approx(30.0 - 10.0 - 11.0 * 1.003, abs=1e-9)
    assert found.in_the_way is None
    assert {cost.name for cost in found.costs} >= {"fee open buy binance.linear", "fee close buy bybit.linear"}


def test_a_size_beyond_the_largest_order_of_a_side_names_it() -> None:
    grid = size_grid(HERE, THERE.model_copy(update={"max_market_quantity": D("0.049")}))
    assert asked(2_950, grid=grid).in_the_way is None
    found = asked(3_000, grid=grid).in_the_way
    assert found is not None
    assert (found.limit, found.observed, found.allowed) == (f"largest_order {THERE.id}", 0.05, 0.049)


def test_a_size_beyond_the_top_pays_the_average_of_its_levels() -> None:
    found = asked(12_000)
    # 0.2 of each: half at the best level and half 60 worse, so 60,030 and 60,150, which is 19.99 bps.
    offered = (60_150 / 60_030 - 1) * 1e4
    assert found.quantity == D("0.200")
    assert found.offered_bps == pytest.approx(offered, abs=1e-9)
    assert found.net_bps == pytest.approx(offered - 10 - 11 * 60_150 / 60_030, abs=1e-9)
    assert sum(cost.bps for cost in found.costs) == pytest.approx(30.0 - (found.net_bps or 0.0), abs=1e-9)
    assert found.in_the_way is not None
    assert found.in_the_way.limit == "net_edge"
    assert found.in_the_way.observed == found.net_bps


def test_what_is_not_on_offer_names_the_depth_there_is() -> None:
    found = asked(100_000)
    assert found.offered_bps is None
    assert found.missing_bps is None
    assert found.needed_bps == pytest.approx(21.0 / 0.9989, abs=1e-9)
    assert found.in_the_way is not None
    assert (found.in_the_way.limit, found.in_the_way.unit) == ("depth", "USDT")
    assert found.in_the_way.observed == pytest.approx(1.1 * 60_000)
    assert found.in_the_way.allowed == 100_000


def test_less_than_one_lot_is_no_size() -> None:
    found = asked(59)
    assert found.quantity == 0
    assert found.in_the_way is not None
    assert found.in_the_way.limit == "size"
    assert found.in_the_way.observed == pytest.approx(59 / 60_000)
    assert found.in_the_way.allowed == 0.001


def test_without_a_quote_the_needed_edge_still_stands() -> None:
    found = asked(1_000, (ASKS, None))
    assert found.needed_bps == pytest.approx(21.0 / 0.9989, abs=1e-9)
    assert found.in_the_way is not None
    assert (found.in_the_way.limit, found.in_the_way.observed, found.in_the_way.allowed) == ("no_quote", 1.0, 2.0)


def test_a_missing_input_is_the_limit_and_never_zero() -> None:
    found = asked(1_000, inputs=inputs(funding=None))
    assert found.offered_bps == pytest.approx(30.0)
    assert (found.net_bps, found.missing_bps, found.costs) == (None, None, ())
    assert found.needed_bps == pytest.approx(21.0)  # the fees alone are known
    assert found.in_the_way is not None
    assert found.in_the_way.limit == "funding_rate"


def test_a_post_only_leg_waits_at_its_own_side_and_takes_no_depth() -> None:
    own_side = ladder((59_990.0, 0.001))
    found = asked(6_000, (own_side, BIDS), route=route(MAKER))
    assert found.offered_bps == pytest.approx((60_180 / 59_990 - 1) * 1e4, abs=1e-9)


def test_the_lowest_tiers_by_hand() -> None:
    found = asked(12_000)
    assert found.offered_bps is not None
    # Short by 2 bps: at Bybit VIP 1 the taker pays 1.5 bps less, twice, which is enough; Binance VIP 1 changes nothing.
    lowest = lowest_tiers(route(), inputs(), found, BINANCE | BYBIT, 1.0)
    assert lowest is not None
    assert {str(feed): tier.name for feed, tier in lowest.items()} == {"bybit.linear": "VIP 1"}


def test_both_venues_climb_where_one_alone_is_not_enough() -> None:
    found = asked(12_000, min_net_bps=4.0)
    # 19.99 offered less 1 + (fees): Binance VIP 3 alone saves 3.6, Bybit VIP 2 alone 3.5; 5.01 bps are missing.
    lowest = lowest_tiers(route(), inputs(), found, BINANCE | BYBIT, 4.0)
    assert lowest is not None
    assert {str(feed): tier.name for feed, tier in lowest.items()} == {
        "binance.linear": "VIP 2",
        "bybit.linear": "VIP 2",
    }


def test_no_tier_is_named_where_none_is_enough_or_none_is_known() -> None:
    found = asked(12_000, min_net_bps=50.0)
    assert lowest_tiers(route(), inputs(), found, BINANCE | BYBIT, 50.0) is None
    assert lowest_tiers(route(), inputs(), asked(12_000), {}, 1.0) is None
    assert lowest_tiers(route(), inputs(), asked(100_000), BINANCE | BYBIT, 1.0) is None, "there is no offer"


def test_an_account_that_pays_less_already_climbs_from_there() -> None:
    cheap = inputs(here=("1.6", "4"), there=("2", "5.5"))
    found = asked(12_000, inputs=cheap, min_net_bps=1.0)
    lowest = lowest_tiers(route(), cheap, found, BINANCE, 1.0)
    assert lowest is not None
    assert {tier.name for tier in lowest.values()} == {"VIP 3"}
