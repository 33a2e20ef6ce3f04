"""The scan by hand: three figures of a row, three currencies, and everything that must not be ranked."""

import csv
from decimal import Decimal
from math import inf, nan
from typing import Any

import pytest

from bot.domain.fees import FeeSchedule, FeeSource
from bot.domain.funding_terms import FundingTerms
from bot.domain.instrument import Feed, Instrument, Segment
from bot.domain.market import FundingRate, TopOfBook
from bot.domain.route import Route
from bot.errors import SettingsError
from bot.ports import FeedState
from bot.pricing.inputs import PricingRules
from bot.scan.ranking import BEFORE_REBALANCING, Ranking, ScanRow, needed_instruments, ranked, scan_routes
from bot.scan.views import ScanSink
from bot.settings.look import ScanSettings
from exchanges.registry import all_venues
from modes.scan_market import _at_tier
from modes.scan_print import Scan, as_json, csv_lines, printed_table
from strategies.arbitrage.routes import list_routes
from strategies.arbitrage.settings import ArbitrageSettings

D = Decimal
NOW_NS = 1_800_000_000_000_000_000
HOUR_NS = 3_600_000_000_000
YEAR_S = 365 * 86_400
RATES = {"binance.spot": "10", "binance.linear": "5", "bybit.spot": "10", "bybit.linear": "5.5", "kraken.spot": "40"}


def instrument(venue: str, symbol: str) -> Instrument:
    pair, _, settle = symbol.partition(":")
    base, quote = pair.split("/")
    return Instrument(
        venue=venue, symbol=symbol, segment=Segment.LINEAR if settle else Segment.SPOT, base=base, quote=quote,
        settle=settle or None, tick_size=D("0.01"), lot_size=D("0.001"),
    )  # fmt: skip


SPOT, OTHER_SPOT = instrument("binance", "BTC/USDT"), instrument("bybit", "BTC/USDT")
PERP, OTHER_PERP = instrument("binance", "BTC/USDT:USDT"), instrument("bybit", "BTC/USDT:USDT")
DOLLARS, TETHER = instrument("kraken", "BTC/USD"), instrument("kraken", "USDT/USD")
ALONE = instrument("binance", "ABC/USDT")


def routes_of(instruments: list[Instrument]) -> list[Route]:
    return list_routes(instruments, ArbitrageSettings(kinds=["convergence", "cash_and_carry", "inventory"]))


class House:
    """A scan over some instruments, each with fees, and quoted as a test likes."""

    def __init__(self, *instruments: Instrument, **settings: Any) -> None:
        self.settings = ScanSettings.model_validate(settings)
        self.routes = scan_routes(instruments, routes_of, self.settings, shares_rebalancing=False)
        self.sink = ScanSink(instruments)
        for view in self.sink.views:
            rate = D(RATES[str(view.instrument.feed)])
            view.fees = FeeSchedule(
                feed=view.instrument.feed, maker_bps=rate, taker_bps=rate, source=FeeSource.PUBLISHED
            )
            self.sink.on_feed_state(view.instrument.feed, FeedState.LIVE, "")
        self.ranking = Ranking(self.routes, self.sink, self.settings, PricingRules())

    def quote(self, of: Instrument, bid: float, ask: float, *, age_s: float = 0.0, quantity: float = 2.0) -> None:
        slot = [view.instrument.id for view in self.sink.views].index(of.id)
        top = TopOfBook(bid_price=bid, bid_qty=quantity, ask_price=ask, ask_qty=quantity, sequence=1)
        self.sink.on_quote(slot, top, NOW_NS - round(age_s * 1e9), b"")

    def fund(self, of: Instrument, rate: float, interval_h: float = 8.0, **more: Any) -> None:
        terms = FundingTerms(
            rate=rate, interval_s=interval_h * 3600, next_funding_ns=NOW_NS + HOUR_NS, ts_ns=NOW_NS, **more
        )
        self.sink.take_funding({of.id: terms})

    def row(self, buy: Instrument, sell: Instrument) -> ScanRow:
        found = [row for row in self.ranking.rows(NOW_NS) if (row.buy, row.sell) == (buy.id, sell.id)]
        assert len(found) == 1
        return found[0]


