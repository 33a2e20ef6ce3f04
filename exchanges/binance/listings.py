"""How Binance lists its instruments now, by `exchangeInfo`: the rows of futures all at once, of spot each for itself.

The whole of spot is tens of megabytes, which would hold up the loop that reads them.
"""

from collections.abc import Mapping

from bot.domain.instrument import Feed, Instrument, Segment
from bot.domain.terms import Listing, Told
from exchanges.binance.endpoints import VENUE
from exchanges.binance.normalize import ListingRow
from exchanges.common.market.listings import asked, rows_under
from exchanges.common.told import by_key, read_each


async def read_listings(feed: Feed, listed: Mapping[str, Instrument], base_url: str, now_ns: int) -> Told[Listing]:
    """Status and delivery of these instruments, by their ids.

    Args:
        feed: Spot or linear.
        listed: By Binance's symbol.
        base_url: Of the feed's REST interface.
        now_ns: Stamp of the answer.

    Raises:
        VenueError: Binance cannot be asked, or refuses.
    """
    if feed.segment is Segment.SPOT:
        urls = [f"{base_url}/api/v3/exchangeInfo?symbol={symbol}" for symbol in listed]
    else:
        urls = [f"{base_url}/fapi/v1/exchangeInfo"]
    found = [row for answer in await asked(VENUE, urls) for row in rows_under(VENUE, answer, "symbols")]
    rows = by_key(found, "symbol")
    by_id = {one.id: rows[symbol] for symbol, one in listed.items() if symbol in rows}
    ids = [one.id for one in listed.values()]
    return read_each(ids, by_id, lambda _, row: ListingRow.model_validate(row).listing, now_ns)
