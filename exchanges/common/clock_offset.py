"""How far a venue's clock is from ours, asked over the network."""

from collections.abc import Awaitable, Callable

from bot.clock import Clock

_HALF_MS = 500_000
"""Venues cut their time to whole milliseconds: on average it is half a millisecond later than they say."""


async def measure_offset(
    request_time_ms: Callable[[], Awaitable[int]], clock: Clock, rounds: int = 5
) -> tuple[int, int]:
    """Ask the venue's time a few times and keep the answer that came fastest.

    Args:
        request_time_ms: One request; answers the venue's time, UTC ms.
        clock: Ours.
        rounds: How often to ask; the first round pays for the connection.

    Returns:
        The venue's clock minus ours, ns, and the round trip of that request, ns: the venue read its clock within it,
        so the offset is right to ± half of it.

    Raises:
        VenueError: What `request_time_ms` raises.
    """
    best: tuple[int, int] | None = None
    for _ in range(rounds):
        sent_ns, begun_ns = clock.now_ns(), clock.monotonic_ns()
        venue_ns = await request_time_ms() * 1_000_000 + _HALF_MS
        round_trip_ns = clock.monotonic_ns() - begun_ns
        if best is None or round_trip_ns < best[1]:
            best = venue_ns - (sent_ns + round_trip_ns // 2), round_trip_ns
    assert best is not None, "at least one round"
    return best
