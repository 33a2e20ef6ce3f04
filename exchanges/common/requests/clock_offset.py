"""How far a venue's clock is from ours, asked over the network."""

from collections.abc import Awaitable, Callable

from bot.clock import Clock

_MS = 1_000_000
"""Venues cut their time to whole milliseconds: it is up to one later than they say, half of one on average."""


async def measure_offset(
    request_time_ms: Callable[[], Awaitable[int]], clock: Clock, rounds: int = 5
) -> tuple[int, int]:
    """Ask the venue's time a few times and keep the answer that came fastest.

    Args:
        request_time_ms: One request; answers the venue's time, UTC ms.
        clock: Ours.
        rounds: How often to ask; the first round pays for the connection.

    Returns:
        The venue's clock minus ours, ns, and the round trip of that request with the millisecond that the venue cuts,
        ns: the venue read its clock within it, so the offset is right to ± half of it.

    Raises:
        VenueError: What `request_time_ms` raises.
    """
    best: tuple[int, int] | None = None
    for _ in range(rounds):
        sent_ns, begun_ns = clock.now_ns(), clock.monotonic_ns()
        venue_ns = await request_time_ms() * _MS + _MS // 2
        round_trip_ns = clock.monotonic_ns() - begun_ns
        if best is None or round_trip_ns < best[1]:
            best = venue_ns - (sent_ns + round_trip_ns // 2), round_trip_ns
    assert best is not None, "at least one round"
    offset_ns, round_trip_ns = best
    return offset_ns, round_trip_ns + _MS
