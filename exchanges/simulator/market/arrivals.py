"""When a book changes next: bursts within milliseconds, quiet between them, and excitement that feeds itself.

A change is followed at once by others of the same burst, or by a pause. Pauses shorten while the asset is hot and after
prices have moved: each move excites the book for a while (a self-exciting process with one exponential kernel).
"""

import math

from exchanges.simulator.market.draws import Draws

_TOGETHER, _SOON = 0.42, 0.80
"""Cumulative chances that the next change belongs to the same instant, or to the same burst."""
_TOGETHER_NS = 20_000
_SOON_NS = 1_500_000
_HURRY_NS = 3_000_000
_EXCITED_S = 0.6
_A_MOVE = 0.12
_USUAL_EXCITEMENT = 0.45
"""Mean of what moves add, so that the rate asked for comes out."""
_MOST_EXCITED = 6.0


class Arrivals:
    """The gaps of one book."""

    def __init__(self, draws: Draws, updates_a_second: float) -> None:
        self._draws = draws
        mean_ns = 1e9 / updates_a_second
        in_bursts_ns = _TOGETHER * _TOGETHER_NS + (_SOON - _TOGETHER) * _SOON_NS
        # A high asked rate squeezes the bursts too.
        self._squeeze = min(1.0, mean_ns / 3 / in_bursts_ns)
        pause_ns = (mean_ns - in_bursts_ns * self._squeeze) / (1 - _SOON)
        self._pause_ns = pause_ns * (1 + _USUAL_EXCITEMENT)
        self._excitement = 0.0
        self._excited_at_ns = 0

    def excite(self, ts_ns: int) -> None:
        """Prices moved."""
        self._excitement = min(_MOST_EXCITED, self._excitement_at(ts_ns) + _A_MOVE)
        self._excited_at_ns = ts_ns

    def gap_ns(self, ts_ns: int, heat: float, *, hurried: bool) -> int:
        """Until the next change; short while quotes are still on their way to a new price."""
        chance, length = self._draws.uniform(), self._draws.exponential()
        if chance < _TOGETHER:
            mean_ns = _TOGETHER_NS * self._squeeze
        elif chance < _SOON:
            mean_ns = _SOON_NS * self._squeeze
        elif hurried:
            mean_ns = min(_HURRY_NS, self._pause_ns)
        else:
            mean_ns = self._pause_ns / (heat * (1 + self._excitement_at(ts_ns)))
        return 1_000 + int(length * mean_ns)

    def _excitement_at(self, ts_ns: int) -> float:
        if not self._excitement:
            return 0.0
        return self._excitement * math.exp((self._excited_at_ns - ts_ns) / 1e9 / _EXCITED_S)
