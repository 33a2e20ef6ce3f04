"""Binance's private payloads as typed values: answers to account requests, and user-data events of both segments.

Source: https://developers.binance.com/docs (spot and USDⓈ-M: account endpoints, user data streams).
"""

from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from bot.domain.order import OrderStatus, Side
from exchanges.binance.schemas import MsAsNs
from exchanges.common.figures import BROKEN, Amount, Blank, Figure, PriceOrNone

_STATUSES = {
    "NEW": OrderStatus.SENT,
    "PENDING_NEW": OrderStatus.SENT,
    "PENDING_CANCEL": OrderStatus.SENT,
    "PARTIALLY_FILLED": OrderStatus.PARTIALLY_FILLED,
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELLED,
    "EXPIRED": OrderStatus.EXPIRED,
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,
    "REJECTED": OrderStatus.REJECTED,
}
_SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}


def _known(text: str) -> str:
    # A state that is not known must not be taken for a final one, nor for an open one.
    if text not in _STATUSES:
        raise ValueError("unknown order status")
    return text


StatusWord = Annotated[str, AfterValidator(_known)]
BinanceSide = Annotated[Side, BeforeValidator(lambda text: _SIDES.get(text, text))]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True, hide_input_in_errors=True)


class OrderRow(_Row):
    """An order as both segments' queries show it."""

    symbol: str = ""
    order_id: str = Field(validation_alias="orderId")
    client_order_id: str = Field(default="", validation_alias="clientOrderId")
    words: StatusWord = Field(validation_alias="status")
    filled: Amount = Field(validation_alias="executedQty")

    @property
    def status(self) -> OrderStatus:
        """Ours."""
        return _STATUSES[self.words]


class TradeRow(_Row):
    """One of our fills: a row of `myTrades` or `userTrades`."""

    trade_id: str = Field(validation_alias="id")
    order_id: str = Field(default="", validation_alias="orderId")
    price: Amount
    quantity: Amount = Field(validation_alias="qty")
    fee: Amount = Field(validation_alias="commission")
    fee_asset: str = Field(validation_alias="commissionAsset")
    maker: bool = False
    is_maker: bool = Field(default=False, validation_alias="isMaker")
    """Spot's spelling."""
    is_buyer: bool = Field(default=False, validation_alias=AliasChoices("isBuyer", "buyer"))
    ts_ns: MsAsNs = Field(validation_alias="time")

    @property
    def is_trade(self) -> bool:
        """Whether its figures are those of one: an odd row must not spoil what else the account has traded."""
        return self.price > 0 and self.quantity > 0


class SpotBalanceRow(_Row):
    """A row of `balances` in spot's `account`, or of `B` in `outboundAccountPosition`."""

    asset: str = Field(validation_alias="asset")
    free: Amount
    locked: Amount


class SpotAccount(_Row):
    """Spot's `account`."""

    balances: tuple[SpotBalanceRow, ...]


class FuturesBalanceRow(_Row):
    """A row of USDⓈ-M `balance`."""

    asset: str
    total: Amount = Field(validation_alias="balance")


class PositionRow(_Row):
    """A row of `positionRisk`."""

    symbol: str
    side: str = Field(default="BOTH", validation_alias="positionSide")
    """LONG and SHORT in hedge mode, which is not traded in."""
    quantity: Amount = Field(validation_alias="positionAmt")
    entry_price: Amount = Field(validation_alias="entryPrice")
    maintenance: Figure = Field(default=BROKEN, validation_alias="maintMargin")
    mark_price: Figure = Field(default=BROKEN, validation_alias="markPrice")
    liquidation_price: PriceOrNone = Field(default=BROKEN, validation_alias="liquidationPrice")


class MarginRow(_Row):
    """A row of `assets` in USDⓈ-M `account`."""

    asset: str
    equity: Figure = Field(default=BROKEN, validation_alias="marginBalance")
    maintenance: Figure = Field(default=BROKEN, validation_alias="maintMargin")


class FuturesAccount(_Row):
    """USDⓈ-M `account`."""

    assets: tuple[MarginRow, ...]


class BracketRow(_Row):
    """A row of `brackets` in `leverageBracket`."""

    floor: float = Field(validation_alias="notionalFloor")
    ratio: float = Field(validation_alias="maintMarginRatio")
    deduction: float = Field(default=0.0, validation_alias="cum")


class SymbolBrackets(_Row):
    """A row of `leverageBracket`."""

    symbol: str
    brackets: tuple[BracketRow, ...]


