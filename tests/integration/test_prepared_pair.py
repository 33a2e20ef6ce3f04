"""A pair over the venues' sockets with its journal on the disk: prepared while the disk works, sent when it is done."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from bot.clock import SystemClock
from bot.domain.instrument import Instrument, Segment
from bot.domain.market import TopOfBook
from bot.domain.order import Order, Side
from bot.domain.route import Opportunity, Route, TradeLeg
from bot.execution.context import ExecutionContext
from bot.execution.pair import PairState
from bot.execution.pair_executor import PairExecutor
from bot.ports import ReadyOrder
from bot.settings import Settings
from bot.storage.journal import SqliteJournal
from exchanges.routed.actions import RoutedActions
from tests.integration.actions_rig import VENUES, Rig, of, rig, until

BUY, SELL = of("binance", Segment.LINEAR), of("bybit", Segment.LINEAR)
BELOW, ABOVE = 49_990.0, 50_010.0


class Steps(RoutedActions):
    """What is asked of the venues, in its order."""

    def __init__(self, here: Rig) -> None:
        super().__init__({venue: here.actions(venue) for venue in VENUES})
        self.taken: list[str] = []

    def prepare(self, order: Order) -> ReadyOrder | None:
        ready = super().prepare(order)
        assert ready is not None
        self.taken.append(f"prepare {order.instrument.venue}")

        def leave() -> bool:
            has_left = ready.leave()
            self.taken += [f"leave {order.instrument.venue}"] * has_left
            return has_left

        return ReadyOrder(leave, self.noted(order, ready.follow))

    def launch(self, order: Order) -> Callable[[Order], None]:
        follow = super().launch(order)  # on a machine that stood still it was prepared too long ago
        self.taken.append(f"leave {order.instrument.venue}")
        return self.noted(order, follow)

    def noted(self, order: Order, follow: Callable[[Order], None]) -> Callable[[Order], None]:
        def noting(sent: Order) -> None:
            follow(sent)
            self.taken.append(f"follow {order.instrument.venue}")

        return noting


def quote(instrument: Instrument) -> TopOfBook:
    return TopOfBook(bid_price=50_000.0, bid_qty=1.0, ask_price=50_000.1, ask_qty=1.0, sequence=1)


def an_opportunity() -> Opportunity:
    legs = (TradeLeg(instrument=BUY, side=Side.BUY), TradeLeg(instrument=SELL, side=Side.SELL))
    return Opportunity(
        route=Route(kind="inventory", legs=legs), ts_ns=SystemClock().now_ns(), quantity=Decimal("0.5"),
        buy_price=ABOVE, sell_price=BELOW, gross_edge_bps=0.0, costs=(), net_edge_bps=0.0,
    )  # fmt: skip


@pytest.mark.parametrize("is_halted", [False, True])
async def test_orders_are_prepared_while_the_disk_works_and_leave_only_if_they_still_may(
    tmp_path: Path, is_halted: bool
) -> None:
    async with rig() as here:
        here.way = "socket"
        actions = Steps(here)
        await actions.start()
        journal = SqliteJournal(tmp_path, "run", deliver=asyncio.get_running_loop().call_soon_threadsafe)
        over: list[PairState] = []
        executor = PairExecutor(
            ExecutionContext(
                actions=actions,
                journal=journal,
                clock=SystemClock(),
                settings=Settings().execution,
                quotes=quote,
                id_prefix="run",
                may_open=lambda: not (is_halted and actions.taken),
                on_halt=pytest.fail,
            ),
            on_pair=lambda pair: over.append(pair.state) if pair.state.is_over else None,
            on_pair_fill=lambda pair, leg, fill: None,
            on_sent=lambda order: None,
        )
        actions.listener = executor
        asked = [f"{what} {venue}" for what in ("prepare", "leave", "follow") for venue in VENUES]
        try:
            executor.open(an_opportunity())
            assert actions.taken == asked[:2]
            await until(lambda: bool(over))
        finally:
            await actions.stop()
            journal.close()
    held = [[one for one in here.exchanges[venue].accounts[0].positions() if one.quantity] for venue in VENUES]
    assert actions.taken == (asked[:2] if is_halted else asked)
    assert over == [PairState.MISSED if is_halted else PairState.CLOSED]
    assert all(bool(positions) is not is_halted for positions in held)
