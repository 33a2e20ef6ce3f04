"""Rows of a venue's answer, each read for itself: one that is missing or odd spoils only itself, and is named."""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, ValidationError

from bot.domain.terms import Told

_T = TypeVar("_T")


def read_each(wanted: Iterable[str], rows: Mapping[str, Any], read: Callable[[str, Any], _T], ts_ns: int) -> Told[_T]:
    """What `read` makes of each wanted row.

    Args:
        wanted: Names of the rows.
        rows: By name, as the venue sent them.
        read: Takes a name and its row; a ValidationError means that the row is wrong.
        ts_ns: When the answer came, UTC ns.
    """
    values: dict[str, _T] = {}
    wrong: dict[str, str] = {}
    for name in wanted:
        if name not in rows:
            wrong[name] = "not in the answer"
            continue
        try:
            values[name] = read(name, rows[name])
        except ValidationError as error:
            wrong[name] = first_fault(error)
    return Told(values=values, wrong=wrong, ts_ns=ts_ns)


def merged(answers: Iterable[Told[_T]], ts_ns: int) -> Told[_T]:
    """Several answers as one."""
    values: dict[str, _T] = {}
    wrong: dict[str, str] = {}
    for answer in answers:
        values.update(answer.values)
        wrong.update(answer.wrong)
    return Told(values=values, wrong=wrong, ts_ns=ts_ns)


def first_fault(error: ValidationError) -> str:
    """The first thing wrong with a row, in one line that repeats nothing of the row's values."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])


def by_key(rows: Iterable[Any], key: str) -> dict[str, Any]:
    """Rows by one of their fields; what has no such field is left out."""
    return {str(row[key]): row for row in rows if isinstance(row, Mapping) and key in row}


def bps_of(rate: Decimal) -> Decimal:
    """A ratio in bps, without idle zeros and without an exponent."""
    return plain(rate * 10_000)


def plain(number: Decimal) -> Decimal:
    """A number without idle zeros and without an exponent: `0.01000000` is 0.01, `1E+2` is 100."""
    return Decimal(f"{number.normalize():f}")


def limit(told: object) -> Decimal | None:
    """The most that a venue says it takes; None where it says nothing, or 0, which switches a limit off."""
    try:
        number = Decimal(str(told))
    except InvalidOperation:
        return None
    return plain(number) if number.is_finite() and number > 0 else None


Limit = Annotated[Decimal | None, BeforeValidator(limit)]
