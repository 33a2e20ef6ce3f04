"""The ledger of pairs, against figures worked out by hand."""

from decimal import Decimal

import pytest

from bot.domain.account import FundingPayment
from bot.domain.fees import FeeSchedule, fee_asset
from bot.domain.instrument import Instrument, Segment
from bot.domain.market import TopOfBook
from bot.domain.order import Fill, Side
from bot.domain.route import HoldLeg, Route, TradeLeg
from bot.errors import InvariantError
from bot.execution.ledger import Ledger

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
GRID = {"tick_size": D("0.1"), "lot_size": D("0.01")}
SPOT = Instrument(venue="a", symbol="ETH/USDT", segment=Segment.SPOT, base="ETH", quote="USDT", **GRID)
PERP = Instrument(
    venue="a", symbol="ETH/USDT:USDT", segment=Segment.LINEAR, base="ETH", quote="USDT", settle="USDT", **GRID
)
OTHER = Instrument(
    venue="b", symbol="ETH/USDT:USDT", segment=Segment.LINEAR, base="ETH", quote="USDT", settle="USDT", **GRID
)
INVERSE = Instrument(
    venue="b", symbol="ETH/USD:ETH", segment=Segment.INVERSE, base="ETH", quote="USD", settle="ETH",
    tick_size=D("0.1"), lot_size=D(1), contract_multiplier=D(10),
)  # fmt: skip


def ten_bps(instrument: Instrument) -> FeeSchedule:
    return FeeSchedule(feed=instrument.feed, maker_bps=D(0), taker_bps=D(10), source="settings")


def not_told(instrument: Instrument) -> None:
    return None


def route(buy: Instrument, sell: Instrument) -> Route:
    trades = ((buy, BUY), (sell, SELL)), ((buy, SELL), (sell, BUY))
    opening, closing = (tuple(TradeLeg(instrument=i, side=s) for i, s in part) for part in trades)
    return Route(kind="test", legs=(*opening, HoldLeg(expected_s=60), *closing))


def fill(name: str, instrument: Instrument, side: Side, quantity: str, price: str, fee: str = "0") -> Fill:
    return Fill(
        fill_id=name, client_order_id="o", instrument=instrument, side=side, price=D(price), quantity=D(quantity),
        fee=D(fee), fee_asset=fee_asset(instrument, side), is_maker=False, ts_event_ns=1,
    )  # fmt: skip


def quotes(**prices: tuple[float, float]) -> dict[str, TopOfBook]:
    instruments = {"spot": SPOT, "perp": PERP, "other": OTHER, "inverse": INVERSE}
    return {
        instruments[name].id: TopOfBook(bid_price=bid, bid_qty=1.0, ask_price=ask, ask_qty=1.0, sequence=1)
        for name, (bid, ask) in prices.items()
    }


def funding(amount: str, quantity: str, rate: str, mark: str, ts_ns: int = 5) -> FundingPayment:
    return FundingPayment(
        instrument=PERP, wallet="w", asset="USDT", amount=D(amount), quantity=D(quantity),
        rate=D(rate), mark_price=D(mark), ts_ns=ts_ns,
    )  # fmt: skip


@pytest.fixture
def carry() -> Ledger:
    """Cash and carry: 2 ETH bought at 1000 with a fee in ETH, 2 sold short at 1010."""
    ledger = Ledger()
    ledger.open_pair("p", route(SPOT, PERP), 3)
    ledger.on_fill("p", BUY, fill("1", SPOT, BUY, "2", "1000", "0.002"))
    ledger.on_fill("p", SELL, fill("2", PERP, SELL, "2", "1010", "1.01"))
    return ledger


def close_carry(ledger: Ledger) -> None:
    ledger.on_fill("p", BUY, fill("3", SPOT, SELL, "1.99", "1005", "1.99995"))
    ledger.on_fill("p", SELL, fill("4", PERP, BUY, "2", "1005", "1.005"))


def test_an_open_pair_tells_what_it_holds_and_paid(carry: Ledger) -> None:
    pair = carry.pair("p")
    assert (pair.buy.net_quantity, pair.buy.net_base, pair.buy.average_buy_price) == (2, D("1.998"), 1000)
    assert (pair.sell.net_quantity, pair.sell.average_sell_price, pair.sell.average_buy_price) == (-2, 1010, None)
    assert pair.net_base == D("-0.002")
    assert pair.fees == {"ETH": D("0.002"), "USDT": D("1.01")}
    assert (pair.opened_ns, pair.is_closed, pair.route) == (3, False, route(SPOT, PERP))
    assert carry.open_pairs() == ("p",)
    assert carry.realised() == {}


def test_the_average_price_weighs_every_fill(carry: Ledger) -> None:
    carry.on_fill("p", BUY, fill("5", SPOT, BUY, "6", "1100"))
    assert carry.pair("p").buy.average_buy_price == 1075
    assert carry.pair("p").buy.bought_quantity == 8


def test_a_closed_pair_has_earned_its_flows_and_keeps_its_dust(carry: Ledger) -> None:
    close_carry(carry)
    assert carry.realised() == {}
    assert carry.close_pair("p")
    # −2000 + 1.99 × 1005 − 1.99995 on spot; 2 × (1010 − 1005) − 1.01 − 1.005 on the perpetual
    assert carry.realised() == {"USDT": D("5.93505"), "ETH": D("0.008")}
    assert carry.unrealised(quotes(spot=(1.0, 2.0), perp=(1.0, 2.0)), ten_bps) == {}
    assert carry.open_pairs() == ()


