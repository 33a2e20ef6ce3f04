"""Brings margin to a wallet before its pairs have to go: from another wallet of the same account, so at once.

    nearer to its liquidation than the line, or expected there within half a minute   what is lacking is moved
    nearer than `risk.close_distance_bps`, however much was moved                     its pairs are closed (MarginGuard)

What may be moved in 24 hours has an end, kept over restarts by the journal. A move whose outcome nobody knows ends it
for the run, and a halt does: a halted bot moves no money.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from decimal import ROUND_DOWN, Decimal
from math import inf, isfinite

from bot.clock import Clock, Timer
from bot.domain.account import Balance
from bot.engine.margins import Margins
from bot.errors import TransferOutcomeUnknown, TransferRefused, VenueError
from bot.ports import Journal, RecordKind
from bot.risk.margin import MarginAfter

Move = Callable[[str, str, Decimal, str, str], Awaitable[None]]
"""Venue, asset, amount, from wallet, to wallet, as the venue's adapter names them; `TransferDesk.move`."""
TOP_UP = "top_up"
"""Key of the event that names an amount right before it is moved: the next run counts it too."""
AHEAD_S = 30.0
"""How far the forecast looks."""
_LOOK_S = 1.0
_REMEMBERED_S = 60.0
_LEAST_SPAN_S = 5.0
"""Looks nearer together than this say nothing of where a wallet goes."""
_REST_S = 60.0
"""After a move that was refused; and after one that was done, until the venue's figures have followed."""
_SETTLED_S = 10.0
_DAY_NS = 86_400 * 10**9
_CENT = Decimal("0.01")


class Trend:
    """How one wallet's distance has moved lately."""

    def __init__(self) -> None:
        """Nothing was seen."""
        self._seen: deque[tuple[float, float]] = deque()

    def expected_bps(self, at_s: float, distance_bps: float) -> float:
        """What the distance will be in `AHEAD_S`, along the line of the last minute; no more than it is now."""
        seen = self._seen
        if not isfinite(distance_bps):
            seen.clear()
            return distance_bps
        seen.append((at_s, distance_bps))
        while at_s - seen[0][0] > _REMEMBERED_S:
            seen.popleft()
        span_s = at_s - seen[0][0]
        if span_s < _LEAST_SPAN_S:
            return distance_bps
        return min(distance_bps, distance_bps + (distance_bps - seen[0][1]) / span_s * AHEAD_S)


