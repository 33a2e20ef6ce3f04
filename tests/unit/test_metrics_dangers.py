"""The figures of what should be nothing: as Prometheus gets them, of a snapshot that has some of it."""

import urllib.request
from collections.abc import Callable

from bot.clock import SystemClock
from bot.domain.snapshot import PairRow, Snapshot
from bot.domain.standing import BudgetLine, VenueStanding
from bot.engine.snapshot import take_snapshot
from bot.telling.metrics import Metrics
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.common.requests.request_pool import Lane, Rate
from tests.unit.test_engine_decisions import Bench


def figures(shown: Snapshot) -> list[str]:
    def deliver(callback: Callable[[], None]) -> None:
        callback()

    metrics = Metrics(0, lambda: shown, deliver, SystemClock())
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{metrics.port}/metrics", timeout=60) as answer:
            return answer.read().decode().splitlines()  # type: ignore[no-any-return]
    finally:
        metrics.close()


def test_what_is_uneven_left_over_paused_halted_and_used_up_is_told() -> None:
    bench = Bench()
    calm = take_snapshot(bench.engine, bench.clock.now_ns(), bench.printed, progress=None, finished=False)
    line = BudgetLine(
        venue="binance", name="linear weight 1m", used=1500, limit=2400, window_s=60.0, held_s=4.5, waiting=0,
        left={"reduce": 900, "read": 0},
    )  # fmt: skip
    pair = PairRow(
        pair="run-1", route="there", state="opening", opened_ns=0, quantity="1", bought="1", sold="0", net_bps=1.0,
        unhedged_s=2.5, unhedged_notional="1000.1",
    )  # fmt: skip
    even = pair.model_copy(update={"pair": "run-2", "unhedged_s": None, "unhedged_notional": None})
    shown = calm.model_copy(
        update={
            "pairs": (pair, even),
            "dust": {"binance:ETH/USDT": "-0.0004"},
            "paused": ("", "there"),
            "reducing": {"disk": "it is slow", "person": "paused"},
            "is_halt_kept": True,
            "venues": (VenueStanding(venue="binance", blocked="a ban", budgets=(line,)),),
        }
    )
    told = figures(shown)
    assert {
        'crypto_pipe_unhedged_seconds{pair="run-1",route="there"} 2.5',
        'crypto_pipe_unhedged_notional{pair="run-1",route="there"} 1000.1',
        'crypto_pipe_dust{asset="ETH",instrument="binance:ETH/USDT"} -0.0004',
        'crypto_pipe_paused{route="everything"} 1.0',
        'crypto_pipe_paused{route="there"} 1.0',
        'crypto_pipe_reducing{cause="disk"} 1.0',
        'crypto_pipe_reducing{cause="person"} 1.0',
        "crypto_pipe_halt_flag 1.0",
        'crypto_pipe_request_budget_left{lane="reduce",limit="linear weight 1m",venue="binance"} 900.0',
        'crypto_pipe_request_budget_left{lane="read",limit="linear weight 1m",venue="binance"} 0.0',
        'crypto_pipe_request_budget_held_seconds{limit="linear weight 1m",venue="binance"} 4.5',
        'crypto_pipe_venue_blocked{venue="binance"} 1.0',
    } <= set(told)
    assert not any("run-2" in one for one in told)
    quiet = figures(calm)
    assert "crypto_pipe_halt_flag 0.0" in quiet
    assert not any(one.startswith("crypto_pipe_unhedged_seconds{") for one in quiet)


def test_what_is_left_of_a_budget_is_what_a_lane_may_still_take() -> None:
    budget = RequestBudget("binance", [Rate("weight", 100, 60.0)], SystemClock())
    budget.take({"weight": 70}, Lane.REDUCE)
    (line,) = budget.lines()
    assert line.left == {"reduce": 30, "order": 10, "read": 0, "idle": 0}
