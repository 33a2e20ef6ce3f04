"""A ring and a transfer route through engine, gate, chain executor and paper venue, on a virtual clock."""

from dataclasses import replace

import pytest

from bot.domain.market import TopOfBook
from bot.domain.order import Side
from bot.domain.route import Outcome
from bot.engine.accounts.bringing_home import bring_home
from bot.engine.break_even import BreakEvenDesk
from bot.engine.chain_decider import ChainDecider
from bot.engine.chain_sizer import ChainSizer
from bot.engine.route_state import RouteState
from bot.engine.snapshot import take_snapshot, why_not
from bot.ports import RecordKind
from bot.risk.gate import Cause, TradingState
from bot.risk.limits import Refused
from tests.unit.engine_chain_bench import BACK, BALANCES, BTC, CROSS, ETH, MS, RING, WIDE, Bench, D


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


@pytest.mark.parametrize(
    ("at", "most", "spends"),
    [(0, {"max_market_quantity": D("0.005")}, (299, 301)), (1, {"max_quantity": D("0.1")}, (299, 301)),
     (2, {"max_notional": D(300)}, (280, 285))],
)  # fmt: skip
def test_a_chain_is_no_larger_than_one_order_of_any_link(at: int, most: dict[str, D], spends: tuple[int, int]) -> None:
    ring = [BTC, CROSS, ETH]
    ring[at] = ring[at].model_copy(update=most)
    bench = Bench(tuple(ring))
    bench.warm()
    bench.quote(ring[2], 3_020.0, 3_020.5)
    (chain,) = bench.engine.desk.chains.chains.values()
    assert spends[0] < chain.opportunity.links[0].spends <= spends[1]
    bench.wait(500)
    assert chain.state == "closed"


def test_a_link_whose_largest_order_is_too_small_refuses_by_name() -> None:
    small = ETH.model_copy(update={"max_quantity": D("0.001")})
    bench = Bench((BTC, CROSS, small))
    bench.warm()
    bench.quote(small, 3_020.0, 3_020.5)
    assert bench.of(RING)[-1] == (Outcome.REFUSED, "largest_order binance:ETH/USDT")


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
    bench.engine.desk.before_sending = lambda: bench.engine.desk.gate.reduce(Cause.PERSON, "somebody paused")
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
    bench.engine.desk.gate.reduce(Cause.PERSON, "only looked at")
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
    bench.engine.desk.gate.reduce(Cause.PERSON, "only looked at")
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
