"""Who sees what a desk does, and has no say in it."""

from bot.domain.order import Fill, Order
from bot.domain.route import Opportunity
from bot.execution.pair import Pair


class Witness:
    """Sees nothing; whoever wants to see something overrides it. All calls come on the engine's thread."""

    def opened(self, pair: Pair) -> None:
        """A pair was opened: its intents are written down, and not yet sent."""

    def took_chain(self, opportunity: Opportunity) -> None:
        """A chain was taken: of its orders nothing is told here."""

    def changed(self, pair: Pair) -> None:
        """A pair is in a new state."""

    def sent(self, order: Order) -> None:
        """An order leaves now."""

    def filled(self, pair: Pair, fill: Fill) -> None:
        """A fill was counted."""

    def ended(self, order: Order) -> None:
        """An order is final, or its outcome is unknown."""

    def thawed(self, route_id: str | None) -> None:
        """A person wants closed what was left alone of a route, or of all (None)."""

    def entered(self, why: str) -> None:
        """The gate is in a new state, or a cause of the same one has come or gone."""
