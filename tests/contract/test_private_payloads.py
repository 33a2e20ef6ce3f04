"""The venues' documented private payloads are read, down to the numbers in them.

They lie outside of the repository; without them there is nothing to read.
"""

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from bot.domain.order import OrderStatus, Side
from bot.errors import MalformedPayload
from exchanges.binance import private_schemas as binance
from exchanges.binance.order_requests import report_of_event
from exchanges.bybit import private_schemas as bybit

D = Decimal
SHARED = Path(os.environ.get("CRYPTO_PIPE_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))
JKORF = SHARED / "fixtures/jkorf"
pytestmark = pytest.mark.skipif(not JKORF.is_dir(), reason=f"no documented payloads in {JKORF}")


def answer(path: str) -> Any:
    text = (JKORF / path).read_text()
    starts = [at for at in (text.find("\n{"), text.find("\n[")) if at >= 0]
    return json.loads(text[min(starts) :])


def pushed(path: str) -> Any:
    return json.loads((JKORF / path).read_text().partition("\n=")[2])


BINANCE = "Binance/Subscriptions/"
BINANCE_REST = "Binance/Endpoints/"
BYBIT = "Bybit/Subscriptions/V5/Private/"
BYBIT_REST = "Bybit/Endpoints/V5Api/"


def test_binance_futures_order_event() -> None:
    event = binance.OrderTradeUpdate.model_validate(pushed(f"{BINANCE}UsdFutures/OrderUpdate.txt")["data"]).order
    assert (event.symbol, event.client_order_id, event.side) == ("BTCUSDT", "TEST", Side.SELL)
    assert (event.status, event.order_id, event.fee_asset) == (OrderStatus.SENT, "8886774", "USDT")
    assert event.ts_ns == 1568879465650 * 1_000_000


def test_binance_spot_order_event() -> None:
    event = binance.Execution.model_validate(pushed(f"{BINANCE}Spot/Account/Order.txt")["event"])
    assert (event.client_order_id, event.kind, event.filled) == ("mUvoqJxFIILMdfAW5iGSOW", "NEW", D(0))
    cancelled = pushed(f"{BINANCE}Spot/Account/Order.txt")["event"] | {"C": "original", "X": "CANCELED"}
    event = binance.Execution.model_validate(cancelled)
    assert (event.client_order_id, event.status) == ("original", OrderStatus.CANCELLED)


def test_an_order_state_that_nobody_knows_is_not_taken_for_another() -> None:
    event = pushed(f"{BINANCE}Spot/Account/Order.txt")["event"] | {"X": "HALF_DONE"}
    told = binance.Execution.model_validate(event)
    assert told.status is None
    with pytest.raises(MalformedPayload):
        report_of_event(told)
    row = pushed(f"{BYBIT}Order.txt")["data"][0] | {"orderStatus": "HalfDone"}
    with pytest.raises(ValidationError):
        bybit.OrderRow.model_validate(row)


def test_binance_account_events() -> None:
    change = binance.AccountUpdate.model_validate(pushed(f"{BINANCE}UsdFutures/AccountUpdate.txt")["data"]).change
    assert next((row.asset, row.total) for row in change.balances) == ("USDT", D("122624.12345678"))
    assert [(row.side, row.quantity, row.realised) for row in change.positions] == [
        ("BOTH", D(0), D(200)), ("LONG", D(20), D(0)), ("SHORT", D(-10), D("-45.04")),
    ]  # fmt: skip
    outbound = pushed(f"{BINANCE}Spot/Account/AccountPosition.txt")["event"]
    (row,) = binance.OutboundPosition.model_validate(outbound).balances
    assert (row.asset, row.free, row.locked) == ("ETH", D(10000), D(0))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("Spot/Trading/GetOrder.txt", TypeAdapter(binance.OrderRow)),
        ("UsdFutures/Trading/GetOrder.txt", TypeAdapter(binance.OrderRow)),
        ("Spot/Trading/GetUserTrades.txt", binance.TRADES),
        ("UsdFutures/Trading/GetUserTrades.txt", binance.TRADES),
        ("Spot/Account/GetAccountInfo.txt", TypeAdapter(binance.SpotAccount)),
        ("UsdFutures/Account/GetBalances.txt", binance.FUTURES_BALANCES),
        ("UsdFutures/Account/GetIncomeHistory.txt", binance.INCOME),
        ("UsdFutures/Trading/GetPositions.txt", binance.POSITIONS),
    ],
)
def test_binance_answers(path: str, kind: TypeAdapter[Any]) -> None:
    assert kind.validate_python(answer(f"{BINANCE_REST}{path}"))


def test_bybit_execution() -> None:
    (row,) = bybit.ExecutionRows.model_validate(pushed(f"{BYBIT}UserTrades.txt")).rows
    assert (row.price, row.quantity, row.fee, row.side) == (D("0.3374"), D(25), D("0.005061"), Side.SELL)
    assert row.ts_ns == 1672364174443 * 1_000_000


def test_bybit_wallet_position_and_order() -> None:
    (wallet,) = bybit.WalletRows.model_validate(pushed(f"{BYBIT}Balance.txt")).rows
    (coin,) = wallet.coins
    assert (wallet.account, coin.coin, coin.total, coin.order_margin) == ("UNIFIED", "BTC", D("0.00102964"), D(0))
    position = bybit.PositionRows.model_validate(pushed(f"{BYBIT}Position.txt")).rows[0]
    assert (position.quantity, position.index) == (D(0), 2)
    assert bybit.OrderRows.model_validate(pushed(f"{BYBIT}Order.txt")).rows


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("Trading/GetOrders.txt", bybit.OrderRows),
        ("Trading/GetOrderHistory.txt", bybit.OrderRows),
        ("Trading/GetUserTrades.txt", bybit.ExecutionRows),
        ("Trading/GetPositions.txt", bybit.PositionRows),
        ("Account/GetBalances.txt", bybit.WalletRows),
    ],
)
def test_bybit_answers(path: str, kind: Any) -> None:
    envelope = bybit.Envelope.model_validate(answer(f"{BYBIT_REST}{path}"))
    assert kind.model_validate(envelope.result).rows
