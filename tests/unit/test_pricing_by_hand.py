"""Cases worked out by hand, to the last of nine digits: each kind of route, three currencies, rebates, tokens, depth.

What a figure is made of stands beside it; r is the price ratio of the last trade to the first. The formulas' sources
are named in `bot/pricing/fees.py`, `costs.py` and `makers.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from math import inf, nan
from typing import Any

import pytest

from bot.domain.fees import FeeSchedule, FeeSource
from bot.domain.instrument import Instrument, Segment
from bot.domain.legs import HoldLeg, Leg, Liquidity, TradeLeg, TransferLeg
from bot.domain.order import Side
from bot.domain.route import Opportunity, Route
from bot.ports import TransferEstimate
from bot.pricing.inputs import Conversion, FundingInput, InstrumentInput, PricingInputs, PricingRules
from bot.pricing.pricing import cost_sheet, opportunity
from bot.pricing.sheet import CostSheet, Unpriced

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
MAKER, TAKER = Liquidity.MAKER, Liquidity.TAKER
HOUR_S = 3600.0


def instrument(venue: str, symbol: str) -> Instrument:
    pair, _, settle = symbol.partition(":")
    base, quote = pair.split("/")
    return Instrument(
        venue=venue, symbol=symbol, segment=Segment.LINEAR if settle else Segment.SPOT, base=base, quote=quote,
        settle=settle or None, tick_size=D("0.01"), lot_size=D("0.00001"),
    )  # fmt: skip


BINANCE_PERP = instrument("binance", "BTC/USDT:USDT")
BYBIT_PERP = instrument("bybit", "BTC/USDT:USDT")
BINANCE = instrument("binance", "BTC/USDT")
BYBIT = instrument("bybit", "BTC/USDT")
KRAKEN = instrument("kraken", "BTC/USD")
COINBASE = instrument("coinbase", "BTC/USDC")
ETH_BTC = instrument("binance", "ETH/BTC")
ETH_USDT = instrument("binance", "ETH/USDT")


def known(
    of: Instrument,
    maker: str,
    taker: str,
    mid: float = 60_000.0,
    spread: float = 0.0,
    token: tuple[str, str] | None = None,
    **more: Any,
) -> InstrumentInput:
    asset, discount = token or (None, "0")
    fees = FeeSchedule(
        feed=of.feed, maker_bps=D(maker), taker_bps=D(taker), source=FeeSource.ACCOUNT, token=asset,
        token_discount=D(discount),
    )  # fmt: skip
    return InstrumentInput(of, fees, mid, spread, 100.0, **more)


def funding(rate_bps: float, interval_h: float = 8.0, **more: Any) -> FundingInput:
    return FundingInput(rate_bps, interval_h * HOUR_S, **more)


def pair(
    buy: Instrument, sell: Instrument, hold_s: float, buy_as: Liquidity = TAKER, sell_as: Liquidity = TAKER
) -> Route:
    def trade(of: Instrument, side: Side) -> TradeLeg:
        return TradeLeg(instrument=of, side=side, liquidity=buy_as if of is buy else sell_as)

    legs = (trade(buy, BUY), trade(sell, SELL), HoldLeg(expected_s=hold_s), trade(buy, SELL), trade(sell, BUY))
    return Route(kind="pair", legs=legs)


def home(asset: str, source: Instrument, target: Instrument) -> TransferLeg:
    return TransferLeg(asset=asset, from_venue=source.venue, to_venue=target.venue, deferred=True)


def inventory(buy: Instrument, sell: Instrument) -> Route:
    legs: tuple[Leg, ...] = (TradeLeg(instrument=buy, side=BUY), TradeLeg(instrument=sell, side=SELL))
    return Route(kind="inventory", legs=(*legs, home("BTC", buy, sell), home(sell.quote, sell, buy)))


def transfer(hedge: Instrument | None = None) -> Route:
    legs: list[Leg] = [TradeLeg(instrument=BINANCE, side=BUY), SENT, TradeLeg(instrument=BYBIT, side=SELL)]
    if hedge is not None:
        legs.insert(1, TradeLeg(instrument=hedge, side=SELL))
        legs.append(TradeLeg(instrument=hedge, side=BUY))
    return Route(kind="transfer", legs=(*legs, home("USDT", BYBIT, BINANCE)))


SENT = TransferLeg(asset="BTC", from_venue="binance", to_venue="bybit", network="bitcoin")
RING = Route(
    kind="triangular",
    legs=(
        TradeLeg(instrument=BINANCE, side=BUY),
        TradeLeg(instrument=ETH_BTC, side=BUY),
        TradeLeg(instrument=ETH_USDT, side=SELL),
    ),
)
NO_MOVES = PricingRules(adverse_moves=False, warmup_s=60.0, waiting_bps=0.5)


@dataclass(frozen=True)
class Case:
    name: str
    route: Route
    known: tuple[InstrumentInput, ...]
    tops: Sequence[float]
    costs: Mapping[str, str]
    gross: str
    net: str
    transfers: Mapping[TransferLeg, TransferEstimate] = field(default_factory=dict)
    conversion: Conversion | None = None
    averages: Sequence[float] | None = None
    quantity: str = "0.5"
    rules: PricingRules = NO_MOVES

    def inputs(self) -> PricingInputs:
        return PricingInputs(
            {one.instrument.id: one for one in self.known}, self.transfers, self.conversion, float(self.quantity),
            self.rules,
        )  # fmt: skip

    def priced(self) -> Opportunity:
        inputs = self.inputs()
        sheet = cost_sheet(self.route, inputs)
        assert isinstance(sheet, CostSheet), sheet
        return opportunity(
            self.route, sheet, inputs, ts_ns=1, quantity=D(self.quantity), tops=self.tops, averages=self.averages
        )


INVENTORY_USD = inventory(BINANCE, KRAKEN)
INVENTORY_USDC = inventory(BINANCE, COINBASE)
INVENTORY_USDT = inventory(BINANCE, BYBIT)


def both_ways(route: Route, base_fee: float, money_fee: float) -> dict[TransferLeg, TransferEstimate]:
    base, money = route.transfers
    return {base: TransferEstimate(1200, 3600, base_fee), money: TransferEstimate(60, 120, money_fee)}


CASES = [
    Case(
        "convergence of two perpetuals, 600 s, nothing tells the next settlement",
        pair(BINANCE_PERP, BYBIT_PERP, 600.0),
        (
            known(BINANCE_PERP, "2", "5", 60_000.0, 0.2, funding=funding(1.0)),
            known(BYBIT_PERP, "2", "5.5", 60_006.0, 0.4, funding=funding(2.0)),
        ),
        (60_000.0, 60_180.0),  # r = 1.003
        {
            "fee open buy binance.linear": "5.000000000",
            "fee open sell bybit.linear": "5.516500000",  # 5.5 · r
            "fee close sell binance.linear": "5.000000000",
            "fee close buy bybit.linear": "5.516500000",
            "exit basis": "1.300000000",  # 60006 over 60000 is 1, and (0.2 + 0.4) / 2
            "funding binance.linear": "0.020833333",  # 1 · 600 / 28800: the long pays
            "funding bybit.linear": "-0.041791667",  # 2 · 600 / 28800 · r: the short earns
        },
        "30.000000000",
        "7.687958333",
    ),
    Case(
        "funding at unequal intervals, each at its hour, one of them at its cap",
        pair(BINANCE_PERP, BYBIT_PERP, 8 * HOUR_S),
        (
            known(BINANCE_PERP, "0", "0", funding=funding(1.0, 8.0, next_s=HOUR_S, cap_bps=30.0, floor_bps=-30.0)),
            known(BYBIT_PERP, "0", "0", funding=funding(2.0, 4.0, next_s=HOUR_S, cap_bps=1.5)),
        ),
        (60_000.0, 60_000.0),
        {
            "fee open buy binance.linear": "0.000000000",
            "fee open sell bybit.linear": "0.000000000",
            "fee close sell binance.linear": "0.000000000",
            "fee close buy bybit.linear": "0.000000000",
            "exit basis": "0.000000000",
            # A mean of 8 h: up to 16 h. After 1 h and 9 h: (15 + 7) / 16 = 1.375 settlements of 1 bp.
            "funding binance.linear": "1.375000000",
            # After 1, 5, 9 and 13 h: (15 + 11 + 7 + 3) / 16 = 2.25 settlements of 1.5 bps, not of 2.
            "funding bybit.linear": "-3.375000000",
        },
        "0.000000000",
        "2.000000000",
    ),
    Case(
        "cash and carry with fees in a token",
        pair(BINANCE, BINANCE_PERP, 8 * HOUR_S),
        (
            known(BINANCE, "10", "10", 60_000.0, 0.0, ("BNB", "0.25")),
            known(BINANCE_PERP, "2", "5", 60_090.0, 0.0, ("BNB", "0.1"), funding=funding(3.0)),
        ),
        (60_000.0, 60_120.0),  # r = 1.002
        {
            "fee open buy binance.spot": "10.000000000",
            "fee open sell binance.linear": "5.010000000",
            "fee close sell binance.spot": "10.000000000",
            "fee close buy binance.linear": "5.010000000",
            "fee discount binance.spot": "-5.000000000",  # a quarter of 2 · 10
            "fee discount binance.linear": "-1.002000000",  # a tenth of 2 · 5, times r
            "exit basis": "15.000000000",
            "funding binance.linear": "-3.006000000",  # one settlement of 3, times r
        },
        "20.000000000",
        "-16.012000000",
    ),
    Case(
        "inventory bought for USDT and sold for USD",
        INVENTORY_USD,
        (known(BINANCE, "10", "10"), known(KRAKEN, "25", "40", 60_150.0)),
        (60_000.0, 60_180.0),  # r = 60180 · 0.9995 / 60000
        {
            "fee open buy binance.spot": "10.000000000",
            "fee open sell kraken.spot": "40.099940000",
            "rebalancing": "31.996000000",  # (0.0002 · 60000 + 4 · 0.9995) / 5000
            "conversion USD/USDT": "1.503747750",  # 1.5 · r
        },
        "24.985000000",
        "-58.614687750",
        both_ways(INVENTORY_USD, 0.0002, 4.0),
        Conversion(0.9995, 1.5),
    ),
    Case(
        "inventory bought for USDT and sold for USDC",
        INVENTORY_USDC,
        (known(BINANCE, "10", "10"), known(COINBASE, "40", "60", 60_150.0)),
        (60_000.0, 60_180.0),  # r = 60180 · 1.0001 / 60000
        {
            "fee open buy binance.spot": "10.000000000",
            "fee open sell coinbase.spot": "60.186018000",
            "rebalancing": "26.000200000",  # (0.0002 · 60000 + 1 · 1.0001) / 5000
            "conversion USDC/USDT": "10.532553150",  # 10.5 · r
        },
        "31.003000000",
        "-75.715771150",
        both_ways(INVENTORY_USDC, 0.0002, 1.0),
        Conversion(1.0001, 10.5),
    ),
    Case(
        "part of the size stands behind the top of both books",
        INVENTORY_USDT,
        (known(BINANCE, "10", "10"), known(BYBIT, "10", "10")),
        (60_000.0, 60_180.0),
        {
            "fee open buy binance.spot": "10.000000000",
            "fee open sell bybit.spot": "10.025997400",  # 10 · 60162 / 60006
            "rebalancing": "3.000000000",  # (0.00001 · 60000 + 0.9) / 5000
            "depth buy binance.spot": "1.002899710",  # 60180 / 60000 − 60180 / 60006
            "depth sell bybit.spot": "2.999700030",  # (60180 − 60162) / 60006
        },
        "30.000000000",
        "2.971402860",
        both_ways(INVENTORY_USDT, 0.00001, 0.9),
        averages=(60_006.0, 60_162.0),
    ),
    Case(
        "a rebate for a post-only leg that is filled four times in five",
        pair(BINANCE_PERP, BYBIT_PERP, 600.0, TAKER, MAKER),
        (
            known(BINANCE_PERP, "2", "5", 60_000.0, 0.2, funding=funding(0.0)),
            known(BYBIT_PERP, "-0.5", "5.5", 60_000.0, 0.4, funding=funding(0.0), fill_probability=0.8),
        ),
        (60_000.0, 60_090.0),  # r = 1.0015
        {
            "fee open buy binance.linear": "5.000000000",
            "fee open sell bybit.linear": "-0.500750000",
            "fee close sell binance.linear": "5.000000000",
            "fee close buy bybit.linear": "-0.500750000",
            "exit basis": "-0.100000000",  # half of 0.2 is paid, half of 0.4 is earned
            "funding binance.linear": "0.000000000",
            "funding bybit.linear": "0.000000000",
            "not filled": "1.320300000",  # filled it earns 6.1015: a fifth of that, and of the wait of 0.5
        },
        "15.000000000",
        "4.781200000",  # 0.8 · 6.1015 − 0.2 · 0.5
    ),
    Case(
        "two post-only legs: one is filled alone and the other taken",
        pair(BINANCE_PERP, BYBIT_PERP, 600.0, MAKER, MAKER),
        (
            known(BINANCE_PERP, "2", "5", 60_000.0, 0.2, funding=funding(0.0), fill_probability=0.8),
            known(BYBIT_PERP, "2", "5.5", 60_000.0, 0.4, funding=funding(0.0), fill_probability=0.5),
        ),
        (60_000.0, 60_090.0),
        {
            "fee open buy binance.linear": "2.000000000",
            "fee open sell bybit.linear": "2.003000000",
            "fee close sell binance.linear": "2.000000000",
            "fee close buy bybit.linear": "2.003000000",
            "exit basis": "-0.300000000",
            "funding binance.linear": "0.000000000",
            "funding bybit.linear": "0.000000000",
            # P = 1 − 0.2 · 0.5 = 0.9. It is late with 0.2 · 0.5 and costs 0.2 + 5 − 2.
            "late hedge binance.linear": "0.355555556",
            "late hedge bybit.linear": "1.735933333",  # 0.8 · 0.5 / 0.9 · (0.4 + 5.5 − 2) · r
            "not filled": "0.570251111",
        },
        "15.000000000",
        "4.632260000",
    ),
    Case(
        "bought, sent unhedged, sold",
        transfer(),
        (known(BINANCE, "10", "10", volatility_bps=1.0), known(BYBIT, "10", "10", volatility_bps=1.0)),
        (60_000.0, 60_900.0),  # r = 1.015
        {
            "fee open buy binance.spot": "10.150000000",  # what it takes is not there to be sold: 10 · r
            "withdrawal fee": "10.150000000",  # 0.0005 of 0.5, times r
            "fee close sell bybit.spot": "10.129700000",  # 10 · (0.999 − 0.001) · r
            "transfer risk": "40.600000000",  # 1 · √1600 · r
            "rebalancing": "2.000000000",
        },
        "150.000000000",
        "76.970300000",
        {SENT: TransferEstimate(1600.0, 3600.0, 0.0005), transfer().transfers[1]: TransferEstimate(60, 90, 1.0)},
    ),
    Case(
        "the same with a perpetual sold meanwhile: fees and spread instead of the risk",
        transfer(BINANCE_PERP),
        (
            known(BINANCE, "10", "10", volatility_bps=1.0),
            known(BYBIT, "10", "10", volatility_bps=1.0),
            known(BINANCE_PERP, "2", "5", spread=0.2, funding=funding(1.0)),
        ),
        (60_000.0, 60_900.0),
        {
            "fee open buy binance.spot": "10.150000000",
            "withdrawal fee": "10.150000000",
            "fee close sell bybit.spot": "10.129700000",
            "fee open sell binance.linear": "5.000000000",
            "fee close buy binance.linear": "5.000000000",
            "exit basis binance.linear": "0.200000000",  # sold at the bid, bought back at the ask
            "funding binance.linear": "-0.055555556",  # 1 · 1600 / 28800
            "rebalancing": "2.000000000",
        },
        "150.000000000",
        "107.425855556",
        {SENT: TransferEstimate(1600.0, 3600.0, 0.0005), transfer().transfers[1]: TransferEstimate(60, 90, 1.0)},
    ),
    Case(
        "around three markets of one venue",
        RING,
        (known(BINANCE, "10", "10"), known(ETH_BTC, "10", "10", 0.05), known(ETH_USDT, "10", "10", 3000.0)),
        (60_000.0, 0.05, 3012.0),  # r = 1.004
        {
            "fee open buy binance.spot BTC/USDT": "10.040000000",  # 10 · r
            "fee open buy binance.spot ETH/BTC": "10.029960000",  # 10 · 0.999 · r
            "fee open sell binance.spot ETH/USDT": "10.019930040",  # 10 · 0.999² · r
        },
        "40.000000000",
        "9.910109960",  # 0.999³ · r − 1
    ),
    Case(
        "what prices move against orders on their way",
        pair(BINANCE_PERP, BYBIT_PERP, 600.0),
        (
            known(BINANCE_PERP, "0", "0", funding=funding(0.0), latency_s=0.04, volatility_bps=2.0),
            known(BYBIT_PERP, "0", "0", funding=funding(0.0), latency_s=0.09, volatility_bps=3.0),
        ),
        (60_000.0, 60_000.0),
        {
            "fee open buy binance.linear": "0.000000000",
            "fee open sell bybit.linear": "0.000000000",
            "fee close sell binance.linear": "0.000000000",
            "fee close buy bybit.linear": "0.000000000",
            "exit basis": "0.000000000",
            "funding binance.linear": "0.000000000",
            "funding bybit.linear": "0.000000000",
            "adverse move binance.linear": "0.319153824",  # 2 · √0.04 / √2π, to open and to close
            "adverse move bybit.linear": "0.718096105",  # 3 · √0.09 / √2π, twice
        },
        "0.000000000",
        "-1.037249929",
        rules=PricingRules(),
    ),
]


def shown(bps: float) -> str:
    return f"{bps + 0.0:.9f}".replace("-0.000000000", "0.000000000")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_worked_out_by_hand_is_reproduced_to_the_last_digit(case: Case) -> None:
    priced = case.priced()
    assert {cost.name: shown(cost.bps) for cost in priced.costs} == case.costs
    assert (shown(priced.gross_edge_bps), shown(priced.net_edge_bps)) == (case.gross, case.net)
    assert priced.net_edge_bps == priced.gross_edge_bps - sum(cost.bps for cost in priced.costs)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_sheet_that_quotes_are_compared_with_agrees_with_the_named_costs(case: Case) -> None:
    priced, sheet = replace(case, averages=None).priced(), cost_sheet(case.route, case.inputs())
    assert isinstance(sheet, CostSheet)
    assert sheet.net_bps(priced.gross_edge_bps) == pytest.approx(priced.net_edge_bps, abs=1e-9)
    assert sheet.net_bps(sheet.needed_bps) == pytest.approx(0.0, abs=1e-9)
    assert sheet.net_bps(sheet.take_at(3.0)) == pytest.approx(3.0, abs=1e-9)


def test_locked_capital_and_what_it_earns_in_a_year() -> None:
    carry = replace(CASES[2], known=(CASES[2].known[0], replace(CASES[2].known[1], margin_ratio=0.2)))
    priced = carry.priced()
    # 30 000 USDT of spot, and a fifth of 30 060 as margin; −16.012 bps of 30 000 each eight hours.
    assert priced.capital_notional == pytest.approx(36_012.0)
    assert priced.time_out_s == 8 * HOUR_S
    assert priced.return_per_year == pytest.approx(-16.012e-4 * 30_000 / 36_012 * 1095)
    assert CASES[2].priced().capital_notional is None  # a margin that is not known is not nothing


CARRY, SENDING, TWO_CURRENCIES, WAITING, MOVING = CASES[0], CASES[8], CASES[3], CASES[6], CASES[11]


def changed(case: Case, index: int, **change: Any) -> Case:
    sides = list(case.known)
    sides[index] = replace(sides[index], **change)
    return replace(case, known=tuple(sides))


@pytest.mark.parametrize(
    ("case", "limit"),
    [
        (changed(CARRY, 1, fees=None), "fee_schedule"),
        (changed(CARRY, 0, covered_s=59.9), "warm_up"),
        (changed(CARRY, 0, covered_s=nan), "warm_up"),
        (changed(CARRY, 0, mean_mid=nan), "warm_up"),
        (changed(CARRY, 0, mean_mid=0.0), "warm_up"),
        (changed(CARRY, 1, mean_spread_bps=inf), "warm_up"),
        (changed(CARRY, 1, funding=None), "funding_rate"),
        (changed(CARRY, 1, funding=funding(nan)), "funding_rate"),
        (changed(CARRY, 1, funding=funding(1.0, 0.0)), "funding_rate"),
        (changed(CARRY, 1, funding=funding(1.0, -8.0)), "funding_rate"),
        (changed(CARRY, 1, funding=funding(1.0, next_s=nan)), "funding_rate"),
        (changed(CARRY, 1, funding=funding(1.0, next_s=-1.0)), "funding_rate"),
        (changed(CARRY, 1, funding=funding(1.0, cap_bps=nan)), "funding_rate"),
        (changed(MOVING, 0, latency_s=None), "latency"),
        (changed(MOVING, 0, latency_s=nan), "latency"),
        (changed(MOVING, 1, latency_s=-0.01), "latency"),
        (changed(MOVING, 1, volatility_bps=None), "volatility"),
        (changed(MOVING, 1, volatility_bps=inf), "volatility"),
        (changed(WAITING, 1, fill_probability=None), "fill_probability"),
        (changed(WAITING, 1, fill_probability=0.0), "fill_probability"),
        (changed(WAITING, 1, fill_probability=nan), "fill_probability"),
        (changed(WAITING, 1, fill_probability=1.1), "fill_probability"),
        (replace(SENDING, transfers={}), "network"),
        (replace(SENDING, transfers={SENT: TransferEstimate(1600.0, 3600.0, nan)}), "network"),
        (replace(SENDING, transfers={SENT: TransferEstimate(nan, 3600.0, 0.0)}), "transfer_time"),
        (replace(SENDING, transfers={SENT: TransferEstimate(1600.0, 3600.0, 0.0005)}), "network"),
        (replace(SENDING, transfers={SENT: TransferEstimate(1600.0, 3600.0, 0.5)}), "withdrawal_fee"),
        (replace(SENDING, transfers={SENT: TransferEstimate(1600.0, 3600.0, -0.1)}), "withdrawal_fee"),
        (replace(SENDING, transfers={SENT: TransferEstimate(1600.0, 3600.0, 0.0005, least=9e9)}), "min_withdraw"),
        (replace(SENDING, transfers={SENT: TransferEstimate(1600.0, 3600.0, 0.0005, most=1e-9)}), "max_withdraw"),
        (changed(SENDING, 1, volatility_bps=None), "volatility"),
        (replace(TWO_CURRENCIES, conversion=None), "conversion USD/USDT"),
        (replace(TWO_CURRENCIES, conversion=Conversion(nan, 1.0)), "conversion USD/USDT"),
        (replace(TWO_CURRENCIES, conversion=Conversion(1.0, nan)), "conversion USD/USDT"),
        (replace(TWO_CURRENCIES, conversion=Conversion(0.0, 1.0)), "conversion USD/USDT"),
        (replace(TWO_CURRENCIES, transfers={}), "network"),
    ],
)
def test_an_input_that_is_missing_or_broken_refuses_by_name(case: Case, limit: str) -> None:
    answer = cost_sheet(case.route, case.inputs())
    assert isinstance(answer, Unpriced)
    assert answer.limit == limit


def test_rebalancing_that_nobody_tells_may_be_assumed_and_is_marked() -> None:
    rules = replace(NO_MOVES, assumed_rebalancing_bps=2.5)
    priced = replace(TWO_CURRENCIES, transfers={}, rules=rules).priced()
    assert [(cost.bps, cost.assumed) for cost in priced.costs if cost.name == "rebalancing"] == [(2.5, True)]
