"""What a client may rely on, whatever happens: books rebuild from deltas, ids chain, nobody trades through a book."""

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchanges.simulator.core.values import BookChanged, MarketEvent, RestingFilled, TradePrinted
from exchanges.simulator.market.listings import VENUES, default_listings
from exchanges.simulator.market.market import SimulatedMarket
from exchanges.simulator.market.scenarios import SCENARIOS

START_NS = 1_767_571_200_000_000_000
LISTINGS = [listing for venue in VENUES for listing in default_listings(venue)]
LINEAR = 2

actions = st.tuples(
    st.sampled_from(["take", "take", "rest", "rest", "withdraw", "wait"]),
    st.booleans(),
    st.integers(1, 20_000),
    st.integers(0, 400),
    st.integers(0, 400),
)


class Client:
    """Keeps the book of one listing from what everybody sees, and objects to what cannot be."""

    def __init__(self, market: SimulatedMarket, listing: int) -> None:
        self.listing = listing
        bids, asks = market.levels(listing, 10_000)
        self.bids, self.asks = dict(bids), dict(asks)
        self.last_id = market.book_id(listing)
        self.now_ns = 0
        self.trade_id = 0
        self.filled: dict[int, int] = defaultdict(int)

    def hear(self, events: list[MarketEvent]) -> None:
        for event in events:
            if event.listing != self.listing:
                continue
            assert event.ts_ns >= self.now_ns
            self.now_ns = event.ts_ns
            if isinstance(event, BookChanged):
                self._change(event)
            elif isinstance(event, TradePrinted):
                self._trade(event)
            elif isinstance(event, RestingFilled):
                assert event.trade_id == self.trade_id
                self.filled[event.order_number] += event.lots

    def _change(self, event: BookChanged) -> None:
        assert event.previous_id == self.last_id
        assert event.first_id == self.last_id + 1 <= event.last_id
        self.last_id = event.last_id
        for side, levels in ((self.bids, event.bids), (self.asks, event.asks)):
            for ticks, lots in levels:
                assert lots >= 0
                side.pop(ticks, None)
                if lots:
                    side[ticks] = lots
        assert self.bids
        assert self.asks
        assert 0 < max(self.bids) < min(self.asks)

    def _trade(self, event: TradePrinted) -> None:
        assert event.trade_id > self.trade_id
        self.trade_id = event.trade_id
        side = self.bids if event.buyer_is_maker else self.asks
        best = max(side) if event.buyer_is_maker else min(side)
        assert event.ticks == best
        assert 0 < event.lots <= side[best]
        side[best] -= event.lots
        if not side[best]:
            del side[best]


def check_same(market: SimulatedMarket, client: Client) -> None:
    bids, asks = market.levels(client.listing, 10_000)
    assert bids == tuple(sorted(client.bids.items(), reverse=True))
    assert asks == tuple(sorted(client.asks.items()))
    assert min(len(bids), len(asks)) >= 200
    assert market.book_id(client.listing) == client.last_id


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_deltas_rebuild_every_book(scenario: str) -> None:
    market = SimulatedMarket(LISTINGS, seed=5, start_ns=START_NS, scenario=scenario)
    clients = [Client(market, listing) for listing in range(len(LISTINGS))]
    for second in range(1, 9):
        events = list(market.advance_to(START_NS + second * 1_000_000_000))
        for client in clients:
            client.hear(events)
            check_same(market, client)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    scenario=st.sampled_from(["calm", "crash"]),
    steps=st.lists(actions, min_size=1, max_size=40),
)
def test_orders_are_conserved_and_books_stay_right(seed: int, scenario: str, steps: list) -> None:
    market = SimulatedMarket(LISTINGS[LINEAR : LINEAR + 1], seed=seed, start_ns=START_NS, scenario=scenario, rate=3.0)
    client = Client(market, 0)
    resting: dict[int, int] = {}
    now_ns = START_NS
    for number, (what, buys, lots, away, wait_ms) in enumerate(steps):
        now_ns += wait_ms * 1_000_000
        client.hear(list(market.advance_to(now_ns)))
        if what == "take":
            check_take(market, client, buys=buys, lots=lots, now_ns=now_ns)
        elif what == "rest":
            bids, asks = market.levels(0, 1)
            ticks = asks[0][0] - 1 - away if buys else bids[0][0] + 1 + away
            client.hear(list(market.rest(0, number, buys=buys, ticks=ticks, lots=lots, ts_ns=now_ns)))
            resting[number] = lots
        elif what == "withdraw" and resting:
            number, lots = resting.popitem()
            left, events = market.withdraw(0, number, now_ns)
            client.hear(list(events))
            assert left + client.filled[number] == lots
        check_same(market, client)
    for number, lots in resting.items():
        left, events = market.withdraw(0, number, now_ns)
        client.hear(list(events))
        assert left + client.filled[number] == lots
    check_same(market, client)


def check_take(market: SimulatedMarket, client: Client, *, buys: bool, lots: int, now_ns: int) -> None:
    bids, asks = market.levels(0, 10_000)
    offered = asks if buys else bids
    limit = offered[min(3, len(offered) - 1)][0]
    fills, events = market.take(0, buys=buys, lots=lots, limit_ticks=limit, ts_ns=now_ns)
    prints = [(event.ticks, event.lots) for event in events if isinstance(event, TradePrinted)]
    assert list(fills) == prints
    within = sum(size for ticks, size in offered if (ticks <= limit if buys else ticks >= limit))
    assert sum(size for _, size in fills) == min(lots, within)
    client.hear(list(events))


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**32), steps=st.lists(st.integers(1, 300_000_000), min_size=1, max_size=30))
def test_the_same_seed_gives_the_same_events_in_any_steps(seed: int, steps: list[int]) -> None:
    one = SimulatedMarket(LISTINGS, seed=seed, start_ns=START_NS, scenario="chaos")
    other = SimulatedMarket(LISTINGS, seed=seed, start_ns=START_NS, scenario="chaos")
    whole = list(one.advance_to(START_NS + sum(steps)))
    pieces, now_ns = [], START_NS
    for step in steps:
        now_ns += step
        pieces += other.advance_to(now_ns)
    assert pieces == whole
