"""Kraken's `ticker` and `trade` frames of the v2 stream: one pass from bytes to domain values.

Source: https://docs.kraken.com/exchange/api-reference/spot-websocket-v2/ticker (and `trade`, `ping` beside it).
"""

from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from bot.domain.market import PrintedQuote, PublicTrade, TopOfBook
from exchanges.common.iso_time import IsoAsNs, IsoAsNsOrNone

_Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class TickerRow(TopOfBook):
    """One pair's best bid and ask. Prices are passed on as they are: the quote gate judges."""

    symbol: str
    bid_price: float = Field(validation_alias="bid")
    bid_qty: float
    ask_price: float = Field(validation_alias="ask")
    ask_qty: float
    # Kraken numbers nothing: the time is the sequence. An older server that sends none is as one that has restarted.
    sequence: IsoAsNs = Field(default=1, validation_alias=AliasChoices("timestamp"))
    ts_event_ns: IsoAsNsOrNone = Field(default=None, validation_alias=AliasChoices("timestamp"))


class TickerFrame(_Wire):
    """A frame of the `ticker` channel."""

    type: Literal["snapshot", "update"]
    data: tuple[TickerRow, ...]


def _taker_sold(side: object) -> bool:
    if side not in ("buy", "sell"):
        raise ValueError("the taker's side is buy or sell")
    return side == "sell"


class TradeRow(PublicTrade):
    """One trade; `side` is the taker's. Trades meet no quote gate, so NaN and infinity stop here."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    symbol: str
    price: _Finite
    quantity: _Finite = Field(validation_alias="qty")
    buyer_is_maker: Annotated[bool, BeforeValidator(_taker_sold)] = Field(validation_alias="side")
    trade_id: str
    ts_event_ns: IsoAsNs = Field(validation_alias="timestamp")


class TradeFrame(_Wire):
    """A frame of the `trade` channel; a snapshot holds what was traded before we asked."""

    type: Literal["snapshot", "update"]
    data: tuple[TradeRow, ...]


class Pong(_Wire):
    """The answer to a ping; `time_out` is when it was sent."""

    method: Literal["pong"]
    ts_ns: IsoAsNs = Field(validation_alias="time_out")


class PrintedTicker(PrintedQuote):
    """A row of a `ticker` frame with the digits that Kraken printed."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    top_bid: str = Field(validation_alias="bid")
    top_bid_quantity: str = Field(validation_alias="bid_qty")
    top_ask: str = Field(validation_alias="ask")
    top_ask_quantity: str = Field(validation_alias="ask_qty")


decode_ticker = TypeAdapter(TickerFrame).validator.validate_json
decode_trades = TypeAdapter(TradeFrame).validator.validate_json
decode_pong = TypeAdapter(Pong).validator.validate_json
