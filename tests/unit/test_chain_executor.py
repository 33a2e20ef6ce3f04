"""Chains on a virtual clock, at venues and a carrier whose answers each test writes itself."""

from bot.domain.order import Fill, OrderStatus, Side
from bot.domain.route import Route, TradeLeg
from bot.execution.pair import PairState
from bot.ports import RecordKind
from tests.unit.chain_bench import BTC, CROSS, ETH, RING, RING_LINKS, Bench, names
from tests.unit.executor_bench import D


def test_a_ring_is_run_link_by_link_each_with_what_the_one_before_brought() -> None:
    bench = Bench()
    chain = bench.open()
    assert [(order.instrument.id, order.side, order.quantity) for order in bench.inbox] == [
        ("a:BTC/USDT", Side.BUY, D("0.1"))
    ]
    assert bench.last.price == D("60030.00")
    bench.done(bench.last)
    assert (bench.last.instrument.id, bench.last.quantity, bench.last.price) == ("a:ETH/BTC", D(2), D("0.05"))
    bench.done(bench.last)
    assert (bench.last.instrument.id, bench.last.side, bench.last.quantity) == ("a:ETH/USDT", Side.SELL, D(2))
    bench.done(bench.last)
    assert chain.state is PairState.CLOSED
    assert chain.flows[("a", "USDT")] == 60
    assert (chain.holdings, bench.halts, bench.alarms) == ({}, [], [])
    assert bench.states == [PairState.OPENING, PairState.CLOSED]
    assert names(chain) == ["link_0", "link_1", "link_2"]
    told = [body["at"] for kind, _, body in bench.journal.records if kind is RecordKind.PAIR]
    assert (told[0], told[-1]) == ("link 1 of 3: buy a:BTC/USDT", "closed")


def test_nothing_leaves_before_the_intent_is_durable_nor_what_is_refused_by_then() -> None:
    bench = Bench()
    bench.journal.is_slow = True
    chain = bench.open()
    assert bench.inbox == []
    bench.executor.why_not_now = lambda chain: "stale_quote"
    bench.journal.sync()
    assert (bench.inbox, chain.state, chain.close_reason) == ([], PairState.MISSED, "stale_quote")


def test_fault_41_what_was_filled_of_the_first_link_goes_on() -> None:
    bench = Bench()
    chain = bench.open()
    bench.done(bench.last, "0.05")
    assert (bench.last.instrument.id, bench.last.quantity) == ("a:ETH/BTC", D(1))
    bench.done(bench.last)
    bench.done(bench.last)
    assert (chain.state, chain.flows[("a", "USDT")], chain.holdings) == (PairState.CLOSED, 30, {})


def test_too_little_for_the_links_that_follow_goes_back_to_where_it_came_from() -> None:
    bench = Bench()
    heavy = CROSS.model_copy(update={"min_notional": D("0.01")})
    route = Route(kind="triangular", legs=(RING.legs[0], TradeLeg(instrument=heavy, side=Side.BUY), RING.legs[2]))
    chain = bench.open(route, RING_LINKS)
    bench.done(bench.last, "0.009")
    assert (bench.last.instrument.id, bench.last.side, bench.last.quantity) == ("a:BTC/USDT", Side.SELL, D("0.009"))
    bench.done(bench.last)
    assert (chain.state, names(chain)) == (PairState.FAILED, ["link_0", "home_0"])
    assert chain.flows[("a", "USDT")] == D("-0.09")


def test_fault_41_what_a_middle_link_left_is_tried_again_within_the_cap_then_goes_home() -> None:
    bench = Bench()
    chain = bench.open()
    bench.done(bench.last)
    bench.done(bench.last, "1")  # half of the ETH: the rest is tried again, what came goes on
    tried, on = bench.inbox[-2:]
    assert (tried.instrument.id, tried.quantity) == ("a:ETH/BTC", D(1))
    assert (on.instrument.id, on.quantity) == ("a:ETH/USDT", D(1))
    bench.end(tried)
    bench.done(on)
    for _ in range(2):
        bench.wait(250)
        assert bench.last.instrument.id == "a:ETH/BTC"
        bench.end(bench.last)
    assert (bench.last.instrument.id, bench.last.side, bench.last.quantity) == ("a:BTC/USDT", Side.SELL, D("0.05"))
    bench.done(bench.last)
    assert (chain.state, chain.holdings) == (PairState.CLOSED, {})
    assert names(chain) == ["link_0", "link_1", "link_1", "link_2", "link_1", "link_1", "home_0"]


