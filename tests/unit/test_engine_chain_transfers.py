"""The engine's chains between venues, with paper money: bought, sent and sold, and what refuses that by name."""

import pytest

from bot.domain.route import Outcome, TransferLeg
from bot.engine.accounts.bringing_home import bring_home
from bot.engine.chain_decider import ChainDecider
from bot.engine.snapshot import take_snapshot, why_not
from bot.execution.pair import PairState
from bot.ports import FeedState
from bot.pricing.chain_sizing import ChainSize
from bot.pricing.watch import PriceWatch
from bot.risk.limits import Refused
from bot.transfers.paper_carrier import PaperCarrier
from tests.unit.engine_chain_bench import BTC, LINKS, MS, SENT, START_NS, THERE, Bench, D, Ways, across


class Strict(PaperCarrier):
    """Has an allow-list, with nothing on it."""

    def refuses(self, leg: TransferLeg, amount: float) -> str | None:
        return f"{leg.to_venue} is on no allow-list for {amount:.4f} {leg.asset}"


class Capped(PaperCarrier):
    """Sends no more than a hundredth of a bitcoin at once."""

    def refuses(self, leg: TransferLeg, amount: float) -> str | None:
        return None if amount <= 0.01 else f"{amount:.4f} is more than 0.01 {leg.asset}"


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