def test_open_pairs_are_valued_at_what_closing_would_bring(carry: Ledger) -> None:
    got = carry.unrealised(quotes(spot=(1004.0, 1005.0), perp=(1004.0, 1006.0)), ten_bps)
    # spot: 1.99 sold at the bid; perpetual: 2 bought back at the ask; 10 bps each
    spot = -2000 + D("1.99") * 1004 * D("0.999")
    perp = 2 * (1010 - 1006) - D("1.01") - 2 * 1006 * D("0.001")
    assert got == {"USDT": spot + perp, "ETH": D("0.008")}
    assert carry.realised() == {}


@pytest.mark.parametrize("missing", ["spot", "perp", "fees", "nan"])
def test_a_pair_that_cannot_be_priced_is_named_and_left_out(carry: Ledger, missing: str) -> None:
    shown = {"spot": (1004.0, 1005.0), "perp": (1004.0, 1006.0)}
    if missing == "nan":
        shown["spot"] = (float("nan"), 1005.0)
    shown.pop(missing, None)
    fees = not_told if missing == "fees" else ten_bps
    assert carry.unrealised(quotes(**shown), fees) == {}
    assert carry.unpriced_pairs(quotes(**shown), fees) == ("p",)


def test_a_repeated_fill_changes_nothing(carry: Ledger) -> None:
    before = carry.pair("p")
    assert carry.on_fill("p", BUY, fill("1", SPOT, BUY, "2", "1000", "0.002")) is False
    assert carry.pair("p") == before
    assert carry.position(SPOT) == 2
    assert carry.on_fill("p", SELL, fill("1", PERP, SELL, "1", "1010")) is True  # another instrument's id


def test_a_pair_with_a_derivative_left_is_not_realised_until_that_is_flat(carry: Ledger) -> None:
    assert not carry.close_pair("p")
    assert carry.realised() == {}
    assert carry.open_pairs() == ("p",)
    close_carry(carry)
    assert carry.open_pairs() == ()
    assert carry.realised()["USDT"] == D("5.93505")


def test_a_late_fill_opens_a_closed_pair_again(carry: Ledger) -> None:
    close_carry(carry)
    carry.close_pair("p")
    carry.on_fill("p", SELL, fill("5", PERP, SELL, "1", "1000"))
    assert carry.realised() == {}
    assert carry.open_pairs() == ("p",)
    carry.on_fill("p", SELL, fill("6", PERP, BUY, "1", "990"))
    assert carry.realised()["USDT"] == D("15.93505")


def test_a_late_spot_fill_corrects_the_realised_profit(carry: Ledger) -> None:
    close_carry(carry)
    carry.close_pair("p")
    carry.on_fill("p", BUY, fill("5", SPOT, SELL, "0.008", "1000"))
    assert carry.realised() == {"USDT": D("13.93505")}


def test_funding_is_shared_by_quantity_and_the_rest_is_kept_apart(carry: Ledger) -> None:
    carry.open_pair("q", route(PERP, OTHER), 4)
    carry.on_fill("q", BUY, fill("7", PERP, BUY, "0.5", "1000"))
    # The account holds −1.7: −2 of p, +0.5 of q, and −0.2 of nobody.
    shares = carry.on_funding(funding("0.17", "-1.7", "0.0001", "1000"))
    assert shares == {"p": D("0.2"), "q": D("-0.05")}
    assert carry.pair("p").funding == {"USDT": D("0.2")}
    assert carry.unallocated_funding() == {"USDT": D("0.02")}


def test_a_funding_payment_counts_once(carry: Ledger) -> None:
    payment = funding("0.2", "-2", "0.0001", "1000")
    carry.on_funding(payment)
    assert carry.on_funding(payment) == {}
    carry.on_funding(payment.model_copy(update={"ts_ns": 6}))
    assert carry.pair("p").funding == {"USDT": D("0.4")}


def test_funding_stands_in_the_realised_profit(carry: Ledger) -> None:
    carry.on_funding(funding("0.2", "-2", "0.0001", "1000"))
    close_carry(carry)
    carry.close_pair("p")
    assert carry.realised()["USDT"] == D("6.13505")
    carry.on_funding(funding("0.3", "-3", "0.0001", "1000", ts_ns=9))
    assert carry.realised()["USDT"] == D("6.13505")
    assert carry.unallocated_funding() == {"USDT": D("0.3")}


def test_an_inverse_leg_earns_in_base() -> None:
    ledger = Ledger()
    ledger.open_pair("p", route(PERP, INVERSE), 1)
    ledger.on_fill("p", SELL, fill("1", INVERSE, SELL, "100", "1000"))
    assert ledger.pair("p").sell.net_base == -1
    assert ledger.pair("p").sell.average_sell_price == 1000
    assert ledger.unrealised(quotes(inverse=(1200.0, 1250.0)), ten_bps) == {"ETH": D("-0.2008")}
    ledger.on_fill("p", SELL, fill("2", INVERSE, BUY, "100", "1250"))
    ledger.close_pair("p")
    assert ledger.realised() == {"ETH": D("-0.2")}


@pytest.mark.parametrize("wrong", ["unknown", "twice", "leg", "close", "view"])
def test_what_cannot_be_is_our_bug(carry: Ledger, wrong: str) -> None:
    calls = {
        "unknown": lambda: carry.on_fill("x", BUY, fill("9", SPOT, BUY, "1", "1")),
        "twice": lambda: carry.open_pair("p", route(SPOT, PERP), 9),
        "leg": lambda: carry.on_fill("p", SELL, fill("9", SPOT, BUY, "1", "1")),
        "close": lambda: carry.close_pair("x"),
        "view": lambda: carry.pair("x"),
    }
    with pytest.raises(InvariantError):
        calls[wrong]()
    assert carry.position(SPOT) == 2
