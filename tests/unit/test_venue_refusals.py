"""What an error answer means for an order, told by status and code and never by text."""

import json

import pytest

from bot.errors import (
    AuthenticationFailed,
    Banned,
    BelowMinimum,
    ClockSkew,
    GeoBlocked,
    InsufficientBalance,
    OrderRejected,
    RateLimited,
    VenueError,
    VenueUnavailable,
)
from exchanges.binance import refusals as binance
from exchanges.bybit import refusals as bybit
from exchanges.common.requests.outcome import outcome_of
from exchanges.common.requests.refusals import Refusal, ServerFault
from exchanges.common.requests.venue_http import Answer
from exchanges.kraken import refusals as kraken


def of_binance(status: int, code: int, text: str = "words") -> VenueError:
    with pytest.raises(VenueError) as raised:
        binance.checked(Answer(status, {"Retry-After": "7"}, json.dumps({"code": code, "msg": text})))
    return raised.value


def of_bybit(code: int, status: int = 200) -> VenueError:
    with pytest.raises(VenueError) as raised:
        bybit.checked(Answer(status, {}, json.dumps({"retCode": code, "retMsg": "words", "result": {}, "time": 1})))
    return raised.value


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (503, 0, ServerFault),
        (500, -1000, ServerFault),
        (408, 0, ServerFault),
        (400, -1006, ServerFault),
        (400, -1007, ServerFault),
        (503, -1008, VenueUnavailable),
        (401, -2015, AuthenticationFailed),
        (400, -2014, AuthenticationFailed),
        (400, -1022, AuthenticationFailed),
        (400, -1021, ClockSkew),
        (429, -1003, RateLimited),
        (400, -1015, RateLimited),
        (418, -1003, Banned),
        (403, 0, Banned),
        (451, 0, GeoBlocked),
        (400, -2019, Refusal),
        (400, -2010, Refusal),
    ],
)
def test_binance(status: int, code: int, kind: type[VenueError]) -> None:
    assert type(of_binance(status, code)) is kind


def test_binances_wait_is_kept() -> None:
    assert of_binance(429, -1003).retry_after_s == 7.0


@pytest.mark.parametrize("text", ["", "null", "[]", "<html>", '{"code":"x"}', '{"code":null,"msg":null}', "3"])
def test_an_error_that_is_no_json_of_binance_is_still_an_error(text: str) -> None:
    with pytest.raises(ServerFault):
        binance.checked(Answer(502, {}, text))
    with pytest.raises(Refusal):
        binance.checked(Answer(400, {}, text))


@pytest.mark.parametrize("text", ["Duplicate order sent.", "Account has insufficient balance for requested action."])
def test_binances_words_decide_nothing(text: str) -> None:
    refusal = of_binance(400, -2010, text)
    assert isinstance(refusal, Refusal)
    assert refusal.may_exist


@pytest.mark.parametrize(
    ("code", "kind"),
    [(-2019, InsufficientBalance), (-4164, BelowMinimum), (-4004, BelowMinimum), (-1013, OrderRejected)],
)
def test_binances_rejections(code: int, kind: type[OrderRejected]) -> None:
    refusal = of_binance(400, code)
    assert isinstance(refusal, Refusal)
    assert type(refusal.of_order("a")) is kind
    assert str(code) in str(refusal.of_order("a"))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (10000, ServerFault),
        (10016, ServerFault),
        (170007, ServerFault),
        (170032, ServerFault),
        (170146, ServerFault),
        (170147, ServerFault),
        (10002, ClockSkew),
        (10003, AuthenticationFailed),
        (10004, AuthenticationFailed),
        (10006, RateLimited),
        (10024, GeoBlocked),
        (110007, Refusal),
        (110072, Refusal),
    ],
)
def test_bybit(code: int, kind: type[VenueError]) -> None:
    assert type(of_bybit(code)) is kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [(500, ServerFault), (504, ServerFault), (429, RateLimited), (403, GeoBlocked), (404, VenueError)],
)
def test_bybits_statuses(status: int, kind: type[VenueError]) -> None:
    assert type(of_bybit(0, status)) is kind


@pytest.mark.parametrize("text", ["", "null", "[]", "<html>", "{}", '{"retCode":"x"}'])
def test_an_answer_of_bybit_that_is_not_understood_is_no_refusal(text: str) -> None:
    with pytest.raises(ServerFault):
        bybit.checked(Answer(200, {}, text))


@pytest.mark.parametrize(
    ("code", "kind"),
    [(110007, InsufficientBalance), (170131, InsufficientBalance), (110094, BelowMinimum), (10001, OrderRejected)],
)
def test_bybits_rejections(code: int, kind: type[OrderRejected]) -> None:
    refusal = of_bybit(code)
    assert isinstance(refusal, Refusal)
    assert type(refusal.of_order("a")) is kind


def test_what_exists_already_and_what_is_not_there() -> None:
    for code in (110072, 170141, 10014):
        refusal = of_bybit(code)
        assert isinstance(refusal, Refusal)
        assert refusal.may_exist
    for code in (110001, 170213):
        refusal = of_bybit(code)
        assert isinstance(refusal, Refusal)
        assert refusal.is_no_such_order


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("EAuth:Rate limit exceeded", RateLimited),
        ("EAuth:Too many requests", RateLimited),
        ("EAuth:Account temporary disabled", AuthenticationFailed),
        ("EAuth:Account unconfirmed", AuthenticationFailed),
    ],
)
def test_what_kraken_turns_away_before_its_engine_is_no_unknown_outcome(text: str, kind: type[VenueError]) -> None:
    assert type(kraken.of_text(text)) is kind
    assert outcome_of("a", kraken.of_text(text)) is None, "it did not arrive"
