"""Funding that a venue's books tell of later than its streams: nobody says a second time that it was due."""

import json
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from bot.domain.instrument import Instrument, Segment
from tests.integration.actions_rig import INSTRUMENTS, VENUES, Rig, an_order, of, rig, started, until

D = Decimal
_BOOKS = {"binance": "/fapi/v1/income", "bybit": "/v5/execution/list"}


class LateBooks:
    """The first `asked` answers of a venue's books leave out what `hides` names, by its place in the order of time."""

    def __init__(self, here: Rig, venue: str, asked: int, hides: int) -> None:
        self.asked = 0
        self._late, self._hides, self._path = asked, hides, _BOOKS[venue]
        self._inner = here.requests.handle
        here.requests.handle = self.handle  # type: ignore[method-assign]

    async def handle(self, request: web.Request, handler: Any) -> web.StreamResponse:
        response = await self._inner(request, handler)
        if request.path != self._path or not isinstance(response, web.Response):
            return response
        body = json.loads(response.text or "")
        rows = body if isinstance(body, list) else body["result"]["list"]
        if not rows and not self.asked:
            return response  # nothing has happened yet
        self.asked += 1
        if self.asked <= self._late:
            rows.sort(key=lambda row: int(row.get("time") or row.get("execTime")))
            del rows[self._hides : self._hides + 1]
        return web.json_response(body)


def settle(here: Rig, what: Instrument, rate: str, after_ns: int = 0) -> None:
    index = INSTRUMENTS.index(what)
    here.market.marks[index] = D(50000)
    now_ns = here.exchanges[what.venue].now_ns()
    here.move([here.market.funding_event(index, D(rate), now_ns + after_ns)])


@pytest.mark.parametrize("hides", [0, 1], ids=["the older one", "the newer one"])
async def test_a_payment_whose_row_comes_after_another_ones_is_told(hides: int) -> None:
    """Two are settled, the stream says so, and the books know of one of them first."""
    what = of("binance", Segment.LINEAR)
    async with rig() as here, started(here, "binance") as actions:
        actions.submit(an_order("a", what))
        await until(lambda: actions.in_flight == 0 and bool(actions.positions()))
        books = LateBooks(here, "binance", asked=1, hides=hides)
        settle(here, what, "0.0004")
        settle(here, what, "0.0002", after_ns=2_000_000)
        await until(lambda: len(here.heard.funding) == 2)
        assert books.asked > 1
        assert sorted(one.rate for one in here.heard.funding) == [D("0.0002"), D("0.0004")]


@pytest.mark.parametrize("venue", VENUES)
async def test_a_payment_of_a_gap_that_the_books_do_not_know_yet_is_told(venue: str) -> None:
    """It was settled while the stream was away, and its row comes after the repair has asked for it."""
    what = of(venue, Segment.LINEAR)
    async with rig() as here, started(here, venue) as actions:
        actions.submit(an_order("a", what))
        await until(lambda: actions.in_flight == 0 and bool(actions.positions()))
        # Each stream's repair asks once.
        books = LateBooks(here, venue, asked=len(actions._streams), hides=0)
        swallowed: list[str] = []

        def swallow(text: str) -> list[str]:
            swallowed.append(text)
            return []

        here.relay.change = swallow
        settle(here, what, "0.0004")
        await until(lambda: any("FUNDING_FEE" in text or '"Funding"' in text for text in swallowed))
        here.relay.change = lambda text: [text]
        here.relay.cut()
        await until(lambda: len(here.heard.funding) == 1)
        assert books.asked > 1
        assert here.heard.funding[0].rate == D("0.0004")
