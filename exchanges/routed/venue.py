"""Real order flow behind the port of a venue that fills from quotes: the venues know their own quotes and funding."""

from decimal import Decimal

from bot.domain.account import FundingPayment
from bot.domain.instrument import Instrument
from bot.domain.market import TopOfBook
from exchanges.routed.actions import RoutedActions


class ConnectedVenue(RoutedActions):
    """`bot.ports.QuoteDrivenVenue` over connected venues, to which our view of their quotes says nothing."""

    def on_quote(self, slot: int, quote: TopOfBook) -> None:
        """The venue has its own book."""

    def on_quote_refused(self, slot: int) -> None:
        """The venue has its own book."""

    def settle_funding(self, instrument: Instrument, rate: Decimal, mark_price: Decimal) -> FundingPayment | None:
        """None: the venue settles by its own clock and tells of it (`on_funding`)."""
        return None
