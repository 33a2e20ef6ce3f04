"""Moves money of a Binance account, through python-binance.

Source: https://developers.binance.com/docs/wallet (capital, universal transfer).
The library's own errors hold what it sent, signature and all, in places: none of them is passed on, nor chained.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp

from bot.clock import Clock
from bot.domain.instrument import Feed
from bot.domain.network import AssetNetwork
from bot.errors import BotError, TransferOutcomeUnknown, VenueError, VenueUnavailable
from bot.ports.transfers import InternalMove, MoveState, Seen, Withdrawal, no_look
from bot.settings import Settings
from exchanges.binance.endpoints import LINEAR, SPOT, VENUE, rest_url
from exchanges.binance.library import AsyncClient, BinanceAPIException, BinanceRequestException
from exchanges.binance.networks import networks_of
from exchanges.binance.refusals import checked, code_of
from exchanges.binance.request_costs import WITHDRAWALS, cost, learn, rates, refused_for
from exchanges.common.account.transfer_answers import all_networks, meaning
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.clock_offset import measure_offset
from exchanges.common.requests.library_answers import LibraryAnswers
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.common.requests.request_pool import Lane
from exchanges.common.requests.signing_hosts import SigningHosts
from exchanges.common.requests.venue_http import Answer
from exchanges.common.told import by_key

_PATIENCE_S = 10.0
_MS = 1_000_000
_SKEW_MS = 2_000
"""Binance's withdrawal times are whole seconds, and its clock is not ours."""
_FOUND_BY_ID_MS = 6 * 86_400_000
"""By `withdrawOrderId` Binance looks through seven days, the last ones where no others are named."""
_WITHDRAW = "/sapi/v1/capital/withdraw/apply"
_FROM_SPOT = "0"
"""Without it the wallet pays that a person has chosen on Binance's page for deposits."""
_ANY_NUMBER = 10**12
"""The simulated exchange counts no looks at withdrawals: its chains run so much faster than any minute."""
_KINDS = {("spot", "linear"): "MAIN_UMFUTURE", ("linear", "spot"): "UMFUTURE_MAIN"}
_EXISTS = frozenset({-4104})
_WITHDRAWN = {1: MoveState.FAILED, 3: MoveState.FAILED, 5: MoveState.FAILED, 6: MoveState.DONE}
_DEPOSITED = {1: MoveState.DONE, 6: MoveState.DONE, 2: MoveState.FAILED, 7: MoveState.FAILED}
"""6 is credited and cannot be withdrawn yet."""
_MOVED = {"CONFIRMED": MoveState.DONE, "FAILED": MoveState.FAILED}

_T = TypeVar("_T")


class _Client(AsyncClient):  # type: ignore[misc]  # python-binance has no types
    """Signs for nobody but the hosts of its key, and pays for each request before it is sent."""

    hosts = SigningHosts()
    answers: LibraryAnswers
    last_look: Callable[[], None] = staticmethod(no_look)
    """Of the withdrawal that is being sent: there is one at a time."""

    async def _request(self, method: str, uri: str, signed: bool, force_params: bool = False, **rest: Any) -> Any:
        self.hosts.require(uri)
        feed, path = _place(uri)
        charged = cost(feed, method.upper(), path, {})
        # A look that waits for its own limit would have every other question to spot stand in line behind it.
        patience_s = 0.0 if WITHDRAWALS in charged else None
        ticket = await self.answers.budget.acquire(charged, Lane.READ, patience_s)
        try:
            if path == _WITHDRAW:
                self.last_look()
            return await super()._request(method, uri, signed, force_params, **rest)
        finally:
            ticket.settle()

    async def _handle_response(self, response: aiohttp.ClientResponse) -> Any:
        feed, path = _place(str(response.url))
        answer = Answer(response.status, response.headers, await response.text())
        learn(self.answers.budget, feed, answer)
        self.answers.take(answer, refused_for(feed, code_of(answer), cost(feed, response.method, path, {})))
        return await super()._handle_response(response)


def _place(uri: str) -> tuple[Feed, str]:
    """The feed whose limits a request counts against, and its path as `request_costs` has it."""
    path = urlsplit(uri).path
    if path.startswith("/fapi/"):
        return LINEAR, path.removeprefix("/fapi")
    return SPOT, path.removeprefix("/api")


