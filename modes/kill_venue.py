"""One account brought to silence: cancel, ask what is open, cancel again, until the venue says that nothing is."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from bot.clock import Clock
from exchanges.common.requests.emergency import Emergency, Refused, Resting, Standing, Unanswered

DEADLINE_S = 10.0
"""A venue that has not confirmed by then is reported, and somebody has to look."""
_PAUSES_S = (0.2, 0.4, 0.8, 1.6)
"""Between rounds; the last one stays. Questions about all symbols are dear: more would bring a ban."""
_AT_ONCE = 16
_SIMULATED = "simulated"

_T = TypeVar("_T")


@dataclass(slots=True)
class Outcome:
    """How it went with one account."""

    venue: str
    market: str
    is_silent: bool = False
    """The venue said that no order is open, and said so after the halt was seen."""
    is_gone: bool = False
    """Simulated exchanges that have ended, and every order with them."""
    open_orders: Sequence[Resting] | None = None
    """By its last answer; None where it gave none."""
    positions: Sequence[Standing] | None = None
    """The same: what is left."""
    closed: Sequence[Standing] = ()
    """What was held and, by its last answer, is not any more."""
    cancels: int = 0
    cancels_sent_s: float | None = None
    """From the start of the program until the first round of cancels was answered or had failed."""
    silent_s: float | None = None
    trouble: str = ""
    """The last one, in words; nothing of a key or an address stands in it."""


class Silencer:
    """Runs on a thread of its own; whatever happens, it ends with an outcome."""

    def __init__(self, venue: Emergency, clock: Clock, started_ns: int, settled_ns: int) -> None:
        """Build it.

        Args:
            venue: Asked and told.
            clock: Monotonic time alone.
            started_ns: Of the program; what is reported counts from it.
            settled_ns: An engine has seen the halt by then: only what a venue says later is believed.
        """
        self._venue = venue
        self._clock = clock
        self._started_ns = started_ns
        self._settled_ns = settled_ns
        self._deadline_ns = started_ns + round(DEADLINE_S * 1e9)
        self._wait_s = 0.0
        self._is_final = False
        self.outcome = Outcome(venue.account.venue, venue.account.market)

    def run(self, *, flatten: bool) -> Outcome:
        """Cancel everything; then tell what is held, or close it."""
        try:
            self._silence()
            # Whoever was told to wait, and has no time to, sends nothing more: it would prolong a ban.
            if not self.outcome.is_gone and not self._is_final and not self._wait_s:
                self._tell_positions(flatten=flatten)
        except Exception as error:  # noqa: BLE001 - one venue's surprise must not cost the report about the others
            self.outcome.is_silent = False
            self.outcome.trouble = f"{type(error).__name__}: a bug of ours, or an answer that nobody foresaw"
        return self.outcome

    def _silence(self) -> None:
        out, rounds = self.outcome, 0
        found: Sequence[Resting] = ()
        while True:
            cancels = self._venue.cancels(found)
            self._at_once(cancels)
            out.cancels += len(cancels)
            if out.cancels_sent_s is None:
                out.cancels_sent_s = self._elapsed_s()
            asked_ns = self._clock.monotonic_ns()
            answer = None if self._is_final or self._wait_s else self._answered(self._venue.open_orders)
            if answer is not None:
                out.open_orders = found = tuple(answer)
                if not found and asked_ns >= self._settled_ns:
                    out.is_silent, out.trouble, out.silent_s = True, "", self._elapsed_s()
                    return
            if out.is_gone or self._is_final or not self._may_go_on(rounds):
                return
            rounds += 1

    def _may_go_on(self, rounds: int) -> bool:
        """Wait for the next round; False once time is up."""
        pause_s = max(self._wait_s, _PAUSES_S[min(rounds, len(_PAUSES_S) - 1)])
        now_ns = self._clock.monotonic_ns()
        wake_ns = max(now_ns + round(pause_s * 1e9), self._settled_ns if not self.outcome.open_orders else 0)
        if wake_ns > self._deadline_ns:
            return False
        self._wait_s = 0.0
        time.sleep((wake_ns - now_ns) / 1e9)
        return True

    def _at_once(self, requests: Sequence[Callable[[], None]]) -> None:
        if requests:
            with ThreadPoolExecutor(min(_AT_ONCE, len(requests))) as pool:
                list(pool.map(self._answered, requests))

    def _answered(self, ask: Callable[[], _T]) -> _T | None:
        """The answer; None where there was none, and the outcome says why. Our clock is set right at once."""
        try:
            try:
                return ask()
            except Refused as refused:
                if not refused.clock:
                    raise
                self._venue.measure_clock()
                return ask()
        except Refused as refused:
            self.outcome.trouble = f"refused: {refused}"
            self._wait_s = max(self._wait_s, refused.retry_after_s)
            self._is_final = self._is_final or refused.final
        except Unanswered as unanswered:
            self.outcome.trouble = str(unanswered)
            if unanswered.nobody and self._venue.account.market == _SIMULATED:
                self.outcome.is_gone = True
        except (ValueError, TypeError, LookupError, ArithmeticError) as error:
            self.outcome.trouble = f"answered something that is not understood ({type(error).__name__})"
        return None

    def _tell_positions(self, *, flatten: bool) -> None:
        self._deadline_ns = max(self._deadline_ns, self._clock.monotonic_ns() + round(DEADLINE_S / 2 * 1e9))
        rounds, first = 0, tuple[Standing, ...]()
        while True:
            self.outcome.positions = held = self._answered(self._venue.positions)
            first = first or tuple(held or ())
            self._tell_closed(first)
            if held is not None and not (flatten and held):
                return
            for position in held or ():
                # Reduce-only: told twice, it closes no more than there is.
                self._answered(partial(self._venue.close, position))
            if self._is_final or not self._may_go_on(rounds):
                self.outcome.positions = self._answered(self._venue.positions) if held else held
                self._tell_closed(first)
                return
            rounds += 1

    def _tell_closed(self, first: Sequence[Standing]) -> None:
        if self.outcome.positions is not None:
            left = {(one.segment, one.symbol) for one in self.outcome.positions}
            self.outcome.closed = [one for one in first if (one.segment, one.symbol) not in left]

    def _elapsed_s(self) -> float:
        return (self._clock.monotonic_ns() - self._started_ns) / 1e9
