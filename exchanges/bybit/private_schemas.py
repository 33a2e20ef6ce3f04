"""Bybit's private payloads as typed values: rows are the same over HTTP and on the private topics.

Source: https://bybit-exchange.github.io/docs/v5/websocket/private/order (and `execution`, `position`, `wallet`).
"""

from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from bot.domain.order import OrderStatus, Side
from exchanges.common.figures import BROKEN, Amount, Blank, Figure, PriceOrNone

_MS = 1_000_000
_SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}
_OPEN = frozenset({"Created", "New", "Untriggered", "Triggered", "Active"})
_ENDED = frozenset({"Cancelled", "PartiallyFilledCanceled", "Deactivated"})
_KNOWN = _OPEN | _ENDED | {"PartiallyFilled", "Filled", "Rejected"}
_NO_WORDS = frozenset({"", "EC_NoError", "UNKNOWN"})
_RowT = TypeVar("_RowT")

BybitSide = Annotated[Side, BeforeValidator(lambda text: _SIDES.get(text, text))]
MsTextAsNs = Annotated[int, Field(ge=0), AfterValidator(lambda ms: ms * _MS)]


def _known(text: str) -> str:
    # A state that is not known must not be taken for a final one, nor for an open one.
    if text not in _KNOWN:
        raise ValueError("unknown order status")
    return text


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True, hide_input_in_errors=True)


class OrderRow(_Row):
    """A row of topic `order`, of `order/realtime` and of `order/history`."""

    category: str = ""
    symbol: str
    order_id: str = Field(validation_alias="orderId")
    client_order_id: str = Field(validation_alias="orderLinkId")
    words: Annotated[str, AfterValidator(_known)] = Field(validation_alias="orderStatus")
    time_in_force: str = Field(default="", validation_alias="timeInForce")
    cancel_type: str = Field(default="", validation_alias="cancelType")
    reject_reason: str = Field(default="", validation_alias="rejectReason")
    filled: Blank = Field(validation_alias="cumExecQty")

    @property
    def status(self) -> OrderStatus:
        """Ours: Bybit says Cancelled as well of what an IOC order could not fill."""
        if self.words in _ENDED:
            expired = self.time_in_force in ("IOC", "FOK") and self.cancel_type != "CancelByUser"
            return OrderStatus.EXPIRED if expired else OrderStatus.CANCELLED
        if self.words in _OPEN:
            return OrderStatus.SENT
        named = {"Filled": OrderStatus.FILLED, "Rejected": OrderStatus.REJECTED}
        return named.get(self.words, OrderStatus.PARTIALLY_FILLED)

    @property
    def reason(self) -> str | None:
        """Why it ended, in Bybit's words; None while it is open, or filled."""
        if not self.status.is_terminal or self.status is OrderStatus.FILLED:
            return None
        words = [text for text in (self.reject_reason, self.cancel_type) if text not in _NO_WORDS]
        return ": ".join([self.words, *words[:1]])


class ExecutionRow(_Row):
    """A row of topic `execution` and of `execution/list`."""

    category: str = ""
    symbol: str
    exec_id: str = Field(validation_alias="execId")
    kind: str = Field(validation_alias="execType")
    created_by: str = Field(default="", validation_alias="createType")
    client_order_id: str = Field(default="", validation_alias="orderLinkId")
    side: BybitSide
    price: Amount = Field(validation_alias="execPrice")
    quantity: Amount = Field(validation_alias="execQty")
    fee: Blank = Field(validation_alias="execFee")
    fee_asset: str = Field(default="", validation_alias="feeCurrency")
    fee_rate: Blank = Field(default=Decimal(0), validation_alias="feeRate")
    profit: Blank = Field(default=Decimal(0), validation_alias="execPnl")
    is_maker: bool = Field(default=False, validation_alias="isMaker")
    ts_ns: MsTextAsNs = Field(validation_alias="execTime")


class PositionRow(_Row):
    """A row of topic `position` and of `position/list`, which call the entry price differently."""

    category: str = ""
    symbol: str
    index: int = Field(default=0, validation_alias="positionIdx")
    """1 and 2 in hedge mode, which is not traded in."""
    side: str = ""
    size: Blank
    entry_price: Blank = Field(default=Decimal(0), validation_alias=AliasChoices("entryPrice", "avgPrice"))
    maintenance: Figure = Field(default=BROKEN, validation_alias="positionMM")
    mark_price: Figure = Field(default=BROKEN, validation_alias="markPrice")
    liquidation_price: PriceOrNone = Field(default=BROKEN, validation_alias="liqPrice")

    @property
    def quantity(self) -> Decimal:
        """Signed, + is long."""
        return -self.size if self.side == "Sell" else self.size


class CoinRow(_Row):
    """A row of `coin` of a wallet."""

    coin: str
    total: Blank = Field(validation_alias="walletBalance")
    locked: Blank = Decimal(0)
    order_margin: Blank = Field(default=Decimal(0), validation_alias="totalOrderIM")
    position_margin: Blank = Field(default=Decimal(0), validation_alias="totalPositionIM")


class WalletRow(_Row):
    """A row of topic `wallet` and of `account/wallet-balance`."""

    account: str = Field(validation_alias="accountType")
    coins: tuple[CoinRow, ...] = Field(default=(), validation_alias="coin")
    equity_words: str = Field(default="", validation_alias="totalMarginBalance")
    maintenance_words: str = Field(default="", validation_alias="totalMaintenanceMargin")
    """Both are empty where the account counts every position for itself (isolated margin)."""


class Page(_Row, Generic[_RowT]):
    """`data` of a topic, one page of `list` over HTTP."""

    rows: tuple[_RowT, ...] = Field(validation_alias=AliasChoices("data", "list"))
    next_cursor: str = Field(default="", validation_alias="nextPageCursor")
    """Empty at the end."""


class OrderRows(Page[OrderRow]):
    """Orders."""


class ExecutionRows(Page[ExecutionRow]):
    """Executions: trades, funding, settlements."""


class PositionRows(Page[PositionRow]):
    """Positions."""


class WalletRows(_Row):
    """`data` of topic `wallet`, `list` over HTTP."""

    rows: tuple[WalletRow, ...] = Field(validation_alias=AliasChoices("data", "list"))


class RiskLimitRow(_Row):
    """A row of `market/risk-limit`."""

    symbol: str
    up_to: float = Field(validation_alias="riskLimitValue", gt=0, allow_inf_nan=False)
    maintenance: float = Field(validation_alias="maintenanceMargin", gt=0, allow_inf_nan=False)
    initial: float = Field(validation_alias="initialMargin", gt=0, allow_inf_nan=False)
    leverage: float = Field(validation_alias="maxLeverage", gt=0, allow_inf_nan=False)
    deduction: Blank = Field(default=Decimal(0), validation_alias="mmDeduction")


class RiskLimitRows(_Row):
    """`list` of `market/risk-limit`."""

    rows: tuple[RiskLimitRow, ...] = Field(validation_alias="list")


class Envelope(_Row):
    """Every answer over HTTP."""

    code: int = Field(validation_alias="retCode")
    message: str = Field(default="", validation_alias="retMsg")
    result: Any = None
    time_ms: int = Field(default=0, validation_alias="time")
