"""Binance's words as ours: symbols, instruments, printed quotes. Pure."""

from collections.abc import Callable
from decimal import Decimal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from bot.domain.instrument import Feed, Instrument, ListingStatus, Segment
from bot.domain.market import PrintedQuote
from bot.domain.terms import Listing
from bot.errors import MalformedPayload, SettingsError
from exchanges.binance.schemas import AnyFrame, PrintedTicker
from exchanges.common.market.listings import delivery_ns, listing_status
from exchanges.common.told import Limit, plain

_NAME = len(b'{"stream":"')
_TICKER = b"@bookTicker"
_STATUS = {
    "TRADING": ListingStatus.TRADING,
    **dict.fromkeys(("HALT", "BREAK", "END_OF_DAY", "PENDING_TRADING"), ListingStatus.HALTED),
    **dict.fromkeys(
        ("PRE_DELIVERING", "DELIVERING", "DELIVERED", "PRE_SETTLE", "SETTLING", "CLOSE"), ListingStatus.SETTLING
    ),
}
"""Binance's documentation: Spot API, ENUM definitions; USDⓈ-M futures, common definition."""
_FORMS = {Segment.SPOT: "BTC/USDT", Segment.LINEAR: "BTC/USDT:USDT", Segment.INVERSE: "BTC/USD:BTC"}

_validate_any: Callable[[bytes], AnyFrame] = AnyFrame.__pydantic_validator__.validate_json
_validate_printed: Callable[[bytes], PrintedTicker] = PrintedTicker.__pydantic_validator__.validate_json


class SymbolFilter(BaseModel):
    """One rule for orders; which fields it has depends on its type."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(validation_alias="filterType")
    tick_size: Decimal | None = Field(default=None, validation_alias="tickSize")
    step_size: Decimal | None = Field(default=None, validation_alias="stepSize")
    min_quantity: Decimal | None = Field(default=None, validation_alias="minQty")
    min_notional: Decimal | None = Field(default=None, validation_alias="minNotional")
    notional: Decimal | None = None
    max_quantity: Limit = Field(default=None, validation_alias="maxQty")
    max_notional: Limit = Field(default=None, validation_alias="maxNotional")


class ListingRow(BaseModel):
    """What a row of `symbols` in `exchangeInfo` says of an instrument's end; an inverse one has another name for it."""

    model_config = ConfigDict(frozen=True)

    symbol: str
    status: str = Field(validation_alias=AliasChoices("status", "contractStatus"))
    delivery_ms: int | None = Field(default=None, validation_alias="deliveryDate")

    @property
    def listing(self) -> Listing:
        """In our words."""
        end_ns = delivery_ns(self.delivery_ms)
        return Listing(status=listing_status(self.status, _STATUS, end_ns), delivery_ns=end_ns)


class SymbolRow(ListingRow):
    """One row of `symbols` in `exchangeInfo`, of any segment."""

    base: str = Field(validation_alias="baseAsset")
    quote: str = Field(validation_alias="quoteAsset")
    margin: str | None = Field(default=None, validation_alias="marginAsset")
    contract_size: Decimal = Field(default=Decimal(1), validation_alias="contractSize")
    filters: tuple[SymbolFilter, ...]

    def filter(self, *types: str) -> SymbolFilter:
        """The first filter of one of these types; an empty one where there is none."""
        return next((rule for rule in self.filters if rule.type in types), SymbolFilter(filterType=types[0]))

    @property
    def unified_symbol(self) -> str:
        """`BTC/USDT` for spot, `BTC/USDT:USDT` or `BTC/USD:BTC` for a perpetual."""
        pair = f"{self.base}/{self.quote}"
        return pair if self.margin is None else f"{pair}:{self.margin}"


def instrument(row: SymbolRow, feed: Feed) -> Instrument:
    """The instrument that a row describes.

    Raises:
        MalformedPayload: If the row names no price or quantity step: orders could not be put on a grid.
    """
    lot = row.filter("LOT_SIZE")
    tick_size = row.filter("PRICE_FILTER").tick_size
    if not tick_size or not lot.step_size:
        raise MalformedPayload(f"{feed} {row.symbol}: exchangeInfo names no tick or lot size")
    notional = row.filter("NOTIONAL", "MIN_NOTIONAL")
    return Instrument(
        venue=feed.venue,
        symbol=row.unified_symbol,
        segment=feed.segment,
        base=row.base,
        quote=row.quote,
        settle=row.margin,
        tick_size=plain(tick_size),
        lot_size=plain(lot.step_size),
        min_quantity=plain(lot.min_quantity or Decimal(0)),
        min_notional=plain(notional.min_notional or notional.notional or Decimal(0)),
        max_quantity=lot.max_quantity,
        max_market_quantity=row.filter("MARKET_LOT_SIZE").max_quantity,
        max_notional=notional.max_notional,
        contract_multiplier=plain(row.contract_size),
        status=row.listing.status,
        delivery_ns=row.listing.delivery_ns,
    )


def venue_symbol(unified: str, feed: Feed) -> str:
    """Binance's spelling of a unified symbol: `BTCUSDT`, inverse `BTCUSD_PERP`.

    Raises:
        SettingsError: If the symbol is not one of the feed's segment.
    """
    pair, _, settle = unified.partition(":")
    base, slash, quote = pair.partition("/")
    expected = {Segment.SPOT: "", Segment.LINEAR: quote, Segment.INVERSE: base}[feed.segment]
    if not base or not slash or not quote or settle != expected or (":" in unified) is (feed.segment is Segment.SPOT):
        raise SettingsError(f"{unified!r} is no symbol of {feed}; write it like {_FORMS[feed.segment]}")
    return f"{base}{quote}" + ("_PERP" if feed.segment is Segment.INVERSE else "")


def printed(raw: bytes) -> PrintedQuote:
    """A book ticker with the digits that Binance printed.

    Raises:
        MalformedPayload: If `raw` is no book ticker.
    """
    try:
        quote = _validate_printed(raw)
    except ValidationError as error:
        raise MalformedPayload(
            f"no book ticker of Binance: {error.error_count()} fields are missing or wrong"
        ) from error
    return PrintedQuote(**quote.model_dump())


def quoted_symbol(raw: bytes) -> str | None:
    """Binance's symbol if `raw` is a book ticker, else None."""
    if raw.startswith(b'{"stream":"'):
        name = raw[_NAME : raw.find(b'"', _NAME)]
    elif b'"A"' in raw or b"bookTicker" in raw:
        name = _stream_name(raw)
    else:
        return None
    return name[: -len(_TICKER)].decode(errors="replace").upper() if name.endswith(_TICKER) else None


def _stream_name(raw: bytes) -> bytes:
    try:
        return (_validate_any(raw).stream_name or "").encode()
    except ValidationError:
        return b""