class IncomeRow(_Row):
    """A row of `income`."""

    symbol: str
    amount: Amount = Field(validation_alias="income")
    asset: str
    ts_ns: MsAsNs = Field(validation_alias="time")


class FundingRow(_Row):
    """A row of `fundingRate`."""

    rate: Amount = Field(validation_alias="fundingRate")
    mark_price: Blank = Field(validation_alias="markPrice")
    """Of old settlements it is empty."""
    ts_ns: MsAsNs = Field(validation_alias="fundingTime")


class ServerTime(_Row):
    """`time`."""

    ms: int = Field(validation_alias="serverTime")


class ListenKey(_Row):
    """`listenKey`."""

    key: str = Field(validation_alias="listenKey", pattern=r"^[A-Za-z0-9_-]{1,256}$")


class Execution(_Row):
    """An order event: `o` of `ORDER_TRADE_UPDATE`, or `executionReport`."""

    symbol: str = Field(validation_alias="s")
    sent_id: str = Field(validation_alias="c")
    original_id: str = Field(default="", validation_alias="C")
    """Of spot, where a cancel has an id of its own in `c`."""
    side: BinanceSide = Field(validation_alias="S")
    kind: str = Field(validation_alias="x")
    words: str = Field(validation_alias="X")
    """One that is not known spoils no fill: Binance has had states of its own for what it trades away itself."""
    spot_reason: str = Field(default="NONE", validation_alias="r")
    order_id: str = Field(validation_alias="i")
    quantity: Amount = Field(validation_alias="l")
    """Of this event."""
    price: Amount = Field(validation_alias="L")
    filled: Amount = Field(validation_alias="z")
    fee: Blank = Field(default=Decimal(0), validation_alias="n")
    fee_asset: str | None = Field(default=None, validation_alias="N")
    trade_id: str = Field(validation_alias="t")
    is_maker: bool = Field(validation_alias="m")
    ts_ns: MsAsNs = Field(validation_alias="T")

    @property
    def status(self) -> OrderStatus | None:
        """Ours; None where Binance's is not known: it must not be taken for a final one, nor for an open one."""
        return _STATUSES.get(self.words)

    @property
    def client_order_id(self) -> str:
        """Of the order."""
        return self.original_id or self.sent_id


class OrderTradeUpdate(_Row):
    """`ORDER_TRADE_UPDATE`."""

    order: Execution = Field(validation_alias="o")


class WalletChange(_Row):
    """A row of `B` in `ACCOUNT_UPDATE`."""

    asset: str = Field(validation_alias="a")
    total: Amount = Field(validation_alias="wb")


class PositionChange(_Row):
    """A row of `P` in `ACCOUNT_UPDATE`."""

    symbol: str = Field(validation_alias="s")
    quantity: Amount = Field(validation_alias="pa")
    entry_price: Amount = Field(validation_alias="ep")
    realised: Amount = Field(default=Decimal(0), validation_alias="cr")
    side: str = Field(default="BOTH", validation_alias="ps")


class AccountChange(_Row):
    """`a` of `ACCOUNT_UPDATE`."""

    cause: str = Field(validation_alias="m")
    balances: tuple[WalletChange, ...] = Field(default=(), validation_alias="B")
    positions: tuple[PositionChange, ...] = Field(default=(), validation_alias="P")


class AccountUpdate(_Row):
    """`ACCOUNT_UPDATE`."""

    change: AccountChange = Field(validation_alias="a")


class SpotBalanceChange(_Row):
    """A row of `B` in `outboundAccountPosition`."""

    asset: str = Field(validation_alias="a")
    free: Amount = Field(validation_alias="f")
    locked: Amount = Field(validation_alias="l")


class OutboundPosition(_Row):
    """`outboundAccountPosition`."""

    balances: tuple[SpotBalanceChange, ...] = Field(validation_alias="B")


TRADES: TypeAdapter[list[TradeRow]] = TypeAdapter(list[TradeRow])
FUTURES_BALANCES: TypeAdapter[list[FuturesBalanceRow]] = TypeAdapter(list[FuturesBalanceRow])
POSITIONS: TypeAdapter[list[PositionRow]] = TypeAdapter(list[PositionRow])
INCOME: TypeAdapter[list[IncomeRow]] = TypeAdapter(list[IncomeRow])
FUNDINGS: TypeAdapter[list[FundingRow]] = TypeAdapter(list[FundingRow])