def test_going_home_is_chosen_as_soon_as_going_on_costs_more() -> None:
    bench = Bench()
    bench.open()
    bench.quote(CROSS, 0.0599, 0.06)  # far beyond what the decision expected
    bench.done(bench.last)
    assert (bench.last.instrument.id, bench.last.side) == ("a:BTC/USDT", Side.SELL)


def test_the_last_link_is_sold_at_any_price_once_the_budget_says_so() -> None:
    bench = Bench()
    chain = bench.open()
    bench.done(bench.last)
    bench.done(bench.last)
    bench.quote(ETH, 2500.0, 2501.0)
    bench.end(bench.last)
    assert bench.last.price is not None
    while bench.last.price is not None:
        bench.end(bench.last)
        bench.wait(100)
    assert 3.0 <= bench.clock.monotonic_ns() / 1e9 <= 3.3
    bench.done(bench.last)
    assert (chain.state, chain.flows[("a", "USDT")]) == (PairState.CLOSED, D(-1000))
    assert len(bench.alarms) == 1
    assert (chain.episodes[0].notional, bench.halts) == (6000, [])


def test_fault_36_an_unknown_order_is_never_sent_again_and_nothing_spends_what_it_may_have() -> None:
    bench = Bench()
    chain = bench.open()
    bench.done(bench.last)
    lost = bench.last
    bench.wait(11_000)
    assert bench.last is lost
    assert bench.executor.unresolved("a") == 1
    assert "unknown" in bench.alarms[-1]
    assert len(bench.halts) == 1
    assert "holds 0.10000 BTC at a (may be 6000.00 USDT)" in bench.halts[0]
    bench.done(lost, "1.5")
    assert bench.executor.unresolved("a") == 0
    bench.wait(250)
    home, on = bench.inbox[-2:]
    assert (home.instrument.id, home.quantity, home.price) == ("a:BTC/USDT", D("0.025"), None)
    assert (on.instrument.id, on.quantity, on.price) == ("a:ETH/USDT", D("1.5"), None)
    bench.done(home)
    bench.done(on)
    assert (chain.state, chain.holdings) == (PairState.CLOSED, {})


def test_fault_38_fills_told_twice_count_once_and_one_that_comes_late_goes_home() -> None:
    bench = Bench()
    chain = bench.open()
    first = bench.last
    bench.end(first)
    assert chain.state is PairState.MISSED
    fill = bench.fill(first)
    assert chain.state is PairState.CLOSING
    bench.executor.on_fill(fill)
    assert (bench.last.instrument.id, bench.last.side, bench.last.quantity) == ("a:BTC/USDT", Side.SELL, D("0.1"))
    bench.done(bench.last)
    assert (chain.state, chain.close_reason, chain.holdings) == (PairState.FAILED, "late_fill", {})
    assert len(bench.counted) == 2


def test_fault_47_fees_in_the_asset_that_travels_make_the_next_link_smaller() -> None:
    bench = Bench()
    chain = bench.open()
    first = bench.last
    fee = D("0.00007501")
    bench.executor.on_fill(
        Fill(
            fill_id="f",
            client_order_id=first.client_order_id,
            instrument=BTC,
            side=Side.BUY,
            price=D(60000),
            quantity=D("0.1"),
            fee=fee,
            fee_asset="BTC",
            is_maker=False,
            ts_event_ns=0,
        )
    )
    bench.end(first, "0.1", OrderStatus.FILLED)
    assert bench.last.quantity == D("1.9984")
    bench.done(bench.last)
    bench.done(bench.last)
    assert chain.state is PairState.CLOSED
    left = D("0.1") - fee - D("1.9984") * D("0.05")
    assert bench.executor.dust.amounts == {"a:BTC/USDT": left}
    assert chain.flows[("a", "BTC")] == left


def test_fault_46_a_size_that_any_link_cannot_take_is_not_begun() -> None:
    bench = Bench()
    small = (*RING_LINKS[:2], RING_LINKS[2].model_copy(update={"quantity": D("0.00001")}))
    chain = bench.open(links=small)
    assert (chain.state, chain.close_reason, bench.inbox) == (PairState.MISSED, "size a:ETH/USDT", [])


