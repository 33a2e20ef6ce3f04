"""From the decision to both orders of a pair written, their intents on the disk first; and the same through ccxt."""

import asyncio
import gc
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from functools import partial
from itertools import chain, count
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns
from typing import Any, NamedTuple, Protocol, TypeVar

import uvloop
from pydantic import SecretStr

from benchmarks.apart import kept_awake, move_aside
from benchmarks.host import HostShare
from benchmarks.measure import progress, quantile
from benchmarks.order_sends_peer import CcxtPair
from benchmarks.order_stamps import QUANTITY, Sent, StampingJournal
from benchmarks.rows import Row, Target, against, figure
from benchmarks.simulated import SCENARIO, Simulated, simulated
from bot.clock import SystemClock
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument
from bot.domain.market import TopOfBook
from bot.domain.order import Order, Side
from bot.domain.route import Cost, Opportunity, Route, TradeLeg
from bot.execution.context import ExecutionContext
from bot.execution.pair import Pair
from bot.execution.pair_executor import PairExecutor
from bot.ports import ReadyOrder
from bot.settings import EndpointSettings, Settings
from bot.storage.journal import SqliteJournal
from exchanges.binance import request_costs as binance_costs
from exchanges.binance import shipped as binance
from exchanges.binance.actions import BinanceActions
from exchanges.bybit import request_costs as bybit_costs
from exchanges.bybit import shipped as bybit
from exchanges.bybit.actions import BybitActions
from exchanges.common.account.account_setup import AccountSetup
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.routed.actions import RoutedActions
from exchanges.simulator.market.listings import FIRST_PRICES
from modes.long_lived import leave_what_is_here

SYMBOL = "BTCUSDT"
_PAIRS = 25
"""Of a turn, in which one of the two ways has the machine: short enough to find calm between what its host does."""
_TURNS = 8
"""Of a round: so many pairs that their p99 is not the worst of them."""
_FLUSHES = 8
_CALM = 2.0
"""Percent. Where the host of a virtual machine keeps a quarter of its time, a second processor that is woken (by the
journal, by an order that reaches its exchange) stops the first for milliseconds: that says nothing of either way."""
_AWAKE = (
    "ours alone: the first order wakes the core of the exchanges, and the host of a virtual machine that has none to "
    "spare stops ours for that; exchanges on machines of their own wake nothing here"
)
_TRIES = 3
"""Times the turns that are wanted, at most."""
_A_SECOND = 20
_MANY = 1_000
_P50 = Target("value", at_most=True, limit=2.0, unit="ms")
_P99 = Target("value", at_most=True, limit=10.0, unit="ms")
_GAP = Target("value", at_most=True, limit=1.0, unit="ms")
_COSTS = tuple(Cost(name=name, bps=10.0) for name in ("buy fee", "sell fee", "buy depth", "sell depth", "rebalance"))
"""As many as such a route has."""
_HALF = Target("ratio", at_most=True, limit=0.5, unit="ms")


class Way(Protocol):
    """One way to send the two orders of a pair."""

    async def send(self, buy: Instrument, sell: Instrument, number: str) -> Sent:
        """Write the intents, wait until they are on the disk, send both; returns when both are answered."""


class _Turn(NamedTuple):
    """Some pairs of one way, one after the other, ns."""

    kept: float
    """Percent of the machine's time that its host kept meanwhile."""
    sent: list[Sent]
    arrived: list[int]
    """When each order was in its matching engine: two a pair, in order."""


class _Round(NamedTuple):
    """The turns of one way that belong together, ms."""

    p50: float
    p99: float
    before_journal: float
    """p50 of what the engine does before the journal has both intents."""
    in_journal: float
    """p50 from there until we are told that they are on the disk: two wake-ups, the words, the statement, the fsync."""
    prepared: float
    after_fsync: float
    """p50 of what remains of it once the disk is done."""
    gap_p99: float
    arrived: float
    """p50, from the decision to both being in the matching engines."""
    arrival_gap_p50: float
    arrival_gap_p99: float


class _Disk(NamedTuple):
    """Some small writes."""

    kept: float
    took_ms: list[float]


class _Measured(NamedTuple):
    """The turns that count, of those that there were."""

    ours: list[_Turn]
    peer: list[_Turn]
    disk: list[_Disk]
    tries: int
    awake: list[_Turn]
    """Ours, with the exchanges' core kept awake."""


_One = TypeVar("_One", _Turn, _Disk)


