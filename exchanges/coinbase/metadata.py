"""Coinbase's products, through ccxt: what in a product's row ccxt does not look at."""

from collections.abc import Collection, Mapping
from decimal import Decimal

from bot.domain.instrument import Instrument
from bot.settings import Settings
from exchanges.ccxt.rows import Description, Grid, Refused, decimal_of, text_of
from exchanges.coinbase.endpoints import SPOT, rest_url

CLOSED_FLAGS = ("is_disabled", "trading_disabled", "cancel_only", "post_only", "auction_mode", "view_only")
"""Flags under which nothing can be taken; ccxt looks at `trading_disabled` alone."""


def describe(row: Mapping[str, object]) -> Description:
    """What the product's row itself says, to be held against what ccxt made of it.

    Raises:
        Refused: If it lacks something, or is not open.
    """
    status = text_of(row, "status")
    if status != "online":
        raise Refused(f"its status is {status}, not online")
    for flag in CLOSED_FLAGS:
        if row.get(flag, False) is not False:
            raise Refused(f"it is not open: {flag}")
    if row.get("alias"):
        raise Refused(f"its book is that of {row['alias']}, under which alone its market data comes: watch that")
    return Description(
        stream_symbol=text_of(row, "product_id"),
        grid=Grid(tick=_tick(row), lot=decimal_of(row, "base_increment")),
        min_quantity=decimal_of(row, "base_min_size"),
        min_notional=decimal_of(row, "quote_min_size"),
    )


def _tick(row: Mapping[str, object]) -> Decimal:
    return decimal_of(row, "price_increment" if "price_increment" in row else "quote_increment")


async def instruments(wanted: Collection[str], settings: Settings) -> dict[str, Instrument]:
    """The products with these unified symbols (`ALL`: all that trade), by Coinbase's own symbol.

    Raises:
        SettingsError: If one of them is not there or is refused, by name and with the reason; ccxt is not installed.
        VenueError: Coinbase cannot be asked.
    """
    # Imported here: ccxt takes seconds to load and changes aiohttp, and only its venues need it.
    from exchanges.ccxt.client import opened
    from exchanges.ccxt.instruments import chosen, read_markets

    async with opened(SPOT.venue, rest_url(settings)) as client:
        return chosen(SPOT, await read_markets(SPOT, client, describe), wanted)
