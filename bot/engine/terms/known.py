"""What the engine knows of fees, funding schedules and networks: who told it, and when.

It is asked for at the start and by `refresh`. Every figure carries its age: one that is too old is not known, like one
that is missing or makes no sense, and what is not known refuses the routes that need it. It is never zero. What is in
the way is told once, and once more when it is over.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from bot.clock import Clock
from bot.domain.fees import FeeSchedule
from bot.domain.funding_terms import FundingTerms
from bot.domain.instrument import Feed, Instrument, ListingStatus
from bot.domain.network import AssetNetwork
from bot.domain.terms import Listing, Told, WalletMove
from bot.engine.terms.past_transfers import PastTransfers
from bot.engine.terms.rates import effective_fees
from bot.errors import VenueError
from bot.ports import TermsSource
from bot.settings import Settings

Log = Callable[[str, str], None]
T = TypeVar("T")


class TermsKind(StrEnum):
    """What a venue is asked for."""

    FEES = "fees"
    FUNDING = "funding"
    LISTINGS = "listing"
    NETWORKS = "networks"
    TRANSFERS = "past transfers"


_CONSEQUENCE = {
    TermsKind.FEES: "its routes are refused (fee_schedule)",
    TermsKind.FUNDING: "its routes are refused (funding_rate)",
    TermsKind.LISTINGS: "nothing is opened in it (instrument_status)",
    TermsKind.NETWORKS: "transfers over it are refused (network)",
    TermsKind.TRANSFERS: "transfer times rest on the model",
}


@dataclass(frozen=True, slots=True)
class _Datum:
    value: Any
    told_ns: int
    """Monotonic: ages do not change when the clock is set."""


class Terms:
    """Everything that venues tell beside quotes and orders, with its age."""

    def __init__(
        self,
        sources: Sequence[TermsSource],
        instruments: Sequence[Instrument],
        published: Mapping[Feed, FeeSchedule],
        settings: Settings,
        clock: Clock,
        log: Log,
        past: PastTransfers,
    ) -> None:
        """Nothing is known before `refresh`.

        Args:
            sources: One for each venue that can be asked.
            instruments: Of the run.
            published: The venues' price lists: fees where there is no account to ask for.
            settings: How old what may be, and fees that override every venue.
            clock: Gives every figure its age.
            log: Takes a level and one line.
            past: Keeps what transfers took.
        """
        self._sources = {source.venue: source for source in sources}
        self._instruments = instruments
        self._published = dict(published)
        self._settings = settings
        self._clock = clock
        self._log = log
        self.past = past
        limits = settings.terms
        self._max_age_s = {
            TermsKind.FEES: limits.max_fee_age_s,
            TermsKind.FUNDING: limits.max_funding_age_s,
            TermsKind.LISTINGS: limits.max_listing_age_s,
            TermsKind.NETWORKS: limits.max_network_age_s,
        }
        now_ns = clock.monotonic_ns()
        # The market that the run was built from was told a moment ago, with what it lists.
        self._data: dict[tuple[TermsKind, str, str], _Datum] = {
            (TermsKind.LISTINGS, one.venue, one.id): _Datum(
                Listing(status=one.status, delivery_ns=one.delivery_ns), now_ns
            )
            for one in instruments
            if one.venue in self._sources
        }
        self._wrong: dict[tuple[TermsKind, str, str], str] = {}
        self._failed: dict[tuple[TermsKind, str], str] = {}
        self._without_account: set[str] = set()
        self._moves: dict[str, Sequence[WalletMove]] = {}
        self._said: dict[str, str] = {}
        self._last_fees: dict[str, FeeSchedule] = {}
        """By instrument id: the last that made sense."""
        self._asking: asyncio.Task[None] | None = None
        self.by_feed: dict[Feed, FeeSchedule] = dict(published)
        """The dearest that was told of any of a feed's instruments, however old and whatever made no sense since, and
        price lists elsewhere: for accounts and reserves, and for what is open, which need a figure also when nothing
        new may be opened. It is kept up to date."""
        self.asked_ns: int | None = None
        """Monotonic time of the last `refresh`; None before the first."""

    # Asking

    async def refresh(self) -> None:
        """Ask every venue again; never raises for what a venue did. A second call joins the first."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_all())
            self._asking.add_done_callback(self._asked)
        await asyncio.shield(self._asking)

    def _asked(self, _: asyncio.Task[None]) -> None:
        self._asking = None

    async def stop(self) -> None:
        """Ask no further."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask_all(self) -> None:
        self.asked_ns = self._clock.monotonic_ns()
        await asyncio.gather(*(self._ask(source) for source in self._sources.values()))
        self.past.learn(move for moves in self._moves.values() for move in moves)
        self._sum_up()
        self.say()

    def _sum_up(self) -> None:
        found: dict[Feed, FeeSchedule] = {}
        for one in self._instruments:
            has_account = self._has_account(one.venue)
            told = self._last_fees.get(one.id) if has_account else self._published.get(one.feed)
            if told is not None and (one.feed not in found or told.taker_bps > found[one.feed].taker_bps):
                found[one.feed] = told
        self.by_feed.clear()
        self.by_feed.update(found)

    async def _ask(self, source: TermsSource) -> None:
        venue = source.venue
        fees = await self._answer(venue, TermsKind.FEES, source.fees)
        if fees is not None:
            self._take(venue, TermsKind.FEES, fees)
        elif (TermsKind.FEES, venue) not in self._failed:
            self._without_account.add(venue)
        funding = await self._answer(venue, TermsKind.FUNDING, source.funding)
        if funding is not None:
            self._take(venue, TermsKind.FUNDING, funding)
        listings = await self._answer(venue, TermsKind.LISTINGS, source.listings)
        if listings is not None:
            self._take(venue, TermsKind.LISTINGS, listings)
        networks = await self._answer(venue, TermsKind.NETWORKS, source.networks)
        if networks is not None:
            self._take(venue, TermsKind.NETWORKS, networks)
        moves = await self._answer(venue, TermsKind.TRANSFERS, source.moves)
        if moves is not None:
            self._moves[venue] = moves

    async def _answer(self, venue: str, kind: TermsKind, ask: Callable[[], Awaitable[T]]) -> T | None:
        try:
            answer = await ask()
        except VenueError as error:
            self._failed[kind, venue] = str(error)
            return None
        self._failed.pop((kind, venue), None)
        return answer

    def _take(self, venue: str, kind: TermsKind, told: Told[Any]) -> None:
        now_ns = self._clock.monotonic_ns()
        for key in [key for key in self._wrong if key[:2] == (kind, venue)]:
            del self._wrong[key]
        for subject, value in told.values.items():
            self._data[kind, venue, subject] = _Datum(value, now_ns)
        if kind is TermsKind.FEES:
            self._last_fees |= told.values
        for subject, why in told.wrong.items():
            # What the venue told before is not what holds now.
            self._data.pop((kind, venue, subject), None)
            self._wrong[kind, venue, subject] = why

    # Knowing

    def is_asked(self, venue: str) -> bool:
        """Whether the venue can be asked for its terms."""
        return venue in self._sources

    def fees(self, instrument: Instrument) -> FeeSchedule | None:
        """What a trade costs now; None where that is not known."""
        told: FeeSchedule | None
        if self._has_account(instrument.venue):
            told = self._fresh(TermsKind.FEES, instrument.venue, instrument.id)
        else:
            told = self._published.get(instrument.feed)
        return effective_fees(instrument.feed, told, self._settings)

    def funding(self, instrument: Instrument) -> FundingTerms | None:
        """A perpetual's schedule, as it was told last; None where it is not known."""
        terms: FundingTerms | None = self._fresh(TermsKind.FUNDING, instrument.venue, instrument.id)
        return terms

    def listing(self, instrument: Instrument) -> Instrument:
        """The instrument as its venue lists it now; its status is UNKNOWN where that is not known."""
        told: Listing | None = self._fresh(TermsKind.LISTINGS, instrument.venue, instrument.id)
        now = told or Listing(status=ListingStatus.UNKNOWN)
        return instrument.model_copy(update={"status": now.status, "delivery_ns": now.delivery_ns})

    def networks(self, venue: str, asset: str) -> Sequence[AssetNetwork]:
        """On what networks an asset goes in and out; empty where that is not known."""
        found: Sequence[AssetNetwork] | None = self._fresh(TermsKind.NETWORKS, venue, asset)
        return found or ()

    def why_not(self, kind: TermsKind, venue: str, subject: str) -> str | None:
        """Why this is not known, in words; None where it is."""
        key = (kind, venue, subject)
        if key in self._wrong:
            return self._wrong[key]
        datum = self._data.get(key)
        if datum is not None and self._age_s(datum) <= self._max_age_s[kind]:
            return None
        trouble = self._failed.get((kind, venue))
        if datum is None:
            return trouble or "not told"
        old = f"told {self._age_s(datum):.0f} s ago, and {self._max_age_s[kind]:.0f} s are allowed"
        return f"{old}: {trouble}" if trouble else old

    def needs_asking(self) -> bool:
        """Whether something is missing or has half its time behind it, and the last question is long enough ago."""
        if self.asked_ns is None:
            return True
        waited_s = (self._clock.monotonic_ns() - self.asked_ns) / 1e9
        if waited_s < self._settings.terms.retry_s:
            return False
        return bool(self._failed) or any(
            self._age_s(datum) > self._max_age_s[key[0]] / 2 for key, datum in self._data.items()
        )

    def _has_account(self, venue: str) -> bool:
        return venue in self._sources and venue not in self._without_account

    def _fresh(self, kind: TermsKind, venue: str, subject: str) -> Any:
        datum = self._data.get((kind, venue, subject))
        return datum.value if datum is not None and self._age_s(datum) <= self._max_age_s[kind] else None

    def _age_s(self, datum: _Datum) -> float:
        return (self._clock.monotonic_ns() - datum.told_ns) / 1e9

    # Telling

    def say(self) -> None:
        """Tell what has come in the way since the last time, and what is over."""
        now = self._troubles()
        for about, why in now.items():
            if about not in self._said:
                self._log("warning", f"{about}: {why}")
        for about in self._said:
            if about not in now:
                self._log("info", f"{about}: known again")
        self._said = now

    def _troubles(self) -> dict[str, str]:
        wanted = [(TermsKind.FEES, one.venue, one.id) for one in self._instruments if self._has_account(one.venue)]
        wanted += [
            (TermsKind.FUNDING, one.venue, one.id)
            for one in self._instruments
            if one.is_perpetual and one.venue in self._sources
        ]
        wanted += [(TermsKind.LISTINGS, one.venue, one.id) for one in self._instruments if one.venue in self._sources]
        wanted += [key for key in self._wrong if key[0] is TermsKind.NETWORKS]
        found = {}
        for kind, venue, subject in wanted:
            why = self.why_not(kind, venue, subject)
            if why is not None:
                about = subject if subject.startswith(f"{venue}:") else f"{venue} {subject}"
                found[f"{about}: {kind}"] = f"{why}; {_CONSEQUENCE[kind]}"
        for (kind, venue), why in self._failed.items():
            if kind in (TermsKind.NETWORKS, TermsKind.TRANSFERS):
                found[f"{venue}: {kind}"] = f"{why}; {_CONSEQUENCE[kind]}"
        return found
