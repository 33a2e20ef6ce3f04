"""ETH/BTC in the simulated exchanges: what it costs, what it pays, and what it leaves as it was."""

from decimal import Decimal

import pytest

from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Side
from exchanges.simulator.accounts.exchange import SimulatedExchange
from exchanges.simulator.accounts.fees import fee_of
from exchanges.simulator.accounts.rules import binance_rules
from exchanges.simulator.core.values import Kind, Lifetime, NewOrder, OrderView
from exchanges.simulator.market.fair import STEP_NS
from exchanges.simulator.market.listings import VENUES, cross_listings, default_listings, habits_of
from exchanges.simulator.market.market import SimulatedMarket

D = Decimal
START_NS = 1_767_571_200_000_000_000
PLAIN = [listing for venue in VENUES for listing in default_listings(venue)]
BOTH = [*PLAIN, *cross_listings()]


def market(listings: list, scenario: str = "lively", seed: int = 3) -> SimulatedMarket:
    return SimulatedMarket(listings, seed=seed, start_ns=START_NS, scenario=scenario)


def mid(of: SimulatedMarket, venue: str, symbol: str) -> float:
    place = next(n for n, one in enumerate(BOTH) if (one.instrument.venue, one.instrument.symbol) == (venue, symbol))
    return float(of.mark(place))


@pytest.mark.parametrize("scenario", ["lively", "chaos"])
def test_everything_else_of_a_day_stays_as_it_is(scenario: str) -> None:
    without, with_it = market(PLAIN, scenario), market(BOTH, scenario)
    until_ns = START_NS + 3_000_000_000
    others = [event for event in with_it.advance_to(until_ns) if event.listing < len(PLAIN)]
    assert sorted(map(repr, others)) == sorted(map(repr, without.advance_to(until_ns)))


@pytest.mark.parametrize("venue", VENUES)
def test_it_stands_where_its_two_prices_cross(venue: str) -> None:
    day = market(BOTH, "calm")
    for step in range(1, 200):
        day.advance_to(START_NS + step * 10 * STEP_NS)
        crossed = mid(day, venue, "ETH/USDT") / mid(day, venue, "BTC/USDT")
        # A tick of Binance is 2.3 bps, and three books each wander by a bp or less.
        assert mid(day, venue, "ETH/BTC") == pytest.approx(crossed, rel=6e-4)


def test_lively_days_dislocate_it_by_little_and_calm_ones_do_not() -> None:
    def away(scenario: str) -> list[float]:
        """Tenths of a second of three minutes beyond 4 bps; a jump takes every book a moment."""
        day, found = market(BOTH, scenario, seed=4), []
        for step in range(1, 1_800):
            day.advance_to(START_NS + step * 100_000_000)
            crossed = mid(day, "bybit", "ETH/USDT") / mid(day, "bybit", "BTC/USDT")
            found.append(abs(mid(day, "bybit", "ETH/BTC") / crossed - 1) * 1e4)
        return [bps for bps in found if bps > 4.0]

    assert len(away("calm")) < 10
    assert len(away("lively")) > 40
    assert max(away("lively")) < 25.0


def test_its_sizes_are_told_in_bitcoin() -> None:
    for cross in cross_listings():
        plain = next(one for one in PLAIN if (one.instrument.venue, one.symbol) == (cross.instrument.venue, "ETHUSDT"))
        dollars, bitcoins = (habits_of(one.instrument).top_notional for one in (plain, cross))
        assert bitcoins == pytest.approx(dollars / 61_800)
        assert cross.symbol == "ETHBTC"
        assert cross.instrument.min_notional < D("0.001")


@pytest.mark.parametrize("venue", VENUES)
def test_a_trade_moves_both_coins_and_pays_its_fee_in_what_it_brings(venue: str) -> None:
    day = market(BOTH, "calm")
    exchange = SimulatedExchange(venue, day, seed=3)
    account = exchange.account(exchange.credentials.api_key)
    assert account is not None
    place = next(n for n, one in enumerate(BOTH) if one.symbol == "ETHBTC" and one.instrument.venue == venue)
    wallet = "spot" if venue == "binance" else "unified"

    def held() -> dict[str, Decimal]:
        return {one.asset: one.total for one in account.balances() if one.wallet == wallet}

    before = held()
    order = NewOrder(
        listing=place,
        side=Side.BUY,
        kind=Kind.MARKET,
        lifetime=Lifetime.IOC,
        quantity=D("0.5"),
        price=None,
        client_id="a",
    )
    done = account.place(order, START_NS + 1)
    assert isinstance(done, OrderView)
    assert done.filled == D("0.5")
    spent = sum(one.price * one.quantity for one in account.fills(place))
    after = held()
    assert after["USDT"] == before["USDT"]
    assert before["BTC"] - after["BTC"] == spent
    assert after["ETH"] - before["ETH"] == D("0.5") * (1 - D("0.001"))


def test_a_fee_in_bnb_is_worth_what_it_is_in_bitcoin() -> None:
    rules = binance_rules()
    cross: Instrument = next(one.instrument for one in cross_listings() if one.instrument.venue == "binance")
    paid = fee_of(rules, cross, Side.BUY, D("0.04"), D(10), is_maker=False, token_free=D(10))
    assert paid == ("BNB", D("0.03092784"))  # 0.4 BTC, 7.5 bps of it, at 0.0097 BTC a BNB; rounded up
    other = cross.model_copy(update={"quote": "ETH", "base": "SOL", "segment": Segment.SPOT})
    assert fee_of(rules, other, Side.BUY, D(1), D(10), is_maker=False, token_free=D(10)) == ("SOL", D("0.010"))
