"""The rest of a ccxt venue's private requests: balances. Spot has no positions, margins and funding."""

from collections.abc import Sequence

from bot.domain.account import FundingPayment
from bot.domain.instrument import Feed
from exchanges.ccxt.account import CcxtAccount
from exchanges.ccxt.session import Session
from exchanges.common.account.wallet_book import WalletBook


class CcxtGateway:
    """An `AccountGateway` through ccxt, for a venue's spot."""

    def __init__(self, session: Session, feed: Feed, wallets: WalletBook) -> None:
        """Put the balances of `feed`'s wallet into `wallets`."""
        self._session = session
        self._feed = feed
        self._wallets = wallets

    async def open(self) -> None:
        """Connect.

        Raises:
            SettingsError: If ccxt is not installed.
            VenueError: The venue cannot be asked.
        """
        await self._session.open()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._session.close()

    async def load_account(self) -> None:
        """Ask for balances, and put them into the wallet book.

        Raises:
            VenueError: It cannot be asked, or refuses.
        """
        asked_at = self._wallets.mark()
        balances = await CcxtAccount(self._feed, self._session.client).balances()
        self._wallets.set_wallet(str(self._feed), balances, asked_at)

    async def load_margins(self) -> None:
        """There are none."""

    async def load_tiers(self) -> Sequence[str]:
        """There are none, and none is wrong."""
        return ()

    def ask_funding_from(self, since_ns: int) -> None:
        """Spot is paid none."""

    async def missed_funding(self) -> Sequence[FundingPayment]:
        """Spot is paid none."""
        return ()
