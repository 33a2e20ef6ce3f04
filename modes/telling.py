"""What a run tells beside its screen, wired to the run: notifications, heartbeat, watchdog, metrics, log file."""

import asyncio
import socket
from collections.abc import Mapping
from typing import Protocol

from bot.clock import SystemClock
from bot.domain.money import money_words
from bot.engine.engine import RunInfo
from bot.engine.run import EngineRun
from bot.errors import SettingsError
from bot.risk.gate import TradingState
from bot.settings import Settings
from bot.telling import heartbeat, notifier
from bot.telling.heartbeat import Heartbeat
from bot.telling.log_file import JsonLog
from bot.telling.notifier import AppriseSender, Notifier
from bot.telling.systemd import Watchdog


class Log(Protocol):
    """Takes a level and a line."""

    def __call__(self, level: str, text: str) -> None:
        """Show it."""


class Telling:
    """Passes every line on, and tells outside that the run lives. Implements `bot.engine.run.Watch`."""

    def __init__(
        self, settings: Settings, info: RunInfo, environment: Mapping[str, str], show: Log, shadow: str | None = None
    ) -> None:
        """Nothing leaves before `start` but log lines. `shadow`: whose money real orders beside the run's own move.

        Raises:
            SettingsError: If an address is not one, or the port of the metrics is taken.
            StorageError: If the log file cannot be opened.
        """
        self._settings = settings
        self._show = show
        self._clock = SystemClock()
        self._run: EngineRun | None = None
        self._metrics: _Closing | None = None
        _require_free(settings.metrics.port)
        self._watchdog = Watchdog(environment, self._clock)
        self._heartbeat = self._heartbeat_to(environment.get(heartbeat.URL, "").strip())
        self._file = _log_file(settings, info, shadow, self._clock)
        self._notifier = self._notifier_to(environment.get(notifier.URLS, ""), info, shadow)

    def watch(self, run: EngineRun) -> None:
        """The run that is told of."""
        self._run = run

    def log(self, level: str, text: str) -> None:
        """One line for everybody."""
        self._show(level, text)
        if self._file is not None:
            self._file.write(level, text)
        if self._notifier is not None:
            self._notifier.tell(level, text)

    def start(self) -> None:
        """The engine decides from now on.

        Raises:
            SettingsError: If the port of the metrics is taken.
        """
        assert self._run is not None, "watch comes first"
        port = self._settings.metrics.port
        if port is not None:
            from bot.telling.metrics import Metrics  # few runs are asked for them

            deliver = asyncio.get_running_loop().call_soon_threadsafe
            metrics = self._metrics = Metrics(port, self._run.snapshot, deliver, self._clock)
            self._show("info", f"metrics: http://127.0.0.1:{metrics.port}/metrics")
        if self._heartbeat is not None:
            self._heartbeat.start()
        self._watchdog.start()

    def stop(self) -> None:
        """The engine stops."""
        self._watchdog.stop()
        if self._heartbeat is not None:
            self._heartbeat.stop()

    def close(self) -> None:
        """Nobody says anything any more: send and write what waits. Idempotent."""
        for part in (self._metrics, self._notifier, self._file):
            if part is not None:
                part.close()
        self._metrics = self._notifier = self._file = None

    def _heartbeat_to(self, url: str) -> Heartbeat | None:
        every_s = self._settings.notifications.heartbeat_every_s
        return Heartbeat(url, every_s, self._clock, self._is_well) if url else None

    def _notifier_to(self, urls: str, info: RunInfo, shadow: str | None) -> Notifier | None:
        if not urls.strip():
            return None
        try:
            sender = AppriseSender(urls)
        except ValueError as error:
            raise SettingsError(str(error)) from None
        title = f"Crypto Pipe, {info.market.upper()} market, {money_words(info.market, info.real_money)}"
        title += "" if shadow is None else f", SHADOW: {shadow}"
        return Notifier(sender, title, self._settings.notifications, self._clock, self._show)

    def _is_well(self) -> bool:
        return self._run is not None and self._run.engine.desk.gate.state is not TradingState.HALTED


class _Closing(Protocol):
    def close(self) -> None:
        """Let go."""


def _require_free(port: int | None) -> None:
    """Before anything is adopted or sent: to end then would leave what is open alone.

    Raises:
        SettingsError: If somebody listens there.
    """
    if not port:
        return
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError as error:
            raise SettingsError(f"metrics.port {port} cannot be listened on: {error.strerror}") from error


def _log_file(settings: Settings, info: RunInfo, shadow: str | None, clock: SystemClock) -> JsonLog | None:
    log = settings.log
    if log.json_file is None:
        return None
    about = {"run_id": info.run_id, "market": info.market, "real_money": info.real_money}
    about |= {} if shadow is None else {"shadow": shadow}
    return JsonLog(log.json_file, max_bytes=log.max_bytes, keep=log.keep, about=about, clock=clock)