def test_halted_nothing_goes_on_and_what_is_held_goes_home() -> None:
    bench = Bench()
    chain = bench.open()
    bench.may_open = False
    bench.done(bench.last)
    assert (bench.last.instrument.id, bench.last.side) == ("a:BTC/USDT", Side.SELL)
    bench.done(bench.last)
    assert chain.state is PairState.FAILED


def test_a_journal_that_fails_lets_only_what_goes_home_out() -> None:
    bench = Bench()
    going = bench.open()
    bench.journal.is_broken = True
    bench.done(bench.last)
    assert (bench.last.instrument.id, bench.last.side) == ("a:ETH/BTC", Side.BUY)  # it is not home before it is sold
    chain = bench.open()
    assert (chain.state, len(bench.inbox)) == (PairState.MISSED, 2)
    bench.done(bench.last)
    bench.done(bench.last)
    assert going.state is PairState.CLOSED
    assert "journal" in bench.halts[0]


def test_while_quotes_are_missing_nothing_is_sent_and_then_it_goes_home() -> None:
    bench = Bench()
    chain = bench.open()
    bench.quotes[CROSS.id] = bench.quotes[BTC.id] = None
    bench.done(bench.last)
    bench.wait(1_000)
    assert len(bench.inbox) == 1
    bench.quote(BTC, 59990.0, 60000.0)
    bench.wait(250)
    bench.done(bench.last)
    assert (chain.state, names(chain)) == (PairState.FAILED, ["link_0", "home_0"])


def test_fault_46_dust_that_lies_at_a_place_is_taken_along_and_given_back_where_a_venue_refuses_it() -> None:
    bench = Bench()
    bench.executor.dust.add(BTC, D("0.00001"))
    chain = bench.open()
    bench.done(bench.last)
    assert bench.last.quantity == D("2.0002")
    assert bench.executor.dust.amounts == {}
    bench.end(bench.last, status=OrderStatus.REJECTED)
    assert bench.executor.dust.amounts == {"a:BTC/USDT": D("0.00001")}
    bench.wait(250)
    assert bench.last.quantity < 2
    assert chain.dust == {("a", "BTC"): 0}


def test_fault_40_a_link_that_its_venue_refuses_is_asked_once_less_then_the_amount_goes_home() -> None:
    bench = Bench()
    chain = bench.open()
    bench.done(bench.last)
    while bench.last.instrument.id == "a:ETH/BTC":
        bench.end(bench.last, status=OrderStatus.REJECTED)
        bench.wait(250)
    bench.done(bench.last)
    assert (chain.state, names(chain)) == (PairState.FAILED, ["link_0", "link_1", "link_1", "home_0"])


def test_fault_37_a_first_link_that_never_arrived_is_a_chain_that_was_missed() -> None:
    bench = Bench()
    chain = bench.open()
    bench.wait(4_000)
    assert bench.executor.unresolved("a") == 1
    bench.end(bench.last, status=OrderStatus.REJECTED)
    assert (chain.state, len(bench.inbox), bench.executor.unresolved("a")) == (PairState.MISSED, 1, 0)


def test_an_order_that_ended_with_fills_nobody_told_keeps_what_it_may_have_spent() -> None:
    bench = Bench()
    chain = bench.open()
    bench.done(bench.last)
    second = bench.last
    bench.end(second, "1", OrderStatus.EXPIRED)
    bench.wait(5_000)
    assert bench.last is second
    assert len(bench.halts) == 1
    bench.fill(second, "1")
    bench.wait(1_000)
    assert {(one.instrument.id, one.quantity) for one in bench.inbox[2:]} == {
        ("a:BTC/USDT", D("0.05")),
        ("a:ETH/USDT", D(1)),
    }
    for order in bench.inbox[2:]:
        bench.done(order)
    assert (chain.state, chain.holdings) == (PairState.CLOSED, {})


def test_a_chain_left_alone_by_a_persons_halt_waits_for_that_person() -> None:
    left = Bench()
    chain = left.open()
    left.done(left.last)
    chain.is_frozen = True
    later = Bench()
    later.executor.adopt(chain)
    later.wait(60_000)
    assert later.inbox == []
    assert later.executor.unsettled == 0  # the end of a run does not wait for what nobody may send
    later.executor.thaw()
    assert later.executor.unsettled == 1
    later.end(chain.orders["run-c1-2"][0], status=OrderStatus.REJECTED)
    later.wait(250)
    assert (later.last.instrument.id, later.last.side) == ("a:BTC/USDT", Side.SELL)
