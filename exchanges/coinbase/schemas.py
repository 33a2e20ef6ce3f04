"""Advanced Trade's frames. Every one has a `sequence_num`, which counts all messages of its connection from 0.

A snapshot of a busy book has tens of thousands of levels: their times are parsed only where one is needed.

Source: https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels
"""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from bot.domain.book_side import PrintedLevel
from bot.domain.market import PublicTrade
from exchanges.common.iso_time import IsoAsNs, IsoAsNsOrNone, iso_ns_or_none

_Finite = Annotated[float, Field(allow_inf_nan=False)]
SequenceNumber = Annotated[int, Field(ge=0, lt=2**63)]


class Wire(BaseModel):
    """Fields that are not known are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Level(Wire):
    """One level, digits as printed; the quantity is absolute, and 0 deletes."""

    side: Literal["bid", "offer", "ask"]
    price_level: str
    new_quantity: str
    event_time: str | None = None

    @property
    def ts_event_ns(self) -> int | None:
        """The matching engine's time, UTC ns; None where the venue knows none, or writes none that can be read."""
        try:
            return iso_ns_or_none(self.event_time)
        except ValueError:
            return None


class Level2Event(Wire):
    """One product's book, or what changed of it."""

    type: Literal["snapshot", "update"]
    product_id: str
    updates: tuple[Level, ...]

    def side(self, *names: str) -> tuple[PrintedLevel, ...]:
        """The levels of one side, in the order sent."""
        return tuple((level.price_level, level.new_quantity) for level in self.updates if level.side in names)

    @property
    def ts_event_ns(self) -> int | None:
        """The matching engine's time of the last level; None where none is told (snapshots say 1970)."""
        return self.updates[-1].ts_event_ns if self.updates else None


class Level2Frame(Wire):
    """A frame of the `level2` channel, which calls itself `l2_data`."""

    sequence_num: SequenceNumber
    timestamp: IsoAsNs
    events: tuple[Level2Event, ...]


def _sold(side: object, maker: tuple[str, str]) -> bool:
    if side not in maker:
        raise ValueError(f"the side is {maker[0]} or {maker[1]}")
    return side == maker[0]


class Trade(PublicTrade):
    """One trade. `side` is the maker's: a maker that bought is a taker that sold."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    product_id: str
    price: _Finite
    quantity: _Finite = Field(validation_alias="size")
    buyer_is_maker: Annotated[bool, BeforeValidator(lambda side: _sold(side, ("BUY", "SELL")))] = Field(
        validation_alias="side"
    )
    trade_id: str
    ts_event_ns: IsoAsNs = Field(validation_alias="time")


class TradesEvent(Wire):
    """Trades; a snapshot holds those before we asked."""

    type: Literal["snapshot", "update"]
    trades: tuple[Trade, ...]


class TradesFrame(Wire):
    """A frame of the `market_trades` channel."""

    sequence_num: SequenceNumber
    events: tuple[TradesEvent, ...]


class OtherFrame(Wire):
    """Any other frame of the stream: heartbeats, subscriptions, channels that nobody asked for."""

    channel: str
    sequence_num: SequenceNumber
    timestamp: IsoAsNsOrNone = None


class Match(PublicTrade):
    """`match` of the older Exchange stream; its side is the maker's as well."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    product_id: str
    price: _Finite
    quantity: _Finite = Field(validation_alias="size")
    buyer_is_maker: Annotated[bool, BeforeValidator(lambda side: _sold(side, ("buy", "sell")))] = Field(
        validation_alias="side"
    )
    trade_id: str
    ts_event_ns: IsoAsNs = Field(validation_alias="time")


class ExchangeSnapshot(Wire):
    """`snapshot` of the Exchange stream: a whole book."""

    product_id: str
    bids: tuple[PrintedLevel, ...]
    asks: tuple[PrintedLevel, ...]
    time: IsoAsNsOrNone = None


class ExchangeChange(Wire):
    """`l2update` of the Exchange stream: `[side, price, quantity]` each."""

    product_id: str
    changes: tuple[tuple[Literal["buy", "sell"], str, str], ...]
    time: IsoAsNsOrNone = None

    def side(self, name: str) -> tuple[PrintedLevel, ...]:
        """The levels of one side, in the order sent."""
        return tuple((price, quantity) for side, price, quantity in self.changes if side == name)


decode_level2 = TypeAdapter(Level2Frame).validator.validate_json
decode_trades = TypeAdapter(TradesFrame).validator.validate_json
decode_other = TypeAdapter(OtherFrame).validator.validate_json
decode_match = TypeAdapter(Match).validator.validate_json
decode_snapshot = TypeAdapter(ExchangeSnapshot).validator.validate_json
decode_change = TypeAdapter(ExchangeChange).validator.validate_json


def why(error: ValidationError) -> str:
    """The first thing wrong with a payload, in one line that repeats nothing of the payload's values."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]
