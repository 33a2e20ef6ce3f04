"""A venue's own clock, which may be wrong."""

_SLOWNESS = 2
"""A clock that has to go back runs so many times slower until it is right; streams that keep its time do so as well."""


class DriftingClock:
    """Turns the market's time into the venue's own, and back.

    Put forward, it jumps; put back, it runs slower for a while: time never goes back, so that sequence numbers stay in
    the order of their times. UTC ns.
    """

    def __init__(self) -> None:
        self._from_ns = self._to_ns = 0
        self._since_ns = 0

    @property
    def is_right(self) -> bool:
        """Whether both times are the same."""
        return not self._from_ns and not self._to_ns

    def put(self, ahead_ns: int, now_ns: int) -> None:
        """Let it be `ahead_ns` ahead (negative: behind) from the market's time `now_ns` on, or on its way there."""
        self._from_ns = max(ahead_ns, self.ahead_ns(now_ns))
        self._to_ns, self._since_ns = ahead_ns, now_ns

    def ahead_ns(self, market_ns: int) -> int:
        """How far it is ahead at a time of the market."""
        passed_ns = max(0, market_ns - self._since_ns)
        ahead_ns = max(self._to_ns, self._from_ns - passed_ns * (_SLOWNESS - 1) // _SLOWNESS)
        if ahead_ns == self._to_ns:
            self._from_ns = ahead_ns  # it has arrived
        return ahead_ns

    def own_ns(self, market_ns: int) -> int:
        """What it shows at a time of the market; never less for a later time."""
        return market_ns + self.ahead_ns(market_ns)

    def market_ns(self, own_ns: int) -> int:
        """The market's time when it shows `own_ns`; one ns later at most where it is slow."""
        beyond_ns = own_ns - self._since_ns - self._from_ns
        if beyond_ns < 0:
            return own_ns - self._from_ns
        return min(own_ns - self._to_ns, self._since_ns + beyond_ns * _SLOWNESS)