def two_perps() -> House:
    house = House(PERP, OTHER_PERP)
    house.quote(PERP, 59_999, 60_001)
    house.quote(OTHER_PERP, 60_299, 60_301)
    house.fund(PERP, 0.0001)
    house.fund(OTHER_PERP, 0.0004, interval_h=4.0)
    return house


def test_edge_carry_and_funding_of_two_perpetuals_by_hand() -> None:
    row = two_perps().row(PERP, OTHER_PERP)
    ratio = 60_299 / 60_001
    gross = (ratio - 1) * 1e4
    # Fees open and close: 2 × 5 of what is bought, 2 × 5.5 of what is sold. The exit crosses two spreads: a half each.
    spreads = (2 / 60_000 + 2 / 60_300) * 1e4 / 2
    assert row.gross_bps == pytest.approx(gross, abs=1e-9)
    # Ten minutes of holding meet no settlement before the next hour: 2 × 600 s are less than 3,600.
    assert row.net_bps == pytest.approx(gross - 10 - 11 * ratio - spreads, abs=1e-9)
    assert sum(cost.bps for cost in row.costs) == pytest.approx(gross - (row.net_bps or 0), abs=1e-9)
    # A day: 3 × 1 bp is paid as a long, 6 × 4 bps are received as a short.
    assert row.funding_bps_per_day == pytest.approx(24 - 3, abs=1e-9)
    # Thirty days in the mean, any time up to sixty as likely: settlement t is met with probability 1 − t/60 days.
    met = {
        hours: sum(1 - (3_600 + k * hours * 3600) / (60 * 86_400) for k in range(60 * 24 // hours)) for hours in (4, 8)
    }
    held = gross - 10 - 11 * ratio - spreads - 1 * met[8] + 4 * met[4] * ratio
    assert row.carry_per_year == pytest.approx(held / 1e4 * 365 / 30, abs=1e-9)
    assert row.top_notional == 2 * 60_001
    assert (row.status, row.unknown) == ("", ())


def test_the_better_direction_of_a_pair_is_ranked_and_by_what_is_asked() -> None:
    house = two_perps()
    best, rest = ranked(house.ranking.rows(NOW_NS), "edge")
    assert [(row.buy, row.sell) for row in best] == [(PERP.id, OTHER_PERP.id)]
    assert rest == []
    house.fund(OTHER_PERP, -0.0004, interval_h=4.0)
    best, _ = ranked(house.ranking.rows(NOW_NS), "funding")
    assert [(row.buy, row.funding_bps_per_day) for row in best] == [(OTHER_PERP.id, pytest.approx(27.0))]


def test_rates_are_kept_within_the_bounds_of_the_venue() -> None:
    house = two_perps()
    house.fund(OTHER_PERP, 0.0004, interval_h=4.0, cap=0.0002, floor=-0.0002)
    assert house.row(PERP, OTHER_PERP).funding_bps_per_day == pytest.approx(12 - 3)


def test_unknown_funding_is_unknown_and_not_zero() -> None:
    house = two_perps()
    house.sink.by_id[OTHER_PERP.id].funding_terms = None
    row = house.row(PERP, OTHER_PERP)
    assert row.unknown == (f"funding of {OTHER_PERP.id}",)
    assert (row.net_bps, row.carry_per_year, row.funding_bps_per_day, row.costs) == (None, None, None, ())
    best, rest = ranked(house.ranking.rows(NOW_NS), "edge")
    assert (len(best), len(rest)) == (0, 1)


def test_a_rate_of_a_stream_without_a_schedule_is_not_known_and_old_ones_are_forgotten() -> None:
    house = two_perps()
    bare = FundingRate(
        rate=0.0003, next_funding_ns=NOW_NS + HOUR_NS, interval_h=None, mark_price=1.0, ts_event_ns=NOW_NS
    )
    house.sink.on_funding(0, bare, NOW_NS)
    assert house.row(PERP, OTHER_PERP).funding_bps_per_day == pytest.approx(24 - 9), "the schedule was told before"
    house.sink.forget_funding(NOW_NS + 1)
    house.sink.on_funding(0, bare, NOW_NS)
    assert house.row(PERP, OTHER_PERP).funding_bps_per_day is None


def test_unknown_fees_leave_the_funding_and_take_the_edge() -> None:
    house = two_perps()
    house.sink.by_id[PERP.id].fees = None
    row = house.row(PERP, OTHER_PERP)
    assert row.unknown == ("fees of binance.linear",)
    assert row.net_bps is None
    assert row.carry_per_year is None
    assert row.funding_bps_per_day == pytest.approx(21)
    assert [one.funding_bps_per_day for one in ranked([row], "funding")[0]] == [pytest.approx(21)]


def test_spot_against_spot_is_priced_before_the_transfer_back_and_holds_nothing() -> None:
    house = House(SPOT, OTHER_SPOT)
    house.quote(SPOT, 59_999, 60_000)
    house.quote(OTHER_SPOT, 60_180, 60_181)
    row = house.row(SPOT, OTHER_SPOT)
    assert row.net_bps == pytest.approx(30 - 10 - 10 * 1.003, abs=1e-9)
    assert row.notes == (BEFORE_REBALANCING,)
    assert (row.carry_per_year, row.funding_bps_per_day) == (None, None)
    assert ranked([row], "carry") == ([], [row])


def test_another_currency_is_converted_at_its_live_price() -> None:
    house = House(SPOT, DOLLARS, TETHER)
    house.quote(SPOT, 59_999, 60_000)
    house.quote(DOLLARS, 60_600, 60_601)
    row = house.row(SPOT, DOLLARS)
    assert row.status == "cannot be compared: no price of USD in USDT"
    assert (row.gross_bps, row.net_bps) == (None, None)
    house.quote(TETHER, 0.9999, 1.0001)
    row = house.row(SPOT, DOLLARS)
    # Turning the dollars back costs half the spread of a bp, and Kraken's fee, of what is brought.
    assert row.status == ""
    assert row.gross_bps == pytest.approx(100, abs=1e-9)
    assert row.net_bps == pytest.approx(100 - 10 - 40 * 1.01 - (1 + 40) * 1.01, abs=1e-9)
    house.quote(TETHER, 0.9999, 1.0001, age_s=1_000)
    assert house.row(SPOT, DOLLARS).status.startswith("cannot be compared")


def test_the_same_ticker_of_another_coin_is_suspect_and_not_ranked() -> None:
    house = House(SPOT, OTHER_SPOT, suspect_pct=5.0)
    house.quote(SPOT, 100, 100.1)
    house.quote(OTHER_SPOT, 105.0, 105.1)
    assert house.row(SPOT, OTHER_SPOT).figure("edge") is not None
    house.quote(OTHER_SPOT, 105.5, 105.6)
    for row in (house.row(SPOT, OTHER_SPOT), house.row(OTHER_SPOT, SPOT)):
        assert row.status.startswith("SUSPECT: prices are 5.5 % apart")
        assert row.figure("edge") is None
    best, rest = ranked(house.ranking.rows(NOW_NS), "edge")
    assert (len(best), len(rest)) == (0, 1)


def test_stale_quotes_and_feeds_that_are_away_are_said_and_not_ranked() -> None:
    house = two_perps()
    house.quote(PERP, 59_999, 60_001, age_s=121)
    assert house.row(PERP, OTHER_PERP).status == f"stale: {PERP.id} quoted 121 s ago"
    house.sink.on_feed_state(OTHER_PERP.feed, FeedState.FAILED, "bybit: refused here")
    house.quote(PERP, 59_999, 60_001)
    row = house.row(PERP, OTHER_PERP)
    assert row.status == "bybit.linear failed: bybit: refused here"
    assert row.sell_price is None
    house.sink.on_feed_state(OTHER_PERP.feed, FeedState.LIVE, "")
    assert house.row(PERP, OTHER_PERP).status == f"no quote of {OTHER_PERP.id}", "the old one is not for sale"


@pytest.mark.parametrize(
    ("bid", "ask", "quantity"),
    [(101.0, 100.0, 1.0), (100.0, 100.0, 1.0), (nan, 100.0, 1.0), (1.0, inf, 1.0), (0.0, 1.0, 1.0), (1.0, 2.0, 0.0)],
)
def test_a_quote_that_nobody_can_trade_at_is_none(bid: float, ask: float, quantity: float) -> None:
    house = two_perps()
    house.quote(PERP, bid, ask, quantity=quantity)
    assert house.row(PERP, OTHER_PERP).status == f"no quote of {PERP.id}"


def test_only_what_two_venues_share_is_read_and_what_turns_its_currencies() -> None:
    everything = [SPOT, PERP, OTHER_PERP, DOLLARS, TETHER, ALONE, instrument("binance", "ABC/USDT:USDT")]
    routes = scan_routes(everything, routes_of, ScanSettings(), shares_rebalancing=False)
    assert {one.base for route in routes for one in route.edge.instruments} == {"BTC"}
    assert {one.id for one in needed_instruments(routes, everything)} == {
        SPOT.id, PERP.id, OTHER_PERP.id, DOLLARS.id, TETHER.id,
    }  # fmt: skip


def scan(house: House, sort: Any = "edge") -> Scan:
    best, rest = ranked(house.ranking.rows(NOW_NS), sort)
    return Scan(NOW_NS, "simulated", sort, "vip3", 30.0, [], ["a note"], best, rest)


def test_what_programs_get_is_exact_and_unknown_is_null() -> None:
    house = two_perps()
    house.sink.by_id[PERP.id].fees = None
    told = as_json(scan(house), None)
    assert told["ranked"] == []
    row = told["unranked"][0]
    assert row["net_bps"] is None
    assert row["unknown"] == ["fees of binance.linear"]
    told = as_json(scan(two_perps()), None)
    assert (told["ranked"][0]["rank"], told["ranked"][0]["buy"]) == (1, PERP.id)
    assert told["ranked_in_all"] == 1
    assert {cost["name"] for cost in told["ranked"][0]["costs"]} >= {"fee open buy binance.linear"}


def test_no_cell_of_a_csv_is_a_formula() -> None:
    coin = "=1+1"
    one, other = (instrument(venue, f"{coin}/USDT") for venue in ("binance", "bybit"))
    house = House(one, other)
    house.sink.on_feed_state(one.feed, FeedState.FAILED, "=cmd|' /C calc'!A0")
    rows = list(csv.reader(csv_lines(scan(house), None)))
    assert rows[0][:3] == ["time", "rank", "kind"]
    cells = [cell for row in rows[1:] for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "@", "+"))]
    assert any("=cmd" in cell for cell in cells)
    house = two_perps()
    house.quote(PERP, 60_999, 61_001)
    negative = dict(zip(*list(csv.reader(csv_lines(scan(house), None))), strict=True))
    assert float(negative["net_bps"]) != 0.0, "a number below zero stays a number"


