"""A connection that can be told to begin anew, where only a new subscription brings a whole book."""

from exchanges.common.market.connection import SupervisedConnection


class RenewableConnection(SupervisedConnection):
    """Supervised, and renewed on request."""

    def renew(self, reason: str) -> None:
        """Drop the link, if there is one; the next one follows after the usual wait."""
        if self._active is not None and self._active in self._links:
            self._active.abort(reason)
