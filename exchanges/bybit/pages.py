"""Lists that Bybit hands out page by page: read to the end, or not at all."""

from typing import TypeVar

from bot.clock import Clock
from bot.errors import VenueUnavailable
from exchanges.bybit.normalize import VENUE
from exchanges.bybit.private_schemas import ExecutionRow, ExecutionRows, Page
from exchanges.bybit.signed_rest import SignedRest, Values
from exchanges.common.account.asked_account import LONGEST_NS
from exchanges.common.requests.request_pool import Lane

MOST_PAGES = 50
_MS = 1_000_000
_SPAN_NS = 7 * 24 * 3_600_000_000_000
"""A question for executions by time reaches over no more than this, and one that names no end ends there."""
_EXECUTIONS = "/v5/execution/list"
_MOST_EXECUTIONS = "100"
_RowT = TypeVar("_RowT")


async def all_rows(
    rest: SignedRest, path: str, kind: type[Page[_RowT]], values: Values, lane: Lane = Lane.READ
) -> list[_RowT]:
    """The rows of every page.

    Raises:
        VenueError: It cannot be asked, refuses, or tells no end: what is cut short would look like all of it.
    """
    found: list[_RowT] = []
    cursor: Values = {}
    for _ in range(MOST_PAGES):
        page = await rest.read(path, kind, {**values, **cursor}, lane)
        found += page.rows
        if not page.next_cursor:
            return found
        cursor = {"cursor": page.next_cursor}
    raise VenueUnavailable(VENUE, f"tells no end of {path}")


async def executions_of(rest: SignedRest, values: Values) -> list[ExecutionRow]:
    """Every execution of one order, whenever it was.

    Raises:
        VenueError: It cannot be asked, or refuses.
    """
    asked = {**values, "limit": _MOST_EXECUTIONS}
    return await all_rows(rest, _EXECUTIONS, ExecutionRows, asked, Lane.REDUCE)


async def executions_since(rest: SignedRest, values: Values, since_ns: int, clock: Clock) -> list[ExecutionRow]:
    """Every execution since then (at most `LONGEST_NS` ago), a week at a time, oldest week first.

    Raises:
        VenueError: It cannot be asked, or refuses.
    """
    found: list[ExecutionRow] = []
    now_ns = clock.now_ns()
    # Bybit's clock may be a little ahead of ours, and what it dated later is still to be seen.
    for start_ns in range(max(since_ns, now_ns - LONGEST_NS), max(now_ns, since_ns + 1), _SPAN_NS):
        asked = {**values, "startTime": str(start_ns // _MS), "limit": _MOST_EXECUTIONS}
        if start_ns + _SPAN_NS < now_ns:
            asked["endTime"] = str((start_ns + _SPAN_NS) // _MS - 1)  # both ends belong to it
        found += await all_rows(rest, _EXECUTIONS, ExecutionRows, asked)
    return found