def rows(rounds: int) -> list[Row]:
    """Ours beside ccxt's in every round, and what one fsync of such a size takes by itself."""
    with simulated() as server:
        measured = uvloop.run(_measure(server, rounds))
    ours, peer, awake = (list(map(_round, _rounds(one))) for one in (measured.ours, measured.peer, measured.awake))
    note = (
        f"BTC spot at Binance and Bybit, IOC orders that fill, {_A_SECOND} pairs a second, {_PAIRS * _TURNS} a round, "
        f"in turns of {_PAIRS}; the pair executor, the journal on disk, {SCENARIO} exchanges on the other core, of two "
        "the journal's thread as well; ccxt: the same intents and fsync, then both create_order gathered, its rate "
        "limiter off; written: to the socket, by ours within transport.send, by aiohttp's transport at the end of the "
        "loop's turn"
    )

    def row(name: str, at: int, target: Target | None, words: str = note) -> Row:
        return against(name, "ms", [one[at] for one in ours], "ccxt", [one[at] for one in peer], target, words)

    beside = "by the engine's thread, while the journal's waits for the disk"
    alone = f"what the disk alone takes, {_A_SECOND} times a second"
    disk = [sorted(chain.from_iterable(turn.took_ms for turn in some)) for some in _rounds(measured.disk)]
    calm = sum(one.kept <= _CALM for one in (*measured.ours, *measured.peer))
    kept = (
        f"of the time in which the machine wanted to work; of {measured.tries} turns each way the "
        f"{len(measured.ours)} that the host disturbed least count: {calm} of the {2 * len(measured.ours)} had at "
        f"most {_CALM:g} %"
    )
    arrived = "the exchanges are one process, which has the second order once it is done with the first one"
    return [
        row("decision to both orders written, fsync included, p50", 0, _P50),
        row("decision to both orders written, fsync included, p99", 1, _P99),
        row("the same against ccxt, p50", 0, _HALF),
        row("of it until the journal has the intents, p50", 2, None),
        row("of it in the journal, fsync included, p50", 3, None),
        figure("within that: both orders prepared, p50", "ms", [one.prepared for one in ours], None, beside),
        row("of it after the fsync, p50", 5, None),
        row("gap between the two sends, p99", 6, _GAP),
        figure("the same with the exchanges' core kept awake, p99", "ms", [one.gap_p99 for one in awake], _GAP, _AWAKE),
        row("decision to both orders in the matching engines, p50", 7, None, arrived),
        row("gap between their arrivals there, p50", 8, None, arrived),
        row("gap between their arrivals there, p99", 9, None, arrived),
        figure("8 KiB written and fdatasync, p50", "ms", [quantile(one, 0.5) for one in disk], None, alone),
        figure("8 KiB written and fdatasync, p99", "ms", [quantile(one, 0.99) for one in disk], None, alone),
        # No ratio: on a machine of its own nothing is kept.
        figure("kept by the machine's host meanwhile", "%", _kept(measured.ours), None, kept),
        figure("kept by it from ccxt's turns", "%", _kept(measured.peer), None, kept),
    ]


def _rounds(turns: Sequence[_One]) -> Iterator[Sequence[_One]]:
    return (turns[at : at + _TURNS] for at in range(0, len(turns), _TURNS))


async def _measure(server: Simulated, rounds: int) -> _Measured:
    """As many turns of each way as the rounds take, the calmest of those that there was time for."""
    wanted = rounds * _TURNS
    ours: list[_Turn] = []
    peer: list[_Turn] = []
    disk: list[_Disk] = []
    numbers, host = count(), HostShare()

    async def turn(way: Way) -> _Turn:
        return await _turn(server, way, numbers, host)

    with TemporaryDirectory(prefix="crypto-pipe-benchmark-") as directory:
        deliver = asyncio.get_running_loop().call_soon_threadsafe
        journal = StampingJournal(SqliteJournal(Path(directory), "benchmark", deliver=deliver))
        move_aside("journal")
        try:
            async with _own_pairs(server, journal) as own, CcxtPair.opened(server.address, journal) as ccxt:
                leave_what_is_here()  # as a run does
                await turn(own)  # warms up, as the next one does
                await turn(ccxt)
                tries = 0
                while tries < _TRIES * wanted and min(_calm(ours), _calm(peer)) < wanted:
                    progress(f"order sends: {min(_calm(ours), _calm(peer))} of {wanted} calm turns (try {tries + 1})")
                    for way in (own, ccxt) if tries % 2 else (ccxt, own):
                        (ours if way is own else peer).append(await turn(way))
                    host.taken()
                    took = await asyncio.to_thread(_fsyncs, Path(directory))
                    disk.append(_Disk(host.taken(), took))
                    tries += 1
                progress(f"order sends: {wanted} turns with the exchanges' core kept awake")
                with kept_awake():
                    awake = [await turn(own) for _ in range(wanted)]
        finally:
            journal.close()
    return _Measured(_calmest(ours, wanted), _calmest(peer, wanted), _calmest(disk, wanted), tries, awake)


