"""What a pair or a chain came to in its own currency, where a venue took its fees in a token that nobody trades."""

from decimal import Decimal
from pathlib import Path

import pytest

from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Instrument, Segment
from bot.domain.legs import HoldLeg, TradeLeg
from bot.domain.order import Fill, Side
from bot.domain.route import Route
from bot.engine.accounts.earlier_results import realised_today
from bot.execution.in_quote import profit_in_quote
from bot.execution.ledger import Ledger
from bot.ports import RecordKind
from bot.storage.journal import SqliteJournal
from tests.unit.test_earlier_results import NOON_NS, a_lost_pair
from tests.unit.test_ledger import BUY, OTHER, PERP, SELL, route
from tests.unit.test_left_behind import INSTRUMENTS, MINE

D = Decimal
SCHEDULE = {"maker_bps": D(2), "taker_bps": D(10), "source": "account", "token": "BNB", "token_discount": D("0.25")}
PRICE = D(60000)


def fees(instrument: Instrument) -> FeeSchedule:
    return FeeSchedule(feed=instrument.feed, **SCHEDULE)


def spot(symbol: str) -> Instrument:
    base, _, quote = symbol.partition("/")
    grid = {"tick_size": D("0.00001"), "lot_size": D("0.0001")}
    return Instrument(venue="a", symbol=symbol, segment=Segment.SPOT, base=base, quote=quote, **grid)


def fill(name: str, instrument: Instrument, side: Side, quantity: str, price: str, fee: str, asset: str) -> Fill:
    return Fill(
        fill_id=name, client_order_id="o", instrument=instrument, side=side, price=D(price), quantity=D(quantity),
        fee=D(fee), fee_asset=asset, is_maker=False, ts_event_ns=1,
    )  # fmt: skip


def test_a_fee_in_a_token_is_worth_the_fee_and_not_so_many_coins() -> None:
    ledger = Ledger()
    ledger.open_pair("p", route(PERP, OTHER), 1)
    ledger.on_fill("p", BUY, fill("1", PERP, BUY, "1", "1000", "0.00125", "BNB"))
    ledger.on_fill("p", SELL, fill("2", OTHER, SELL, "1", "1010", "1.01", "USDT"))
    ledger.on_fill("p", BUY, fill("3", PERP, SELL, "1", "1005", "0.00126", "BNB"))
    ledger.on_fill("p", SELL, fill("4", OTHER, BUY, "1", "1005", "1.005", "USDT"))
    ledger.close_pair("p")
    by_hand = D(10) - D("2.015") - (1000 + 1005) * D("0.00075")
    assert profit_in_quote(ledger.pair("p"), D(1000), fees) == by_hand
    assert profit_in_quote(ledger.pair("p"), D(1000), lambda instrument: None) == D("7.985"), (
        "nobody knows what it is worth"
    )


@pytest.mark.parametrize("first", Side)
def test_a_round_trip_pays_its_fees_in_a_token_whichever_way_it_begins(first: Side) -> None:
    there, back = (TradeLeg(instrument=PERP, side=side) for side in (first, first.opposite))
    ledger = Ledger()
    ledger.open_pair("r", Route(kind="round", legs=(there, HoldLeg(expected_s=1), back)), 1)
    ledger.on_fill("r", first, fill("1", PERP, first, "1", "1000", "0.00125", "BNB"))
    ledger.on_fill("r", first, fill("2", PERP, first.opposite, "1", "1005", "0.00126", "BNB"))
    ledger.close_pair("r")
    by_hand = first.sign * D(5) - (1000 + 1005) * D("0.00075")
    assert profit_in_quote(ledger.pair("r"), D(1000), fees) == by_hand


def test_what_a_chain_paid_in_a_token_is_a_loss_too() -> None:
    btc, cross, eth = spot("BTC/USDT"), spot("ETH/BTC"), spot("ETH/USDT")
    legs = (
        TradeLeg(instrument=btc, side=BUY),
        TradeLeg(instrument=cross, side=BUY),
        TradeLeg(instrument=eth, side=SELL),
    )
    ledger = Ledger()
    ledger.open_pair("c", Route(kind="triangular", legs=legs), 1)
    ledger.on_fill("c", None, fill("1", btc, BUY, "0.1", "60000", "0.0075", "BNB"))
    ledger.on_fill("c", None, fill("2", cross, BUY, "2", "0.05", "0.0075", "BNB"))
    ledger.on_fill("c", None, fill("3", eth, SELL, "2", "3010", "0.0075", "BNB"))
    ledger.close_pair("c")
    by_hand = D(20) - (6000 + D("0.1") * 60000 + 6020) * D("0.00075")
    assert profit_in_quote(ledger.pair("c"), PRICE, fees) == by_hand


@pytest.mark.parametrize("charged", [None, "4"], ids=["as the run began", "as it was when it was taken"])
def test_a_restart_counts_the_same_for_the_day(tmp_path: Path, charged: str | None) -> None:
    opening, closing, lost = a_lost_pair(NOON_NS)
    records = [(kind, key, dict(body)) for kind, key, body in (*opening, *closing)]
    traded = D(0)
    for kind, _, body in records:
        if kind is RecordKind.FILL and body["instrument"]["segment"] == "spot":
            lost += D(body["fee"]) * (D(body["price"]) if body["fee_asset"] == body["instrument"]["base"] else 1)
            body |= {"fee": "0.001", "fee_asset": "BNB"} | ({"charged_bps": charged} if charged else {})
            traded += D(body["price"]) * D(body["quantity"])
    journal = SqliteJournal(tmp_path, "run")
    told = [one.model_dump(mode="json") for one in INSTRUMENTS]
    schedules = {str(one.feed): fees(one).model_dump(mode="json") for one in INSTRUMENTS}
    start = {"run_id": "run", "market": "live", "accounts": MINE, "started_ns": NOON_NS, "instruments": told}
    journal.record(RecordKind.RUN, "run", NOON_NS, start | {"fees": schedules})
    for kind, key, body in records:
        journal.record(kind, key, NOON_NS, body)
    journal.close()
    assert traded > 0
    assert abs(
        realised_today(tmp_path, MINE, INSTRUMENTS, NOON_NS) - (lost - traded * D(charged or "7.5") / 10_000)
    ) < D("0.001")