def test_a_table_says_unknown_and_suspect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    house = two_perps()
    house.sink.by_id[OTHER_PERP.id].funding_terms = None
    text = printed_table(scan(house), 20)
    assert "SIMULATED market, ranked by net edge at tier vip3" in text
    assert "0 ranked, 1 not: 1 without funding" in text
    assert "a note" in text
    house = House(SPOT, OTHER_SPOT)
    house.quote(SPOT, 100, 100.1)
    house.quote(OTHER_SPOT, 200, 200.1)
    text = printed_table(scan(house), 20)
    assert "SUSPECT: prices are 100.0 %" in text
    assert "1 SUSPECT" in text


def test_a_tier_is_chosen_by_the_name_that_the_venue_gives_it() -> None:
    feeds = [Feed.parse(name) for name in ("binance.linear", "bybit.linear", "binance.spot", "kraken.spot")]
    published = {feed: told for feed in feeds if (told := all_venues()[feed.venue].published_fees(feed)) is not None}
    fees = _at_tier(feeds, "vip3", published)
    assert [str(fees.by_feed[feed].taker_bps) for feed in feeds] == ["3.2", "3.5", "6", "40"]
    assert [note.partition(":")[0] for note in fees.notes] == ["kraken.spot"]
    assert _at_tier(feeds[:1], "regular", published).by_feed[feeds[0]].tier == "Regular User"
    with pytest.raises(SettingsError, match=r"--tier vip33 is no tier .* VIP 3"):
        _at_tier(feeds, "vip33", published)
