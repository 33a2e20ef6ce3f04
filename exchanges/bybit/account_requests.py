"""Bybit's unified account: balances, positions and funding, asked over REST."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from bot.clock import Clock
from bot.domain.account import Balance, FundingPayment, Position
from bot.domain.instrument import Feed, Instrument
from bot.errors import VenueError
from exchanges.bybit.margins import position_margin, tiers_of, wallet_margin
from exchanges.bybit.normalize import LINEAR, VENUE
from exchanges.bybit.pages import all_rows, executions_since
from exchanges.bybit.private_schemas import (
    CoinRow,
    ExecutionRow,
    PositionRow,
    PositionRows,
    RiskLimitRows,
    WalletRows,
)
from exchanges.bybit.signed_rest import SignedRest
from exchanges.common.account.funding_desk import LATE_NS
from exchanges.common.account.wallet_book import WalletBook
from exchanges.common.requests.venue_http import VenueHttp

WALLET = f"{VENUE}.unified"


class BybitAccount:
    """An `AccountGateway` over Bybit's signed REST interface."""

    def __init__(
        self,
        rest: SignedRest,
        by_feed: Mapping[Feed, Mapping[str, Instrument]],
        http: VenueHttp,
        wallets: WalletBook,
        clock: Clock,
    ) -> None:
        """Ask for the unified wallet, and the positions of `by_feed`."""
        self._rest = rest
        self._linear = by_feed.get(LINEAR, {})
        self._http = http
        self._wallets = wallets
        self._clock = clock
        self._funding_since_ns = 0

    async def open(self) -> None:
        """Connect, and measure Bybit's clock.

        Raises:
            VenueError: It cannot be reached.
        """
        self._http.open()
        self._funding_since_ns = self._clock.now_ns()
        await self._rest.open()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.close()

    async def load_account(self) -> None:
        """Ask for balances and positions, and put them into the wallet book.

        Raises:
            VenueError: It cannot be asked, or refuses.
        """
        asked_at = self._wallets.mark()
        found = await self._rest.read("/v5/account/wallet-balance", WalletRows, {"accountType": "UNIFIED"})
        self._wallets.set_wallet(WALLET, [balance_of(coin) for row in found.rows for coin in row.coins], asked_at)
        for row in found.rows:
            if (margin := wallet_margin(WALLET, row)) is not None:
                self._wallets.set_margin(margin, asked_at)
        await self._load_positions()

    async def load_margins(self) -> None:
        """Ask how positions and their wallet stand.

        Raises:
            VenueError: It cannot be asked, or refuses.
        """
        await self.load_account()

    async def load_tiers(self) -> Sequence[str]:
        """Ask how the maintenance margin grows with the notional; names what of the answers cannot be used.

        Raises:
            VenueError: It cannot be asked, or refuses.
        """
        wrong = []
        for symbol, instrument in self._linear.items():
            values = {"category": "linear", "symbol": symbol}
            found = await self._rest.read("/v5/market/risk-limit", RiskLimitRows, values)
            try:
                self._wallets.set_tiers(instrument, tiers_of([row for row in found.rows if row.symbol == symbol]))
            except ValueError as error:
                wrong.append(f"{instrument.id}: {error}")
        return wrong

    async def _load_positions(self) -> None:
        asked_at = self._wallets.mark()
        for settle in sorted({instrument.settle or "" for instrument in self._linear.values()}):
            rows = {row.symbol: row for row in await self._positions(settle)}
            for symbol, instrument in self._linear.items():
                # Flat ones are not listed.
                if instrument.settle == settle:
                    self._wallets.set_position(position_of(instrument, rows.get(symbol), self._wallets), asked_at)

    async def _positions(self, settle: str) -> list[PositionRow]:
        values = {"category": "linear", "settleCoin": settle, "limit": "200"}
        found = await all_rows(self._rest, "/v5/position/list", PositionRows, values)
        if any(row.index for row in found):
            raise VenueError(VENUE, "the account is in hedge mode; set it to one-way position mode")
        return found

    def ask_funding_from(self, since_ns: int) -> None:
        """The next `missed_funding` reaches back to there: an earlier process has heard of nothing since."""
        self._funding_since_ns = min(self._funding_since_ns, since_ns)

    async def missed_funding(self) -> Sequence[FundingPayment]:
        """Funding since the last call, or since `open`; some of it may have been told already.

        Raises:
            VenueError: It cannot be asked, or refuses.
        """
        if not self._linear:
            return ()
        values = {"category": "linear", "execType": "Funding"}
        found = await executions_since(self._rest, values, self._funding_since_ns, self._clock)
        rows = [row for row in found if row.kind == "Funding" and row.symbol in self._linear]
        self._funding_since_ns = max([self._funding_since_ns, *(row.ts_ns - LATE_NS for row in rows)])
        return [funding_of(self._linear[row.symbol], row, self._wallets) for row in rows]


def balance_of(coin: CoinRow) -> Balance:
    """A coin of the unified wallet; locked is what spot orders, futures orders and positions tie up."""
    locked = coin.locked + coin.order_margin + coin.position_margin
    return Balance(wallet=WALLET, asset=coin.coin, total=coin.total, locked=locked)


def position_of(instrument: Instrument, row: PositionRow | None, wallets: WalletBook) -> Position:
    """A position; flat where there is no row. What it has realised is kept: Bybit counts fees into its own figure."""
    quantity = Decimal(0) if row is None else row.quantity
    price = Decimal(0) if row is None or not quantity else row.entry_price
    return Position(
        instrument=instrument,
        quantity=quantity,
        average_price=price,
        realised=wallets.position(instrument).realised,
        margin=position_margin(row),
    )


def funding_of(instrument: Instrument, row: ExecutionRow, wallets: WalletBook) -> FundingPayment:
    """A funding execution as a payment: its sign is the fee's, and the rate's follows from who paid.

    Which way round the position was is told by what is held, where that is what was settled. Where it has changed
    since, nothing tells it: rate and mark price are 0 then.
    """
    held = wallets.position(instrument).quantity
    sign = row.side.sign if not held else 1 if held > 0 else -1
    quantity = sign * row.quantity if row.quantity else held
    is_known = abs(held) == abs(quantity)
    return FundingPayment(
        instrument=instrument,
        wallet=WALLET,
        asset=row.fee_asset or instrument.settle or instrument.quote,
        amount=-row.fee,
        quantity=quantity,
        rate=_rate(row, quantity) if is_known else Decimal(0),
        mark_price=row.price if is_known else Decimal(0),
        ts_ns=row.ts_ns,
    )


def _rate(row: ExecutionRow, quantity: Decimal) -> Decimal:
    value = quantity * row.price
    if not row.fee_rate and value:
        return row.fee / value
    return abs(row.fee_rate) if (row.fee > 0) == (quantity > 0) else -abs(row.fee_rate)