def _calm(turns: list[_Turn]) -> int:
    return sum(one.kept <= _CALM for one in turns)


def _calmest(turns: list[_One], wanted: int) -> list[_One]:
    """So many of them, in the order in which they were."""
    best = sorted(range(len(turns)), key=lambda at: turns[at].kept)[:wanted]
    return [turns[at] for at in sorted(best)]


async def _turn(server: Simulated, way: Way, numbers: "count[int]", host: HostShare) -> _Turn:
    gc.collect()
    await asyncio.sleep(0.2)  # what came during the collection is read
    await asyncio.to_thread(server.arrivals)
    sides = (
        binance.INSTRUMENTS[Feed.parse("binance.spot")][SYMBOL],
        bybit.INSTRUMENTS[Feed.parse("bybit.spot")][SYMBOL],
    )
    sent: list[Sent] = []
    host.taken()
    begun_ns = perf_counter_ns()
    for at in range(_PAIRS):
        await asyncio.sleep(max(0.0, (begun_ns + at * 1_000_000_000 // _A_SECOND - perf_counter_ns()) / 1e9))
        buy, sell = sides if at % 2 else sides[::-1]
        sent.append(await way.send(buy, sell, f"s{next(numbers)}"))
    kept = host.taken()
    arrived = list(await asyncio.to_thread(server.arrivals))
    if len(arrived) != 2 * _PAIRS:
        raise RuntimeError(f"{2 * _PAIRS} orders were sent, and {len(arrived)} arrived: the figures would mean nothing")
    return _Turn(kept, sent, arrived)


def _round(turns: Sequence[_Turn]) -> _Round:
    sent = [one for turn in turns for one in turn.sent]
    # In pairs: a turn begins with the first order of one.
    came = [pair for turn in turns for pair in zip(turn.arrived[::2], turn.arrived[1::2], strict=True)]
    took = _ms(max(one.written_ns) - one.decided_ns for one in sent)
    apart = _ms(second - first for first, second in came)
    return _Round(
        p50=quantile(took, 0.5),
        p99=quantile(took, 0.99),
        before_journal=quantile(_ms(one.handed_ns - one.decided_ns for one in sent), 0.5),
        in_journal=quantile(_ms(one.durable_ns - one.handed_ns for one in sent), 0.5),
        prepared=quantile(_ms(one.prepared_ns for one in sent), 0.5),
        after_fsync=quantile(_ms(max(one.written_ns) - one.durable_ns for one in sent), 0.5),
        gap_p99=quantile(_ms(abs(one.written_ns[0] - one.written_ns[1]) for one in sent), 0.99),
        arrived=quantile(_ms(last - one.decided_ns for one, (_, last) in zip(sent, came, strict=True)), 0.5),
        arrival_gap_p50=quantile(apart, 0.5),
        arrival_gap_p99=quantile(apart, 0.99),
    )


def _kept(turns: Sequence[_Turn]) -> list[float]:
    return [sum(turn.kept for turn in some) / len(some) for some in _rounds(turns)]


def _ms(durations_ns: Iterable[int]) -> list[float]:
    """Sorted."""
    return sorted(one / 1e6 for one in durations_ns)


def _fsyncs(directory: Path) -> list[float]:
    """Small writes to a file that has its room, at the pace of the pairs, ms."""
    took: list[float] = []
    path = directory / "fsync"
    path.write_bytes(bytes(8_192 * _FLUSHES))
    with path.open("r+b", buffering=0) as file:
        os.fsync(file.fileno())
        for _ in range(_FLUSHES):
            time.sleep(1 / _A_SECOND)  # a disk that has just worked takes a quarter of the time
            begun_ns = perf_counter_ns()
            file.write(b"x" * 8_192)
            os.fdatasync(file.fileno())
            took.append((perf_counter_ns() - begun_ns) / 1e6)
    return took


class _OwnPairs:
    """The pair executor over the bot's own adapters."""

    def __init__(self, actions: RoutedActions, journal: StampingJournal) -> None:
        self._actions = actions
        self._journal = journal
        self._written: list[int] = []
        self._prepared_ns = 0
        self._routes: dict[str, Route] = {}
        self._over = asyncio.Event()
        self._executor = PairExecutor(
            ExecutionContext(
                actions=self,
                journal=journal,
                clock=SystemClock(),
                settings=Settings().execution,
                quotes=_quote,
                id_prefix="own",
                may_open=lambda: True,
                on_halt=_fail,
            ),
            on_pair=self._on_pair,
            on_pair_fill=lambda pair, leg, fill: None,
            on_sent=lambda order: None,
        )
        actions.listener = self._executor

    async def send(self, buy: Instrument, sell: Instrument, number: str) -> Sent:
        """Open a pair, and wait until it is over."""
        self._written.clear()
        self._prepared_ns = 0
        self._over.clear()
        route = self._route(buy, sell)
        price = float(FIRST_PRICES["BTC"])
        decision = Opportunity(
            route=route,
            ts_ns=SystemClock().now_ns(),
            quantity=QUANTITY,
            # So far off that the book fills them, however far it has wandered.
            buy_price=price * 1.01,
            sell_price=price * 0.99,
            gross_edge_bps=0.0,
            costs=_COSTS,
            net_edge_bps=0.0,
        )
        decided_ns = perf_counter_ns()
        self._executor.open(decision)
        async with asyncio.timeout(60):
            await self._over.wait()
        first, second, *more = self._written
        if more:
            raise RuntimeError(f"{len(more)} orders more than two: a leg was not filled at once")
        journal = self._journal
        return Sent(decided_ns, journal.handed_ns, self._prepared_ns, journal.durable_ns, (first, second))

    def _route(self, buy: Instrument, sell: Instrument) -> Route:
        """A run lists its routes when it starts."""
        route = self._routes.get(buy.id)
        if route is None:
            legs = (TradeLeg(instrument=buy, side=Side.BUY), TradeLeg(instrument=sell, side=Side.SELL))
            route = self._routes[buy.id] = Route(kind="inventory", legs=legs)
        return route

    def _on_pair(self, pair: Pair) -> None:
        if pair.state.is_over:
            self._over.set()

    # `Actions`, as the executor sees it

    def prepare(self, order: Order) -> ReadyOrder | None:
        """Pass it on; note how long it takes, and when it has been written."""
        begun_ns = perf_counter_ns()
        ready = self._actions.prepare(order)
        self._prepared_ns += perf_counter_ns() - begun_ns
        return None if ready is None else ready._replace(leave=partial(self._leave, ready.leave))

    def _leave(self, leave: Callable[[], bool]) -> bool:
        has_left = leave()
        if has_left:
            self._written.append(perf_counter_ns())
        return has_left

    def launch(self, order: Order) -> Callable[[Order], None]:
        """Pass it on, and note when it has been written."""
        follow = self._actions.launch(order)
        self._written.append(perf_counter_ns())
        return follow

    def __getattr__(self, name: str) -> Any:
        return getattr(self._actions, name)


@asynccontextmanager
async def _own_pairs(server: Simulated, journal: StampingJournal) -> AsyncIterator[_OwnPairs]:
    address, clock = server.address, SystemClock()
    endpoint = EndpointSettings(rest_url=address.url, stream_url=address.ws_url)
    settings = Settings.model_validate({"venues": {venue: {"spot": endpoint} for venue in ("binance", "bybit")}})
    keys = ApiKeys(key=SecretStr(address.credentials.api_key), secret=SecretStr(address.credentials.secret))
    by_feed: dict[Feed, Mapping[str, Instrument]] = {}
    for known, name in ((binance.INSTRUMENTS, "binance.spot"), (bybit.INSTRUMENTS, "bybit.spot")):
        feed = Feed.parse(name)
        by_feed[feed] = {SYMBOL: known[feed][SYMBOL]}
    fees = {feed: FeeSchedule(feed=feed, maker_bps=Decimal(10), taker_bps=Decimal(10), source="") for feed in by_feed}
    # More than the venues allow; whether there is room is asked all the same.
    rates = {"binance": binance_costs.rates(), "bybit": bybit_costs.rates()}
    kinds = {"binance": BinanceActions, "bybit": BybitActions}
    adapters = {
        venue: kinds[venue](AccountSetup(
            by_feed, keys, settings, clock, random.Random(1), fees, _log,
            budget=RequestBudget(venue, [replace(rate, limit=rate.limit * _MANY) for rate in rates[venue]], clock),
        ))
        for venue in kinds
    }  # fmt: skip
    actions = RoutedActions(adapters)
    pairs = _OwnPairs(actions, journal)
    await actions.start()
    try:
        yield pairs
        if not all(adapter.sends_by_socket for adapter in adapters.values()):
            raise RuntimeError("a socket went away: the figures would mean nothing")
    finally:
        await actions.stop()


def _quote(instrument: Instrument) -> TopOfBook:
    price = float(FIRST_PRICES["BTC"])
    return TopOfBook(bid_price=price, bid_qty=1.0, ask_price=price, ask_qty=1.0, sequence=1)


def _log(level: str, text: str) -> None:
    if level == "error":
        progress(text)


def _fail(why: str) -> None:
    raise RuntimeError(why)
