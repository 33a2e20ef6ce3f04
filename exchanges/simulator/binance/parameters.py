"""A request's parameters: taken apart with care, read with Binance's own errors."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import TypeVar
from urllib.parse import unquote_plus

from exchanges.simulator.binance.errors import Rejected, illegal, missing

MAX_PARAMETERS = 64
_DECIMAL = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_DECIMAL_RANGE = "^([0-9]{1,20})(\\.[0-9]{1,20})?$"
_INTEGER = re.compile(r"[0-9]{1,20}")
_INTEGER_RANGE = "^[0-9]{1,20}$"
_SYMBOL = re.compile(r"[A-Z0-9_.-]{1,20}")
_SYMBOL_RANGE = "^[A-Z0-9-_.]{1,20}$"
_MAX_INT64 = 2**63 - 1

Choice = TypeVar("Choice")


def parse(query: str, body: str) -> dict[str, str]:
    """Names and values of a query and a form body; the query wins where both name one.

    Raises:
        Rejected: -1101 for too many parameters or one that is named twice in the same place.
    """
    values = _pairs(body)
    values.update(_pairs(query))
    return values


def _pairs(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for part in text.split("&", MAX_PARAMETERS + 1):
        if not part:
            continue
        name, _, value = part.partition("=")
        name = unquote_plus(name)
        if name in values:
            raise Rejected(-1101, "Duplicate values for a parameter detected.")
        if len(values) >= MAX_PARAMETERS:
            raise Rejected(-1101, "Too many parameters sent for this endpoint.")
        values[name] = unquote_plus(value)
    return values


class Parameters:
    """What a request says, by name; every getter raises `Rejected` with the code that Binance has for it."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def has(self, name: str) -> bool:
        """Whether it was sent with a value."""
        return bool(self._values.get(name))

    def text(self, name: str, default: str = "") -> str:
        """As sent; -1105 where it was sent empty."""
        value = self._values.get(name)
        if value is None:
            return default
        if not value:
            raise Rejected(-1105, f"Parameter '{name}' was empty.")
        return value

    def required(self, name: str) -> str:
        """As sent; -1102 where it is missing or empty."""
        value = self._values.get(name)
        if not value:
            raise missing(name)
        return value

    def symbol(self, name: str = "symbol") -> str:
        """A mandatory symbol, spelled as Binance allows."""
        value = self.required(name)
        if not _SYMBOL.fullmatch(value):
            raise illegal(name, _SYMBOL_RANGE)
        return value

    def decimal(self, name: str) -> Decimal | None:
        """A number ≥ 0 without exponent; None where it was not sent."""
        value = self._values.get(name)
        if value is None:
            return None
        if not _DECIMAL.fullmatch(value):
            raise illegal(name, _DECIMAL_RANGE)
        try:
            return Decimal(value)
        except InvalidOperation as error:  # pragma: no cover - the pattern allows none
            raise illegal(name, _DECIMAL_RANGE) from error

    def integer(self, name: str, default: int | None = None) -> int | None:
        """A whole number ≥ 0 that fits 64 bits; `default` where it was not sent."""
        value = self._values.get(name)
        if value is None:
            return default
        if not _INTEGER.fullmatch(value) or int(value) > _MAX_INT64:
            raise illegal(name, _INTEGER_RANGE)
        return int(value)

    def limit(self, default: int, most: int) -> int:
        """`limit`, cut to what the endpoint allows; -1130 for 0."""
        value = self.integer("limit", default)
        assert value is not None
        if value < 1:
            raise Rejected(-1130, "Data sent for parameter 'limit' is not valid.")
        return min(value, most)

    def flag(self, name: str, default: bool = False) -> bool:
        """`true` or `false`, any case."""
        value = self._values.get(name)
        if value is None:
            return default
        if value.lower() not in ("true", "false"):
            raise illegal(name, "^(?i)(true|false)$")
        return value.lower() == "true"

    def choice(self, name: str, choices: Mapping[str, Choice], error: Rejected) -> Choice:
        """One of `choices`; -1102 where it is missing, `error` where it is something else."""
        value = self.required(name)
        found = choices.get(value.upper())
        if found is None:
            raise error
        return found

    def only(self, name: str, allowed: Sequence[str], default: str) -> str:
        """One of a few words; -1130 for another one."""
        value = self.text(name, default)
        if value not in allowed:
            raise Rejected(-1130, f"Data sent for parameter '{name}' is not valid.")
        return value
