"""One symbol's funding, put together from ticker snapshots and partial deltas."""

from bot.domain.market import FundingRate
from exchanges.bybit.schemas import TickerFrame

_MARK_EVERY_NS = 1_000_000_000


class FundingState:
    """Remembers what the newest ticker said of each field, and what of it has been delivered."""

    __slots__ = ("_delivered", "_delivered_ns", "_interval_h", "_mark_price", "_next_funding_ns", "_rate")

    def __init__(self) -> None:
        self._forget()
        self._delivered: FundingRate | None = None
        self._delivered_ns = 0

    def update(self, frame: TickerFrame, ts_recv_ns: int) -> FundingRate | None:
        """The funding rate if something of it is new; a mark price alone is new once a second (tickers come ten
        times as often). None also while the rate or its settlement time is unknown.
        """
        if frame.type == "snapshot":
            self._forget()
        self._take(frame)
        if self._rate is None or self._next_funding_ns is None:
            return None
        funding = FundingRate(
            rate=self._rate,
            next_funding_ns=self._next_funding_ns,
            interval_h=self._interval_h,
            mark_price=self._mark_price,
            ts_event_ns=frame.ts_ns,
        )
        return self._if_new(funding, ts_recv_ns)

    def _forget(self) -> None:
        self._rate: float | None = None
        self._next_funding_ns: int | None = None
        self._interval_h: float | None = None
        self._mark_price: float | None = None

    def _take(self, frame: TickerFrame) -> None:
        if frame.rate is not None:
            self._rate = frame.rate
        if frame.next_funding_ns is not None:
            self._next_funding_ns = frame.next_funding_ns
        if frame.interval_h is not None:
            self._interval_h = frame.interval_h
        if frame.mark_price is not None:
            self._mark_price = frame.mark_price

    def _if_new(self, funding: FundingRate, ts_recv_ns: int) -> FundingRate | None:
        last = self._delivered
        if last is not None and _terms(funding) == _terms(last):
            mark_is_due = ts_recv_ns - self._delivered_ns >= _MARK_EVERY_NS
            if funding.mark_price == last.mark_price or not mark_is_due:
                return None
        self._delivered = funding
        self._delivered_ns = ts_recv_ns
        return funding


def _terms(funding: FundingRate) -> tuple[float, int, float | None]:
    return funding.rate, funding.next_funding_ns, funding.interval_h
