from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.storage.instants import Span, parse_instant, parse_span, utc_text

S = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2024-08-08T23:55:00Z", 1723161300 * S),
        ("2024-08-08T23:55:00", 1723161300 * S),
        ("2024-08-08 23:55", 1723161300 * S),
        ("2024-08-09T01:55:00+02:00", 1723161300 * S),
        ("2024-08-08T23:55:00.123456789Z", 1723161300 * S + 123456789),
        ("2024-08-08T23:55:00.5+00:00", 1723161300 * S + 500_000_000),
        ("2024-08-08", 1723075200 * S),
        (" 1723161300 ", 1723161300 * S),
        ("1723161300.25", 1723161300 * S + 250_000_000),
        ("1723161300.123456789", 1723161300 * S + 123456789),
        ("1723161300123", 1723161300123 * 10**6),
        ("1723161300123456", 1723161300123456 * 1000),
        ("1723161300123456.789", 1723161300123456789),
        ("1723161300123456789", 1723161300123456789),
        ("0", 0),
    ],
)
def test_moments_are_read_to_the_nanosecond(text: str, ns: int) -> None:
    assert parse_instant(text) == ns


@pytest.mark.parametrize(
    "text",
    ["", "now", "2024-13-01", "2024-08-08T25:00:00Z", "1969-12-31T23:59:59Z", "2300-01-01", "-5", "1e9", "١٢٣",
     "12345678901234567890", "1723161300123456789.5", "9999999999999999999", "2024-08-08T23:55:00.1234567890Z",
     "2024-08-08T23:55:00,Z", "0001-01-01T00:00:00+23:00"],
)  # fmt: skip
def test_what_is_no_moment_says_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="write a UTC time"):
        parse_instant(text)


def test_spans() -> None:
    span = Span(1723161300 * S, 1723161360 * S)
    assert parse_span("2024-08-08T23:55:00Z..2024-08-08T23:56:00Z") == span
    assert parse_span("2024-08-08T23:55:00Z/1723161360") == span
    for text in ("2024-08-08", "1723161360..1723161300", "5..5", "..5", "5.."):
        with pytest.raises(ValueError, match=r"write|START"):
            parse_span(text)


@given(st.integers(0, 2**63 - 1))
def test_every_nanosecond_is_read_back(ns: int) -> None:
    assert parse_instant(utc_text(ns)) == ns
    assert parse_instant(str(ns).rjust(18, "0")) == ns


@given(st.datetimes(datetime(1970, 1, 1), datetime(2262, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_any_iso_text_of_a_datetime_is_its_moment(moment: datetime) -> None:
    whole = (
        (moment - datetime(1970, 1, 1, tzinfo=UTC)).days * 86_400
        + moment.hour * 3600
        + moment.minute * 60
        + moment.second
    )
    assert parse_instant(moment.isoformat()) == whole * S + moment.microsecond * 1000