class BinanceTransfers:
    """One account. Implements `bot.ports.transfers.AccountOperations`; made by `connected_transfers`."""

    venue = VENUE
    wallets: Sequence[str] = ("spot", "linear")
    trading_wallet = "spot"
    deposit_wallet = "spot"

    def __init__(self, client: Any, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._told: set[str] = set()
        """Numbers of internal transfers whose answer came: none of them is one that is looked for."""

    async def move(self, move: InternalMove) -> None:
        """Move between the spot and the futures wallet, at once.

        Raises:
            TransferRefused: Binance refused it.
            TransferOutcomeUnknown: It may have been done.
            VenueError: It was not taken.
        """
        kind = _KINDS[move.source, move.target]
        sent = {"type": kind, "asset": move.asset, "amount": f"{move.amount:f}"}
        answer = await _once(move.id, self._client.make_universal_transfer(**sent))
        if not isinstance(answer, dict) or "tranId" not in answer:
            raise TransferOutcomeUnknown(move.id, "Binance answered without a number")
        self._told.add(str(answer["tranId"]))

    async def moved(self, move: InternalMove) -> MoveState | None:
        """What became of it: the one of its kind, asset and amount since it was sent; Binance takes no id of ours.

        Raises:
            VenueError: Binance cannot be asked, or refuses.
        """
        since_ms = move.sent_ns // _MS + self._client.timestamp_offset - _SKEW_MS
        kind = _KINDS[move.source, move.target]
        query = {"type": kind, "startTime": str(since_ms), "size": "100"}
        answer = await _asked(self._client.query_universal_transfer_history(**query))
        rows = _understood(
            lambda: [(row, Decimal(row["amount"]), int(row["timestamp"])) for row in answer.get("rows") or ()]
        )
        found = [
            row
            for row, amount, ts_ms in rows
            if str(row["tranId"]) not in self._told
            and row["asset"] == move.asset
            and amount == move.amount
            and ts_ms >= since_ms
        ]
        return _MOVED.get(found[0].get("status"), MoveState.IN_TRANSIT) if found else None

    async def networks(self, asset: str) -> Sequence[AssetNetwork]:
        """Every network of the asset, as it is now.

        Raises:
            VenueError: Binance cannot be asked, or tells of none.
        """
        rows = by_key(await _asked(self._client.get_all_coins_info()), "coin")
        return all_networks(VENUE, asset, networks_of(rows, [asset], self._clock.now_ns()))

    async def deposit_address(self, network: AssetNetwork) -> tuple[str, str]:
        """Address and memo.

        Raises:
            VenueError: Binance cannot be asked, or refuses.
        """
        row = await _asked(self._client.get_deposit_address(coin=network.asset, network=network.name))
        return _understood(lambda: (str(row["address"]), str(row.get("tag") or "")))

    async def withdraw(self, withdrawal: Withdrawal, last_look: Callable[[], None] = no_look) -> str:
        """Send away; returns Binance's id of it. What `last_look` raises comes out, and nothing was sent.

        Raises:
            TransferRefused: Binance refused it.
            TransferOutcomeUnknown: It may have been done, or one of this id is there already.
            VenueError: It was not taken.
        """
        sent = {
            "coin": withdrawal.asset,
            "network": withdrawal.network,
            "address": withdrawal.address,
            "amount": f"{withdrawal.amount:f}",
            "withdrawOrderId": withdrawal.id,
            "walletType": _FROM_SPOT,
            **({"addressTag": withdrawal.memo} if withdrawal.memo else {}),
        }
        self._client.last_look = last_look
        answer = await _once(withdrawal.id, self._client.withdraw(**sent))
        if not isinstance(answer, dict) or not answer.get("id"):
            raise TransferOutcomeUnknown(withdrawal.id, "Binance answered without an id")
        return str(answer["id"])

    async def withdrawn(self, withdrawal: Withdrawal) -> Seen | None:
        """What became of it, by our id; None where Binance knows of none.

        Raises:
            VenueError: Binance cannot be asked, or refuses.
        """
        query = {"coin": withdrawal.asset, "withdrawOrderId": withdrawal.id, **self._days_of(withdrawal)}
        rows = await _asked(self._client.get_withdraw_history(**query))
        mine = [row for row in _understood(lambda: list(rows)) if row.get("withdrawOrderId") == withdrawal.id]
        return _understood(lambda: _withdrawal(mine[0])) if mine else None

    def _days_of(self, withdrawal: Withdrawal) -> dict[str, str]:
        """The days around one that is older than those that Binance looks through by itself."""
        offset_ms = self._client.timestamp_offset
        sent_ms, now_ms = withdrawal.sent_ns // _MS + offset_ms, self._clock.now_ns() // _MS + offset_ms
        if now_ms - sent_ms < _FOUND_BY_ID_MS:
            return {}
        since_ms = sent_ms - _FOUND_BY_ID_MS // 6
        return {"startTime": str(since_ms), "endTime": str(since_ms + _FOUND_BY_ID_MS)}

    async def deposits(self, asset: str, since_ns: int) -> Sequence[Seen]:
        """What arrived, or is seen on the chain, since then.

        Raises:
            VenueError: Binance cannot be asked, or refuses.
        """
        query = {"coin": asset, "startTime": str(since_ns // _MS)}
        rows = await _asked(self._client.get_deposit_history(**query))
        return _understood(lambda: [_deposit(row) for row in rows])

    async def leverage(self, symbol: str) -> Decimal:
        """Of a linear perpetual.

        Raises:
            VenueError: Binance cannot be asked, or refuses.
        """
        rows = await _asked(self._client.futures_symbol_config(symbol=symbol))
        return _understood(lambda: next(Decimal(str(row["leverage"])) for row in rows if row["symbol"] == symbol))

    async def is_hedge_mode(self) -> bool:
        """Whether long and short are two positions.

        Raises:
            VenueError: Binance cannot be asked, or refuses.
        """
        row = await _asked(self._client.futures_get_position_mode())
        return _understood(lambda: bool(row["dualSidePosition"]))


@asynccontextmanager
async def connected_transfers(
    settings: Settings, keys: ApiKeys, clock: Clock, budget: RequestBudget | None = None
) -> AsyncIterator[BinanceTransfers]:
    """The account of these keys, for the length of the block; `budget`: shared with who else asks, None: its own.

    Raises:
        SettingsError: If the key must not be used where Binance is.
        VenueError: Binance's clock cannot be asked for.
    """
    spot, linear = (keys.hosts.require(rest_url(feed, settings)) for feed in (SPOT, LINEAR))
    timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
    client = _Client(
        keys.key.get_secret_value(),
        keys.secret.get_secret_value(),
        # A redirect would carry the key elsewhere.
        requests_params={"timeout": timeout, "allow_redirects": False},
    )
    client.hosts = keys.hosts
    budget = budget or RequestBudget(VENUE, rates(), clock)
    if settings.market == "simulated":
        budget.told(WITHDRAWALS, limit=_ANY_NUMBER)
    client.answers = LibraryAnswers(budget, checked)
    client.API_URL, client.MARGIN_API_URL, client.FUTURES_URL = f"{spot}/api", f"{spot}/sapi", f"{linear}/fapi"

    async def time_ms() -> int:
        answer = await _asked(client.get_server_time())
        return _understood(lambda: int(answer["serverTime"]))

    try:
        offset_ns, _ = await measure_offset(time_ms, clock)
        client.timestamp_offset = offset_ns // _MS
        yield BinanceTransfers(client, clock)
    finally:
        await client.close_connection()


def _withdrawal(row: Any) -> Seen:
    begun = datetime.strptime(row["applyTime"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    state = _WITHDRAWN.get(int(row["status"]), MoveState.IN_TRANSIT)
    return _seen(row, state, round(begun.timestamp()) * 10**9)


def _deposit(row: Any) -> Seen:
    state = _DEPOSITED.get(int(row["status"]), MoveState.IN_TRANSIT)
    return _seen(row, state, int(row["insertTime"]) * _MS)


def _seen(row: Any, state: MoveState, begun_ns: int) -> Seen:
    return Seen(
        venue_id=str(row.get("id", "")),
        asset=row["coin"],
        network=row["network"],
        amount=Decimal(str(row["amount"])),
        address=row["address"],
        memo=row.get("addressTag") or "",
        state=state,
        tx_id=row.get("txId") or "",
        begun_ns=begun_ns,
    )


async def _asked(request: Awaitable[Any]) -> Any:
    """The answer to a question; a `VenueError` that holds nothing of the request otherwise."""
    try:
        return await request
    except BinanceAPIException as error:
        failed = _of_answer(error)
    except TimeoutError:
        failed = VenueUnavailable(VENUE, "no answer in time")
    except (BinanceRequestException, AttributeError, aiohttp.ContentTypeError):
        failed = VenueUnavailable(VENUE, "answered something that is not understood")
    except (aiohttp.ClientError, OSError) as error:
        failed = VenueUnavailable(VENUE, f"cannot be asked ({type(error).__name__})")
    raise failed


async def _once(transfer_id: str, request: Awaitable[Any]) -> Any:
    """The answer to a request that moves money, sent once; what is raised holds nothing of the request."""
    failed: BotError
    try:
        return await request
    except BinanceAPIException as error:
        failed = meaning(transfer_id, _of_answer(error), _EXISTS)
    except aiohttp.ClientConnectorError as error:
        failed = VenueUnavailable(VENUE, f"cannot be reached ({type(error).__name__})")
    # AttributeError: python-binance 1.0.37 reads `code` off an error before it knows that the answer is an object.
    except (BinanceRequestException, AttributeError, aiohttp.ClientError, OSError) as error:
        failed = TransferOutcomeUnknown(transfer_id, f"no answer that is understood ({type(error).__name__})")
    raise failed


def _of_answer(error: BinanceAPIException) -> VenueError:
    body = json.dumps({"code": error.code, "msg": error.message}) if error.code else ""
    try:
        checked(Answer(int(error.status_code), error.response.headers, body))
    except VenueError as meant:
        return meant
    return VenueUnavailable(VENUE, f"answered with HTTP {error.status_code}")


def _understood(read: Callable[[], _T]) -> _T:
    try:
        return read()
    except (KeyError, IndexError, TypeError, ValueError, ArithmeticError, AttributeError, StopIteration):
        failed = VenueUnavailable(VENUE, "answered something that is not understood")
    raise failed
