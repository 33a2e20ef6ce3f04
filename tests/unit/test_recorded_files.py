import gzip
import os
import zlib
from pathlib import Path

import pytest

from bot.errors import RecordingError
from exchanges.recorded.files import RecordedFile

LINES = [b'%d {"n":%d}' % (1_000 + number, number) for number in range(5_000)]
TEXT = b"".join(line + b"\n" for line in LINES)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def read(path: Path) -> tuple[list[tuple[int, bytes]], list[str], RecordedFile]:
    file = RecordedFile(path)
    lines, faults = [], []
    for batch in file.batches():
        assert len(batch.stamps) == len(batch.payloads)
        lines += [
            row for at, row in enumerate(zip(batch.stamps, batch.payloads, strict=True)) if at not in batch.faults
        ]
        faults += [batch.faults[at] for at in sorted(batch.faults)]
    return lines, faults, file


def expected(count: int = len(LINES)) -> list[tuple[int, bytes]]:
    return [(1_000 + number, b'{"n":%d}' % number) for number in range(count)]


def random_text(lines: int) -> bytes:
    """Text that gzip cannot shrink much, so that a cut or a damage falls on it and not on a table."""
    return b"".join(b'%d {"x":"%s"}\n' % (number, os.urandom(40).hex().encode()) for number in range(lines))


@pytest.mark.parametrize("name", ["market.raw", "market.gz"])
def test_plain_and_gzip_are_told_by_content(tmp_path: Path, name: str) -> None:
    for data in (TEXT, gzip.compress(TEXT)):
        lines, faults, file = read(write(tmp_path / name, data))
        assert lines == expected()
        assert faults == []
        assert (file.complete, file.reason) == (True, None)


def test_joined_gzip_members_and_padding_are_one_recording(tmp_path: Path) -> None:
    half = len(TEXT) // 2
    data = gzip.compress(TEXT[:half]) + gzip.compress(TEXT[half:]) + b"\0" * 512
    lines, _, file = read(write(tmp_path / "two.gz", data))
    assert lines == expected()
    assert file.complete


def test_reading_again_starts_over(tmp_path: Path) -> None:
    file = RecordedFile(write(tmp_path / "cut.gz", gzip.compress(TEXT)[:-20]))
    first = [batch.payloads for batch in file.batches()]
    assert not file.complete
    assert [batch.payloads for batch in file.batches()] == first
    assert file.bytes_read == file.size_bytes


