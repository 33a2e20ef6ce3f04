"""Binance's wallets: balances, positions and funding, asked over REST."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal

from pydantic import TypeAdapter

from bot.clock import Clock
from bot.domain.account import Balance, FundingPayment, Position
from bot.domain.instrument import Feed, Instrument, Segment
from bot.errors import VenueError
from exchanges.binance.endpoints import LINEAR, VENUE
from exchanges.binance.margins import BRACKETS, FUTURES_ACCOUNT, position_margin, tiers_of, wallet_margin
from exchanges.binance.private_schemas import (
    FUNDINGS,
    FUTURES_BALANCES,
    INCOME,
    POSITIONS,
    IncomeRow,
    PositionRow,
    SpotAccount,
)
from exchanges.binance.signed_rest import SignedRest
from exchanges.common.account.wallet_book import WalletBook
from exchanges.common.requests.venue_http import VenueHttp

_SPOT_ACCOUNT = TypeAdapter(SpotAccount)
_MS = 1_000_000
_MINUTE_MS = 60_000
_MOST_ROWS = 1_000
_BACK_NS = 60_000_000_000
"""One instrument's row may come later than another's, and be dated before it: each question reaches back so far."""


class BinanceAccount:
    """An `AccountGateway` over one signed REST client per feed."""

    def __init__(
        self,
        rests: Mapping[Feed, SignedRest],
        by_feed: Mapping[Feed, Mapping[str, Instrument]],
        http: VenueHttp,
        wallets: WalletBook,
        clock: Clock,
    ) -> None:
        """Ask for the wallets of the feeds in `rests`."""
        self._rests = rests
        self._by_feed = by_feed
        self._http = http
        self._wallets = wallets
        self._clock = clock
        self._funding_since_ns = 0
        self._settled_lately: dict[tuple[str, int], FundingPayment] = {}
        """By symbol and time: what has been told of these stays, and is not asked for again."""

    async def open(self) -> None:
        """Connect, and measure Binance's clock.

        Raises:
            VenueError: It cannot be reached.
        """
        self._http.open()
        self._funding_since_ns = self._clock.now_ns()
        for feed, rest in self._rests.items():
            await rest.open()
            with suppress(VenueError):  # the published limits hold until they are told
                await rest.learn_limits(next(iter(self._by_feed[feed])))

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.close()

    async def load_account(self) -> None:
        """Ask for balances and positions, and put them into the wallet book.

        Raises:
            VenueError: It cannot be asked, or refuses.
        """
        for feed, rest in self._rests.items():
            asked_at = self._wallets.mark()
            if feed.segment is Segment.SPOT:
                account = await rest.read("/v3/account", _SPOT_ACCOUNT, {"omitZeroBalances": "true"})
                held = [
                    Balance(wallet=str(feed), asset=row.asset, total=row.free + row.locked, locked=row.locked)
                    for row in account.balances
                ]
            else:
                rows = await rest.read("/v3/balance", FUTURES_BALANCES, {})
                held = [Balance(wallet=str(feed), asset=row.asset, total=row.total) for row in rows]
            self._wallets.set_wallet(str(feed), held, asked_at)
        await self.load_margins()

    async def load_margins(self) -> None:
        """Ask how positions and their wallet stand.

        Raises:
            VenueError: It cannot be asked, or refuses.
        """
        rest = self._rests.get(LINEAR)
        if rest is None:
            return
        asked_at = self._wallets.mark()
        await self._load_positions(LINEAR, rest)
        account = await rest.read("/v3/account", FUTURES_ACCOUNT, {})
        for row in account.assets:
            self._wallets.set_margin(wallet_margin(str(LINEAR), row), asked_at)

    async def load_tiers(self) -> Sequence[str]:
        """Ask how the maintenance margin grows with the notional; names what of the answer cannot be used.

        Raises:
            VenueError: It cannot be asked, or refuses.
        """
        rest = self._rests.get(LINEAR)
        if rest is None:
            return ()
        rows = {row.symbol: row for row in await rest.read("/v1/leverageBracket", BRACKETS, {})}
        wrong = []
        for symbol, instrument in self._by_feed[LINEAR].items():
            try:
                self._wallets.set_tiers(instrument, tiers_of(rows[symbol]))
            except (KeyError, ValueError) as error:
                wrong.append(f"{instrument.id}: {'not in the answer' if isinstance(error, KeyError) else error}")
        return wrong

    async def _load_positions(self, feed: Feed, rest: SignedRest) -> None:
        asked_at = self._wallets.mark()
        found = await rest.read("/v3/positionRisk", POSITIONS, {})
        if any(row.side != "BOTH" for row in found):
            raise VenueError(VENUE, "the account is in hedge mode; set USDⓈ-M to one-way position mode")
        rows = {row.symbol: row for row in found}
        for symbol, instrument in self._by_feed[feed].items():
            # A symbol that is not listed is flat.
            self._wallets.set_position(_position(instrument, rows.get(symbol), self._wallets), asked_at)

    def ask_funding_from(self, since_ns: int) -> None:
        """The next `missed_funding` reaches back to there: an earlier process has heard of nothing since."""
        self._funding_since_ns = min(self._funding_since_ns, since_ns)

    async def missed_funding(self) -> Sequence[FundingPayment]:
        """Funding since the last call, or since `open`; some of it may have been told already.

        Raises:
            VenueError: It cannot be asked, or refuses.
        """
        rest, listed = self._rests.get(LINEAR), self._by_feed.get(LINEAR, {})
        if rest is None:
            return ()
        incomes = await self._incomes(rest)
        rows = [row for row in incomes if row.symbol in listed]
        payments = [await self._payment(rest, listed[row.symbol], row) for row in rows]
        self._settled_lately = {(row.symbol, row.ts_ns): payment for row, payment in zip(rows, payments, strict=True)}
        seen = rows if len(incomes) < _MOST_ROWS else incomes  # whole pages of others' rows are not read again
        self._funding_since_ns = max([self._funding_since_ns, *(row.ts_ns - _BACK_NS for row in seen)])
        return payments

    async def _incomes(self, rest: SignedRest) -> Collection[IncomeRow]:
        """Page by page: Binance tells the oldest first, and those of instruments that are not of this run too."""
        found: dict[tuple[str, int], IncomeRow] = {}
        start_ms = self._funding_since_ns // _MS
        while True:
            values = {"incomeType": "FUNDING_FEE", "startTime": str(start_ms), "limit": str(_MOST_ROWS)}
            page = await rest.read("/v1/income", INCOME, values)
            found |= {(row.symbol, row.ts_ns): row for row in page}
            last_ns = max((row.ts_ns for row in page), default=0)
            if len(page) < _MOST_ROWS or last_ns // _MS <= start_ms:
                return found.values()
            start_ms = last_ns // _MS

    async def _payment(self, rest: SignedRest, instrument: Instrument, row: IncomeRow) -> FundingPayment:
        known = self._settled_lately.get((row.symbol, row.ts_ns))
        if known is not None:
            return known
        quantity = self._wallets.position(instrument).quantity
        rate, mark = await self._settled(rest, row)
        return FundingPayment(
            instrument=instrument,
            wallet=str(LINEAR),
            asset=row.asset,
            amount=row.amount,
            quantity=quantity,
            rate=rate,
            mark_price=mark,
            ts_ns=row.ts_ns,
        )

    async def _settled(self, rest: SignedRest, row: IncomeRow) -> tuple[Decimal, Decimal]:
        """Rate and mark price of a settlement; the income tells neither. 0 twice: they are not published yet.

        What the position of this moment would make of them is no rate: it may be another than the one that was settled.
        """
        at_ms = row.ts_ns // _MS
        values = {"symbol": row.symbol, "startTime": str(at_ms - _MINUTE_MS), "endTime": str(at_ms + _MINUTE_MS)}
        found = await rest.public("/v1/fundingRate", FUNDINGS, values)
        if not found:
            return Decimal(0), Decimal(0)
        nearest = min(found, key=lambda one: abs(one.ts_ns - row.ts_ns))
        return nearest.rate, nearest.mark_price


def _position(instrument: Instrument, row: PositionRow | None, wallets: WalletBook) -> Position:
    quantity, price = (row.quantity, row.entry_price) if row is not None else (Decimal(0), Decimal(0))
    return Position(
        instrument=instrument,
        quantity=quantity,
        average_price=price,
        realised=wallets.position(instrument).realised,
        margin=position_margin(row),
    )
