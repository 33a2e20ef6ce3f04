"""Kraken's pairs, through ccxt: what in an AssetPairs row ccxt leaves out, and the stream's spelling of a pair."""

from collections.abc import Collection, Mapping

from bot.domain.instrument import Instrument
from bot.settings import Settings
from exchanges.ccxt.rows import Description, Grid, Refused, decimal_of, step_of_decimals, text_of
from exchanges.kraken.endpoints import SPOT, rest_url

_STREAM_NAMES = {"XBT": "BTC", "XDG": "DOGE"}
"""Assets that the v2 stream spells as everybody does, and `wsname` in Kraken's old way."""


def describe(row: Mapping[str, object]) -> Description:
    """What the AssetPairs row itself says, to be held against what ccxt made of it.

    Raises:
        Refused: If it lacks something.
    """
    status = text_of(row, "status")
    if status != "online":
        raise Refused(f"its status is {status}, not online")
    tick = step_of_decimals(row, "pair_decimals")
    if "tick_size" in row:
        tick = max(tick, decimal_of(row, "tick_size"))  # ccxt reads the decimals alone; the step may be coarser
    return Description(
        stream_symbol=stream_symbol(text_of(row, "wsname")),
        grid=Grid(tick=tick, lot=step_of_decimals(row, "lot_decimals") * decimal_of(row, "lot_multiplier")),
        min_quantity=decimal_of(row, "ordermin"),
        min_notional=decimal_of(row, "costmin"),
    )


def stream_symbol(name: str) -> str:
    """How the v2 stream spells what Kraken's `wsname` calls `XBT/USD`."""
    return "/".join(_STREAM_NAMES.get(asset, asset) for asset in name.split("/"))


async def instruments(wanted: Collection[str], settings: Settings) -> dict[str, Instrument]:
    """The pairs with these unified symbols (`ALL`: all that trade), by the v2 stream's symbol.

    Raises:
        SettingsError: If one of them is not there or is refused, by name and with the reason; ccxt is not installed.
        VenueError: Kraken cannot be asked.
    """
    # Imported here: ccxt takes seconds to load and changes aiohttp, and only its venues need it.
    from exchanges.ccxt.client import opened
    from exchanges.ccxt.instruments import chosen, read_markets

    async with opened(SPOT.venue, rest_url(settings)) as client:
        return chosen(SPOT, await read_markets(SPOT, client, describe), wanted)