def test_a_truncated_gzip_gives_everything_before_its_end(tmp_path: Path) -> None:
    text = random_text(5_000)
    packed = gzip.compress(text)
    cut = packed[: len(packed) // 2]
    lines, _, file = read(write(tmp_path / "cut.gz", cut))
    whole = zlib.decompressobj(31).decompress(cut)
    assert len(lines) == whole.count(b"\n") > 2_000
    assert not file.complete
    assert file.reason is not None
    assert "truncated" in file.reason
    assert str(tmp_path / "cut.gz") in file.reason
    assert "\n" not in file.reason


def test_gzip_cut_before_its_check_sum_is_incomplete(tmp_path: Path) -> None:
    lines, _, file = read(write(tmp_path / "cut.gz", gzip.compress(TEXT)[:-8]))
    assert lines == expected()
    assert not file.complete


def test_a_wrong_check_sum_is_incomplete(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(TEXT))
    packed[-6] ^= 0xFF
    lines, _, file = read(write(tmp_path / "crc.gz", bytes(packed)))
    assert lines == expected()
    assert file.reason is not None
    assert "damaged" in file.reason


def test_damage_inside_a_gzip_keeps_the_lines_before_it(tmp_path: Path) -> None:
    text = random_text(5_000)
    first, second = text[: len(text) // 2], text[len(text) // 2 :]
    packed = gzip.compress(first) + b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + b"\x07" * 200 + gzip.compress(second)
    lines, _, file = read(write(tmp_path / "bad.gz", packed))
    assert len(lines) == first.count(b"\n")
    assert file.reason is not None
    assert "damaged" in file.reason


def test_a_last_line_without_newline_counts_when_it_is_whole(tmp_path: Path) -> None:
    lines, _, file = read(write(tmp_path / "a.raw", TEXT[:-1]))
    assert lines == expected()
    assert file.complete


@pytest.mark.parametrize("cut", [2, 3, 8, 10, 12])
def test_a_cut_last_line_is_left_out_and_the_file_incomplete(tmp_path: Path, cut: int) -> None:
    lines, faults, file = read(write(tmp_path / "a.raw", TEXT[:-cut]))
    assert lines == expected(4_999)
    assert faults == []
    assert file.reason == f"{tmp_path / 'a.raw'}: truncated: line 5000 is cut off"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"nothing", "no space"),
        (b"", "no space"),
        (b'{"n": 1}', "receive time in ns"),
        (b"-5 x", "receive time in ns"),
        (b"1_0 x", "receive time in ns"),
        (b" 10 x", "receive time in ns"),
        (b"1.5 x", "receive time in ns"),
        ("\u0661\u0662 x".encode(), "receive time in ns"),
        (b"9999999999999999999 x", "2262"),
        (b"1" * 5_000 + b" x", "2262"),
    ],
)
def test_a_malformed_line_is_named_and_the_rest_read(tmp_path: Path, line: bytes, reason: str) -> None:
    data = b"\n".join([*LINES[:10], line, *LINES[10:20], b""])
    for text in (data, gzip.compress(data)):
        lines, faults, file = read(write(tmp_path / "a.raw", text))
        assert lines == expected(20)
        assert len(faults) == 1
        assert faults[0].startswith("a.raw:11 ")
        assert reason in faults[0]
        assert file.complete


def test_line_numbers_go_on_over_batches(tmp_path: Path) -> None:
    many = b"".join(b'%d {"pad":"%s"}\n' % (n, b"x" * 200) for n in range(20_000))
    _, faults, _ = read(write(tmp_path / "a.raw", many + b"bad\n" + many + b"worse\n"))
    assert [fault.split()[0] for fault in faults] == ["a.raw:20001", "a.raw:40002"]


def test_earlier_stamps_are_raised_to_the_one_before(tmp_path: Path) -> None:
    lines, faults, file = read(write(tmp_path / "a.raw", b"5 a\n9 b\n7 c\n9 d\n12 e\n"))
    assert [ns for ns, _ in lines] == [5, 9, 9, 9, 12]
    assert faults == []
    assert file.complete


def test_empty_payloads_and_carriage_returns_are_what_was_sent(tmp_path: Path) -> None:
    lines, faults, _ = read(write(tmp_path / "a.raw", b"5 \n6 pong\r\n"))
    assert lines == [(5, b""), (6, b"pong\r")]
    assert faults == []


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    data = gzip.compress(TEXT + b"7 " + b"\0" * (40 << 20))
    lines, _, file = read(write(tmp_path / "bomb.gz", data))
    assert lines == expected()
    assert file.reason is not None
    assert "line 5001 is longer than 16 MiB" in file.reason


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (gzip.compress(b"", mtime=0), "is not a recording"),
        (gzip.compress(TEXT, mtime=0)[:12], "is not a recording"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40, "is not a recording"),
        (b"2024-08-08 hello\nworld\n", "is not a recording"),
        (b"\x1f\x8bnot gzip at all", "is not a recording"),
    ],
)
def test_what_is_not_a_recording_says_so_in_one_line(tmp_path: Path, data: bytes, says: str) -> None:
    path = write(tmp_path / "market.raw", data)
    with pytest.raises(RecordingError) as caught:
        RecordedFile(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_directory_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="does not exist; check the path"):
        RecordedFile(tmp_path / "absent.gz")
    with pytest.raises(RecordingError, match="is a directory; name the recording's files"):
        RecordedFile(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "secret.raw", TEXT)
    path.chmod(0)
    with pytest.raises(RecordingError, match="may not be read"):
        RecordedFile(path)


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RecordingError, match="not a regular file"):
        RecordedFile(tmp_path / "pipe")
