"""One connection to the streams: what it subscribed to, and the commands it sends."""

import json
import re
from collections.abc import Callable

from exchanges.simulator.binance.hub import Hub
from exchanges.simulator.binance.outlet import Outlet

_NAME = re.compile(r"[!-~]{1,128}")
_INVALID_JSON = 3
_INVALID = 2
_UNKNOWN = 0


class CommandError(Exception):
    """A command that is answered by an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class StreamSession:
    """Subscriptions of one connection, on one route.

    A stream that lives on another route is accepted and stays silent, as at Binance since 2026-04-23.
    """

    def __init__(
        self, hub: Hub, outlet: Outlet, route: str | None, *, combined: bool, most: int, joins: Callable[[str], bool]
    ) -> None:
        """`route` None: all of the segment's streams; `joins` takes a listen key and tells whether it was one."""
        self._hub = hub
        self._outlet = outlet
        self._route = route
        self._most = most
        self._joins = joins
        self.combined = combined
        self._names: dict[str, None] = {}

    def subscribe(self, names: list[str]) -> None:
        """Put the connection on streams; those that do not exist are accepted too.

        Raises:
            CommandError: If it would have more streams than a connection may.
        """
        fresh = [name for name in dict.fromkeys(names) if name not in self._names]
        if len(self._names) + len(fresh) > self._most:
            raise CommandError(_INVALID, f"Invalid request: too many subscriptions (limit {self._most})")
        for name in fresh:
            self._names[name] = None
            self._join(name)

    def _join(self, name: str) -> None:
        topic = self._hub.topic(name)
        if topic is None:
            if self._route == "private":
                self._joins(name)
        elif self._route is None or self._route in topic.routes:
            self._hub.join(topic, self._outlet, combined=self.combined)

    def on_text(self, text: str) -> None:
        """Answer a command."""
        number: object = None
        try:
            command = _read(text)
            number = _number(command)
            result = self._run(command)
        except CommandError as error:
            reply: dict[str, object] = {"error": {"code": error.code, "msg": error.message}}
            if number is not None:
                reply["id"] = number
            self._say(reply)
            return
        self._say({"result": result, "id": number})

    def _say(self, reply: dict[str, object]) -> None:
        self._outlet.say(json.dumps(reply, separators=(",", ":")))

    def _run(self, command: dict[str, object]) -> object:
        method = command["method"]
        if method == "SUBSCRIBE":
            self.subscribe(_names(command))
        elif method == "UNSUBSCRIBE":
            for name in _names(command):
                self._names.pop(name, None)
                self._hub.leave(name, self._outlet)
        elif method == "LIST_SUBSCRIPTIONS":
            return list(self._names)
        elif method == "SET_PROPERTY":
            self._set(command.get("params"))
        elif method == "GET_PROPERTY":
            return self.combined
        else:
            raise CommandError(
                _INVALID, "Invalid request: unknown variant, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, "
                "`LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`"
            )  # fmt: skip
        return None

    def _set(self, params: object) -> None:
        if not isinstance(params, list) or len(params) != 2 or params[0] != "combined":
            raise CommandError(_UNKNOWN, "Unknown property")
        if not isinstance(params[1], bool):
            raise CommandError(1, "Invalid value type: expected Boolean")
        self.combined = params[1]
        for name in self._names:
            self._hub.leave(name, self._outlet)
            self._join(name)

    def end(self) -> None:
        """Leave every stream."""
        for name in self._names:
            self._hub.leave(name, self._outlet)


def _read(text: str) -> dict[str, object]:
    try:
        command = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CommandError(_INVALID_JSON, f"Invalid JSON: {_first_line(error)}") from error
    if not isinstance(command, dict):
        raise CommandError(_INVALID, "Invalid request: request must be an object")
    if not isinstance(command.get("method"), str):
        raise CommandError(_INVALID, "Invalid request: missing field `method`")
    return command


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:100] if str(error) else "too deep"


def _number(command: dict[str, object]) -> object:
    number = command.get("id")
    if isinstance(number, bool) or not isinstance(number, int | str | None) or (isinstance(number, int) and number < 0):
        raise CommandError(_INVALID, "Invalid request: request ID must be an unsigned integer")
    if isinstance(number, str) and len(number) > 36:
        raise CommandError(_INVALID, "Invalid request: request ID is too long")
    return number


def _names(command: dict[str, object]) -> list[str]:
    params = command.get("params")
    if not isinstance(params, list) or not params:
        raise CommandError(_INVALID, "Invalid request: missing field `params`")
    if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in params):
        raise CommandError(_INVALID, "Invalid request: params must be an array of stream names")
    return [str(name) for name in params]
