"""What a venue trades of ours by itself, as its private stream tells it: a fill that no order of ours asked for."""

from decimal import Decimal
from typing import Any

import pytest

from bot.clock import VirtualClock
from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Fill, Order, Side
from bot.errors import MalformedPayload, VenueError
from exchanges.binance.account_history import BinanceHistory
from exchanges.binance.private_streams import UserEvents
from exchanges.binance.refusals import checked
from exchanges.bybit.account_history import BybitHistory
from exchanges.bybit.private_stream import PrivateTopics
from exchanges.common.account.asked_account import AskedAccount
from exchanges.common.account.funding_desk import FundingDesk
from exchanges.common.account.order_desk import OrderDesk
from exchanges.common.account.wallet_book import WalletBook
from exchanges.common.requests.venue_http import Answer

D = Decimal


def perpetual(venue: str) -> Instrument:
    return Instrument(
        venue=venue, segment=Segment.LINEAR, symbol="BTC/USDT:USDT", base="BTC", quote="USDT", settle="USDT",
        tick_size=D("0.1"), lot_size=D("0.001"),
    )  # fmt: skip


class Here:
    """A desk that listens, and its stream's reader."""

    def __init__(self, venue: str) -> None:
        self.fills: list[Fill] = []
        self.log: list[str] = []
        self.what = perpetual(venue)
        self.desk = OrderDesk(VirtualClock(), self)
        wallets = WalletBook(lambda one: str(one.feed), {}, D("0.1"), locks_margin=True)
        listed = {"BTCUSDT": self.what}
        self.take: Any
        if venue == "binance":
            self.take = UserEvents(self.what.feed, listed, self.desk, wallets, self.due, self.note).take
        else:
            self.take = PrivateTopics({self.what.feed: listed}, self.desk, wallets, FundingDesk(), self.note).take

    def due(self) -> None:
        raise AssertionError("no funding was settled")

    def note(self, level: str, text: str) -> None:
        self.log.append(text)

    def on_fill(self, fill: Fill) -> None:
        self.fills.append(fill)

    def on_order(self, order: Order) -> None:
        raise AssertionError("no order of ours ended")


def binance_event(name: str, state: str = "FILLED") -> dict[str, Any]:
    """`ORDER_TRADE_UPDATE` as Binance documents it."""
    order = {
        "s": "BTCUSDT", "c": name, "S": "SELL", "o": "MARKET", "f": "IOC", "q": "0.5", "p": "0", "ap": "50000",
        "sp": "0", "x": "TRADE", "X": state, "i": 8886774, "l": "0.5", "z": "0.5", "L": "50000", "N": "USDT",
        "n": "12.5", "T": 1795000000000, "t": 77, "b": "0", "a": "0", "m": False, "R": True, "ps": "BOTH", "rp": "3",
    }  # fmt: skip
    return {"e": "ORDER_TRADE_UPDATE", "E": 1795000000001, "T": 1795000000000, "o": order}


def bybit_event(kind: str, created_by: str = "") -> dict[str, Any]:
    """A message of `execution` as Bybit documents it."""
    row = {
        "category": "linear", "symbol": "BTCUSDT", "execId": "77", "execPrice": "50000", "execQty": "0.5",
        "execType": kind, "execFee": "12.5", "feeCurrency": "", "feeRate": "0.0005", "isMaker": False,
        "orderId": "1", "orderLinkId": "", "side": "Sell", "execTime": "1795000000000", "execPnl": "3",
        "createType": created_by,
    }  # fmt: skip
    return {"id": "1", "topic": "execution", "creationTime": 1795000000001, "data": [row]}


FORCED = [
    ("binance", binance_event("autoclose-1795000000000"), "liquidation"),
    ("binance", binance_event("adl_autoclose"), "adl"),
    ("binance", binance_event("settlement_autoclose-1795000000000"), "delisting"),
    ("bybit", bybit_event("BustTrade"), "liquidation"),
    ("bybit", bybit_event("Trade", "CreateByLiq"), "liquidation"),
    ("bybit", bybit_event("BustTrade", "CreateByTakeOver_PassThrough"), "liquidation"),
    ("bybit", bybit_event("AdlTrade"), "adl"),
    ("bybit", bybit_event("Trade", "CreateByAdl_PassThrough"), "adl"),
    ("bybit", bybit_event("Trade", "CreateBySettle"), "delisting"),
    ("bybit", bybit_event("Delivery"), "delisting"),
    ("bybit", bybit_event("Settle"), "delisting"),
]


@pytest.mark.parametrize(("venue", "event", "why"), FORCED, ids=[f"{venue} {why}" for venue, _, why in FORCED])
def test_what_the_venue_trades_itself_is_a_fill_that_is_told_once(venue: str, event: Any, why: str) -> None:
    here = Here(venue)
    here.take(event)
    here.take(event)
    (fill,) = here.fills
    assert (fill.forced, fill.side, fill.quantity, fill.price) == (why, Side.SELL, D("0.5"), D(50000))
    assert (fill.fee, fill.fee_asset, fill.instrument) == (D("12.5"), "USDT", here.what)


@pytest.mark.parametrize("asked_first", [True, False])
def test_what_is_found_by_asking_and_told_by_the_stream_is_one_fill(asked_first: bool) -> None:
    here = Here("binance")
    nothing: Any = None
    account = AskedAccount("binance", nothing, nothing, nothing, nothing, here.desk, nothing)
    event = binance_event("autoclose-1795000000000")
    other = Here("binance")
    other.take(event)
    ways = [lambda: account.take(other.fills[0]), lambda: here.take(event)]
    for tell in ways if asked_first else reversed(ways):
        assert tell()
    assert [fill.forced for fill in here.fills] == ["liquidation"]
    assert not account.take(other.fills[0].model_copy(update={"forced": ""})), "an order that is none of ours"


