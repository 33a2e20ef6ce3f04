"""Every error code that the venues document for what we send: its class, and what it means for an order."""

import json

import pytest
from pydantic import SecretStr

from bot.clock import VirtualClock
from bot.errors import (
    AboveMaximum,
    AuthenticationFailed,
    Banned,
    BelowMinimum,
    BotError,
    ClockSkew,
    GeoBlocked,
    InsufficientBalance,
    OrderOutcomeUnknown,
    OrderRejected,
    RateLimited,
    VenueUnavailable,
)
from exchanges.binance import refusals as binance
from exchanges.binance.endpoints import LINEAR
from exchanges.binance.signed_rest import SignedRest as BinanceRest
from exchanges.bybit import refusals as bybit
from exchanges.bybit.signed_rest import SignedRest as BybitRest
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.refusals import Refusal
from exchanges.common.requests.venue_http import Answer, VenueHttp

KEYS = ApiKeys(key=SecretStr("k"), secret=SecretStr("s"))
NOWHERE = "http://127.0.0.1:1"
Kind = type[BotError]

BINANCE: list[tuple[int, int, Kind]] = [
    # about server and network: what became of the order is not known, but where it was turned away at the door
    (400, -1000, OrderOutcomeUnknown), (500, -1000, OrderOutcomeUnknown), (500, -1001, OrderOutcomeUnknown),
    (400, -1006, OrderOutcomeUnknown), (408, -1007, OrderOutcomeUnknown), (400, -1007, OrderOutcomeUnknown),
    (502, 0, OrderOutcomeUnknown), (503, 0, OrderOutcomeUnknown), (504, 0, OrderOutcomeUnknown),
    (408, 0, OrderOutcomeUnknown), (400, 0, OrderOutcomeUnknown), (404, 0, OrderOutcomeUnknown),
    (503, -1008, VenueUnavailable), (429, -1008, VenueUnavailable), (400, -1008, VenueUnavailable),
    (400, -1016, VenueUnavailable),
    # the key
    (401, -1002, AuthenticationFailed), (400, -1011, AuthenticationFailed), (400, -1022, AuthenticationFailed),
    (400, -1035, AuthenticationFailed), (400, -1099, AuthenticationFailed), (401, -2014, AuthenticationFailed),
    (401, -2015, AuthenticationFailed), (400, -2015, AuthenticationFailed), (400, -2017, AuthenticationFailed),
    (401, 0, AuthenticationFailed),
    # the clock
    (400, -1021, ClockSkew), (400, -5028, ClockSkew),
    # too much
    (429, -1003, RateLimited), (400, -1003, RateLimited), (429, -1015, RateLimited), (400, -1034, RateLimited),
    (418, -1003, Banned), (403, 0, Banned), (451, 0, GeoBlocked),
    # the request
    (400, -1010, OrderRejected), (400, -1013, OrderRejected), (400, -1014, OrderRejected), (400, -1020, OrderRejected),
    *((400, code, OrderRejected) for code in range(-1130, -1099)),
    # engine and rules
    (400, -2018, InsufficientBalance), (400, -2019, InsufficientBalance), (400, -2024, InsufficientBalance),
    (400, -2027, InsufficientBalance), (400, -2016, OrderRejected), (400, -2020, OrderRejected),
    (400, -2021, OrderRejected), (400, -2022, OrderRejected), (400, -2023, OrderRejected), (400, -2025, OrderRejected),
    (400, -4003, BelowMinimum), (400, -4004, BelowMinimum), (400, -4164, BelowMinimum),
    (400, -4001, OrderRejected), (400, -4005, AboveMaximum), (400, -4014, OrderRejected), (400, -4016, OrderRejected),
    (400, -4023, OrderRejected), (400, -4024, OrderRejected), (400, -4061, OrderRejected), (400, -4108, OrderRejected),
    (400, -4120, OrderRejected), (400, -4131, OrderRejected), (400, -5021, OrderRejected), (400, -5022, OrderRejected),
    # an order of this id exists, or may
    (400, -2010, Refusal), (400, -4116, Refusal),
    # codes that nobody documents
    (400, -1777, OrderOutcomeUnknown), (400, -9999, OrderOutcomeUnknown), (400, 7, OrderOutcomeUnknown),
]  # fmt: skip
BYBIT: list[tuple[int, int, Kind]] = [
    (200, 10000, OrderOutcomeUnknown), (200, 10016, OrderOutcomeUnknown), (200, 170001, OrderOutcomeUnknown),
    (200, 170007, OrderOutcomeUnknown), (200, 170032, OrderOutcomeUnknown), (200, 170146, OrderOutcomeUnknown),
    (200, 170147, OrderOutcomeUnknown), (200, 170234, OrderOutcomeUnknown), (500, 0, OrderOutcomeUnknown),
    (502, 0, OrderOutcomeUnknown), (503, 0, OrderOutcomeUnknown), (504, 0, OrderOutcomeUnknown),
    (408, 0, OrderOutcomeUnknown),
    (200, 429, VenueUnavailable), (200, 10019, VenueUnavailable),
    (200, 10002, ClockSkew),
    (200, 10003, AuthenticationFailed), (200, 10004, AuthenticationFailed), (200, 10005, AuthenticationFailed),
    (200, 10007, AuthenticationFailed), (200, 10008, AuthenticationFailed), (200, 10010, AuthenticationFailed),
    (200, 10028, AuthenticationFailed), (200, 33004, AuthenticationFailed), (401, 0, AuthenticationFailed),
    (200, 10006, RateLimited), (200, 10018, RateLimited), (200, 10429, RateLimited), (200, 20003, RateLimited),
    (200, 170005, RateLimited), (200, 170222, RateLimited), (429, 0, RateLimited),
    (200, 10009, Banned), (200, 10403, Banned), (200, 10024, GeoBlocked), (403, 0, GeoBlocked),
    *((200, code, InsufficientBalance) for code in (110004, 110006, 110007, 110012, 110044, 110045, 110051, 110052,
                                                    110053, 131212, 170033, 170131)),
    *((200, code, BelowMinimum) for code in (110094, 170136, 170140)),
    *((200, code, AboveMaximum) for code in (170124, 170135)),
    *((200, code, OrderRejected) for code in (
        10001, 10404, 110003, 110017, 110020, 110030, 110043, 110074, 110079, 170121, 170130, 170134, 170137,
        170193, 170344, 170810, 131002, 131004)),
    # an order of this id exists, or may: it is asked for
    (200, 110072, OrderOutcomeUnknown), (200, 170141, OrderOutcomeUnknown), (200, 10014, OrderOutcomeUnknown),
    (200, 20006, OrderOutcomeUnknown),
    (200, 10777, OrderOutcomeUnknown), (200, 3400214, OrderOutcomeUnknown), (200, 7, OrderOutcomeUnknown),
]  # fmt: skip


