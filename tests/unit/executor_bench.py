"""What every bench of an executor is made of: a virtual clock, a journal, and venues that only listen."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from bot.clock import VirtualClock
from bot.domain.account import Balance, Position
from bot.domain.instrument import Instrument, Segment
from bot.domain.market import TopOfBook
from bot.domain.order import Order, Side
from bot.errors import StorageError
from bot.execution.context import ExecutionContext
from bot.ports import Journal, RecordKind
from bot.settings import ExecutionSettings

D = Decimal
MS = 1_000_000


def spot(venue: str, base: str, quote: str, tick: str, lot: str, least: str) -> Instrument:
    """A spot instrument whose smallest quantity is one lot; `least` is the smallest notional."""
    return Instrument(
        venue=venue, symbol=f"{base}/{quote}", segment=Segment.SPOT, base=base, quote=quote,
        tick_size=D(tick), lot_size=D(lot), min_quantity=D(lot), min_notional=D(least),
    )  # fmt: skip


class MemoryJournal:
    """Keeps records; what waits for durability waits until the test says `sync`, or fails."""

    def __init__(self) -> None:
        self.records: list[tuple[RecordKind, str, Mapping[str, Any]]] = []
        self.is_slow = False
        self.is_broken = False
        self._waiting: list[Callable[[], None]] = []

    def record(
        self, kind: RecordKind, key: str, ts_ns: int, body: Mapping[str, Any] | Callable[[], Mapping[str, Any]]
    ) -> None:
        self.records.append((kind, key, body() if callable(body) else body))

    def when_durable(self, callback: Callable[[], None]) -> None:
        if self.is_broken:
            raise StorageError("disk full")
        if self.is_slow:
            self._waiting.append(callback)
        else:
            callback()

    def sync(self) -> None:
        waiting, self._waiting = self._waiting, []
        for callback in waiting:
            callback()

    def close(self) -> None:
        pass

    def statuses(self, order_id: str) -> list[str]:
        return [body["status"] for kind, key, body in self.records if kind is RecordKind.ORDER and key == order_id]


class ExecutorBench:
    """The venues' inbox, what was cancelled, halted and told, and the context of an executor over them."""

    def __init__(
        self,
        settings: ExecutionSettings,
        *,
        taker_bps: float = 0.0,
        journal: MemoryJournal | None = None,
        wrap: Callable[[MemoryJournal], Journal] = lambda journal: journal,
    ) -> None:
        self.clock = VirtualClock()
        self.journal = journal or MemoryJournal()
        self.inbox: list[Order] = []
        self.cancels: list[str] = []
        self.halts: list[str] = []
        self.alarms: list[str] = []
        self.may_open = True
        self.quotes: dict[str, TopOfBook | None] = {}
        self.context = ExecutionContext(
            actions=self,
            journal=wrap(self.journal),
            clock=self.clock,
            settings=settings,
            quotes=lambda instrument: self.quotes[instrument.id],
            id_prefix="run",
            may_open=lambda: self.may_open,
            on_halt=self.halts.append,
            taker_bps=lambda instrument: taker_bps,
        )

    def quote(self, instrument: Instrument, bid: float, ask: float, size: float = 9.0) -> None:
        self.quotes[instrument.id] = TopOfBook(bid_price=bid, bid_qty=size, ask_price=ask, ask_qty=size, sequence=1)

    def wait(self, ms: float) -> None:
        self.clock.advance_to(self.clock.now_ns() + round(ms * MS))

    # bot.ports.Actions

    def submit(self, order: Order) -> None:
        self.inbox.append(order)

    def cancel(self, order: Order) -> None:
        self.cancels.append(order.client_order_id)

    def balances(self) -> Sequence[Balance]:
        return ()

    def positions(self) -> Sequence[Position]:
        return ()

    def affordable_notional(self, instrument: Instrument, side: Side, price: float) -> float:
        return 1e9
