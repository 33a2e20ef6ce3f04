"""How Coinbase lists its products now: a `TermsSource` without an account, by the public product list."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from bot.domain.instrument import ListingStatus
from bot.domain.terms import Listing, Told
from exchanges.coinbase.endpoints import SPOT, VENUE, rest_url
from exchanges.coinbase.metadata import CLOSED_FLAGS
from exchanges.common.account.terms_source import NoAccount, TermsSetup
from exchanges.common.market.listings import asked, listing_status, rows_under
from exchanges.common.told import by_key, read_each

_STATUS = {
    "online": ListingStatus.TRADING,
    "offline": ListingStatus.HALTED,
    "delisted": ListingStatus.SETTLING,
}
"""https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/public/list-public-products"""


class _Product(BaseModel):
    """A row; a flag that is neither true nor false is a row that makes no sense."""

    model_config = ConfigDict(frozen=True, strict=True)

    status: str
    is_disabled: bool = False
    trading_disabled: bool = False
    cancel_only: bool = False
    post_only: bool = False
    auction_mode: bool = False
    view_only: bool = False


class CoinbaseTerms(NoAccount):
    """Public facts alone."""

    venue = VENUE

    def __init__(self, setup: TermsSetup) -> None:
        """Nothing is asked yet; the account is not read, so that `keys` and `assets` are not used."""
        super().__init__(setup.clock)
        self._listed = setup.by_feed.get(SPOT, {})
        self._settings = setup.settings

    async def listings(self) -> Told[Listing]:
        """By the id of every product.

        Raises:
            VenueError: Coinbase cannot be asked, or refuses.
        """
        url = f"{rest_url(self._settings)}/api/v3/brokerage/market/products?product_type=SPOT"
        (answer,) = await asked(VENUE, [url])
        rows = by_key(rows_under(VENUE, answer, "products"), "product_id")
        by_id = {one.id: rows[symbol] for symbol, one in self._listed.items() if symbol in rows}
        return read_each([one.id for one in self._listed.values()], by_id, _read, self._clock.now_ns())


def _read(_: str, row: Any) -> Listing:
    product = _Product.model_validate(row)
    status = listing_status(product.status, _STATUS, None)
    is_closed = any(getattr(product, flag) for flag in CLOSED_FLAGS)
    return Listing(status=ListingStatus.HALTED if is_closed and status is ListingStatus.TRADING else status)
