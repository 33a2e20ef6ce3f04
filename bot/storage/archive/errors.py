"""What can be wrong with a file of the archive; all of them are storage errors."""

from bot.errors import StorageError


class FileGone(StorageError):
    """The root has no such file: merged away a moment ago, or lost."""


class FileDamaged(StorageError):
    """The bytes are not those that were written; the message names the file."""


class SegmentRemoved(StorageError):
    """Retention took it: whoever still waits for its rows will not get them."""
