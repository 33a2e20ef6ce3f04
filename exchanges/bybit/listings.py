"""How Bybit lists its instruments now, by `instruments-info`, each asked for by its symbol.

Without a symbol, only what trades would be told.
"""

from collections.abc import Mapping
from typing import Any

from bot.domain.instrument import Feed, Instrument
from bot.domain.terms import Listing, Told
from exchanges.bybit.normalize import VENUE, listing
from exchanges.bybit.schemas import ListingRow
from exchanges.common.market.listings import asked, rows_under
from exchanges.common.told import by_key, read_each

_NO_SUCH_SYMBOL = frozenset({10001, 170121})


async def read_listings(feed: Feed, listed: Mapping[str, Instrument], base_url: str, now_ns: int) -> Told[Listing]:
    """Status and delivery of these instruments, by their ids.

    Args:
        feed: Spot or linear.
        listed: By Bybit's symbol.
        base_url: Of the REST interface.
        now_ns: Stamp of the answer.

    Raises:
        VenueError: Bybit cannot be asked, or refuses.
    """
    path = f"{base_url}/v5/market/instruments-info?category={feed.segment}"
    answers = await asked(VENUE, [f"{path}&symbol={symbol}" for symbol in listed])
    known = [answer for answer in answers if not _is_unknown(answer)]
    rows = by_key([row for answer in known for row in rows_under(VENUE, answer, "result", "list")], "symbol")
    by_id = {one.id: rows[symbol] for symbol, one in listed.items() if symbol in rows}
    ids = [one.id for one in listed.values()]
    return read_each(ids, by_id, lambda _, row: listing(ListingRow.model_validate(row)), now_ns)


def _is_unknown(answer: Any) -> bool:
    """Whether Bybit says that it has no such symbol: then that one is missing, and no other."""
    return isinstance(answer, Mapping) and answer.get("retCode") in _NO_SUCH_SYMBOL
