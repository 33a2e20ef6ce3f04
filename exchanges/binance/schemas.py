"""Binance's wire payloads as domain values: one pass over the bytes, names translated by validation aliases.

The classes of the hot path read what stands under `data` in the combined stream's envelope
`{"stream": ..., "data": {...}}`: finding every field through the envelope (`AliasPath`) costs 0.3 µs a quote more than
cutting it off. Fields that are not known are ignored.

Source: https://developers.binance.com/docs (web socket streams of spot, USDⓈ-M and COIN-M).
"""

from functools import partial
from operator import mul
from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, AliasPath, BaseModel, ConfigDict, Field

from bot.domain.market import FundingRate, PrintedQuote, PublicTrade, TopOfBook

_MAX_INT = 2**63 - 1
"""Sequences and times are kept in 64-bit columns; what does not fit is no sequence and no time."""

Sequence = Annotated[int, Field(ge=0, le=_MAX_INT)]
MsAsNs = Annotated[int, Field(ge=0, le=_MAX_INT // 1_000_000), AfterValidator(partial(mul, 1_000_000))]
"""Milliseconds on the wire, nanoseconds here."""
Finite = Annotated[float, Field(allow_inf_nan=False)]


class SpotBookTicker(TopOfBook):
    """`<symbol>@bookTicker` of spot, which carries no time. Prices are passed on as they are: the quote gate judges."""

    bid_price: float = Field(validation_alias="b")
    bid_qty: float = Field(validation_alias="B")
    ask_price: float = Field(validation_alias="a")
    ask_qty: float = Field(validation_alias="A")
    sequence: Sequence = Field(validation_alias="u")


class FuturesBookTicker(SpotBookTicker):
    """`<symbol>@bookTicker` of USDⓈ-M and COIN-M; `T` is the matching engine's time."""

    ts_event_ns: MsAsNs = Field(validation_alias="T")


class Trade(PublicTrade):
    """`<symbol>@trade`."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    price: Finite = Field(validation_alias="p")
    quantity: Finite = Field(validation_alias="q")
    buyer_is_maker: bool = Field(validation_alias="m")
    trade_id: str = Field(validation_alias="t")
    ts_event_ns: MsAsNs = Field(validation_alias="T")


class AggTrade(Trade):
    """`<symbol>@aggTrade`: fills of one taker order at one price, under an id of their own."""

    trade_id: str = Field(validation_alias="a")


class MarkPrice(FundingRate):
    """`<symbol>@markPrice` and `@markPrice@1s`."""

    rate: Finite = Field(validation_alias="r")
    next_funding_ns: MsAsNs = Field(validation_alias="T")
    mark_price: Finite = Field(validation_alias="p")
    ts_event_ns: MsAsNs = Field(validation_alias="E")


def _anywhere(key: str) -> AliasChoices:
    return AliasChoices(AliasPath("data", key), key)


class PrintedTicker(PrintedQuote):
    """A book ticker of any segment as printed, in its envelope or without one."""

    symbol: str = Field(validation_alias=_anywhere("s"))
    top_bid: str = Field(validation_alias=_anywhere("b"))
    top_bid_quantity: str = Field(validation_alias=_anywhere("B"))
    top_ask: str = Field(validation_alias=_anywhere("a"))
    top_ask_quantity: str = Field(validation_alias=_anywhere("A"))


class VenueComplaint(BaseModel):
    """What `{"error": {...}}` says."""

    code: int
    msg: str = ""


_STREAMS = {"bookTicker": "bookTicker", "aggTrade": "aggTrade", "trade": "trade", "markPriceUpdate": "markPrice"}
"""The event that a payload names -> the stream that carries it."""


class AnyFrame(BaseModel):
    """As much of any payload as tells what it is."""

    stream: str | None = None
    """None for a payload without an envelope, as `/ws/<stream>` and REST send it."""
    event_ns: MsAsNs | None = Field(default=None, validation_alias=_anywhere("E"))
    """When the venue sent it."""
    error: VenueComplaint | None = None
    event: str | None = Field(default=None, validation_alias="e")
    symbol: str | None = Field(default=None, validation_alias="s")
    ask_qty: Any = Field(default=None, validation_alias="A")
    """Spot's book ticker names no event; having this field tells it."""

    @property
    def stream_name(self) -> str | None:
        """The stream that it came through (`ethusdt@trade`), or would have; None for what no stream of ours carries."""
        if self.stream is not None:
            return self.stream
        kind = (
            _STREAMS.get(self.event) if self.event is not None else "bookTicker" if self.ask_qty is not None else None
        )
        return f"{self.symbol.lower()}@{kind}" if self.symbol is not None and kind is not None else None
