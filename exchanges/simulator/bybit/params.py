"""Reads request parameters; whatever is wrong with one is Bybit's 10001, and never a fault of the server."""

from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from exchanges.simulator.bybit.errors import ApiError

_LONGEST = 512
_MOST_DIGITS = 40


class Params:
    """The parameters of one request: of its query, its JSON body or one element of a WebSocket's `args`."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def text(self, name: str, default: str | None = None) -> str:
        """A string; numbers are taken for their text.

        Raises:
            ApiError: It is absent and has no default, or is not text.
        """
        value = self._values.get(name)
        if value is None or value == "":
            if default is None:
                raise ApiError(10001, f"params error: {name} is required")
            return default
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise ApiError(10001, f"params error: {name} is invalid")
        text = str(value)
        if len(text) > _LONGEST:
            raise ApiError(10001, f"params error: {name} is too long")
        return text

    def choice(self, name: str, allowed: Collection[str], default: str | None = None) -> str:
        """One of `allowed`.

        Raises:
            ApiError: It is something else.
        """
        value = self.text(name, default)
        if value not in allowed:
            raise ApiError(10001, f"params error: {name} invalid")
        return value

    def number(self, name: str) -> Decimal | None:
        """A finite decimal; None where it is absent.

        Raises:
            ApiError: It is not a number.
        """
        text = self.text(name, "")
        if not text:
            return None
        try:
            value = Decimal(text) if len(text) <= _MOST_DIGITS else None
        except InvalidOperation:
            value = None
        # An exponent would be a short way to write a number of a million digits.
        if value is None or not value.is_finite() or "e" in text.lower():
            raise ApiError(10001, f"params error: {name} is invalid")
        return value

    def integer(self, name: str, default: int, *, least: int = 0, most: int = 2**62) -> int:
        """A whole number in bounds.

        Raises:
            ApiError: It is not, or out of bounds.
        """
        text = self.text(name, str(default))
        if not (text.isascii() and text.lstrip("-").isdigit() and len(text) < _MOST_DIGITS):
            raise ApiError(10001, f"params error: {name} is invalid")
        value = int(text)
        if not least <= value <= most:
            raise ApiError(10001, f"params error: {name} is out of range [{least}, {most}]")
        return value

    def flag(self, name: str) -> bool:
        """A boolean, false where it is absent.

        Raises:
            ApiError: It is not a boolean.
        """
        value = self._values.get(name)
        if value is None or value == "":
            return False
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if not isinstance(value, bool):
            raise ApiError(10001, f"params error: {name} is invalid")
        return value

    def within(self, category: str) -> "Params":
        """The same with a category, as the rows of a batch have it from the whole."""
        return Params({**self._values, "category": category})

    def shown(self, name: str) -> str:
        """What was said, for repeating it; shortened, and empty where it was not text."""
        value = self._values.get(name)
        return value[:_LONGEST] if isinstance(value, str) else ""

    def rows(self, name: str, most: int) -> list["Params"]:
        """A list of objects.

        Raises:
            ApiError: It is not, or too long, or empty.
        """
        value = self._values.get(name)
        if not isinstance(value, list) or not value or not all(isinstance(row, dict) for row in value):
            raise ApiError(10001, f"params error: {name} is invalid")
        if len(value) > most:
            raise ApiError(10001, f"params error: the number of {name} exceeds {most}")
        return [Params(row) for row in value]


def page(
    rows: list[Any], params: Params, *, default: int, most: int, is_end_told: bool = False
) -> tuple[list[Any], str]:
    """One page of `rows` and the cursor of the next, percent-encoded as Bybit hands it out: it goes back as it came.

    The last page has one too, and after it there is a page without rows and without a cursor; of public lists the
    end is told (`is_end_told`).

    Raises:
        ApiError: `limit` or `cursor` is none of ours.
    """
    limit = params.integer("limit", default, least=1, most=most)
    cursor = params.text("cursor", "")
    key, _, offset = cursor.partition("=")
    if cursor and (key != "page_token" or not (offset.isascii() and offset.isdigit()) or len(offset) > 12):
        raise ApiError(10001, "params error: cursor is invalid")
    start = int(offset) if cursor else 0
    shown = rows[start : start + limit]
    goes_on = start + limit < len(rows) if is_end_told else bool(shown)
    return shown, f"page_token%3D{start + len(shown)}" if goes_on else ""
