"""What a person has asked for, put on the disk: in a thread of its own, since a disk may hang while pairs are open."""

from collections.abc import Callable

from bot.errors import StorageError
from bot.telling.outbox import Outbox

Write = Callable[[], None]
Failed = Callable[[str], None]
Keep = Callable[[Write, Failed], None]
"""Does a write that may raise OSError or StorageError, and tells of one that failed, on the engine's thread."""
_WAITING = 1_000
_WAIT_S = 2.0
"""For the disk, when the run ends."""


def at_once(write: Write, failed: Failed) -> None:
    """Wait for the disk: for who has nothing else to do."""
    try:
        write()
    except (OSError, StorageError) as error:
        failed(_words(error))


class Keeper:
    """One write after another, in the order in which they were asked for."""

    def __init__(self, deliver: Callable[[Callable[[], None]], object]) -> None:
        """`deliver` runs a callback on the engine's thread, from any other."""
        self._deliver = deliver
        self._outbox = Outbox("controls", _WAITING)

    def keep(self, write: Write, failed: Failed) -> None:
        """Do it soon; `failed` hears why it was not to be."""

        def work() -> None:
            at_once(write, lambda why: self._tell(failed, why))

        if not self._outbox.put(work):
            failed("the disk does not keep up")

    def finish(self) -> bool:
        """Whether everything is written; waits for a moment. Nothing may be asked for afterwards."""
        return self._outbox.close(_WAIT_S)

    def _tell(self, failed: Failed, why: str) -> None:
        self._deliver(lambda: failed(why))


def _words(error: OSError | StorageError) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error)
