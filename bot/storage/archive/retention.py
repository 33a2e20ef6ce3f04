"""What may go: by age for each channel, then the oldest of all until the rest fits."""

from collections.abc import Mapping, Sequence

from bot.storage.archive.channels import Channel
from bot.storage.archive.merge import HOUR_NS
from bot.storage.archive.ports import SegmentInfo


def expendable(
    segments: Sequence[SegmentInfo], now_ns: int, max_age_ns: Mapping[Channel, int], max_bytes: int | None
) -> list[SegmentInfo]:
    """Segments to remove, oldest first; never one with rows of the last hour.

    Args:
        segments: All that are there.
        now_ns: UTC.
        max_age_ns: By channel; one that is not named is kept for ever.
        max_bytes: Of all files together; None: any number.
    """
    old = [one for one in segments if one.stop_ns <= now_ns - HOUR_NS]
    by_age = [one for one in old if one.stop_ns <= now_ns - max_age_ns.get(one.channel, now_ns)]
    gone = {one.number for one in by_age}
    left = sum(one.size_bytes for one in segments if one.number not in gone)
    by_size = []
    for one in sorted((one for one in old if one.number not in gone), key=lambda one: (one.stop_ns, one.number)):
        if max_bytes is None or left <= max_bytes:
            break
        by_size.append(one)
        left -= one.size_bytes
    return sorted([*by_age, *by_size], key=lambda one: (one.stop_ns, one.number))
