"""Trading halts by chance."""

from exchanges.simulator.core.values import TradingStatus
from exchanges.simulator.market.draws import Draws
from exchanges.simulator.market.scenarios import Scenario
from exchanges.simulator.market.stage import Fired, Stage


class Halts:
    """Halts one listing now and then, and lets it trade again."""

    def __init__(self, draws: Draws, stage: Stage, scenario: Scenario) -> None:
        self._draws = draws
        self._stage = stage
        self._pause_ns = 3_600e9 / scenario.halts_an_hour
        self._halt_ns = scenario.halt_s * 1e9
        self._halted = False

    def first_ns(self, start_ns: int) -> int:
        """When it halts first."""
        return start_ns + self._length_ns(self._pause_ns)

    def fire(self, ts_ns: int) -> Fired:
        """Halt it or let it go on; a listing that somebody else stopped or that is settling stays as it is."""
        if self._halted:
            self._halted = False
            status, expected, mean_ns = TradingStatus.TRADING, TradingStatus.HALTED, self._pause_ns
        else:
            self._halted = True
            status, expected, mean_ns = TradingStatus.HALTED, TradingStatus.TRADING, self._halt_ns
        events = self._stage.set_status(status, ts_ns) if self._stage.status is expected else ()
        return events, ts_ns + self._length_ns(mean_ns)

    def _length_ns(self, mean_ns: float) -> int:
        # Never next to nothing: half of it is sure.
        return 1_000_000 + int(mean_ns * (0.5 + 0.5 * self._draws.exponential()))
