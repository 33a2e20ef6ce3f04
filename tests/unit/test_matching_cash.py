"""Cash of trades, positions and wallets, against figures worked out by hand."""

from decimal import Decimal, Inexact

import pytest

from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Fill, Side
from bot.matching.accounts import Accounts
from bot.matching.cash import cash_flow, cash_value, exact, from_float, share, trade_fee
from bot.matching.position import OpenPosition

D = Decimal
GRID = {"tick_size": D("0.1"), "lot_size": D("0.001")}
SPOT = Instrument(venue="a", symbol="BTC/USDT", segment=Segment.SPOT, base="BTC", quote="USDT", **GRID)
LINEAR = Instrument(
    venue="a", symbol="BTC/USDT:USDT", segment=Segment.LINEAR, base="BTC", quote="USDT", settle="USDT", **GRID
)
THOUSANDS = LINEAR.model_copy(update={"symbol": "PEPE/USDT:USDT", "contract_multiplier": D(1000)})
INVERSE = Instrument(
    venue="a", symbol="BTC/USD:BTC", segment=Segment.INVERSE, base="BTC", quote="USD", settle="BTC",
    tick_size=D("0.1"), lot_size=D(1), contract_multiplier=D(100),
)  # fmt: skip


def fill(instrument: Instrument, side: Side, quantity: str, price: str, fee: str = "0", fee_asset: str = "") -> Fill:
    return Fill(
        fill_id="f", client_order_id="o", instrument=instrument, side=side, price=D(price), quantity=D(quantity),
        fee=D(fee), fee_asset=fee_asset or instrument.settle or "USDT", is_maker=False, ts_event_ns=1,
    )  # fmt: skip


def test_value_of_each_segment() -> None:
    assert cash_value(SPOT, D(50_000), D("0.5")) == 25_000
    assert cash_value(THOUSANDS, D("0.01"), D(3)) == 30
    assert cash_value(INVERSE, D(50_000), D(10)) == D("0.02")


def test_buying_pays_except_for_inverse_contracts() -> None:
    assert cash_flow(LINEAR, Side.BUY, D(100), D(2)) == -200
    assert cash_flow(LINEAR, Side.SELL, D(100), D(2)) == 200
    assert cash_flow(INVERSE, Side.BUY, D(100), D(2)) == 2


def test_the_fee_of_spot_is_taken_from_what_is_received() -> None:
    assert trade_fee(SPOT, Side.BUY, D(50_000), D("0.5"), D(10)) == D("0.0005")
    assert trade_fee(SPOT, Side.SELL, D(50_000), D("0.5"), D(10)) == 25
    assert trade_fee(LINEAR, Side.BUY, D(50_000), D("0.5"), D("5.5")) == D("13.75")
    assert trade_fee(INVERSE, Side.BUY, D(50_000), D(10), D(5)) == D("0.00001")
    assert trade_fee(LINEAR, Side.BUY, D(50_000), D("0.5"), D(-1)) == D("-2.5")


def test_money_is_not_rounded_to_the_default_28_digits() -> None:
    price, quantity = D("12345.678901234567"), D("0.12345678901234567")
    assert cash_value(SPOT, price, quantity).as_tuple().digits[-3:] == (4, 8, 9)
    assert len(cash_value(SPOT, price, quantity).as_tuple().digits) > 28


def test_rounding_in_exact_code_is_an_error() -> None:
    with pytest.raises(Inexact):
        exact(lambda: D(1) / D(3))()


def test_the_extremes_of_float_are_still_exact() -> None:
    tiny, huge = from_float(5e-324), from_float(1.7976931348623157e308)
    total = exact(lambda: cash_value(SPOT, tiny, tiny) + cash_value(SPOT, huge, huge))()
    assert exact(lambda: total - cash_value(SPOT, huge, huge))() == cash_value(SPOT, tiny, tiny) > 0


def test_a_share_is_rounded_towards_minus_infinity() -> None:
    assert share(D(1), D(1), D(3)) == D("0.333333333333333333")
    assert share(D(-1), D(1), D(3)) == D("-0.333333333333333334")


def test_a_linear_position_averages_realises_and_turns_round() -> None:
    held = OpenPosition(LINEAR)
    assert held.trade(Side.BUY, D(100), D(1)) == 0
    assert held.trade(Side.BUY, D(110), D(1)) == 0
    assert held.view().average_price == 105
    assert held.trade(Side.SELL, D(120), D("0.5")) == D("7.5")
    assert held.trade(Side.SELL, D(90), D(2)) == D("-22.5")
    assert (held.quantity, held.average_price, held.realised) == (D("-0.5"), 90, -15)


