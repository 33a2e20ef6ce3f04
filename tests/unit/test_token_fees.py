"""Fees in a venue's own token: never added to money as if they were money."""

from decimal import Decimal
from pathlib import Path

import pytest

from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Instrument
from bot.domain.order import Fill, Side
from bot.execution.in_quote import profit_in_quote
from bot.execution.ledger import Ledger
from bot.execution.pair import PairState
from bot.ports import RecordKind
from bot.settings import ExecutionSettings
from postmortem.render import render_table
from tests.unit.pair_bench import SPOT as COIN
from tests.unit.pair_bench import Bench
from tests.unit.test_fault_36_to_54_legs import bought_alone
from tests.unit.test_ledger import route
from tests.unit.test_postmortem_report import PERP, SPOT, Book, report_of

D = Decimal
SCHEDULE = FeeSchedule.model_validate(
    {"feed": SPOT.feed, "maker_bps": 2, "taker_bps": 10, "source": "account", "token": "BNB",
     "token_discount": "0.25"}
)  # fmt: skip


def a_pair_in_tokens(book: Book, charged: str | None = None) -> None:
    """Bought 2 at 100 and sold them at 100.50, both for a token; the perpetual charges its own asset.

    The fill that sold says that it was `charged` so many bps.
    """
    book.pair("p1", "opening")
    book.fill("p1", "open_buy", "100", "2", "0.0003", "BNB", expected="100")
    book.fill("p1", "open_sell", "101", "2", "0.1", expected="101")
    book.pair("p1", "closing", leaving={"buy_price": "101", "sell_price": "100.50"})
    book.fill("p1", "close_sell", "100.50", "2", "0.0003", "BNB", expected="100.50", charged_bps=charged)
    book.fill("p1", "close_buy", "100.90", "2", "0.1", expected="101")
    book.pair("p1", "closed", ts_close_ns=20)


def test_the_report_counts_a_token_for_what_the_schedule_charges_as_limits_do(tmp_path: Path) -> None:
    with Book(tmp_path, market="live", fees={"binance.spot": SCHEDULE.model_dump(mode="json")}) as book:
        a_pair_in_tokens(book)
        book.end()
    report = report_of(tmp_path)
    (line,) = report.markets[0].pairs
    charged = (D(200) + D(201)) * D("0.00075")
    assert (line.bridge.fees, line.bridge.token_fees, line.bridge.residual) == (D("0.2"), charged, 0)
    assert line.bridge.profit == D("1.2") - D("0.2") - charged
    assert line.unvalued == {}
    assert line.by_asset == {"BNB": D("-0.0006"), "USDT": D(1)}, "what moved is told as it moved"
    text = render_table(report)
    assert "fees in tokens, as the schedule charges" in text
    assert report.markets[0].fee_sources == ("binance.spot: taker 10 bps, maker 2 bps (account) less 25 % in BNB",)
    assert "token fees  counted as 0.30075000 USDT: notional times the fee rates below" in text

    def fees(instrument: Instrument) -> FeeSchedule | None:
        return SCHEDULE if instrument.feed == SCHEDULE.feed else None

    assert profit_in_quote(_the_same_in_a_ledger(), D(100), fees) == line.bridge.profit


def test_the_report_tells_of_fees_that_changed_and_counts_each_fill_as_it_was_charged(tmp_path: Path) -> None:
    with Book(tmp_path, market="live", fees={"binance.spot": SCHEDULE.model_dump(mode="json")}) as book:
        a_pair_in_tokens(book, charged="4")
        text = "binance.spot: fees are taker 5.33 bps, maker 2 bps less 25 % in BNB (account)"
        book.record(RecordKind.EVENT, 0, {"level": "info", "text": text, "fees": {}}, "info")
        book.end()
    report = report_of(tmp_path)
    (line,) = report.markets[0].pairs
    assert line.bridge.token_fees == D(200) * D("0.00075") + D(201) * D("0.0004")
    assert line.bridge.residual == 0
    assert report.markets[0].fee_sources[-1] == f"{text}, from 1970-01-01 00:00:00Z"


def _the_same_in_a_ledger():  # type: ignore[no-untyped-def]
    ledger = Ledger()
    ledger.open_pair("p", route(SPOT, PERP), 1)
    told = [("1", SPOT, "buy", "100", "0.0003", "BNB"), ("2", PERP, "sell", "101", "0.1", "USDT")]
    told += [("3", SPOT, "sell", "100.50", "0.0003", "BNB"), ("4", PERP, "buy", "100.90", "0.1", "USDT")]
    for name, instrument, side, price, fee, asset in told:
        fill = Fill(
            fill_id=name, client_order_id="o", instrument=instrument, side=Side(side), price=D(price), quantity=D(2),
            fee=D(fee), fee_asset=asset, is_maker=False, ts_event_ns=1,
        )  # fmt: skip
        ledger.on_fill("p", Side.BUY if instrument is SPOT else Side.SELL, fill)
    return ledger.pair("p")


@pytest.mark.parametrize("fees", [{}, {"binance.spot": {"taker_bps": "10"}}, {"bybit.linear": "nothing"}])
def test_a_token_that_nothing_tells_the_worth_of_stands_apart(tmp_path: Path, fees: object) -> None:
    with Book(tmp_path, market="live", fees=fees) as book:
        a_pair_in_tokens(book)
        book.end()
    report = report_of(tmp_path)
    (line,) = report.markets[0].pairs
    assert (line.bridge.token_fees, line.bridge.residual, line.bridge.profit) == (0, 0, 1)
    assert line.unvalued == {"BNB": D("-0.0006")}
    assert "in no figure in another currency" in render_table(report, width=120)


def test_a_maker_pays_the_makers_rate() -> None:
    ledger = Ledger()
    ledger.open_pair("p", route(SPOT, PERP), 1)
    for name, side, is_maker in (("1", Side.BUY, True), ("2", Side.SELL, False)):
        fill = Fill(
            fill_id=name, client_order_id="o", instrument=SPOT, side=side, price=D(100), quantity=D(2), fee=D("0.0003"),
            fee_asset="BNB", is_maker=is_maker, ts_event_ns=1,
        )  # fmt: skip
        ledger.on_fill("p", Side.BUY, fill)
    assert profit_in_quote(ledger.pair("p"), D(100), lambda instrument: SCHEDULE) == -200 * (
        D("0.00015") + D("0.00075")
    )


@pytest.mark.parametrize(
    ("taker_bps", "worth", "apart"),
    [(7.5, D("0.375"), {}), (0.0, D(0), {"BNB": "0.00062"})],
    ids=["schedule known", "nothing known"],
)
def test_what_getting_even_cost_adds_no_coins_to_money(taker_bps: float, worth: Decimal, apart: dict[str, str]) -> None:
    here = Bench(ExecutionSettings(), net_edge_bps=-30.0, taker_bps=taker_bps)
    pair, sell = bought_alone(here)
    here.wait(500)
    here.end(sell)
    unwinding = here.take(Side.SELL, COIN)
    here.wait(100)
    here.fill(unwinding, fee="0.00062", token="BNB")  # 0.5 at 1000
    here.end(unwinding, D("0.50"))
    assert pair.state is PairState.FAILED
    (told,) = here.journal.records[-1][2]["unhedged"]
    assert D(told["loss"]) == D("1.50") * D("0.50") + worth
    assert told["fees_apart"] == apart
