"""What Prometheus asks for, on loopback alone. The one place that knows prometheus_client.

Every figure comes from the engine's snapshot, taken on the engine's thread when somebody asks, at most once a second.
Names and labels are documented in docs/operating.md.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bot.clock import Clock
from bot.domain.snapshot import Snapshot
from bot.errors import SettingsError

_FRESH_NS = 1_000_000_000
_PATIENCE_S = 2.0
_STATES = ("ACTIVE", "REDUCING", "HALTED")

Ask = Callable[[Callable[[], None]], object]
"""Brings a callback to the engine's thread."""


class Metrics(Collector):
    """Serves http://127.0.0.1:PORT/metrics from a thread of its own."""

    def __init__(self, port: int, snapshot: Callable[[], Snapshot], deliver: Ask, clock: Clock) -> None:
        """Listen; `snapshot` is called on the engine's thread.

        Raises:
            SettingsError: If the port is taken.
        """
        self._snapshot = snapshot
        self._deliver = deliver
        self._clock = clock
        self._newest: Snapshot | None = None
        self._taken_ns = 0
        self._lock = threading.Lock()
        registry = CollectorRegistry()
        registry.register(self)
        try:
            self._server, self._thread = start_http_server(port, addr="127.0.0.1", registry=registry)
        except OSError as error:
            raise SettingsError(f"metrics.port {port} cannot be listened on: {error.strerror}") from error

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def describe(self) -> Iterable[Metric]:
        """Nothing before there is an engine to ask: the registry would ask for all of it."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every figure; only that nobody answers, where the engine stands still."""
        with self._lock:
            snapshot = self._asked()
        yield GaugeMetricFamily("crypto_pipe_up", "1: the engine's loop answers", value=float(snapshot is not None))
        if snapshot is not None:
            yield from _of_run(snapshot)
            yield from _of_dangers(snapshot)
            yield from _of_budgets(snapshot)
            yield from _of_feeds(snapshot)
            yield from _of_routes(snapshot)
            yield from _of_limits(snapshot)

    def _asked(self) -> Snapshot | None:
        if self._newest is not None and self._clock.monotonic_ns() - self._taken_ns < _FRESH_NS:
            return self._newest
        answered = threading.Event()
        told: list[Snapshot] = []

        def answer() -> None:
            told.append(self._snapshot())
            answered.set()

        try:
            self._deliver(answer)
        except RuntimeError:  # the loop is closed: the run has ended
            return None
        if not answered.wait(_PATIENCE_S):
            return None
        self._newest, self._taken_ns = told[0], self._clock.monotonic_ns()
        return self._newest


def _gauge(name: str, what: str, labels: list[str], rows: Iterable[tuple[list[str], float | None]]) -> Metric:
    family = GaugeMetricFamily(f"crypto_pipe_{name}", what, labels=labels)
    for values, figure in rows:
        if figure is not None:
            family.add_metric(values, figure)
    return family


def _counter(name: str, what: str, labels: list[str], rows: Iterable[tuple[list[str], float]]) -> Metric:
    family = CounterMetricFamily(f"crypto_pipe_{name}", what, labels=labels)
    for values, figure in rows:
        family.add_metric(values, figure)
    return family


def _of_run(shown: Snapshot) -> Iterator[Metric]:
    about = [shown.run_id, shown.strategy, shown.market, "real" if shown.real_money else "paper"]
    yield _gauge("run", "The run that tells this", ["run_id", "strategy", "market", "money"], [(about, 1.0)])
    states = [([state], float(state == shown.state)) for state in _STATES]
    yield _gauge("trading_state", "1 for the state that holds", ["state"], states)
    causes = [([cause], 1.0) for cause in shown.reducing]
    yield _gauge("reducing", "1: nothing new is opened for this cause", ["cause"], causes)
    yield _gauge("realised", "Profit of closed pairs, asset units", ["asset"], _amounts(shown.realised))
    yield _gauge("unrealised", "Of open pairs if they were closed now", ["asset"], _amounts(shown.unrealised))
    yield _gauge("open_pairs", "Pairs that are not over", [], [([], float(shown.open_pairs))])
    yield _counter("decisions_taken", "Opportunities taken", [], [([], float(shown.taken))])
    refused = [([limit], float(count)) for limit, count in shown.refused.items()]
    yield _counter("decisions_refused", "Opportunities refused, by limit", ["limit"], refused)