def test_an_inverse_position_earns_in_base() -> None:
    held = OpenPosition(INVERSE)
    held.trade(Side.BUY, D(40_000), D(10))
    assert held.average_price == 40_000
    assert held.trade(Side.SELL, D(50_000), D(10)) == D("0.005")  # 1000 × (1/40000 − 1/50000)
    short = OpenPosition(INVERSE)
    short.trade(Side.SELL, D(40_000), D(10))
    assert short.trade(Side.BUY, D(50_000), D(10)) == D("-0.005")


def test_a_position_whose_average_has_no_decimal_realises_everything_when_flat() -> None:
    held = OpenPosition(LINEAR)
    held.trade(Side.BUY, D(100), D(1))
    held.trade(Side.BUY, D(101), D(2))
    first = held.trade(Side.SELL, D(102), D(1))
    assert first == D("1.333333333333333333")
    assert first + held.trade(Side.SELL, D(102), D(2)) == 4


def test_spot_moves_both_assets_and_the_fee_its_own() -> None:
    accounts = Accounts({"a.spot": {"USDT": D(1000)}}, D("0.2"))
    accounts.apply(fill(SPOT, Side.BUY, "2", "100", "0.002", "BTC"))
    accounts.apply(fill(SPOT, Side.SELL, "1", "110", "0.5", "BNB"))
    totals = {b.asset: b.total for b in accounts.balances()}
    assert totals == {"USDT": 910, "BTC": D("0.998"), "BNB": D("-0.5")}
    assert accounts.positions() == []


def test_margin_is_locked_while_a_position_is_open() -> None:
    accounts = Accounts({"a.linear": {"USDT": D(100)}}, D("0.2"))
    accounts.apply(fill(LINEAR, Side.SELL, "2", "100", "0.1"))
    balance = accounts.balance("a.linear", "USDT")
    assert (balance.total, balance.locked, balance.available) == (D("99.9"), 40, D("59.9"))
    accounts.apply(fill(LINEAR, Side.BUY, "2", "90", "0.1"))
    balance = accounts.balance("a.linear", "USDT")
    assert (balance.total, balance.locked) == (D("119.8"), 0)


@pytest.mark.parametrize(("side", "rate", "expected"), [
    (Side.BUY, "0.0001", "-0.021"), (Side.SELL, "0.0001", "0.021"), (Side.BUY, "-0.0001", "0.021"),
])  # fmt: skip
def test_longs_pay_positive_funding(side: Side, rate: str, expected: str) -> None:
    accounts = Accounts({"a.linear": {"USDT": D(100)}}, D("0.2"))
    accounts.apply(fill(LINEAR, side, "2", "100"))
    payment = accounts.settle_funding(LINEAR, D(rate), D(105), 7)
    assert payment is not None
    assert (payment.amount, payment.asset, payment.wallet, payment.ts_ns) == (D(expected), "USDT", "a.linear", 7)
    assert accounts.balance("a.linear", "USDT").total == 100 + D(expected)


def test_inverse_funding_is_paid_in_base() -> None:
    accounts = Accounts({"a.inverse": {"BTC": D(1)}}, D("0.2"))
    accounts.apply(fill(INVERSE, Side.BUY, "100", "50000"))
    payment = accounts.settle_funding(INVERSE, D("0.001"), D(40_000), 7)
    assert payment is not None
    assert (payment.amount, payment.asset) == (D("-0.00025"), "BTC")


def test_a_flat_account_pays_no_funding() -> None:
    accounts = Accounts({}, D("0.2"))
    assert accounts.settle_funding(LINEAR, D("0.01"), D(100), 7) is None
    accounts.apply(fill(LINEAR, Side.BUY, "1", "100"))
    accounts.apply(fill(LINEAR, Side.SELL, "1", "100"))
    assert accounts.settle_funding(LINEAR, D("0.01"), D(100), 7) is None


@pytest.mark.parametrize(("instrument", "side", "covered"), [
    (SPOT, Side.BUY, 1000), (SPOT, Side.SELL, 300), (LINEAR, Side.BUY, 400), (INVERSE, Side.SELL, 50),
])  # fmt: skip
def test_what_the_wallet_covers(instrument: Instrument, side: Side, covered: int) -> None:
    wallets = {"a.spot": {"USDT": D(1100), "BTC": D(4)}, "a.linear": {"USDT": D(200)}, "a.inverse": {"BTC": D("1.25")}}
    accounts = Accounts(wallets, D("0.249"))
    reserved = {SPOT: D(100) if side is Side.BUY else D(1), LINEAR: D(100), INVERSE: D("1.125")}[instrument]
    got = accounts.covered_notional(instrument, side, D(100), D(10), reserved)
    assert got == covered
    assert accounts.covered_notional(instrument, side, D(100), D(10), D(10**6)) == 0