NO_TRADES = [("0", "0.5"), ("-1", "0.5"), ("50000", "0"), ("50000", "-1")]


@pytest.mark.parametrize(("price", "quantity"), NO_TRADES)
async def test_a_row_that_is_no_trade_by_its_figures_spoils_no_history_at_binance(price: str, quantity: str) -> None:
    what = perpetual("binance")
    sound = {
        "id": 77, "orderId": 8, "price": "50000", "qty": "0.5", "commission": "1", "commissionAsset": "USDT",
        "maker": False, "buyer": False, "time": 1_794_999_999_000,
    }  # fmt: skip
    order = {"symbol": "BTCUSDT", "orderId": 8, "clientOrderId": "mine", "status": "FILLED", "executedQty": "0.5"}

    class Rest:
        async def read(self, path: str, kind: Any, values: Any, lane: Any = None) -> Any:
            odd = sound | {"price": price, "qty": quantity, "id": 76}
            return kind.validate_python([odd, sound] if path.endswith("userTrades") else order)

    rest: Any = Rest()
    clock = VirtualClock(1_795_000_000_000_000_000)
    history = BinanceHistory({what.feed: rest}, {what.feed: {"BTCUSDT": what}}, clock)
    fills = await history.trades([what], 1_794_999_000_000_000_000, lambda instrument, fill: False)
    assert [(fill.fill_id, fill.client_order_id) for fill in fills] == [("77", "mine")]


FORGOTTEN = '{"code": -2013, "msg": "Order does not exist."}'
LIQUIDATED = '{"orderId": 8, "clientOrderId": "autoclose-1", "status": "NEW_INSURANCE", "executedQty": "0.5"}'


@pytest.mark.parametrize(
    ("status", "answer", "minutes_ago", "name"),
    [(400, FORGOTTEN, 60, ""), (400, FORGOTTEN, 1, None), (200, LIQUIDATED, 60, "autoclose-1")],
    ids=["forgotten", "not there yet", "of the venue's own"],
)
async def test_an_order_that_binance_does_not_tell_of_spoils_no_history(
    status: int, answer: str, minutes_ago: int, name: str | None
) -> None:
    """A person's order that rested for more than ninety days is traded: nobody could ask for the account otherwise."""
    what = perpetual("binance")
    now_ns = 1_795_000_000_000_000_000
    trade = {
        "id": 77, "orderId": 8, "price": "50000", "qty": "0.5", "commission": "1", "commissionAsset": "USDT",
        "maker": True, "buyer": False, "time": now_ns // 1_000_000 - minutes_ago * 60_000,
    }  # fmt: skip

    class Rest:
        async def read(self, path: str, kind: Any, values: Any, lane: Any = None) -> Any:
            if path.endswith("userTrades"):
                return kind.validate_python([trade])
            return kind.validate_json(checked(Answer(status, {}, answer)))

    rest: Any = Rest()
    history = BinanceHistory({what.feed: rest}, {what.feed: {"BTCUSDT": what}}, VirtualClock(now_ns))
    asked = history.trades([what], now_ns - 10**13, lambda instrument, fill: False)
    if name is None:
        with pytest.raises(VenueError):
            await asked
    else:
        (fill,) = await asked
        assert (fill.client_order_id, fill.forced) == (name, "liquidation" if name else "")


@pytest.mark.parametrize(("price", "quantity"), NO_TRADES)
async def test_a_row_that_is_no_trade_by_its_figures_spoils_no_history_at_bybit(price: str, quantity: str) -> None:
    """Asked for over REST, where everything that the account has traded stands in one list."""
    odd, sound = bybit_event("Delivery")["data"][0], bybit_event("Trade")["data"][0]
    odd |= {"execPrice": price, "execQty": quantity, "execId": "76"}
    what = perpetual("bybit")

    class Rest:
        async def read(self, path: str, kind: Any, values: Any, lane: Any = None) -> Any:
            return kind.model_validate({"list": [odd, sound]})

    rest: Any = Rest()
    history = BybitHistory(rest, {what.feed: {"BTCUSDT": what}}, VirtualClock(1_795_000_000_000_000_000))
    fills = await history.trades([what], 1_794_999_000_000_000_000, lambda instrument, fill: False)
    assert [fill.fill_id for fill in fills] == ["77"]


@pytest.mark.parametrize("state", ["NEW_INSURANCE", "NEW_ADL", "SOMETHING_NEW"])
def test_a_state_that_is_not_known_takes_no_fill_with_it(state: str) -> None:
    here = Here("binance")
    here.take(binance_event("autoclose-1795000000000", state))
    assert [fill.quantity for fill in here.fills] == [D("0.5")]


def test_a_state_that_is_not_known_is_no_state_of_an_order_of_ours() -> None:
    here = Here("binance")
    here.desk.open(Order.model_validate({
        "client_order_id": "mine", "instrument": here.what, "side": Side.SELL, "type": "market",
        "time_in_force": "ioc", "quantity": D(1), "price": None, "ts_decision_ns": 1,
    }))  # fmt: skip
    with pytest.raises(MalformedPayload, match="unknown status"):
        here.take(binance_event("mine", "SOMETHING_NEW"))
    assert [fill.client_order_id for fill in here.fills] == ["mine"], "it was traded, whatever became of the order"
    assert here.desk.in_flight == 1