@pytest.mark.parametrize(("status", "code", "kind"), BINANCE)
async def test_what_binances_answer_means_for_an_order(status: int, code: int, kind: Kind) -> None:
    rest = BinanceRest(LINEAR, NOWHERE, KEYS, VenueHttp("binance"), VirtualClock())

    async def answered() -> None:
        binance.checked(Answer(status, {}, json.dumps({"code": code, "msg": "words"})))

    with pytest.raises(BotError) as raised:
        await rest.sent_once("a", answered())
    assert type(raised.value) is kind


@pytest.mark.parametrize(("status", "code", "kind"), BYBIT)
async def test_what_bybits_answer_means_for_an_order(status: int, code: int, kind: Kind) -> None:
    rest = BybitRest(NOWHERE, KEYS, VenueHttp("bybit"), VirtualClock())

    async def answered() -> None:
        bybit.checked(Answer(status, {}, json.dumps({"retCode": code, "retMsg": "words", "result": {}, "time": 1})))

    with pytest.raises(BotError) as raised:
        await rest.settle("a", answered())
    assert type(raised.value) is kind


@pytest.mark.parametrize(
    ("text", "is_unknown"),
    [
        ('{"code":0,"msg":"Service Unavailable."}', False),
        ('{"code":0,"msg":"Service Unavailable"}', True),
        ('{"code":0,"msg":"Unknown error, please check your request or try again later."}', True),
        ("<html>Service Unavailable.</html>", True),
    ],
)
async def test_of_binances_503_without_a_code_one_alone_says_that_nothing_was_executed(
    text: str, is_unknown: bool
) -> None:
    rest = BinanceRest(LINEAR, NOWHERE, KEYS, VenueHttp("binance"), VirtualClock())

    async def answered() -> None:
        binance.checked(Answer(503, {}, text))

    with pytest.raises(OrderOutcomeUnknown if is_unknown else VenueUnavailable):
        await rest.sent_once("a", answered())
