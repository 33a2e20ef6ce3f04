"""The fast path from a quote to a yes agrees with the named costs, for every kind of route."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import inf

import pytest

from bot.domain.fees import FeeSchedule, FeeSource
from bot.domain.funding_terms import FundingTerms
from bot.domain.instrument import Instrument, Segment
from bot.domain.legs import TransferLeg
from bot.domain.market import TopOfBook
from bot.engine.snapshot import limit_in_words
from bot.ports import NoTerms, TransferEstimate
from strategies.arbitrage.settings import ArbitrageSettings
from strategies.arbitrage.strategy import ArbitrageStrategy
from strategies.arbitrage.watch import ArbitrageWatch, ChainWatch

D = Decimal
NOW_NS = 1_800_000_000_000_000_000
HOUR_NS = 3_600_000_000_000


@dataclass
class Statistics:
    mean_mid: float | None
    mean_spread_bps: float | None = 0.0
    covered_s: float = 100.0
    volatility_bps_per_sqrt_s: float | None = 1.0


@dataclass
class View:
    instrument: Instrument
    quote: TopOfBook | None
    fees: FeeSchedule | None
    statistics: Statistics
    funding_bps_per_h: float | None = 0.0
    funding_assumed: bool = False
    funding_terms: FundingTerms | None = None
    latency_s: float | None = 0.01
    margin_ratio: float | None = 0.2
    takes_orders: bool = True


class Terms:
    def transfer(self, leg: TransferLeg) -> TransferEstimate | None:
        return TransferEstimate(900.0, 2400.0, 0.0002 if leg.asset == "BTC" else 1.0)

    def closed(self, leg: TransferLeg) -> str | None:
        return None


class Halted(Terms):
    def transfer(self, leg: TransferLeg) -> TransferEstimate | None:
        return None if leg.asset == "BTC" else super().transfer(leg)

    def closed(self, leg: TransferLeg) -> str | None:
        return "bitcoin: withdrawals are suspended at binance" if leg.asset == "BTC" else None


def view(venue: str, symbol: str, bid: float, ask: float) -> View:
    pair, _, settle = symbol.partition(":")
    base, quote = pair.split("/")
    of = Instrument(
        venue=venue, symbol=symbol, segment=Segment.LINEAR if settle else Segment.SPOT, base=base, quote=quote,
        settle=settle or None, tick_size=D("0.01"), lot_size=D("0.001"),
    )  # fmt: skip
    fees = FeeSchedule(feed=of.feed, maker_bps=D(2), taker_bps=D(5), source=FeeSource.PUBLISHED)
    return View(of, top(bid, ask), fees, Statistics((bid + ask) / 2))


def top(bid: float, ask: float) -> TopOfBook:
    return TopOfBook(bid_price=bid, bid_qty=1, ask_price=ask, ask_qty=1, sequence=1)


def market() -> dict[str, View]:
    views = [
        view("binance", "BTC/USDT", 59_990, 60_000),
        view("bybit", "BTC/USDT", 60_390, 60_400),
        view("binance", "BTC/USDT:USDT", 60_010, 60_020),
        view("bybit", "BTC/USDT:USDT", 60_300, 60_310),
        view("kraken", "BTC/USD", 60_500, 60_510),
        view("kraken", "USDT/USD", 0.9998, 1.0002),
        view("binance", "ETH/BTC", 0.0499, 0.05),
        view("binance", "ETH/USDT", 3_030, 3_031),
    ]
    return {one.instrument.id: one for one in views}


def watches(views: Mapping[str, View], terms: object = None, **settings: object) -> dict[str, ArbitrageWatch]:
    chosen = ArbitrageSettings.model_validate({"networks": {"BTC": ["bitcoin"]}} | settings)
    strategy = ArbitrageStrategy(chosen)
    found = {}
    for route in strategy.routes([one.instrument for one in views.values()]):
        watch = strategy.watch(route, views, terms or Terms())  # type: ignore[arg-type]
        watch.refresh(NOW_NS)
        found[route.id] = watch
    return found


INVENTORY = "inventory:binance:BTC/USDT>bybit:BTC/USDT"
SPREAD = "convergence:binance:BTC/USDT:USDT>bybit:BTC/USDT:USDT"
RING = "triangular:binance:BTC/USDT>binance:ETH/BTC>binance:ETH/USDT"
USD = "inventory:binance:BTC/USDT>kraken:BTC/USD"
SENT = "transfer:binance:BTC/USDT>bybit:BTC/USDT:bitcoin"
EVERY = list(watches(market(), maker_variants=True))


@pytest.mark.parametrize("route", EVERY)
def test_the_bar_that_quotes_are_held_against_is_where_the_named_net_edge_reaches_the_minimum(route: str) -> None:
    watch = watches(market(), maker_variants=True, exit_basis="converged")[route]
    limit = watch.assess()
    assert watch.gross_bps is not None
    priced = watch.opportunity(NOW_NS, D("0.001") * 1000 / D(60) if "transfer" in route else D("0.01"))
    assert priced.gross_edge_bps == pytest.approx(watch.gross_bps)
    assert priced.net_edge_bps == priced.gross_edge_bps - sum(cost.bps for cost in priced.costs)
    assert (watch.gross_bps >= watch.take_at_bps) is (limit in (None, "execution"))
    if not watch.route.transfers or all(leg.deferred for leg in watch.route.transfers):
        assert watch.net_bps == pytest.approx(priced.net_edge_bps, abs=1e-7)
        assert (priced.net_edge_bps >= 1.0) is (limit in (None, "execution"))


def test_a_fixed_withdrawal_fee_weighs_more_on_a_small_amount() -> None:
    watch = watches(market())[SENT]
    assert watch.assess() is not None
    small, large = (watch.opportunity(NOW_NS, D(q)).net_edge_bps for q in ("0.01", "1"))
    assert large > small + 150  # 0.0002 of 0.01 is 200 bps, of 1 it is 2


def test_what_cannot_be_executed_is_priced_and_refused_by_its_legs() -> None:
    found = watches(market(), min_net_edge_bps=-1000.0, maker_variants=True, exit_basis="converged")
    for route, figures in {
        f"{SENT}:hedge=binance:BTC/USDT:USDT": (2.0, 0.0, "hedges beside a chain"),
        USD: (2.0, 1.0, "quote currencies"),
    }.items():
        assert found[route].assess() == "execution"
        assert found[route].figures("execution") == figures
        assert found[route].needed_bps is not None
    assert found[INVENTORY].assess() is None
    assert found[SPREAD].assess() is None
    assert found[SPREAD + ":maker-taker"].assess() is None


def test_a_venue_that_takes_no_orders_is_named_as_such() -> None:
    views = market()
    views["bybit:BTC/USDT"].takes_orders = False
    watch = watches(views, min_net_edge_bps=-1000.0)[INVENTORY]
    assert watch.assess() == "execution"
    assert watch.figures("execution") == (1.0, 0.0, "venues without orders")


def test_another_currency_is_turned_at_its_market_and_refused_without_one() -> None:
    views = market()
    watch = watches(views)[USD]
    watch.assess()
    # One USD is 1 / 1.0000 USDT; the conversion costs half of 4 bps and a fee of 5, of what is sold.
    assert watch.gross_bps == pytest.approx((60_500 / 60_000 - 1) * 1e4)
    turned = next(c.bps for c in watch.opportunity(NOW_NS, D("0.01")).costs if c.name == "conversion USD/USDT")
    assert turned == pytest.approx(7.0 * 60_500 / 60_000)
    views["kraken:USDT/USD"].quote = None
    watch.refresh(NOW_NS)
    assert watch.assess() == "conversion USD/USDT"
    assert (watch.take_at_bps, watch.needed_bps, watch.net_bps) == (inf, None, None)
    assert watch.least_needed_bps == pytest.approx(10.0)


def test_without_terms_everything_that_must_travel_is_refused_and_nothing_is_taken_for_free() -> None:
    found = watches(market(), NoTerms())
    assert found[INVENTORY].assess() == "network"
    assert found[SENT].assess() == "network"
    assert found[SPREAD].assess() == "net_edge"
    assumed = watches(market(), NoTerms(), assumed_rebalancing_bps=3.0)[INVENTORY]
    assert assumed.assess() is None
    assert assumed.assumed


def test_a_halted_network_refuses_by_its_name_and_its_end() -> None:
    watch = watches(market(), Halted())[SENT]
    limit = watch.assess()
    assert limit == "network BTC binance to bybit, bitcoin: withdrawals are suspended at binance"
    words = limit_in_words(limit, *watch.figures(limit))
    assert words == "BTC binance to bybit, bitcoin: withdrawals are suspended at binance"
    assert (watch.take_at_bps, watch.net_bps) == (inf, None)
    inventory = watches(market(), Halted())[INVENTORY]
    assert inventory.assess() == limit
    assumed = watches(market(), Halted(), assumed_rebalancing_bps=3.0)[INVENTORY]
    assert assumed.assess() is None  # it is sent later, and what it costs was said by a person


def test_a_ring_without_one_of_its_quotes_has_no_edge() -> None:
    views = market()
    watch = watches(views)[RING]
    assert isinstance(watch, ChainWatch)
    watch.assess()
    assert watch.gross_bps == pytest.approx((3_030 / 60_000 / 0.05 - 1) * 1e4)
    views["binance:ETH/BTC"].quote = None
    assert watch.assess() == "no_quote"
    assert watch.figures("no_quote") == (2.0, 3.0, "quotes")
    assert watch.gross_bps is None


def test_post_only_legs_are_priced_at_their_own_side() -> None:
    found = watches(market(), maker_variants=True)
    for variant, buy, sell in (("maker-taker", 60_010, 60_300), ("taker-maker", 60_020, 60_310)):
        watch = found[f"{SPREAD}:{variant}"]
        watch.assess()
        assert watch.gross_bps == pytest.approx((sell / buy - 1) * 1e4)


def test_funding_is_met_on_the_venues_own_schedule() -> None:
    views = market()
    views["bybit:BTC/USDT:USDT"].funding_terms = FundingTerms(
        rate=0.001, interval_s=28_800, next_funding_ns=NOW_NS + 300 * 10**9, cap=0.0005, ts_ns=NOW_NS
    )
    watch = watches(views)[SPREAD]
    watch.assess()
    costs = {cost.name: cost.bps for cost in watch.opportunity(NOW_NS, D("0.01")).costs}
    # In 300 s, held 600 s in the mean: with 1 − 300 / 1200; 10 bps are cut to the cap of 5, which the short earns.
    assert costs["funding bybit.linear"] == pytest.approx(-0.75 * 5.0 * 60_300 / 60_020)
    watch.refresh(NOW_NS + HOUR_NS)
    assert watch.sheet.needed_bps > 0  # type: ignore[union-attr]
    later = {cost.name: cost.bps for cost in watch.opportunity(NOW_NS, D("0.01")).costs}
    assert later["funding bybit.linear"] == 0.0  # the next one is seven hours off
