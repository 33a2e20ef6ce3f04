"""What moves a stock from one venue to another: it is one asset, and what it is worth has one price."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.domain.order import Fill, Side
from bot.ports import RecordKind
from postmortem.model import MarketReport
from tests.unit.test_postmortem_report import SPOT, Book, report_of

D = Decimal
HERE, THERE = SPOT, SPOT.model_copy(update={"venue": "bybit"})
Marks = dict[str, float]


def inventory(
    book: Any,
    name: str,
    fee: str = "0",
    short: str = "2",
    opened_ns: int = 10,
    filled_ns: int = 11,
    ended_ns: int = 12,
) -> None:
    """2 ETH bought here at 100 and sold there at 101, as was expected; or `short` of them sold."""
    expected = {"quantity": "2", "buy_price": "100", "sell_price": "101", "gross_bps": 100.0, "costs": []}
    body = {
        "pair": name, "route": f"inventory:{HERE.id}>{THERE.id}", "kind": "inventory", "quantity": "2",
        "base_asset": "ETH", "quote_asset": "USDT", "buy": HERE.id, "sell": THERE.id, "expected": expected,
        "exit_expected": None, "close_reason": None, "ts_open_ns": opened_ns,
    }  # fmt: skip
    book.record(RecordKind.PAIR, opened_ns, {**body, "state": "opening", "ts_close_ns": None})
    for one, side, price, quantity, paid, asset in (
        (HERE, Side.BUY, "100", "2", fee, "ETH"),
        (THERE, Side.SELL, "101", short, "0", "USDT"),
    ):
        fill = Fill(
            fill_id=f"{name}{side}", client_order_id=f"{name}{side}", instrument=one, side=side, price=D(price),
            quantity=D(quantity), fee=D(paid), fee_asset=asset, is_maker=False, ts_event_ns=filled_ns,
        )  # fmt: skip
        told = {**fill.model_dump(mode="json"), "pair": name, "leg": f"open_{side}", "expected_price": price}
        book.record(RecordKind.FILL, filled_ns, told)
    book.record(RecordKind.PAIR, ended_ns, {**body, "state": "closed", "ts_close_ns": ended_ns})


def market_of(data_dir: Path, marks: Marks | None, **what: str) -> MarketReport:
    with Book(data_dir) as book:
        inventory(book, "r1-1", **what)
        if marks is not None:
            book.end(marks=marks)
    (market,) = report_of(data_dir).markets
    return market


@pytest.mark.parametrize(
    "marks",
    [None, {}, {HERE.id: 100.2, THERE.id: 100.9}, {THERE.id: 100.9}],
    ids=["it was killed, or runs still", "nothing was quoted", "the venues differ still", "one was quoted"],
)
def test_what_was_earned_does_not_depend_on_where_the_stock_lies_now(tmp_path: Path, marks: Marks | None) -> None:
    market = market_of(tmp_path, marks)
    (pair,) = market.pairs
    assert market.profit == {"USDT": D(2)}
    assert (pair.bridge.profit, pair.bridge.expected_gross, pair.bridge.revaluation) == (2, 2, 0)
    assert pair.bridge.residual == 0
    assert (market.wins, market.routes[0].profit) == (1, 2)


def test_what_a_fee_and_a_lot_left_of_it_is_worth_what_it_costs_now(tmp_path: Path) -> None:
    market = market_of(tmp_path, {HERE.id: 110.0, THERE.id: 120.0}, fee="0.002", short="1.9")
    (pair,) = market.pairs
    bridge = pair.bridge
    assert market.profit == {"ETH": D("0.098"), "USDT": D("-8.1")}
    # −200 + 191.9, and 0.098 ETH at what it costs where it lies
    assert bridge.profit == D("-8.1") + D("0.098") * 110
    assert bridge.fees == D("0.002") * 100
    assert bridge.residual == 0
