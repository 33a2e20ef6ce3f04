"""Whatever the files hold and however they are cut into batches: one order, the same as a plain sort gives."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from exchanges.recorded.files import Batch
from exchanges.recorded.merge import Event, FeedStream, merged

Feeds = list[list[list[list[int]]]]
batches = st.lists(st.integers(0, 12), min_size=1, max_size=8)
feeds = st.lists(st.lists(st.lists(batches, max_size=4), max_size=3), max_size=4)
"""Stamps by feed, file and batch."""


class InMemory:
    """A recorded file whose batches are given; each payload names feed, place and stamp."""

    path = Path("memory")

    def __init__(self, feed: int, first: int, parts: list[list[int]]) -> None:
        self.feed, self.first, self.parts = feed, first, parts

    def batches(self) -> Iterator[Batch]:
        place, last = self.first, 0
        for part in self.parts:
            stamps = []
            for ns in part:
                last = max(last, ns)
                stamps.append(last)
            payloads = [b"%d %d" % (self.feed, place + at) for at in range(len(part))]
            place += len(part)
            yield Batch(stamps, payloads)


def streams(of: Feeds) -> list[FeedStream]:
    made = []
    for rank, files in enumerate(of):
        firsts = [sum(len(part) for file in files[:at] for part in file) for at in range(len(files))]
        parts = [InMemory(rank, first, file) for first, file in zip(firsts, files, strict=True)]
        made.append(FeedStream(rank, parts, lambda raw, ns: None, lambda raw, why: None))  # type: ignore[arg-type]
    return made


def flat(of: Feeds) -> list[tuple[int, int, int]]:
    rows = []
    for rank, files in enumerate(of):
        last = 0
        for place, ns in enumerate(ns for file in files for part in file for ns in part):
            last = max(last, ns)
            rows.append((last, rank, place))
    return sorted(rows)


def row(event: Event) -> tuple[int, int, int]:
    ns, _, payload = event
    rank, place = payload.split()
    return ns, int(rank), int(place)


@given(feeds)
def test_merging_equals_sorting_everything(of: Feeds) -> None:
    assert [row(event) for events in merged(streams(of)) for event in events] == flat(of)


@given(feeds, st.randoms(use_true_random=False))
def test_batches_may_be_cut_anywhere(of: Feeds, random) -> None:  # type: ignore[no-untyped-def]
    def recut(file: list[list[int]]) -> list[list[int]]:
        lines = [ns for part in file for ns in part]
        cuts = sorted({0, len(lines), *(random.randint(0, len(lines)) for _ in range(3))})
        return [lines[start:end] for start, end in pairwise(cuts) if end > start]

    again = [[recut(file) for file in files] for files in of]
    one = [row(event) for events in merged(streams(of)) for event in events]
    two = [row(event) for events in merged(streams(again)) for event in events]
    assert one == two
