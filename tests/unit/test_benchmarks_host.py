"""What a machine's host keeps of its time, out of what Linux counts."""

from pathlib import Path

from benchmarks.host import HostShare

BEFORE = "cpu  1000 10 100 5000 50 5 5 40 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n"


def test_what_was_taken_is_a_part_of_what_was_wanted_and_counted_once(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text(BEFORE)
    host = HostShare(stat)
    # 60 + 15 worked, 25 taken; idle, or waiting for a disk, nothing was wanted. A guest's time is in the user's.
    stat.write_text(BEFORE.replace("1000 10 100 5000 50 5 5 40 0 0", "1060 10 115 9000 90 5 5 65 30 0"))
    assert host.taken() == 25.0
    assert host.taken() == 0.0


def test_a_system_that_does_not_tell_takes_nothing(tmp_path: Path) -> None:
    assert HostShare(tmp_path / "stat").taken() == 0.0
