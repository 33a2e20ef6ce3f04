"""What a virtual machine's host keeps of its time: it is in every figure, and nothing here can do anything about it."""

from pathlib import Path

_STAT = Path("/proc/stat")
_IDLE, _DISK, _STOLEN, _COUNTED = 3, 4, 7, 8
"""Places in the first line, behind its name; the times of guests, which come after, are in the others already."""


class HostShare:
    """Counts from when it is made, and anew after each `taken`."""

    def __init__(self, stat: Path = _STAT) -> None:
        self._stat = stat
        self._before = self._read()

    def taken(self) -> float:
        """Percent of the time that this machine wanted to work (all its processors) in which its host did not let it.

        0 where the system does not tell, and on a machine that is none of another's.
        """
        now = self._read()
        passed = [after - before for after, before in zip(now, self._before, strict=True)]
        self._before = now
        wanted = sum(passed) - passed[_IDLE] - passed[_DISK] if passed else 0
        return 100 * passed[_STOLEN] / wanted if wanted > 0 else 0.0

    def _read(self) -> list[int]:
        try:
            line = self._stat.read_text().partition("\n")[0]
        except OSError:
            return []
        return [int(one) for one in line.split()[1 : 1 + _COUNTED]]
