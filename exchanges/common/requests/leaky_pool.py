"""A limit that a venue keeps as a counter which falls by itself, as Kraken does."""

from exchanges.common.requests.request_pool import Charge, Lane, Pool, Rate

_S = 1_000_000_000


class LeakyPool(Pool):
    """One such limit being kept. Times are monotonic ns.

    A request counts from its sending, and so falls a little ahead of the venue's counter, by as much as it was on its
    way: give it a `limit` that is one below the venue's.
    """

    def __init__(self, rate: Rate) -> None:
        super().__init__(rate)
        self._span_ns = round(rate.window_s * _S)
        self._level = 0
        """What is used, times the window in ns: whole numbers, so that the same day is the same again."""
        self._at_ns: int | None = None

    def used(self, now_ns: int) -> int:
        """What counts now, rounded up."""
        self._leak(now_ns)
        return -(-self._level // self._span_ns)

    def wait_ns(self, weight: int, lane: Lane, now_ns: int) -> int | None:
        """How long until there is room: 0 for now, None for never."""
        self._leak(now_ns)
        if weight > self.ceiling(lane):
            return None
        held_ns = max(0, self.held_until_ns - now_ns)
        too_much = self._level + (weight - self.ceiling(lane)) * self._span_ns if weight else 0
        return held_ns if too_much <= 0 else max(held_ns, -(-too_much // self.rate.limit))

    def take(self, weight: int) -> Charge:
        """Count a request that is being sent."""
        self._level += weight * self._span_ns
        return Charge(weight)

    def settle(self, charge: Charge, now_ns: int) -> None:
        """Its answer changes nothing: it has been leaking since it was sent."""

    def give_back(self, charge: Charge) -> None:
        """It was never sent."""
        self._level = max(0, self._level - charge.weight * self._span_ns)

    def _leak(self, now_ns: int) -> None:
        if self._at_ns is not None and now_ns > self._at_ns:
            self._level = max(0, self._level - self.rate.limit * (now_ns - self._at_ns))
        self._at_ns = now_ns if self._at_ns is None else max(now_ns, self._at_ns)