class TopUp:
    """Looks once a second. Implements `bot.engine.run.Watch`."""

    def __init__(
        self,
        *,
        margins: Margins,
        balances: Callable[[], Iterable[Balance]],
        move: Move,
        is_halted: Callable[[], bool],
        journal: Journal,
        clock: Clock,
        event: Callable[[str, str], None],
        line_bps: float,
        target_bps: float,
        most_notional: float,
        earlier: Iterable[tuple[int, Decimal]] = (),
    ) -> None:
        """Build it.

        Args:
            margins: Tell how far each wallet is from its liquidation.
            balances: Of every wallet, as the venues told them last.
            move: Moves; guarded and journaled by itself.
            is_halted: Asked before every move.
            journal: Remembers what was moved.
            clock: Of the engine.
            event: Takes a level and a line for a person; for the journal too.
            line_bps: A wallet nearer to its liquidation is topped up,
            target_bps: to this distance.
            most_notional: Of what is moved in 24 hours, quote units.
            earlier: What earlier runs moved: UTC ns and amount.
        """
        self._margins = margins
        self._balances = balances
        self._move = move
        self._is_halted = is_halted
        self._journal = journal
        self._clock = clock
        self._event = event
        self._line_bps = line_bps
        self._target_bps = target_bps
        self._most = Decimal(repr(most_notional))
        self._moved = list(earlier)
        self._trends: dict[str, Trend] = {}
        self._rest_until_ns: dict[str, int] = {}
        self._told: set[str] = set()
        self._is_over = False
        self._timer: Timer | None = None
        self._moving: asyncio.Task[None] | None = None
        self.on_moved: Callable[[str, str, Decimal, str, str], None] = lambda *_: None
        """Hears venue, asset, amount and the full names of both wallets, once it is done."""

    def start(self) -> None:
        """Begin to look."""
        self._timer = self._clock.call_later(_LOOK_S, self._tick)

    def stop(self) -> None:
        """Look no more; a move that is on its way is let go as it is: its intent is in the journal."""
        if self._timer is not None:
            self._timer.cancel()
        if self._moving is not None:
            self._moving.cancel()

    def _tick(self) -> None:
        self.look()
        self.start()

    def look(self) -> None:
        """Look now; at most one move is on its way."""
        at_s = self._clock.monotonic_ns() / 1e9
        for wallet in self._margins.now():
            held = self._margins.held_in(wallet.wallet)
            trend = self._trends.setdefault(wallet.wallet, Trend())
            expected_bps = trend.expected_bps(at_s, wallet.distance_bps if held else inf)
            if held and expected_bps < self._line_bps:
                self._consider(wallet, expected_bps)
            else:
                self._told.discard(wallet.wallet)

    def _consider(self, wallet: MarginAfter, expected_bps: float) -> None:
        is_resting = self._clock.monotonic_ns() < self._rest_until_ns.get(wallet.wallet, 0)
        if self._is_over or self._is_halted() or is_resting or (self._moving is not None and not self._moving.done()):
            return
        name, _, asset = wallet.wallet.partition(" ")
        lacking = self._margins.lacking(wallet.wallet, self._target_bps)
        source = self._source(wallet.venue, name, asset)
        if source is None or not isfinite(lacking):
            self._tell(wallet.wallet, "cannot be topped up: no other wallet of the account has what it needs")
            return
        amount = min(Decimal(repr(lacking)), source.available, self._left()).quantize(_CENT, ROUND_DOWN)
        if amount <= 0:
            if lacking > 0:
                self._tell(wallet.wallet, f"is not topped up: {self._most:f} in 24 h are moved (top_up_max_notional)")
            return
        text = f"{wallet.wallet} is {wallet.distance_bps:.0f} bps from its liquidation, {expected_bps:.0f} expected"
        text += f": moving {amount:f} {asset} from {source.wallet}"
        now_ns = self._clock.now_ns()
        self._event("warning", text)
        self._count(now_ns, amount, asset)
        going = self._go(wallet, asset, amount, source.wallet, name, now_ns)
        self._moving = asyncio.get_running_loop().create_task(going)

    def _count(self, moved_ns: int, amount: Decimal, asset: str) -> None:
        """Towards what is moved in 24 hours; below zero: what did not move after all counts no more."""
        body = {
            "level": "info",
            "text": f"counted: {amount:f} {asset}",
            "amount": f"{amount:f}",
            "asset": asset,
            "moved_ns": moved_ns,
        }
        self._moved.append((moved_ns, amount))
        self._journal.record(RecordKind.EVENT, TOP_UP, self._clock.now_ns(), body)

    async def _go(
        self, wallet: MarginAfter, asset: str, amount: Decimal, source: str, target: str, counted_ns: int
    ) -> None:
        rest_s = _REST_S
        try:
            await self._move(wallet.venue, asset, amount, source.partition(".")[2], target.partition(".")[2])
        except (TransferRefused, VenueError) as error:
            self._count(counted_ns, -amount, asset)
            self._event("error", f"{wallet.wallet} was not topped up: {error}")
        except TransferOutcomeUnknown as error:
            self._is_over = True
            self._event("error", f"ALARM: {wallet.wallet} may not have been topped up, nothing more is moved: {error}")
        else:
            rest_s = _SETTLED_S
            self.on_moved(wallet.venue, asset, amount, source, target)
            self._event("info", f"{wallet.wallet}: {amount:f} {asset} have come")
        self._rest_until_ns[wallet.wallet] = self._clock.monotonic_ns() + round(rest_s * 1e9)

    def _source(self, venue: str, target: str, asset: str) -> Balance | None:
        """The wallet of the same account that has most to give."""
        others = [
            one
            for one in self._balances()
            if one.asset == asset and one.wallet != target and one.wallet.partition(".")[0] == venue
        ]
        return max((one for one in others if one.available >= _CENT), key=lambda one: one.available, default=None)

    def _left(self) -> Decimal:
        since_ns = self._clock.now_ns() - _DAY_NS
        return self._most - sum((amount for moved_ns, amount in self._moved if moved_ns > since_ns), Decimal(0))

    def _tell(self, wallet: str, what: str) -> None:
        """Once, as long as it lasts."""
        if wallet not in self._told:
            self._told.add(wallet)
            self._event("error", f"{wallet} {what}")


def moved_before(bodies: Iterable[Mapping[str, object]]) -> list[tuple[int, Decimal]]:
    """What earlier runs moved, from the bodies of their `TOP_UP` events."""
    return [(int(str(body["moved_ns"])), Decimal(str(body["amount"]))) for body in bodies]
