"""The report on journals written by hand: every figure is worked out beside it."""

import json
from decimal import Decimal

import pytest

from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Fill, Side
from bot.errors import SettingsError, StorageError
from bot.ports import RecordKind
from bot.storage.journal import SqliteJournal
from bot.storage.queries import JournalReader
from postmortem.render import render_table
from postmortem.report import build_report
from postmortem.tables import WIDE

SPOT = Instrument(
    venue="binance",
    symbol="ETH/USDT",
    segment=Segment.SPOT,
    base="ETH",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.001"),
)
PERP = SPOT.model_copy(
    update={"venue": "bybit", "symbol": "ETH/USDT:USDT", "segment": Segment.LINEAR, "settle": "USDT"}
)
PUBLISHED = {"binance.spot": {"taker_bps": "10", "maker_bps": "10", "source": "published lowest tier"}}
ROUTE = f"cash_and_carry:{SPOT.id}>{PERP.id}"


class Book:
    """Writes a run's records the way that the engine does."""

    def __init__(
        self,
        data_dir,
        run_id="r1",
        market="recorded",
        real_money=False,
        started_ns=1_000,
        strategy="arbitrage",
        fees=PUBLISHED,
    ):
        self.journal = SqliteJournal(data_dir, run_id)
        self.run_id = run_id
        self.fills = 0
        self.record(
            RecordKind.RUN,
            started_ns,
            {
                "run_id": run_id,
                "strategy": strategy,
                "market": market,
                "real_money": real_money,
                "version": "0.1.0",
                "started_ns": started_ns,
                "fees": fees,
                "funding_assumed": {"bybit.linear": "1.0"} if market == "recorded" else {},
            },
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.journal.close()

    def record(self, kind, ts_ns, body, key=""):
        self.journal.record(kind, key, ts_ns, body)

    def pair(
        self, pair, state, ts_open_ns=10, ts_close_ns=None, reason=None, leaving=None, buy="100", sell="101", more=None
    ):
        self.record(
            RecordKind.PAIR,
            ts_close_ns or ts_open_ns,
            {
                "pair": pair,
                "route": ROUTE,
                "kind": "cash_and_carry",
                "state": state,
                "quantity": "2",
                "base_asset": "ETH",
                "quote_asset": "USDT",
                "buy": SPOT.id,
                "sell": PERP.id,
                "expected": {
                    "quantity": "2",
                    "buy_price": buy,
                    "sell_price": sell,
                    "gross_bps": 100.0,
                    "needed_bps": 30.0,
                    "net_bps": 70.0,
                    "costs": [{"name": "funding bybit.linear", "bps": 1.0, "assumed": True}],
                },
                "exit_expected": leaving,
                "close_reason": reason,
                "ts_open_ns": ts_open_ns,
                "ts_close_ns": ts_close_ns,
                **(more or {}),
            },
        )

    def fill(
        self,
        pair,
        leg,
        price,
        quantity,
        fee="0",
        fee_asset="USDT",
        expected=None,
        fill_id=None,
        ts_ns=11,
        charged_bps=None,
    ):
        self.fills += 1
        fill = Fill(
            fill_id=fill_id or str(self.fills),
            client_order_id=f"o{self.fills}",
            instrument=SPOT if leg in ("open_buy", "close_sell", "hedge_sell") else PERP,
            side=Side(leg.partition("_")[2]),
            price=Decimal(price),
            quantity=Decimal(quantity),
            fee=Decimal(fee),
            fee_asset=fee_asset,
            is_maker=False,
            ts_event_ns=ts_ns,
            charged_bps=charged_bps,
        )
        body = {**fill.model_dump(mode="json"), "pair": pair, "leg": leg, "expected_price": expected}
        self.record(RecordKind.FILL, ts_ns, body)

    def balances(self, at, **totals):
        lines = [{"wallet": "w", "asset": asset, "total": total, "locked": "0"} for asset, total in totals.items()]
        self.record(RecordKind.BALANCE, 1, {"at": at, "balances": lines})

    def decision(self, outcome, reason, ts_ns=5, gross=1.0, needed=30.0):
        body = {"route": ROUTE, "outcome": outcome, "reason": reason, "gross_bps": gross, "needed_bps": needed}
        self.record(RecordKind.DECISION, ts_ns, {"ts_ns": ts_ns, "net_bps": gross - needed, **body})

    def end(self, finished_ns=2_000, complete=True, pnl=None, marks=None, because=()):
        summary = {"incomplete_because": list(because), **({"pnl": pnl} if pnl is not None else {})}
        body = {"finished_ns": finished_ns, "complete": complete, "summary": summary, "marks": marks or {}}
        self.record(RecordKind.RUN, finished_ns, body)


def winner(book, pair="p1", **times):
    """Bought 2 at 100.10, sold 2 at 100.90; left at 100.50 and 100.40. Fees in base on the spot purchase."""
    book.pair(pair, "opening", **times)
    book.fill(pair, "open_buy", "100.10", "2", "0.002", "ETH", expected="100")
    book.fill(pair, "open_sell", "101.00", "1", "0.05", expected="101")
    book.fill(pair, "open_sell", "100.80", "1", "0.05", expected="101")
    book.pair(pair, "open", **times)
    leaving = {"buy_price": "100.40", "sell_price": "100.60"}
    book.pair(pair, "closing", reason="edge_gone", leaving=leaving, **times)
    book.fill(pair, "close_sell", "100.50", "1.998", "0.2", expected="100.60")
    book.fill(pair, "close_buy", "100.40", "2", "0.1", expected="100.40")
    payment = {"pair": pair, "instrument": PERP.id, "asset": "USDT", "payment": "0.03", "mark_price": "100.5"}
    book.record(RecordKind.FUNDING, 12, {**payment, "rate": "0.0001", "quantity": "-2", "assumed": True})
    book.pair(pair, "closed", reason="edge_gone", leaving=leaving, **times)


def report_of(data_dir, **choice):
    with JournalReader.open(data_dir) as reader:
        return build_report(reader, "arbitrage", **choice)


def test_an_empty_store_says_so(tmp_path):
    report = report_of(tmp_path)
    assert report.markets == ()
    assert render_table(report) == "no runs recorded for arbitrage\n"
    assert json.loads(report.model_dump_json())["schema_version"] == 1


def test_every_line_of_a_pair_is_the_one_worked_out_by_hand(tmp_path):
    with Book(tmp_path) as book:
        winner(book, ts_close_ns=50)
        book.end(marks={SPOT.id: 100.5, PERP.id: 100.5})
    (market,) = report_of(tmp_path).markets
    (pair,) = market.pairs
    lines = {name: str(value) for name, value in json.loads(pair.bridge.model_dump_json()).items()}
    assert lines == {
        # (101 − 100) × 2 in, 100.60 × 1.998 − 100.40 × 2 out, 0.002 ETH left at the last spot fill, 100.50
        "expected_gross": "2.3998",
        "slippage_opening": "0.4",  # 0.10 × 2, 0.20 × 1
        "slippage_closing": "0.1998",  # 0.10 × 1.998
        "slippage_hedging": "0",
        "drift": "0",
        "fees": "0.6002",  # 0.002 × 100.10 + 0.05 + 0.05 + 0.2 + 0.1
        "token_fees": "0",
        "transfers": "0",
        "funding": "0.03",
        "revaluation": "-0.0008",  # the fee of 0.002 ETH is worth 0.40 a coin more now
        # −200.20 + 201.80 + 200.799 − 200.80 − 0.40 + 0.03, and no ETH left: 0.002 was the fee
        "profit": "1.229",
        "residual": "0",
    }
    assert pair.net is not None
    assert {name: str(value) for name, value in json.loads(pair.net.model_dump_json()).items()} == {
        "expected": "1.98",  # 100 bps less 1 bps of funding, of 2 × 100
        "price": "0.5998",  # all slippage: no depth and no adverse move was priced
        "leaving": "-0.3998",  # 2 × (101 − 100) at the decision, 2.3998 by both of them; no exit basis was priced
        "fees": "0.6002",
        "funding": "-0.05",  # 0.02 were to be paid, 0.03 were received
        "transfers": "0",
        "revaluation": "0.0008",
        "set_aside": "0",
        "profit": "1.229",
        "residual": "0",
    }
    assert market.profit == {"USDT": Decimal("1.229")}
    assert market.fees == {"ETH": Decimal("0.002"), "USDT": Decimal("0.40")}
    assert market.funding == {"USDT": Decimal("0.03")}
    assert pair.edge_expected_bps == 100.0
    assert pair.edge_realised_bps == Decimal("79.920080")  # 100.90 / 100.10 − 1
    assert (market.attempts, market.missed, market.wins, market.win_rate) == (1, 0, 1, 1.0)
    assert market.closes == {"edge_gone": 1}
    (money,) = market.money
    assert money.notional == Decimal("201.80")
    assert money.gross_realised_bps == Decimal("89.197225")  # 1.80 of 201.80


def test_depth_that_both_decisions_prices_hold_is_no_slippage_saved(tmp_path):
    """The gross edge is that of the best prices; those of the decision are what the quantity gets on average."""
    leaving = {"buy_price": "100.40", "sell_price": "100.40"}
    costs = [{"name": "depth buy a", "bps": 10.0}, {"name": "adverse move a", "bps": 2.0}]
    promised = {"buy_price": "100", "sell_price": "101", "gross_bps": 110.0, "costs": costs}
    with Book(tmp_path) as book:
        for state in ("opening", "closed"):
            book.pair("p1", state, ts_close_ns=50, leaving=leaving, more={"expected": promised})
            if state == "opening":
                for leg, price in (
                    ("open_buy", "100"),
                    ("open_sell", "101"),
                    ("close_sell", "100.40"),
                    ("close_buy", "100.40"),
                ):
                    book.fill("p1", leg, price, "2", expected=price)
        book.end()
    (pair,) = report_of(tmp_path).markets[0].pairs
    assert pair.net is not None
    assert (pair.net.expected, pair.net.profit) == (Decimal("1.96"), 2)  # 110 less 12 bps of 2 × 100
    assert (pair.net.price, pair.net.leaving) == (Decimal("-0.04"), 0)  # no move, where 2 bps were priced
    assert pair.net.residual == 0


def test_what_each_venue_has_of_it_adds_up_to_the_profit(tmp_path):
    with Book(tmp_path) as book:
        winner(book, ts_close_ns=50)
        book.end()
    (market,) = report_of(tmp_path).markets
    spot, perp = market.instruments
    assert (spot.venue, spot.instrument, spot.fills) == ("binance", SPOT.id, 2)
    assert (spot.bought, spot.average_buy_price) == (Decimal(2), Decimal("100.10"))
    assert (spot.sold, spot.average_sell_price) == (Decimal("1.998"), Decimal("100.50"))
    assert spot.fees == {"ETH": Decimal("0.002"), "USDT": Decimal("0.2")}
    assert spot.by_asset == {"USDT": Decimal("0.399")}  # −200.20 + 200.799 − 0.2; of 2 ETH 1.998 sold, 0.002 the fee
    assert (perp.bought, perp.average_buy_price) == (Decimal(2), Decimal("100.40"))
    assert (perp.sold, perp.average_sell_price) == (Decimal(2), Decimal("100.90"))  # one at 101.00, one at 100.80
    assert perp.funding == {"USDT": Decimal("0.03")}
    assert perp.by_asset == {"USDT": Decimal("0.83")}  # 201.80 − 200.80 − 0.05 − 0.05 − 0.1 + 0.03
    sums = {"USDT": sum(line.by_asset["USDT"] for line in market.instruments)}
    assert sums == market.profit
    (route,) = market.routes
    assert (route.average_buy_price, route.average_sell_price) == (Decimal("100.10"), Decimal("100.90"))
    assert "Traded, by venue" in render_table(report_of(tmp_path), 160)


@pytest.mark.parametrize("width", [80, 100, 120])
def test_a_terminal_of_any_width_shows_whole_columns(tmp_path, width):
    with Book(tmp_path) as book:
        winner(book)
    text = render_table(report_of(tmp_path), width)
    assert max(len(line) for line in text.splitlines()) <= width
    (head,) = (line for line in text.splitlines() if "edge exp." in line)
    assert head.split()[-2:] == ["profit", "bps"], "the last columns fell off at 100 characters"
    assert ("slippage" in head) == (width >= WIDE), "a short line leaves costs out"
    assert "…" not in text


def test_a_half_filled_pair_that_was_unwound_is_a_loss(tmp_path):
    with Book(tmp_path) as book:
        winner(book)
        book.pair("p2", "opening")
        book.fill("p2", "open_buy", "100", "2", "0.2", expected="100")
        book.fill("p2", "hedge_sell", "98.9", "2", "0.2", expected="99")
        book.pair("p2", "failed", ts_close_ns=60)
        book.pair("p3", "opening")
        book.pair("p3", "missed", ts_close_ns=61)
        book.end()
    (market,) = report_of(tmp_path).markets
    assert (market.attempts, market.missed, market.realised, market.wins, market.win_rate) == (2, 1, 2, 1, 0.5)
    loss = market.pairs[-1]
    assert (loss.pair, loss.state, loss.edge_realised_bps) == ("p2", "failed", None)
    bridge = loss.bridge
    # It expected nothing of the unwinding: what it cost is the move to 99 and the fill 0.1 below.
    assert (bridge.expected_gross, bridge.drift, bridge.slippage_hedging) == (0, 2, Decimal("0.2"))
    assert bridge.profit == Decimal("-2.6")
    assert market.profit == {"USDT": Decimal("1.229") - Decimal("2.6")}
    assert market.closes == {"edge_gone": 1, "failed": 1}


def test_an_open_pair_stands_apart(tmp_path):
    with Book(tmp_path) as book:
        book.pair("p1", "opening")
        book.fill("p1", "open_buy", "100", "2", expected="100")
        book.fill("p1", "open_sell", "101", "2", expected="101")
        book.pair("p1", "open")
        book.end(marks={SPOT.id: 100.2, PERP.id: 100.7})
    report = report_of(tmp_path)
    (market,) = report.markets
    assert (market.pairs, market.profit, market.realised, market.win_rate) == ((), {}, 0, None)
    (money,) = market.money
    assert (money.bridge.profit, money.open_pairs) == (0, 1)
    assert money.unrealised == Decimal("1.0")  # 0.2 × 2 on the spot, 0.3 × 2 on the perpetual
    assert market.runs[0].unexplained is None
    assert "unrealised at mids, 1 open pairs (apart)" in render_table(report)


def test_a_failed_pair_that_still_holds_a_position_is_not_realised(tmp_path):
    with Book(tmp_path) as book:
        book.pair("p1", "opening")
        book.fill("p1", "open_sell", "101", "2", expected="101")
        book.pair("p1", "failed")
        book.end(marks={PERP.id: 105})
    (market,) = report_of(tmp_path).markets
    assert market.profit == {}
    assert [(line.state, line.bridge.profit) for line in market.open_pairs] == [("failed", -8)]


def test_what_came_before_is_not_told_again(tmp_path):
    """A report a day: each tells its own day, and the wallets are held against all that the run did."""
    with Book(tmp_path, market="simulated") as book:
        book.balances("start", USDT="100")
        for ts_ns, order, paid in ((1_100, "early", "0.25"), (1_900, "late", "-0.5")):
            payment = {"pair": None, "instrument": PERP.id, "asset": "USDT", "payment": paid, "mark_price": "100"}
            book.record(RecordKind.FUNDING, ts_ns, payment)
            book.record(RecordKind.ORDER, ts_ns, {"client_order_id": order, "status": "filled"})
            book.record(RecordKind.EVENT, ts_ns, {"level": "error", "text": "something went wrong"})
        book.balances("end", USDT="99.75")
        book.end()
    (whole,) = report_of(tmp_path).markets
    assert (whole.funding_of_no_pair, whole.orders) == ({"USDT": Decimal("-0.25")}, {"filled": 2})
    assert whole.runs[0].problems == ("2 errors were logged",)
    (since,) = report_of(tmp_path, since_ns=1_500).markets
    assert (since.funding_of_no_pair, since.orders) == ({"USDT": Decimal("-0.5")}, {"filled": 1})
    assert since.runs[0].problems == ("1 error was logged",)
    assert since.runs[0].unexplained == {}


def test_markets_are_never_added(tmp_path):
    kinds = [("recorded", False), ("live", False), ("live", True), ("simulated", False), ("testnet", False)]
    for number, (market, real) in enumerate(kinds):
        with Book(tmp_path, f"r{number}", market, real) as book:
            winner(book)
            book.end()
    report = report_of(tmp_path)
    labels = [(market.market, market.real_money) for market in report.markets]
    assert labels == [
        ("simulated", False),
        ("recorded", False),
        ("testnet", False),
        ("live, paper", False),
        ("real", True),
    ]
    assert {market.profit["USDT"] for market in report.markets} == {Decimal("1.229")}
    text = render_table(report)
    assert text.count("REAL MONEY") == 1
    assert "never added" in text


def test_runs_on_one_market_are_added(tmp_path):
    for run in ("r1", "r2"):
        with Book(tmp_path, run) as book:
            winner(book)
            book.end()
    (market,) = report_of(tmp_path).markets
    assert market.profit == {"USDT": Decimal("2.458")}
    assert market.attempts == 2


def test_a_killed_run_is_named_and_its_pairs_count(tmp_path):
    with Book(tmp_path, "killed") as book:
        winner(book)
    with Book(tmp_path, "cut") as book:
        book.end(complete=False, because=["usdm.gz is truncated"])
    report = report_of(tmp_path)
    (market,) = report.markets
    killed, cut = market.runs
    assert (killed.ended_ns, killed.complete) == (None, False)
    assert "killed" in killed.problems[0]
    assert cut.problems == ("incomplete: usdm.gz is truncated",)
    assert market.profit == {"USDT": Decimal("1.229")}
    assert "usdm.gz is truncated" in render_table(report)


def test_a_pair_that_a_later_run_took_over_is_told_once_and_whole(tmp_path):
    """Opened by r1, which was killed; taken over and closed by r2."""
    with Book(tmp_path / "whole") as book:
        winner(book, "r1-1")
    parts = tmp_path / "parts"
    with Book(parts) as first:
        first.pair("r1-1", "opening")
        first.fill("r1-1", "open_buy", "100.10", "2", "0.002", "ETH", expected="100")
        first.fill("r1-1", "open_sell", "101.00", "1", "0.05", expected="101")
        first.fill("r1-1", "open_sell", "100.80", "1", "0.05", expected="101")
        first.pair("r1-1", "open")
    with Book(parts, "r2", started_ns=2_000) as second:
        second.fills = first.fills
        second.pair("r1-1", "open")
        leaving = {"buy_price": "100.40", "sell_price": "100.60"}
        second.pair("r1-1", "closing", reason="edge_gone", leaving=leaving)
        second.fill("r1-1", "close_sell", "100.50", "1.998", "0.2", expected="100.60")
        second.fill("r1-1", "close_buy", "100.40", "2", "0.1", expected="100.40")
        payment = {"pair": "r1-1", "instrument": PERP.id, "asset": "USDT", "payment": "0.03", "mark_price": "100.5"}
        second.record(RecordKind.FUNDING, 12, {**payment, "rate": "0.0001", "quantity": "-2", "assumed": True})
        second.pair("r1-1", "closed", reason="edge_gone", leaving=leaving)
    (expected,), (found,) = report_of(tmp_path / "whole").markets, report_of(parts).markets
    same = (found.attempts, found.profit, found.closes, found.open_pairs, [one.bridge for one in found.money])
    assert same == (1, {"USDT": Decimal("1.229")}, {"edge_gone": 1}, (), [one.bridge for one in expected.money])


def cut_in_closing(parts, booked_by):
    """Killed by r1 as it closed; a fill of that was missed, and `booked_by` has it in the journal."""
    leaving = {"buy_price": "100.40", "sell_price": "100.60"}
    with Book(parts) as first:
        first.pair("r1-1", "opening")
        first.fill("r1-1", "open_buy", "100.10", "2", "0.002", "ETH", expected="100")
        first.fill("r1-1", "open_sell", "101.00", "1", "0.05", expected="101")
        first.fill("r1-1", "open_sell", "100.80", "1", "0.05", expected="101")
        first.pair("r1-1", "open")
        first.pair("r1-1", "closing", reason="edge_gone", leaving=leaving)
        first.fill("r1-1", "close_sell", "100.50", "1.998", "0.2", expected="100.60")
        payment = {"pair": "r1-1", "instrument": PERP.id, "asset": "USDT", "payment": "0.03", "mark_price": "100.5"}
        first.record(RecordKind.FUNDING, 12, {**payment, "rate": "0.0001", "quantity": "-2", "assumed": True})
        if booked_by == "r3":
            first.pair("r1-1", "closed", reason="edge_gone", leaving=leaving)
    if booked_by == "r3":
        with Book(parts, "r2", started_ns=1_500) as between:
            between.end(complete=True)
    with Book(parts, booked_by, started_ns=2_000) as later:
        later.fills = first.fills
        later.fill("r1-1", "close_buy", "100.40", "2", "0.1", expected="100.40")
        if booked_by == "r2":
            later.pair("r1-1", "closing", reason="edge_gone", leaving=leaving)
            later.pair("r1-1", "closed", reason="edge_gone", leaving=leaving)


@pytest.mark.parametrize("booked_by", ["r2", "r3"])
def test_a_fill_that_a_start_booked_before_it_took_the_pair_over_is_the_pairs(tmp_path, booked_by):
    """r2 books it, and then goes on with the pair; of a pair that was over, r3 books it and says no more."""
    with Book(tmp_path / "whole") as book:
        winner(book, "r1-1")
    parts = tmp_path / "parts"
    cut_in_closing(parts, booked_by)
    (expected,), (found,) = report_of(tmp_path / "whole").markets, report_of(parts).markets
    assert (found.attempts, found.profit, found.open_pairs) == (1, {"USDT": Decimal("1.229")}, ())
    assert [one.bridge for one in found.money] == [one.bridge for one in expected.money]
    problems = " ".join(problem for run in found.runs for problem in run.problems)
    assert "in no figure" not in problems


def test_an_order_whose_end_a_later_run_found_counts_once(tmp_path):
    order = {"client_order_id": "r1-1-1", "side": "buy", "type": "limit", "price": "1", "quantity": "1"}
    with Book(tmp_path) as first:
        first.record(RecordKind.ORDER, 5, {**order, "instrument": SPOT.model_dump(mode="json"), "status": "sent"})
    with Book(tmp_path, "r2", started_ns=2_000) as second:
        second.record(RecordKind.ORDER, 6, {**order, "instrument": SPOT.model_dump(mode="json"), "status": "filled"})
    (market,) = report_of(tmp_path).markets
    assert market.orders == {"filled": 1}


def test_a_fill_that_was_told_twice_counts_once(tmp_path):
    with Book(tmp_path) as book:
        winner(book)
        book.fill("p1", "close_buy", "100.40", "2", "0.1", expected="100.40", fill_id="5")
        book.end()
    (market,) = report_of(tmp_path).markets
    assert market.profit == {"USDT": Decimal("1.229")}


def test_cents_that_nothing_explains_are_told(tmp_path):
    for run, cents in (("right", "0"), ("wrong", "0.01")):
        with Book(tmp_path, run) as book:
            book.balances("start", USDT="1000", ETH="5")
            winner(book)
            book.balances("end", USDT=str(Decimal("1001.229") + Decimal(cents)), ETH="5.000")
            book.end(pnl={"USDT": str(Decimal("1.229") + Decimal(cents)), "ETH": "0"})
    (market,) = report_of(tmp_path).markets
    right, wrong = market.runs
    assert (right.unexplained, right.differs_from_run, right.problems) == ({}, {}, ())
    assert wrong.unexplained == {"USDT": Decimal("0.01")}
    assert wrong.differs_from_run == {"USDT": Decimal("-0.01")}
    assert [problem.split(":")[0] for problem in wrong.problems] == ["NOT ACCOUNTED FOR", "DIFFERS"]


def test_a_fee_in_a_third_asset_is_shown_and_not_guessed_at(tmp_path):
    with Book(tmp_path) as book:
        book.pair("p1", "opening")
        book.fill("p1", "open_buy", "100", "1", "0.001", "BNB", expected="100")
        book.fill("p1", "close_sell", "101", "1", expected="101")
        book.pair("p1", "closed")
        book.end()
    report = report_of(tmp_path)
    (market,) = report.markets
    assert market.profit == {"BNB": Decimal("-0.001"), "USDT": Decimal(1)}
    assert market.pairs[0].bridge.profit == 1
    assert market.pairs[0].unvalued == {"BNB": Decimal("-0.001")}
    assert "-0.00100000 BNB" in render_table(report)


def test_a_fill_in_another_currency_is_named_and_in_no_figure(tmp_path):
    with Book(tmp_path) as book:
        winner(book)
        other = SPOT.model_copy(update={"symbol": "ETH/EUR", "quote": "EUR"})
        body = {"fill_id": "x", "client_order_id": "x", "instrument": other.model_dump(mode="json"), "side": "buy"}
        money = {"price": "90", "quantity": "1", "fee": "0", "fee_asset": "EUR", "is_maker": False, "ts_event_ns": 1}
        book.record(RecordKind.FILL, 1, {**body, **money, "pair": "p1", "leg": "open_buy", "expected_price": None})
        book.end()
    (market,) = report_of(tmp_path).markets
    assert market.profit == {"USDT": Decimal("1.229")}
    assert "1 fills belong to no pair" in market.runs[0].problems[0]


def test_refusals_and_break_even_are_told_by_route(tmp_path):
    with Book(tmp_path) as book:
        book.decision("refused", "net_edge", gross=2.0)
        book.decision("refused", "net_edge", gross=7.5, needed=21.0)
        book.decision("refused", "stale_quote", gross=3.0)
        book.decision("closed", "edge_gone", gross=99.0)
        book.end()
    (market,) = report_of(tmp_path).markets
    assert market.refusals == {"net_edge": 2, "stale_quote": 1}
    (route,) = market.routes
    assert (route.best_gross_bps, route.needed_bps) == (7.5, 21.0)
    assert route.refusals == {"net_edge": 2, "stale_quote": 1}


def test_a_run_is_found_by_the_start_of_its_id(tmp_path):
    for run in ("20240101-aa", "20240101-ab", "20240102-aa"):
        with Book(tmp_path, run) as book:
            book.end()
    with Book(tmp_path, "20240103-xx", strategy="other") as book:
        book.end()
    assert report_of(tmp_path, run="20240102").run == "20240102-aa"
    assert report_of(tmp_path, run="20240101-ab").run == "20240101-ab"
    with pytest.raises(SettingsError, match="2 runs start so"):
        report_of(tmp_path, run="20240101")
    for unknown in ("2025", "20240103"):
        with pytest.raises(SettingsError, match="no run of arbitrage starts so; the newest is 20240102-aa"):
            report_of(tmp_path, run=unknown)


def test_an_id_that_starts_another_is_still_itself(tmp_path):
    for run in ("r1", "r10"):
        with Book(tmp_path, run) as book:
            book.end()
    assert report_of(tmp_path, run="r1").run == "r1"


def test_since_cuts_runs_in_real_time_and_keeps_recorded_ones_whole(tmp_path):
    for market in ("live", "recorded"):
        with Book(tmp_path, market, market, started_ns=1_000) as book:
            winner(book, "old", ts_close_ns=1_100)
            winner(book, "new", ts_close_ns=1_900)
            book.decision("refused", "net_edge", ts_ns=1_100)
            book.decision("refused", "net_edge", ts_ns=1_900)
            book.end(finished_ns=2_000)
    recorded, live = report_of(tmp_path, since_ns=1_500).markets
    assert ([pair.pair for pair in live.pairs], live.refusals) == (["new"], {"net_edge": 1})
    assert (len(recorded.pairs), recorded.refusals) == (2, {"net_edge": 2})
    assert report_of(tmp_path, since_ns=2_001).markets == ()


@pytest.mark.parametrize("is_ended", [True, False])
def test_the_mean_of_what_was_locked_counts_a_run_to_its_last_record(tmp_path, is_ended):
    """300 ns of 1,000 were watched by a run that ended, and the rest by one that is killed, or goes on."""
    with Book(tmp_path, "r1", "live", started_ns=1_000) as book:
        book.end(finished_ns=1_300)
    with Book(tmp_path, "r2", "live", started_ns=2_000) as book:
        winner(book, ts_open_ns=2_100, ts_close_ns=2_600)
        book.decision("refused", "net_edge", ts_ns=2_700)
        if is_ended:
            book.end(finished_ns=2_700)
    (line,) = report_of(tmp_path).markets[0].returns
    assert line.mean_locked == line.peak_locked / 2
    (lately,) = report_of(tmp_path, since_ns=2_500).markets[0].returns  # 2,100 to 2,700: it was held before, too
    assert lately.mean_locked.quantize(Decimal("0.0001")) == (lately.peak_locked * 5 / 6).quantize(Decimal("0.0001"))


def test_the_mean_of_what_was_locked_counts_the_time_between_runs_that_a_pair_was_held(tmp_path):
    """Watched from 1,000 to 1,100 and from 2,050 to 2,100, and held from 1,050 to 2,075."""
    with Book(tmp_path, "r1", "live", started_ns=1_000) as first:
        first.pair("r1-1", "opening", ts_open_ns=1_050)
        first.decision("refused", "net_edge", ts_ns=1_100)
    with Book(tmp_path, "r2", "live", started_ns=2_050) as second:
        winner(second, "r1-1", ts_open_ns=1_050, ts_close_ns=2_075)
        second.end(finished_ns=2_100)
    (line,) = report_of(tmp_path).markets[0].returns
    assert line.mean_locked.quantize(Decimal("0.0001")) == (line.peak_locked * 1025 / 1100).quantize(Decimal("0.0001"))


def test_what_was_assumed_is_said(tmp_path):
    with Book(tmp_path) as book:
        winner(book)
        book.end()
    report = report_of(tmp_path)
    (market,) = report.markets
    assert market.assumed == (
        "funding of bybit.linear: 1 bps per 8 h",
        "priced with funding bybit.linear",
        f"funding paid on {PERP.id}",
    )
    assert "ASSUMED" in render_table(report)
    assert "published lowest tier" in render_table(report)


def test_no_control_byte_reaches_the_terminal(tmp_path):
    evil = "\x1b]0;owned\x07\x1b[2J\u202e"
    with Book(tmp_path, f"r{evil}") as book:
        book.pair(f"p{evil}", "opening", reason=f"why{evil}")
        book.fill(f"p{evil}", "open_buy", "100", "1", "1", f"B{evil}", expected="100")
        book.fill(f"p{evil}", "close_sell", "100", "1", expected="100")
        book.pair(f"p{evil}", "closed", reason=f"why{evil}")
        book.decision("refused", f"no{evil}")
        book.end(complete=False, because=[f"cut{evil}"])
    text = render_table(report_of(tmp_path))
    assert "[2J" in text  # shown, and harmless
    assert all(character == "\n" or character.isprintable() for character in text)


def test_markup_of_others_is_only_text(tmp_path):
    with Book(tmp_path) as book:
        book.decision("refused", "[bold]x[/bold][/nothing]")
        book.end()
    assert "[bold]x[/bold][/nothing]" in render_table(report_of(tmp_path))


def test_programs_get_every_digit_as_a_string(tmp_path):
    with Book(tmp_path) as book:
        winner(book)
        book.end()
    data = json.loads(report_of(tmp_path).model_dump_json())
    assert data["residual"] == "0"
    (market,) = data["markets"]
    assert market["profit"] == {"USDT": "1.229"}
    assert market["pairs"][0]["bridge"]["residual"] == "0"
    assert market["money"][0]["bridge"]["profit"] == "1.229"


def test_a_record_of_another_shape_is_refused_by_number(tmp_path):
    with Book(tmp_path) as book:
        book.record(RecordKind.PAIR, 1, {"pair": "p1"})
        book.end()
    with pytest.raises(StorageError, match=r"journal record 2 \(pair\) cannot be understood: route"):
        report_of(tmp_path)
