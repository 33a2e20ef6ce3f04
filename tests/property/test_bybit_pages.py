"""What Bybit hands out by weeks and pages is read whole, each row once, or refused."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.clock import VirtualClock
from bot.domain.instrument import Instrument, Segment
from bot.errors import VenueUnavailable
from exchanges.bybit.account_requests import WALLET, BybitAccount
from exchanges.bybit.pages import MOST_PAGES, all_rows, executions_since
from exchanges.bybit.private_schemas import ExecutionRows
from exchanges.common.account.wallet_book import WalletBook

MS = 1_000_000
DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
NOW_MS = 1_795_000_000_000
PERP = Instrument(
    venue="bybit", segment=Segment.LINEAR, symbol="BTC/USDT:USDT", base="BTC", quote="USDT", settle="USDT",
    tick_size=Decimal("0.1"), lot_size=Decimal("0.001"),
)  # fmt: skip


class Rest:
    """Bybit's answers to questions for executions: newest first, a week at the most, so many a page."""

    def __init__(self, times_ms: list[int], limit: int = 100) -> None:
        self.times_ms = sorted(times_ms, reverse=True)
        self.limit = limit

    async def open(self) -> None:
        """Its clock is ours."""

    async def read(self, path: str, kind: Any, values: dict[str, str], lane: Any = None) -> Any:
        start = int(values["startTime"])
        end = int(values.get("endTime", start + WEEK_MS))
        assert end - start <= WEEK_MS, "refused with 10001"
        found = [one for one in self.times_ms if start <= one <= end]
        at = int(values.get("cursor", "0"))
        size = min(self.limit, int(values["limit"]))
        left = at + size < len(found)
        rows = [row(one) for one in found[at : at + size]]
        return kind.model_validate({"list": rows, "nextPageCursor": str(at + size) if left else ""})


class Http:
    def open(self) -> None:
        """Nothing is connected."""


def row(at_ms: int) -> dict[str, str]:
    return {
        "symbol": "BTCUSDT", "execType": "Funding", "execId": str(at_ms), "orderId": "", "orderLinkId": "",
        "side": "Buy", "execPrice": "50000", "execQty": "0.1", "execFee": "0.5", "feeRate": "0.0001", "feeCurrency": "",
        "isMaker": "false", "execTime": str(at_ms),
    }  # fmt: skip


@given(
    back_ms=st.integers(0, 89 * DAY_MS),
    ages_ms=st.lists(
        st.one_of(st.integers(0, 89 * DAY_MS), st.integers(0, 12).map(lambda weeks: weeks * WEEK_MS)),
        unique=True,
        max_size=MOST_PAGES,
    ),
    limit=st.integers(1, 3),
)
def test_every_execution_since_then_is_read_once(back_ms: int, ages_ms: list[int], limit: int) -> None:
    since_ms = NOW_MS - back_ms
    times = [NOW_MS - age for age in ages_ms]
    asking = executions_since(Rest(times, limit), {}, since_ms * MS, VirtualClock(NOW_MS * MS))  # type: ignore[arg-type]
    found = [one.ts_ns // MS for one in asyncio.run(asking)]
    assert sorted(found) == sorted(one for one in times if one >= since_ms)


def test_funding_of_the_second_week_after_a_long_pause_is_told_and_only_once() -> None:
    """The run before ended twenty days ago; a question that names no end would have ended after seven."""
    paid = [NOW_MS - DAY_MS - number * 8 * 3_600_000 for number in range(3)]
    wallets = WalletBook(lambda _: WALLET, {}, Decimal("0.2"), locks_margin=False)
    rest: Any = Rest(paid)
    http: Any = Http()
    account = BybitAccount(rest, {PERP.feed: {"BTCUSDT": PERP}}, http, wallets, VirtualClock(NOW_MS * MS))

    async def missed() -> list[int]:
        await account.open()
        account.ask_funding_from((NOW_MS - 20 * DAY_MS) * MS)
        return [one.ts_ns // MS for one in await account.missed_funding()]

    assert sorted(asyncio.run(missed())) == sorted(paid)


def test_a_list_that_does_not_end_is_not_taken_for_all_of_it() -> None:
    rest = Rest([NOW_MS - number for number in range(MOST_PAGES + 1)], limit=1)
    values = {"startTime": str(NOW_MS - DAY_MS), "limit": "1"}
    with pytest.raises(VenueUnavailable, match="tells no end"):
        asyncio.run(all_rows(rest, "/v5/execution/list", ExecutionRows, values))  # type: ignore[arg-type]
