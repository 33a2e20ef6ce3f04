"""Time-weighted statistics over the last minutes, without a scan per tick."""

from math import inf, log, sqrt

from bot.market.rolling_path import Path, Prices, Rolls, Standing
from bot.market.rolling_totals import RollingTotals, Totals


class RollingStatistics:
    """Statistics of one instrument over the last `span_s`, in full buckets, and the bucket that is not full yet.

    A price counts for as long as it stood. Only quotes that passed the gate belong here. The owner's part:

        if ts_ns >= statistics.next_roll_ns:
            statistics.seen = window.appended
            statistics.roll(ts_ns)
        if window.append(ts_ns, quote) or statistics.interrupted:
            statistics.update(ts_ns, quote.bid_price, quote.ask_price)

    and `interrupt` when the feed is silent or a quote was refused. Reads take no time and answer for the time up to
    the last of these calls; a time before the last one counts as the last one.
    """

    __slots__ = (
        "_ask",
        "_bid",
        "_bucket_ns",
        "_changes",
        "_close",
        "_counted",
        "_covered_ns",
        "_high_bid",
        "_low_ask",
        "_mid",
        "_mid_ns",
        "_past",
        "_size",
        "_spread_bps",
        "_spread_ns",
        "_ts_ns",
        "interrupted",
        "next_roll_ns",
        "seen",
    )

    def __init__(self, *, span_s: float = 360.0, bucket_s: float = 1.0, seen: int = 0) -> None:
        """Nothing is covered yet; `seen` quotes came before, and are not counted here."""
        self._bucket_ns = round(bucket_s * 1e9)
        self._size = max(round(span_s / bucket_s), 1)
        self._past = RollingTotals(self._size)
        self._bid = self._ask = self._mid = self._spread_bps = 0.0
        self._high_bid, self._low_ask = -inf, inf
        self._close: float | None = None
        self._counted = seen
        self._ts_ns = 0
        self.interrupted = True
        """No price counts at present: the next quote must go to `update` even if its price did not change."""
        self.next_roll_ns = 0
        """`roll` is due at this time."""
        self.seen = seen
        """Quotes so far; the owner brings it up to date before `roll`, or adds one a quote."""
        self._begin()

    def update(self, ts_ns: int, bid: float, ask: float) -> None:
        """A price from `ts_ns` on; both above zero."""
        if ts_ns >= self.next_roll_ns:
            self.roll(ts_ns)
        self._count_up_to(ts_ns)
        if bid != self._bid or ask != self._ask:
            self._changes += 1
            self._bid = bid
            self._ask = ask
            self._mid = (bid + ask) / 2
            self._spread_bps = (ask - bid) / self._mid * 1e4
        self.interrupted = False
        if bid > self._high_bid:
            self._high_bid = bid
        if ask < self._low_ask:
            self._low_ask = ask

    def interrupt(self, ts_ns: int) -> None:
        """From `ts_ns` on the last price is not known to stand; `update` goes on."""
        if ts_ns >= self.next_roll_ns:
            self.roll(ts_ns)
        self._count_up_to(ts_ns)
        self.interrupted = True
        self._close = None

    def roll(self, ts_ns: int) -> None:
        """Close the buckets that are full at `ts_ns`; nothing when none is."""
        if ts_ns < self.next_roll_ns:
            return
        if self.next_roll_ns:
            self._count_up_to(self.next_roll_ns)
            self._close_bucket()
            # Through a long silence every bucket is the same; more than fit would push each other out.
            for _ in range(min((ts_ns - self.next_roll_ns) // self._bucket_ns, self._size)):
                self._begin()
                self._count(self._bucket_ns)
                self._close_bucket()
        start_ns = ts_ns - ts_ns % self._bucket_ns
        self._begin()
        self._ts_ns = start_ns
        self.next_roll_ns = start_ns + self._bucket_ns
        self._count_up_to(ts_ns)

    def _begin(self) -> None:
        self._covered_ns = self._changes = 0
        self._mid_ns = self._spread_ns = 0.0
        self._high_bid, self._low_ask = (-inf, inf) if self.interrupted else (self._bid, self._ask)

    def _count_up_to(self, ts_ns: int) -> None:
        if ts_ns > self._ts_ns:
            self._count(ts_ns - self._ts_ns)
            self._ts_ns = ts_ns

    def _count(self, ns: int) -> None:
        if not self.interrupted:
            self._covered_ns += ns
            self._mid_ns += self._mid * ns
            self._spread_ns += self._spread_bps * ns

    def _close_bucket(self) -> None:
        close = None if self.interrupted else self._mid
        squares, returns = 0.0, 0
        if close is not None and self._close is not None:
            squares, returns = log(close / self._close) ** 2, 1
        self._close = close
        self._past.push(
            Totals(
                self._covered_ns,
                self._mid_ns,
                self._spread_ns,
                self._high_bid,
                self._low_ask,
                squares,
                returns,
                self.seen - self._counted,
                self._changes,
            )
        )
        self._counted = self.seen

    def path(self, prices: Prices, rolls: Rolls) -> Path | None:
        """What `update` with each of the prices and `roll` at each of the times, in order, would make of it.

        Nothing is changed before `follow`. None where it has to be done one by one: no price counts at present, or
        the rolls do not close a bucket each.
        """
        if self.interrupted or not self.next_roll_ns or not len(rolls.ts_ns):
            return None
        is_regular = len(rolls.ts_ns) == 1 or int(rolls.ts_ns[1] - rolls.ts_ns[0]) == self._bucket_ns
        if not is_regular or rolls.ts_ns[-1] < self.next_roll_ns or rolls.ts_ns[0] < self._ts_ns:
            return None
        if int(rolls.ts_ns[0]) >= self.next_roll_ns + self._bucket_ns:
            return None
        if len(prices.ts_ns) and prices.ts_ns[0] < self._ts_ns:
            return None
        return Path(self._standing(), self._past.copy(), prices, rolls)

    def _standing(self) -> Standing:
        return Standing(
            ts_ns=self._ts_ns,
            next_roll_ns=self.next_roll_ns,
            bucket_ns=self._bucket_ns,
            bid=self._bid,
            ask=self._ask,
            close=self._close,
            seen=self.seen,
            counted=self._counted,
            covered_ns=self._covered_ns,
            mid_ns=self._mid_ns,
            spread_ns=self._spread_ns,
            high_bid=self._high_bid,
            low_ask=self._low_ask,
            price_changes=self._changes,
        )

    def follow(self, path: Path) -> None:
        """Take what the path has become for what stands."""
        self._past = path.past
        end = path.end
        self._ts_ns, self.next_roll_ns = end.ts_ns, end.next_roll_ns
        self._bid, self._ask, self._close = end.bid, end.ask, end.close
        self._mid = (end.bid + end.ask) / 2
        self._spread_bps = (end.ask - end.bid) / self._mid * 1e4
        self.seen, self._counted = end.seen, end.counted
        self._covered_ns, self._mid_ns, self._spread_ns = end.covered_ns, end.mid_ns, end.spread_ns
        self._high_bid, self._low_ask, self._changes = end.high_bid, end.low_ask, end.price_changes

    @property
    def covered_s(self) -> float:
        """Seconds for which there was a price: how far the statistics have warmed up."""
        return (self._past.total.covered_ns + self._covered_ns) / 1e9

    @property
    def mean_mid(self) -> float | None:
        """Time-weighted mean of the mid, quote units; None while no time is covered."""
        covered_ns = self._past.total.covered_ns + self._covered_ns
        return (self._past.total.mid_ns + self._mid_ns) / covered_ns if covered_ns else None

    @property
    def mean_spread_bps(self) -> float | None:
        """Time-weighted mean of the spread, bps of mid; None while no time is covered."""
        covered_ns = self._past.total.covered_ns + self._covered_ns
        return (self._past.total.spread_ns + self._spread_ns) / covered_ns if covered_ns else None

    @property
    def high_bid(self) -> float | None:
        """Highest bid that stood at any moment; None without a quote."""
        high = max(self._past.total.high_bid, self._high_bid)
        return None if high == -inf else high

    @property
    def low_ask(self) -> float | None:
        """Lowest ask that stood at any moment; None without a quote."""
        low = min(self._past.total.low_ask, self._low_ask)
        return None if low == inf else low

    @property
    def volatility_bps_per_sqrt_s(self) -> float | None:
        """Root of the mean squared log return of the mid from bucket to bucket; None before the first return.

        A return across an interruption is none.
        """
        past = self._past.total
        return sqrt(past.squares / past.returns / (self._bucket_ns / 1e9)) * 1e4 if past.returns else None

    @property
    def quotes(self) -> int:
        """How many quotes came, as far as `seen` tells."""
        return self._past.total.quotes + self.seen - self._counted

    @property
    def price_changes(self) -> int:
        """How many of them moved the bid or the ask."""
        return self._past.total.price_changes + self._changes