def _of_dangers(shown: Snapshot) -> Iterator[Metric]:
    """What should be nothing: somebody is to be woken if it lasts."""
    uneven = [one for one in shown.pairs if one.unhedged_s is not None]
    seconds = [([one.route, one.pair], one.unhedged_s) for one in uneven]
    yield _gauge("unhedged_seconds", "How long a pair has been uneven", ["route", "pair"], seconds)
    notional = [([one.route, one.pair], None if one.unhedged_notional is None else float(one.unhedged_notional))
                for one in uneven]  # fmt: skip
    yield _gauge("unhedged_notional", "What of it may be unhedged, quote units", ["route", "pair"], notional)
    dust = [([name, _base(name)], float(amount)) for name, amount in shown.dust.items()]
    yield _gauge("dust", "What no venue takes as an order, signed base units", ["instrument", "asset"], dust)
    paused = [([route or "everything"], 1.0) for route in shown.paused]
    yield _gauge("paused", "1: a person has paused it", ["route"], paused)
    yield _gauge("halt_flag", "1: the halt holds after a restart too", [], [([], float(shown.is_halt_kept))])


def _of_budgets(shown: Snapshot) -> Iterator[Metric]:
    lines = [line for venue in shown.venues for line in venue.budgets]
    left = [([line.venue, line.name, lane], float(room)) for line in lines for lane, room in line.left.items()]
    what = "What may still be asked in this window"
    yield _gauge("request_budget_left", what, ["venue", "limit", "lane"], left)
    held = [([line.venue, line.name], line.held_s) for line in lines]
    yield _gauge("request_budget_held_seconds", "Nothing of it is sent for so long", ["venue", "limit"], held)
    blocked = [([one.venue], float(one.blocked is not None)) for one in shown.venues]
    yield _gauge("venue_blocked", "1: nothing new is risked there", ["venue"], blocked)


def _base(instrument_id: str) -> str:
    """`BTC` of `binance:BTC/USDT:USDT`."""
    return instrument_id.partition(":")[2].partition("/")[0]


def _of_feeds(shown: Snapshot) -> Iterator[Metric]:
    feeds = shown.feeds
    yield _counter("quotes", "Top of books received", ["feed"], [([one.feed], float(one.quotes)) for one in feeds])
    refused = [([one.feed], float(one.refused)) for one in feeds]
    yield _counter("quotes_refused", "Top of books that may not be traded on", ["feed"], refused)
    malformed = [([one.feed], float(one.malformed)) for one in feeds]
    yield _counter("malformed", "Frames that did not decode", ["feed"], malformed)
    yield _counter(
        "reconnects", "Connections made anew", ["feed"], [([one.feed], float(one.reconnects)) for one in feeds]
    )
    live = [([one.feed], float(one.state == "live")) for one in feeds]
    yield _gauge("feed_live", "1: data frames arrive", ["feed"], live)
    yield _gauge(
        "frame_age_seconds", "Since the last frame", ["feed"], [([f.feed], _s(f.last_frame_age_ms)) for f in feeds]
    )
    offsets = [([one.feed], _s(one.clock_offset_ms)) for one in feeds]
    yield _gauge("clock_offset_seconds", "The venue's clock minus ours", ["feed"], offsets)


def _of_routes(shown: Snapshot) -> Iterator[Metric]:
    routes = shown.routes
    offered = [([one.route], one.gross_bps) for one in routes]
    yield _gauge("offered_bps", "Gross edge offered now", ["route"], offered)
    needed = [([one.route], one.needed_bps) for one in routes]
    yield _gauge("needed_bps", "Gross edge at which the route breaks even", ["route"], needed)
    yield _gauge("net_bps", "Offered less needed", ["route"], [([one.route], one.net_bps) for one in routes])


def _of_limits(shown: Snapshot) -> Iterator[Metric]:
    observed = [([one.limit, one.unit], one.observed) for one in shown.limits]
    yield _gauge("limit_observed", "What a limit of the risk gate sees", ["limit", "unit"], observed)
    allowed = [([one.limit, one.unit], one.allowed) for one in shown.limits]
    yield _gauge("limit_allowed", "What it allows", ["limit", "unit"], allowed)
    jobs = shown.upkeep.jobs
    yield _counter(
        "job_failures", "Turns of a job that failed", ["job"], [([job.name], float(job.failures)) for job in jobs]
    )
    yield _counter(
        "job_missed", "Turns of a job that were missed", ["job"], [([job.name], float(job.missed)) for job in jobs]
    )


def _amounts(amounts: Any) -> list[tuple[list[str], float]]:
    return [([asset], float(amount)) for asset, amount in amounts.items()]


def _s(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1e3
