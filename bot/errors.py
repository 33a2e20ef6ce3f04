"""Every exception of the bot, drawn as a tree: the class says what to do next.

    BotError
    ├── SettingsError              do not start
    ├── RecordingError             the recording cannot be read: do not start
    ├── PreflightFailed            a check before the first order: do not start
    ├── StorageError               the journal cannot be written or read
    │   └── AlreadyRunning           by another bot: stop that one first
    ├── Halted                     a person has to look first: do not start
    ├── InvariantError             our bug: stop trading
    ├── MarketDataError
    │   ├── MalformedPayload         keep it, count it, go on
    │   └── SequenceGap              take a new snapshot
    ├── VenueError                 nothing changed at the venue
    │   ├── AuthenticationFailed     halt, never retry
    │   ├── ClockSkew                measure the offset once, then retry reads
    │   ├── RateLimited              wait `retry_after_s`
    │   ├── Banned                   not one request until `retry_after_s` has passed
    │   ├── GeoBlocked               the venue refuses this place: do not start
    │   └── VenueUnavailable         back off, retry
    │       └── NothingServed          subscribed, no data: back off; at the start: do not start, look at the route
    ├── OrderError                 carries `client_order_id`
    │   ├── OrderRejected            final
    │   │   ├── InsufficientBalance
    │   │   ├── BelowMinimum
    │   │   └── AboveMaximum
    │   └── OrderOutcomeUnknown      sent, no answer: ask by client id, never send again
    └── TransferError              carries `transfer_id`
        ├── TransferRefused          final: by our guard or by the venue, nothing moved
        └── TransferOutcomeUnknown   sent, no answer: ask, never send again

A limit that refuses is a value (`bot.risk.limits.Refused`), not an exception.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process tells its caller."""

    OK = 0
    SETTINGS = 2
    """Settings, usage, or an input file that is missing or incomplete."""
    PREFLIGHT = 3
    RISK_HALT = 4
    VENUE = 5
    STORAGE = 6
    BUG = 70
    INTERRUPTED = 130


class BotError(Exception):
    """Root of all errors of this project."""

    exit_code = ExitCode.BUG


class SettingsError(BotError):
    """A setting, an argument or an environment variable is wrong; the message is one line and never a secret."""

    exit_code = ExitCode.SETTINGS


class RecordingError(BotError):
    """A recording is missing, empty or not one."""

    exit_code = ExitCode.SETTINGS


class PreflightFailed(BotError):
    """A check before the first order failed; each line says what was found and what to do."""

    exit_code = ExitCode.PREFLIGHT


class StorageError(BotError):
    """The journal cannot be opened, written or understood."""

    exit_code = ExitCode.STORAGE


class AlreadyRunning(StorageError):
    """Another process has what this one would write to."""

    exit_code = ExitCode.PREFLIGHT


class Halted(BotError):
    """Trading was halted in this data directory, and nobody has taken the halt away."""

    exit_code = ExitCode.RISK_HALT


class InvariantError(BotError):
    """Something that cannot be true is: a bug of ours. Trading stops."""


class MarketDataError(BotError):
    """Market data that cannot be used."""


class MalformedPayload(MarketDataError):
    """A frame that does not decode."""


class SequenceGap(MarketDataError):
    """A message of a sequence is missing."""


class VenueError(BotError):
    """The venue answered with an error, or could not be asked; nothing changed there."""

    exit_code = ExitCode.VENUE

    def __init__(self, venue: str, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(f"{venue}: {message}")
        self.venue = venue
        self.retry_after_s = retry_after_s


class AuthenticationFailed(VenueError):
    """The key is wrong, revoked, or lacks a right."""


class ClockSkew(VenueError):
    """The venue refused our timestamp."""


class RateLimited(VenueError):
    """Too many requests."""


class Banned(VenueError):
    """The venue bans this address for a time."""


class GeoBlocked(VenueError):
    """The venue does not serve this place (Binance 451, Bybit 403)."""


class VenueUnavailable(VenueError):
    """Unreachable, overloaded or in maintenance."""


class NothingServed(VenueUnavailable):
    """A connection and its subscriptions were taken, and no data came: most likely the wrong route.

    It leaves a program only where it happens at the start; a feed that is lost later is connected again.
    """

    exit_code = ExitCode.PREFLIGHT


class OrderError(BotError):
    """An order did not go the planned way."""

    exit_code = ExitCode.VENUE

    def __init__(self, client_order_id: str, message: str) -> None:
        super().__init__(f"order {client_order_id}: {message}")
        self.client_order_id = client_order_id


class OrderRejected(OrderError):
    """The venue refused it; nothing was traded."""


class InsufficientBalance(OrderRejected):
    """The wallet does not cover it."""


class BelowMinimum(OrderRejected):
    """Quantity or notional below the instrument's minimum."""


class AboveMaximum(OrderRejected):
    """Quantity or notional above what the instrument takes in one order."""


class OrderOutcomeUnknown(OrderError):
    """It was sent and no answer came: ask by client order id, never send again."""


class TransferError(BotError):
    """Money did not move the planned way."""

    exit_code = ExitCode.VENUE

    def __init__(self, transfer_id: str, message: str) -> None:
        super().__init__(f"transfer {transfer_id}: {message}")
        self.transfer_id = transfer_id


class TransferRefused(TransferError):
    """Our guard or the venue refused it; nothing moved."""


class TransferOutcomeUnknown(TransferError):
    """It was sent and no answer came: ask what became of it, never send again."""
