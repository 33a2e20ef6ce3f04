"""A ring and a transfer route through engine, gate, chain executor and paper venue, on a virtual clock."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from bot.clock import VirtualClock
from bot.domain.fees import FeeSchedule, FeeSource
from bot.domain.instrument import Instrument, Segment
from bot.domain.legs import TransferLeg
from bot.domain.market import TopOfBook
from bot.domain.order import Side
from bot.domain.route import Decision, Link, Outcome
from bot.engine.accounts.bringing_home import bring_home
from bot.engine.break_even import BreakEvenDesk
from bot.engine.chain_decider import ChainDecider
from bot.engine.chain_sizer import ChainSizer
from bot.engine.engine import Engine, RunInfo
from bot.engine.route_state import RouteState
from bot.engine.snapshot import take_snapshot, why_not
from bot.execution.pair import PairState
from bot.matching.cash import exact
from bot.ports import FeedState, NoTerms, RecordKind, RouteTerms, TransferEstimate
from bot.pricing.chain_sizing import ChainSize
from bot.pricing.watch import PriceWatch
from bot.risk.gate import TradingState
from bot.risk.limits import Refused
from bot.settings import Settings
from bot.transfers.paper_carrier import PaperCarrier
from exchanges.paper.actions import PaperActions
from strategies.arbitrage.settings import ArbitrageSettings
from strategies.arbitrage.strategy import ArbitrageStrategy
from tests.unit.test_engine_decisions import MemoryJournal

D = Decimal
MS = 1_000_000
START_NS = 1_700_000_000_000 * MS


def spot(venue: str, symbol: str, tick: str, lot: str, least: str = "5") -> Instrument:
    base, quote = symbol.split("/")
    return Instrument(
        venue=venue, symbol=symbol, segment=Segment.SPOT, base=base, quote=quote, tick_size=D(tick), lot_size=D(lot),
        min_quantity=D(lot), min_notional=D(least),
    )  # fmt: skip


BTC = spot("binance", "BTC/USDT", "0.01", "0.00001")
CROSS = spot("binance", "ETH/BTC", "0.000001", "0.0001", "0.0001")
ETH = spot("binance", "ETH/USDT", "0.01", "0.0001")
THERE = spot("bybit", "BTC/USDT", "0.01", "0.00001")
RING = "triangular:binance:BTC/USDT>binance:ETH/BTC>binance:ETH/USDT"
BACK = "triangular:binance:ETH/USDT>binance:ETH/BTC>binance:BTC/USDT"
LINKS = tuple(Link(quantity=D(1), price=1.0, spends=D(1), brings=D(1)) for _ in range(3))
SENT = "transfer:binance:BTC/USDT>bybit:BTC/USDT:bitcoin"
BALANCES = {"binance.spot": {"USDT": 10_000}, "bybit.unified": {"USDT": 10_000}}
WIDE = {"max_order_notional": 4_000.0, "max_net_exposure_notional": 5_000.0, "max_in_flight_notional": 4_000.0}
LEVEL: Mapping[str, tuple[float, float]] = {
    BTC.id: (59_999.0, 60_001.0),
    CROSS.id: (0.04999, 0.05001),
    ETH.id: (2_999.5, 3_000.5),
    THERE.id: (59_999.0, 60_001.0),
}


class Bench:
    """Taker fees of 1 bp; nothing is worth taking at `LEVEL`."""

    def __init__(
        self,
        instruments: tuple[Instrument, ...] = (BTC, CROSS, ETH),
        kinds: tuple[str, ...] = ("triangular",),
        *,
        terms: RouteTerms | None = None,
        carrier: Any = None,
        balances: Mapping[str, Mapping[str, int]] = BALANCES,
        **settings: Any,
    ) -> None:
        self.instruments = instruments
        self.clock = VirtualClock(START_NS)
        self.journal = MemoryJournal()
        self.decisions: list[Decision] = []
        self.log: list[str] = []
        chosen = Settings.model_validate({"paper": {"balances": balances, "latency_ms": 10}} | settings)
        fees = {
            one.feed: FeeSchedule(feed=one.feed, maker_bps=D(1), taker_bps=D(1), source=FeeSource.SETTING)
            for one in instruments
        }
        own = ArbitrageSettings.model_validate(
            {"kinds": list(kinds), "warmup_s": 0.5, "adverse_moves": False, "networks": {"BTC": ["bitcoin"]},
             "transfer_risk_sd": 0.0, "assumed_rebalancing_bps": 1.0}
        )  # fmt: skip
        self.paper = PaperActions(instruments, fees, chosen.paper, self.clock)
        self.engine = Engine(
            run=RunInfo("run", "arbitrage", "recorded", False, "digest", "0"),
            instruments=instruments,
            strategy=ArbitrageStrategy(own),
            venue=self.paper,
            journal=self.journal,
            clock=self.clock,
            settings=chosen,
            fees=fees,
            assumed_funding_bps_per_8h={},
            log=lambda level, text: self.log.append(text),
            show_decision=self.decisions.append,
            terms=terms,
            carrier=carrier(self) if carrier is not None else None,
        )
        self.sequence = 0
        self.engine.start()

    def quote(self, of: Instrument, bid: float, ask: float, quantity: float = 50.0) -> None:
        """One quote, decided on at once."""
        self.sequence += 1
        at = self.clock.now_ns()
        quote = TopOfBook(
            bid_price=bid, bid_qty=quantity, ask_price=ask, ask_qty=quantity, sequence=self.sequence, ts_event_ns=at
        )
        self.engine.on_quote(self.instruments.index(of), quote, at, b"")
        self.engine.on_batch_end(at)

    def wait(self, ms: float) -> None:
        """Let time pass, and keep every quote fresh as it is."""
        end = self.clock.now_ns() + round(ms * MS)
        while self.clock.now_ns() < end:
            self.clock.advance_to(min(end, self.clock.now_ns() + 100 * MS))
            for slot in self.engine.slots:
                if slot.quote is not None:
                    self.quote(slot.instrument, slot.quote.bid_price, slot.quote.ask_price, slot.quote.bid_qty)

    def level(self) -> None:
        """Every market at its usual price."""
        for one in self.instruments:
            self.quote(one, *LEVEL[one.id])

    def warm(self) -> None:
        self.level()
        self.wait(2_000)

    def of(self, route: str) -> list[tuple[Outcome, str]]:
        return [(one.outcome, one.reason) for one in self.decisions if one.route == route]

    @exact
    def wallets(self) -> dict[str, D]:
        """What each asset is in all wallets together."""
        found: dict[str, D] = {}
        for balance in self.paper.balances():
            found[balance.asset] = found.get(balance.asset, D(0)) + balance.total
        return found


def test_a_ring_is_taken_and_brings_home_what_the_wallets_say() -> None:
    bench = Bench()
    bench.warm()
    assert bench.of(RING)[-1] == (Outcome.REFUSED, "net_edge")
    before = bench.wallets()
    bench.quote(ETH, 3_020.0, 3_020.5)  # 3020 / (60001 · 0.05001) − 1: 64 bps
    assert bench.of(RING)[-1] == (Outcome.TAKEN, "net_edge")
    desk = bench.engine.desk
    (chain,) = desk.chains.chains.values()
    told = chain.opportunity
    assert [
        link.quantity % leg.instrument.lot_size for leg, link in zip(chain.route.trades, told.links, strict=True)
    ] == [0] * 3
    assert told.quantity * D("60001") <= 1000
    assert desk.portfolio.open_pairs() == 1
    assert desk.portfolio.in_flight_notional() == pytest.approx(float(told.quantity) * 60_001)
    bench.wait(500)
    assert not desk.chains.chains
    assert chain.state == "closed"
    flows = {asset: amount for asset, amount in desk.ledger.realised().items() if amount}
    after = bench.wallets()
    assert {asset: after[asset] - before.get(asset, D(0)) for asset in flows} == flows
    assert float(flows["USDT"]) == pytest.approx(float(told.links[-1].brings - told.links[0].spends), rel=1e-9)
    assert desk.portfolio.realised_total() == pytest.approx(float(flows["USDT"]))
    assert bench.engine.desk.gate.state is TradingState.ACTIVE


def test_the_other_way_round_is_another_route() -> None:
    bench = Bench()
    bench.warm()
    bench.quote(ETH, 2_979.5, 2_980.0)  # 0.04999 · 59999 / 2980 − 1: 65 bps
    assert bench.of(BACK)[-1] == (Outcome.TAKEN, "net_edge")
    assert bench.of(RING)[-1] == (Outcome.REFUSED, "net_edge")
    bench.wait(500)
    assert D("5") < bench.engine.desk.ledger.realised()["USDT"] < D("7")


def test_a_chain_in_flight_counts_in_every_cap_and_blocks_its_instruments() -> None:
    bench = Bench(paper={"balances": BALANCES, "latency_ms": 10})
    bench.warm()
    bench.quote(ETH, 3_020.0, 3_020.5)
    portfolio = bench.engine.desk.portfolio
    (chain,) = bench.engine.desk.chains.chains.values()
    notional = float(chain.opportunity.quantity) * 60_001
    assert portfolio.venue_notional("binance") == pytest.approx(notional)
    assert portfolio.venue_notional("bybit") == 0
    assert portfolio.asset_notional("ETH") == portfolio.net_exposure_notional("BTC") == pytest.approx(notional)
    assert portfolio.position_notional(CROSS) == pytest.approx(notional)
    assert portfolio.in_flight(CROSS) == 1
    assert portfolio.busy(chain.route)
    bench.quote(ETH, 3_021.0, 3_021.5)
    assert bench.engine.decisions.taken == 1  # one at a time
    bench.wait(500)
    assert portfolio.in_flight_notional() == portfolio.venue_notional("binance") == portfolio.in_flight(CROSS) == 0


def test_what_a_chain_holds_on_its_way_is_nobody_elses_to_spend() -> None:
    bench = Bench()
    bench.warm()
    bench.quote(ETH, 3_020.0, 3_020.5)
    bench.clock.advance_to(bench.clock.now_ns() + 25 * MS)  # the first trade is done, the second on its way
    (chain,) = bench.engine.desk.chains.chains.values()
    assert chain.holdings.get(("binance", "BTC"), D(0)) > 0
    portfolio = bench.engine.desk.portfolio
    free = portfolio.affordable_notional(CROSS, Side.BUY, 0.05)
    assert free <= 1e-9


def test_too_small_a_cap_is_refused_by_its_minimums_and_not_rounded_up() -> None:
    bench = Bench(risk={"max_order_notional": 4.0})
    bench.warm()
    bench.quote(ETH, 3_020.0, 3_020.5)
    assert bench.of(RING)[-1] == (Outcome.REFUSED, "size")


def test_coarse_lots_that_eat_the_edge_refuse_by_name() -> None:
    first, coarse = (one.model_copy(update={"lot_size": D(lot), "min_quantity": D(lot)}) for one, lot in
                     ((BTC, "0.01"), (CROSS, "0.5")))  # fmt: skip
    bench = Bench((first, coarse, ETH), risk=WIDE)
    bench.warm()
    bench.quote(ETH, 3_020.0, 3_020.5)  # an edge of 64 bps, and of 0.06 BTC a sixth buys no whole lot of 0.025 BTC
    assert bench.of(RING)[-1] == (Outcome.REFUSED, "rounding")
    (state,) = [one for one in bench.engine.routes if one.route.id == RING]
    assert state.observed is not None
    assert state.observed[0] < -100  # USDT of 3600
    assert "whole lots leave too much over" in why_not(state)


def test_a_wallet_that_covers_less_makes_it_smaller() -> None:
    bench = Bench(balances={"binance.spot": {"USDT": 300}})
    bench.warm()
    bench.quote(ETH, 3_020.0, 3_020.5)
    (chain,) = bench.engine.desk.chains.chains.values()
    assert 250 < chain.opportunity.links[0].spends <= 300
    bench.wait(500)
    assert chain.state == "closed"


def test_what_refuses_at_the_last_moment_opens_nothing() -> None:
    bench = Bench()
    bench.warm()
    bench.engine.desk.before_sending = lambda: bench.engine.desk.gate.hold("somebody paused")
    bench.quote(ETH, 3_020.0, 3_020.5)
    bench.wait(300)
    assert not bench.journal.of(RecordKind.FILL)
    assert not bench.engine.desk.chains.chains
    assert bench.wallets()["USDT"] == 20_000


def test_a_paused_route_takes_nothing_and_a_flatten_brings_it_home() -> None:
    bench = Bench()
    bench.warm()
    (state,) = [one for one in bench.engine.routes if one.route.id == RING]
    state.is_paused = True
    bench.quote(ETH, 3_020.0, 3_020.5)
    assert bench.of(RING)[-1] == (Outcome.REFUSED, "paused")
    state.is_paused = False
    bench.quote(ETH, 3_020.1, 3_020.6)
    assert bench.of(RING)[-1][0] is Outcome.TAKEN
    bench.clock.advance_to(bench.clock.now_ns() + 25 * MS)
    bench.engine.desk.leave(state)
    bench.wait(1_000)
    assert state.is_free
    assert bench.wallets()["USDT"] == pytest.approx(D(20_000), abs=10)
    assert not bench.engine.desk.chains.chains


def test_the_screen_shows_a_chain_on_its_way() -> None:
    bench = Bench()
    bench.warm()
    bench.quote(ETH, 3_020.0, 3_020.5)
    shown = take_snapshot(bench.engine, bench.clock.now_ns(), lambda feed, raw: None, progress=None, finished=False)  # type: ignore[arg-type,return-value]
    assert shown.open_pairs == 1
    (row,) = shown.pairs
    assert row.route == RING
    assert row.state == "link 1 of 3: buy binance:BTC/USDT"
    assert (row.bought, row.sold) == ("0", "")
    (there,) = [one for one in shown.routes if one.route == RING]
    assert (there.why_not, there.open_quantity) == (row.state, row.quantity), "the routes say where it is, too"


def test_the_surface_counts_what_whole_lots_leave_over_and_what_the_gate_would_say() -> None:
    bench = Bench(risk={"max_in_flight_notional": 500.0, "max_order_notional": 5_000.0})
    bench.warm()
    surface = BreakEvenDesk(bench.engine, bench.clock, {}, lambda level, text: None)
    (state,) = [one for one in bench.engine.routes if one.route.id == RING]
    bench.engine.desk.gate.hold("only looked at")
    bench.quote(ETH, 3_020.0, 3_020.5)
    row = surface.row(state, bench.clock.now_ns())
    small, larger = row.sizes[0], row.sizes[1]
    assert small.notional < 500 < larger.notional
    assert "rounding" in {cost.name for cost in small.costs}
    assert small.net_bps is not None
    assert small.net_bps == pytest.approx(
        (small.offered_bps or 0.0) - sum(cost.bps for cost in small.costs if not cost.name.startswith("depth"))
    )
    assert (small.limit, larger.limit) == ("", "in_flight_notional")


class Ways(NoTerms):
    """Bitcoin goes in ten minutes for a ten-thousandth; what is in `shut` is closed."""

    shut: str | None = None

    def transfer(self, leg: TransferLeg) -> TransferEstimate | None:
        if self.shut is not None and not leg.deferred:
            return None
        return TransferEstimate(600.0, 600.0, 0.0001 if leg.asset == "BTC" else 1.0, least=0.001, step=1e-8)

    def closed(self, leg: TransferLeg) -> str | None:
        return None if leg.deferred else self.shut


def paper_carrier(bench: Bench, ways: Ways) -> PaperCarrier:
    return PaperCarrier(bench.paper, ways, bench.journal, bench.clock, look_again_s=5.0)


def across(ways: Ways, **more: Any) -> Bench:
    """A bench that may send, warm, and asked for nothing yet."""
    bench = Bench((BTC, THERE), ("transfer",), terms=ways, carrier=lambda bench: paper_carrier(bench, ways), **more)
    bench.warm()
    return bench


def test_a_transfer_route_is_bought_sent_and_sold_with_paper_money() -> None:
    bench = across(Ways())
    before = bench.wallets()
    assert bench.of(SENT)[-1] == (Outcome.REFUSED, "net_edge")
    bench.quote(THERE, 61_000.0, 61_002.0)  # 166 bps; the fee is a ten-thousandth of 0.0166 BTC: 60 bps
    assert bench.of(SENT)[-1] == (Outcome.TAKEN, "net_edge")
    desk = bench.engine.desk
    (chain,) = desk.chains.chains.values()
    sent = chain.opportunity.links[1]
    assert sent.spends - sent.brings == D("0.0001")
    bench.wait(5_000)
    assert chain.state == "in_flight"
    assert desk.portfolio.transfers_under_way("bybit", "binance") == 1
    assert desk.portfolio.in_flight(THERE) == 0  # nothing is traded before it has arrived
    bench.wait(5_000)
    assert bench.engine.decisions.taken == 1
    bench.wait(600_000)
    assert chain.state == "closed"
    flows = {asset: amount for asset, amount in desk.ledger.realised().items() if amount}
    after = bench.wallets()
    assert {asset: after[asset] - before.get(asset, D(0)) for asset in flows} == flows
    assert float(flows["USDT"]) == pytest.approx(
        float(chain.opportunity.links[-1].brings - chain.opportunity.links[0].spends), rel=1e-9
    )
    assert flows["USDT"] > 9


def test_without_a_carrier_nothing_is_sent() -> None:
    bench = Bench((BTC, THERE), ("transfer",), terms=Ways())
    bench.warm()
    bench.quote(THERE, 61_000.0, 61_002.0)
    assert bench.of(SENT)[-1] == (Outcome.REFUSED, "transfer BTC binance to bybit")
    (state,) = [one for one in bench.engine.routes if one.route.id == SENT]
    assert why_not(state) == "transfer BTC binance to bybit: this run has no carrier for transfers"


def test_a_network_that_has_just_closed_refuses_at_the_gate_and_by_name() -> None:
    ways = Ways()
    bench = across(ways)
    ways.shut = "bitcoin: deposits are suspended at bybit"  # the route is priced with what the last second knew
    bench.quote(THERE, 61_000.0, 61_002.0)
    assert bench.of(SENT)[-1] == (Outcome.REFUSED, "transfer BTC binance to bybit")
    bench.wait(1_500)
    assert bench.of(SENT)[-1] == (Outcome.REFUSED, f"network BTC binance to bybit, {ways.shut}")


def test_a_silent_feed_is_an_alarm_for_what_lies_and_not_for_what_travels() -> None:
    bench, feed = across(Ways()), THERE.feed
    bench.quote(THERE, 61_000.0, 61_002.0)
    (chain,) = bench.engine.desk.chains.chains.values()
    bench.engine.on_feed_state(feed, FeedState.SILENT, "no data")
    alarm = f"ALARM: chain {chain.id} is on its way, and {feed} tells no price"
    assert [line for line in bench.log if "ALARM" in line] == [alarm], "it is being bought"
    bench.engine.on_feed_state(feed, FeedState.LIVE, "")
    bench.quote(THERE, 61_000.0, 61_002.0)
    bench.wait(500)
    assert chain.state is PairState.IN_FLIGHT
    shown = take_snapshot(bench.engine, bench.clock.now_ns(), lambda feed, raw: None, progress=None, finished=False)  # type: ignore[arg-type,return-value]
    (row,) = [one for one in shown.routes if one.route == SENT]
    assert row.why_not == "link 2 of 3: BTC from binance to bybit"
    bench.engine.on_feed_state(feed, FeedState.SILENT, "no data")
    assert [line for line in bench.log if "ALARM" in line] == [alarm], "it needs no price before it arrives"


class Strict(PaperCarrier):
    """Has an allow-list, with nothing on it."""

    def refuses(self, leg: TransferLeg, amount: float) -> str | None:
        return f"{leg.to_venue} is on no allow-list for {amount:.4f} {leg.asset}"


def test_what_the_carrier_would_not_send_is_not_bought() -> None:
    bench = Bench(
        (BTC, THERE), ("transfer",), terms=Ways(),
        carrier=lambda bench: Strict(bench.paper, Ways(), bench.journal, bench.clock, look_again_s=5.0),
    )  # fmt: skip
    bench.warm()
    bench.quote(THERE, 61_000.0, 61_002.0)
    (state,) = [one for one in bench.engine.routes if one.route.id == SENT]
    assert "bybit is on no allow-list for 0.0167 BTC" in why_not(state)
    assert bench.engine.decisions.taken == 0


def test_a_size_at_the_border_of_what_a_network_sends_is_refused_and_breaks_nothing() -> None:
    bench = across(Ways(), risk={"max_order_notional": 60.006})
    bench.quote(THERE, 62_500.0, 62_502.0)  # a thousandth of a bitcoin before the fee, and less than one after it
    assert bench.of(SENT)[-1] == (Outcome.REFUSED, "size")
    (state,) = [one for one in bench.engine.routes if one.route.id == SENT]
    watch = state.watch
    assert isinstance(watch, PriceWatch)
    little = watch.unpriced_at(D("0.00099"))
    assert little is not None
    assert little.limit == "min_withdraw"
    assert watch.unpriced_at(D("0.01")) is None
    answer = ChainDecider(bench.engine.settings, bench.engine.desk.gate, bench.engine.desk.portfolio)._asked(
        state, bench.clock.now_ns(), ChainSize(D("0.00099"), LINKS, 1.0, "edge", 1.0, 0.0)
    )
    assert isinstance(answer, Refused)
    assert answer.limit == "min_withdraw"


class Capped(PaperCarrier):
    """Sends no more than a hundredth of a bitcoin at once."""

    def refuses(self, leg: TransferLeg, amount: float) -> str | None:
        return None if amount <= 0.01 else f"{amount:.4f} is more than 0.01 {leg.asset}"


def test_a_cap_of_the_carrier_makes_the_chain_smaller() -> None:
    bench = Bench(
        (BTC, THERE), ("transfer",), terms=Ways(),
        carrier=lambda bench: Capped(bench.paper, Ways(), bench.journal, bench.clock, look_again_s=5.0),
    )  # fmt: skip
    bench.warm()
    bench.quote(THERE, 61_500.0, 61_502.0)  # 250 bps; the fee is 100 of a hundredth
    assert bench.of(SENT)[-1] == (Outcome.TAKEN, "net_edge")
    (chain,) = bench.engine.desk.chains.chains.values()
    assert D("0.0099") < chain.opportunity.links[1].spends <= D("0.01")


async def test_what_is_on_its_way_when_a_run_ends_comes_home_first() -> None:
    bench = Bench()
    bench.warm()
    bench.quote(ETH, 3_020.0, 3_020.5)
    bench.clock.advance_to(bench.clock.now_ns() + 25 * MS)
    desk = bench.engine.desk
    assert desk.chains.unsettled == 1
    await bring_home(desk, bench.clock, 10.0)
    assert not desk.chains.chains
    assert desk.ledger.realised()["USDT"] > 0


async def test_what_travels_between_venues_holds_no_end_up() -> None:
    bench = across(Ways())
    bench.quote(THERE, 61_000.0, 61_002.0)
    await bring_home(bench.engine.desk, bench.clock, 10.0)
    desk = bench.engine.desk
    (chain,) = desk.chains.chains.values()
    assert chain.state == "in_flight"
    ended_ns = bench.clock.now_ns()
    assert ended_ns - START_NS < 3_000 * MS
    bench.engine.stop()
    records = len(bench.journal.records)
    bench.clock.advance_to(ended_ns + 20_000 * MS)
    assert len(bench.journal.records) == records


def test_what_changes_while_the_disk_writes_its_intent_is_seen_before_it_leaves() -> None:
    for reason in ("paused", "net_edge"):
        bench = Bench()
        bench.warm()
        (state,) = [one for one in bench.engine.routes if one.route.id == RING]

        def change(bench: Bench = bench, state: RouteState = state, reason: str = reason) -> None:
            if reason == "paused":
                state.is_paused = True
            else:
                state.watch.refresh(bench.clock.now_ns())
                at = bench.clock.now_ns()
                back = TopOfBook(
                    bid_price=2_999.5, bid_qty=50.0, ask_price=3_000.5, ask_qty=50.0, sequence=10**6, ts_event_ns=at
                )
                bench.engine.on_quote(2, back, at, b"")

        bench.engine.desk.before_sending = change
        bench.quote(ETH, 3_020.0, 3_020.5)
        assert bench.of(RING)[-2:] == [(Outcome.TAKEN, "net_edge"), (Outcome.REFUSED, reason)]
        bench.wait(200)
        assert not bench.journal.of(RecordKind.FILL)
        assert state.is_free


def test_a_size_that_earns_too_little_after_all_is_refused_by_its_net_edge() -> None:
    bench = Bench()
    bench.warm()
    bench.engine.desk.gate.hold("only looked at")
    bench.quote(ETH, 3_020.0, 3_020.5)
    (state,) = [one for one in bench.engine.routes if one.route.id == RING]
    desk, now_ns = bench.engine.desk, bench.clock.now_ns()
    size = ChainSizer(bench.engine.settings, desk.portfolio).size(state, now_ns)
    *first, last = size.links
    less = replace(size, links=(*first, last.model_copy(update={"brings": last.brings * D("0.994")})))
    decider = ChainDecider(bench.engine.settings, desk.gate, desk.portfolio)
    answer = decider._asked(state, now_ns, less)
    assert isinstance(answer, Refused)
    assert answer.limit == "net_edge"
    assert answer.observed < answer.allowed
