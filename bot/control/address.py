"""Where the control socket lies: beside the data, or in the temporary directory where the path would be too long."""

import contextlib
import os
import socket
import stat
import tempfile
from pathlib import Path

from bot.errors import SettingsError

_MAX_PATH_BYTES = 103
"""macOS holds 104 bytes with the closing zero, Linux 108."""
_PREFIX = "crypto-pipe-"
_PROBE_TIMEOUT_S = 2.0


def pointer_of(path: Path) -> Path:
    """The file beside `path` that names the real socket when `path` is too long for one."""
    return path.with_suffix(".path")


def locate(path: Path) -> Path:
    """The socket that `path` (`<data_dir>/run/engine.sock`) stands for; it need not exist."""
    path = path.absolute()
    if _fits(path):
        return path
    try:
        return Path(pointer_of(path).read_text("utf-8"))
    except FileNotFoundError:
        return path


def claim(path: Path) -> socket.socket:
    """A bound, listening socket with mode 0600 at `path`; a dead process's socket is cleared away first.

    Raises:
        SettingsError: If an engine is running there already, or something other than a socket is in the way.
    """
    path = path.absolute()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _clear_stale(path)
        return _bind(path if _fits(path) else _detour(path))
    except OSError as error:
        raise SettingsError(f"the control socket {path} cannot be made: {error.strerror or error}") from error


def is_answered(path: Path) -> bool:
    """Whether an engine listens at `path`."""
    return _is_answered(locate(path))


def mark_of(path: Path) -> tuple[int, int, int] | None:
    """What tells this socket from a later one at the same path; None where there is none."""
    try:
        found = locate(path).lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_ctime_ns  # inode numbers alone are used again


def release(path: Path, mark: tuple[int, int, int] | None) -> None:
    """Remove the socket, and what pointed to it; another engine's socket, which has another `mark`, stays."""
    path = path.absolute()
    if mark_of(path) != mark:
        return
    real = locate(path)
    with contextlib.suppress(OSError):  # what cannot be removed will refuse the next bind, with its reason
        real.unlink(missing_ok=True)
        if real != path:
            real.parent.rmdir()
            pointer_of(path).unlink(missing_ok=True)


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= _MAX_PATH_BYTES


def _detour(path: Path) -> Path:
    real = Path(tempfile.mkdtemp(prefix=_PREFIX)) / "engine.sock"
    fresh = pointer_of(path).with_suffix(".path.new")
    fresh.write_text(str(real), "utf-8")
    fresh.replace(pointer_of(path))
    return real


def _bind(path: Path) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(os.fspath(path))
        # Nobody can connect before listen(), so there is no moment at which others may.
        path.chmod(0o600)
        bound.listen()
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound


def _clear_stale(path: Path) -> None:
    real = locate(path)
    try:
        mode = real.lstat().st_mode
    except OSError:  # absent, or a path that is too long to exist
        return
    if not stat.S_ISSOCK(mode):
        raise SettingsError(f"{real} is in the way of the control socket and is not one: move it away")
    if _is_answered(real):
        raise SettingsError(f"an engine is running on this data directory ({real}): use --mode attach, or stop it")
    release(path, mark_of(path))


def _is_answered(real: Path) -> bool:
    if not _fits(real):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_TIMEOUT_S)
        try:
            probe.connect(os.fspath(real))
        except (ConnectionRefusedError, FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True  # full backlog, no permission: somebody is there
        return True
