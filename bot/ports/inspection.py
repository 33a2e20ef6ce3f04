"""What a preflight asks of a venue."""

from typing import Protocol

from bot.domain.account_facts import AccountModes, KeyRights


class AccountInspector(Protocol):
    """One account at one venue, looked at and never changed. Connections live as long as a question."""

    venue: str

    async def rights(self) -> KeyRights | None:
        """What the key may do; None where the venue has no way to say.

        Raises:
            VenueError: It cannot be asked, or refuses.
        """

    async def modes(self) -> AccountModes:
        """How the account is set, and what it holds.

        Raises:
            VenueError: It cannot be asked, or refuses.
        """
