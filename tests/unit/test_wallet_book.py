"""What a wallet is known to hold, and what it still covers."""

from decimal import Decimal

import pytest

from bot.clock import VirtualClock
from bot.domain.account import Balance, Position
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Order, OrderType, Side, TimeInForce
from exchanges.common.account.order_desk import OrderDesk
from exchanges.common.account.wallet_book import WalletBook

D = Decimal


def instrument(segment: Segment) -> Instrument:
    spot = segment is Segment.SPOT
    return Instrument(
        venue="binance", symbol="BTC/USDT" if spot else "BTC/USDT:USDT", segment=segment, base="BTC", quote="USDT",
        settle=None if spot else "USDT", tick_size=D("0.1"), lot_size=D("0.001"),
    )  # fmt: skip


SPOT, LINEAR = instrument(Segment.SPOT), instrument(Segment.LINEAR)
FEES = {i.feed: FeeSchedule(feed=i.feed, maker_bps=D(1), taker_bps=D(10), source="settings") for i in (SPOT, LINEAR)}


def book(*, locks_margin: bool = True) -> WalletBook:
    return WalletBook(lambda i: str(i.feed), FEES, D("0.2"), locks_margin=locks_margin)


def balance(wallet: str, asset: str, total: str, locked: str = "0") -> Balance:
    return Balance(wallet=wallet, asset=asset, total=D(total), locked=D(locked))


class Nobody:
    def on_order(self, order: Order) -> None: ...
    def on_fill(self, fill: object) -> None: ...


def flying(what: Instrument, side: Side, price: str | None, *, reduce_only: bool = False) -> OrderDesk:
    desk = OrderDesk(VirtualClock(), Nobody())
    desk.open(
        Order(
            client_order_id="a",
            instrument=what,
            side=side,
            quantity=D("0.1"),
            reduce_only=reduce_only,
            type=OrderType.MARKET if price is None else OrderType.LIMIT,
            price=None if price is None else D(price),
            time_in_force=TimeInForce.IOC,
            ts_decision_ns=1,
        )
    )
    return desk


def test_a_snapshot_never_overwrites_what_the_stream_told_since_it_was_asked_for() -> None:
    wallets = book()
    asked_at = wallets.mark()
    wallets.set_balance(balance("binance.spot", "BTC", "3"))
    wallets.set_wallet(
        "binance.spot", [balance("binance.spot", "BTC", "2"), balance("binance.spot", "USDT", "5")], asked_at
    )
    assert {(b.asset, b.total) for b in wallets.balances()} == {("BTC", D(3)), ("USDT", D(5))}
    wallets.set_wallet("binance.spot", [], wallets.mark())
    assert {b.total for b in wallets.balances()} == {D(0)}


def test_a_snapshot_that_was_asked_for_first_and_came_last_overwrites_nothing() -> None:
    wallets = book()
    wallets.set_wallet("binance.spot", [balance("binance.spot", "USDT", "200")], wallets.mark())
    before, after = wallets.mark(), wallets.mark()
    wallets.set_wallet("binance.spot", [balance("binance.spot", "BTC", "2")], after)
    wallets.set_position(Position(instrument=LINEAR, quantity=D(1), average_price=D(100)), after)
    wallets.set_wallet("binance.spot", [balance("binance.spot", "USDT", "200")], before)
    wallets.set_position(Position(instrument=LINEAR, quantity=D(0), average_price=D(0)), before)
    assert wallets.position(LINEAR).quantity == 1
    assert {b.asset: b.total for b in wallets.balances() if b.total} == {"BTC": D(2)}


def test_positions_tie_up_margin_where_the_venue_leaves_it_out() -> None:
    for locks, locked in ((True, D(2000)), (False, D(0))):
        wallets = book(locks_margin=locks)
        wallets.set_balance(balance("binance.linear", "USDT", "10000"))
        wallets.set_position(Position(instrument=LINEAR, quantity=D("-0.2"), average_price=D(50000)))
        (one,) = wallets.balances()
        assert one.locked == locked


@pytest.mark.parametrize(
    ("what", "side", "covered"),
    [
        (SPOT, Side.BUY, 1000.0),
        (SPOT, Side.SELL, 2 * 50000.0),
        (LINEAR, Side.BUY, 1000 / 0.201),
        (LINEAR, Side.SELL, 1000 / 0.201),
    ],
)
def test_what_is_covered(what: Instrument, side: Side, covered: float) -> None:
    wallets = book()
    for wallet in ("binance.spot", "binance.linear"):
        wallets.set_balance(balance(wallet, "USDT", "1500", "500"))
        wallets.set_balance(balance(wallet, "BTC", "2"))
    assert wallets.affordable_notional(what, side, 50000.0) == pytest.approx(covered)
    assert wallets.affordable_notional(what, side, 50000.0) <= covered


@pytest.mark.parametrize(
    ("side", "price", "needs"),
    [(Side.BUY, "100", 10.0), (Side.BUY, None, 5.0), (Side.SELL, "100", 0.0)],
)
def test_an_order_on_its_way_reserves_what_it_will_take(side: Side, price: str | None, needs: float) -> None:
    wallets = book()
    wallets.set_balance(balance("binance.spot", "USDT", "1000"))
    before = wallets.affordable_notional(SPOT, Side.BUY, 50.0)
    desk = flying(SPOT, side, price)
    assert before - wallets.affordable_notional(SPOT, Side.BUY, 50.0, desk.flying) == pytest.approx(needs)


def test_reducing_needs_no_margin_and_opening_does() -> None:
    wallets = book()
    wallets.set_balance(balance("binance.linear", "USDT", "1000"))
    before = wallets.affordable_notional(LINEAR, Side.BUY, 100.0)
    closing = flying(LINEAR, Side.SELL, "100", reduce_only=True).flying
    opening = flying(LINEAR, Side.SELL, "100").flying
    assert wallets.affordable_notional(LINEAR, Side.BUY, 100.0, closing) == before
    assert before - wallets.affordable_notional(LINEAR, Side.BUY, 100.0, opening) == pytest.approx(10.0)


def test_nothing_is_affordable_where_fee_balance_or_price_is_not_known() -> None:
    wallets = book()
    assert wallets.affordable_notional(SPOT, Side.BUY, 100.0) == 0.0
    wallets.set_balance(balance("binance.spot", "USDT", "1000"))
    assert wallets.affordable_notional(SPOT, Side.BUY, float("nan")) == 0.0
    assert wallets.affordable_notional(SPOT, Side.BUY, float("inf")) == 0.0
    without_fees = WalletBook(lambda i: str(i.feed), {}, D("0.2"), locks_margin=True)
    without_fees.set_balance(balance("binance.spot", "USDT", "1000"))
    assert without_fees.affordable_notional(SPOT, Side.BUY, 100.0) == 0.0


def test_a_loss_beyond_the_wallet_covers_nothing() -> None:
    wallets = book()
    wallets.set_balance(balance("binance.linear", "USDT", "-5"))
    assert wallets.affordable_notional(LINEAR, Side.BUY, 100.0) == 0.0
