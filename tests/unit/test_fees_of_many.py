"""Fees of more symbols than a minute's share of questions: all are asked for, some of them a minute later."""

import asyncio
import json
from decimal import Decimal
from typing import Any

from pydantic import SecretStr

from bot.clock import VirtualClock
from bot.domain.instrument import Instrument, Segment
from exchanges.binance import request_costs
from exchanges.binance.account_terms import futures_fees
from exchanges.binance.endpoints import LINEAR
from exchanges.binance.signed_rest import SignedRest
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.common.requests.venue_http import Answer, VenueHttp

SYMBOLS = 130  # at 20 of 2,400 each, of which questions have 1,440


class Answers(VenueHttp):
    """Says what is asked, at once."""

    async def request(self, method: str, url: str, *rest: Any) -> Answer:
        if "commissionRate" in url:
            return Answer(200, {}, '{"makerCommissionRate":"0.0002","takerCommissionRate":"0.0005"}')
        return Answer(200, {}, '{"feeBurn":false}' if "feeBurn" in url else "[]")


def coin(number: int) -> Instrument:
    return Instrument(
        venue="binance", segment=Segment.LINEAR, symbol=f"C{number}/USDT:USDT", base=f"C{number}", quote="USDT",
        settle="USDT", tick_size=Decimal("0.1"), lot_size=Decimal("0.1"),
    )  # fmt: skip


async def test_every_symbol_gets_its_fees_and_the_limit_is_kept() -> None:
    clock = VirtualClock()
    budget = RequestBudget("binance", request_costs.rates(), clock)
    keys = ApiKeys(key=SecretStr("k"), secret=SecretStr("s"))
    rest = SignedRest(LINEAR, "http://127.0.0.1:1", keys, Answers("binance", clock, budget), clock)
    listed = {f"C{number}USDT": coin(number) for number in range(SYMBOLS)}
    asking = asyncio.create_task(futures_fees(rest, LINEAR, listed, 1))
    most = 0
    while not asking.done():
        await asyncio.sleep(0)
        most = max(most, next(line.used for line in budget.lines() if line.name == "linear weight 1M"))
        due_ns = clock.next_due_ns()
        if due_ns is not None:
            clock.advance_to(due_ns)
    told = asking.result()
    assert json.dumps(sorted(told.values)) == json.dumps(sorted(one.id for one in listed.values()))
    assert most <= 1_440
    assert 60e9 <= clock.now_ns() <= 300e9
