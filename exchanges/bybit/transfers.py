"""Moves money of a Bybit account, through pybit, which blocks: on a thread of its own.

Source: https://bybit-exchange.github.io/docs/v5/asset (withdraw, inter-transfer, deposit).
pybit's errors hold what it sent: none of them is passed on, nor chained.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from pybit.exceptions import FailedRequestError, InvalidRequestError
from pybit.unified_trading import HTTP
from urllib3.exceptions import NewConnectionError

from bot.clock import Clock
from bot.domain.instrument import Feed, Segment
from bot.domain.network import AssetNetwork
from bot.errors import BotError, TransferOutcomeUnknown, TransferRefused, VenueError, VenueUnavailable
from bot.ports.transfers import InternalMove, MoveState, Seen, Withdrawal, no_look
from bot.settings import Settings
from exchanges.bybit.endpoints import rest_url
from exchanges.bybit.errors import venue_error
from exchanges.bybit.networks import networks_of
from exchanges.bybit.normalize import VENUE
from exchanges.bybit.pages import MOST_PAGES
from exchanges.bybit.refusals import checked, code_of
from exchanges.bybit.request_costs import cost, learn, rates, refused_for
from exchanges.common.account.transfer_answers import all_networks, meaning
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.library_answers import LibraryAnswers
from exchanges.common.requests.request_budget import Cost, RequestBudget
from exchanges.common.requests.request_pool import Lane
from exchanges.common.requests.signing_hosts import SigningHosts
from exchanges.common.requests.venue_http import Answer
from exchanges.common.told import by_key

_TIMEOUT_S = 10
_PAID_WITHIN_S = 30.0
"""More than any lane's patience."""
_WINDOW_MS = 10_000
_MS = 1_000_000
_SKEW_MS = 2_000
_DAY_MS = 86_400_000
_WITHDRAW = "/v5/asset/withdraw/create"
_ACCOUNTS = {"unified": "UNIFIED", "fund": "FUND"}
_EXISTS = frozenset({131214})
_FEE_TAKEN_OUT = 1
"""`feeType`: what is named leaves the wallet."""
_WITHDRAWN = {
    "success": MoveState.DONE,
    "CancelByUser": MoveState.FAILED,
    "Reject": MoveState.FAILED,
    "Fail": MoveState.FAILED,
}
_DEPOSITED = {3: MoveState.DONE, 4: MoveState.FAILED}
_MOVED = {"SUCCESS": MoveState.DONE, "FAILED": MoveState.FAILED}

_T = TypeVar("_T")


class _Client(HTTP):  # type: ignore[misc]  # pybit has no types
    """Signs for nobody but the hosts of its key, and pays for each request before it is sent.

    It runs on a thread of its own, and what is counted belongs to the loop.
    """

    def __init__(self, hosts: SigningHosts, answers: LibraryAnswers, **rest: Any) -> None:
        super().__init__(**rest)
        self._hosts = hosts
        self._answers = answers
        self._loop = asyncio.get_running_loop()
        self._charged: Cost = {}
        self.last_look: Callable[[], None] = no_look
        """Of the withdrawal that is being sent: there is one at a time."""

    def _submit_request(
        self, method: str | None = None, path: str | None = None, query: Any = None, auth: bool = False
    ) -> Any:
        self._hosts.require(path or "")
        self._charged = cost(urlsplit(path or "").path, query or {})
        paying = self._answers.budget.acquire(self._charged, Lane.READ)
        granted = asyncio.run_coroutine_threadsafe(paying, self._loop)
        try:
            ticket = granted.result(_PAID_WITHIN_S)
        except TimeoutError:  # the loop has ended: this thread must not wait for it
            granted.cancel()
            raise VenueUnavailable(VENUE, "not asked: nobody answers for its budget any more") from None
        try:
            if urlsplit(path or "").path == _WITHDRAW:
                self.last_look()
            return super()._submit_request(method=method, path=path, query=query, auth=auth)
        finally:
            self._loop.call_soon_threadsafe(ticket.settle)

    def _check_status_code(self, response: Any, method: Any, path: Any, params: Any) -> None:
        answer = Answer(response.status_code, response.headers, response.text)
        self._loop.call_soon_threadsafe(self._learn, self._charged, answer)
        super()._check_status_code(response, method, path, params)

    def _learn(self, charged: Cost, answer: Answer) -> None:
        learn(self._answers.budget, charged, answer)
        self._answers.take(answer, refused_for(charged, code_of(answer)))


class BybitTransfers:
    """One account. Implements `bot.ports.transfers.AccountOperations`; made by `connected_transfers`."""

    venue = VENUE
    wallets: Sequence[str] = ("unified", "fund")
    trading_wallet = "unified"
    deposit_wallet = "fund"

    def __init__(self, client: Any, clock: Clock, thread: ThreadPoolExecutor) -> None:
        self._client = client
        self._clock = clock
        self._thread = thread

    async def move(self, move: InternalMove) -> None:
        """Move between the unified and the funding wallet, at once; Bybit does one of an id once.

        Raises:
            TransferRefused: Bybit refused it.
            TransferOutcomeUnknown: It may have been done, or one of this id is there already.
            VenueError: It was not taken.
        """
        sent = {
            "transferId": move.id,
            "coin": move.asset,
            "amount": f"{move.amount:f}",
            "fromAccountType": _ACCOUNTS[move.source],
            "toAccountType": _ACCOUNTS[move.target],
        }
        answer = await self._once(move.id, lambda: self._client.create_internal_transfer(**sent))
        _require_done(move.id, answer)

    async def moved(self, move: InternalMove) -> MoveState | None:
        """What became of it, by its id.

        Raises:
            VenueError: Bybit cannot be asked, or refuses.
        """
        # Without a time it looks through the last seven days, whatever the id; with one, through seven days from there.
        since_ms = move.sent_ns // _MS - _DAY_MS
        asked = partial(self._client.get_internal_transfer_records, transferId=move.id, startTime=since_ms)
        rows = await self._rows(asked, "list")
        mine = [row for row in rows if row.get("transferId") == move.id]
        return _MOVED.get(str(mine[0].get("status")), MoveState.IN_TRANSIT) if mine else None

    async def deposited(self, asset: str) -> Decimal:
        """What of an asset lies in the funding wallet.

        Raises:
            VenueError: Bybit cannot be asked, or refuses.
        """
        query = {"accountType": _ACCOUNTS[self.deposit_wallet], "coin": asset}
        answer = await self._asked(lambda: self._client.get_coin_balance(**query))
        return _understood(lambda: Decimal(answer["result"]["balance"]["walletBalance"]))

    async def networks(self, asset: str) -> Sequence[AssetNetwork]:
        """Every network of the asset, as it is now.

        Raises:
            VenueError: Bybit cannot be asked, or tells of none.
        """
        answer = await self._asked(lambda: self._client.get_coin_info(coin=asset))
        rows = _understood(lambda: by_key(answer["result"]["rows"], "coin"))
        return all_networks(VENUE, asset, networks_of(rows, [asset], self._clock.now_ns()))

    async def deposit_address(self, network: AssetNetwork) -> tuple[str, str]:
        """Address and memo.

        Raises:
            VenueError: Bybit cannot be asked, or refuses.
        """
        answer = await self._asked(lambda: self._client.get_master_deposit_address(coin=network.asset))

        def found() -> tuple[str, str]:
            row = next(one for one in answer["result"]["chains"] if one["chain"] == network.name)
            return str(row["addressDeposit"]), str(row.get("tagDeposit") or "")

        return _understood(found)

    async def withdraw(self, withdrawal: Withdrawal, last_look: Callable[[], None] = no_look) -> str:
        """Send away; returns Bybit's id of it. `requestId` is ours: one of an id is done once.

        What `last_look` raises comes out, and nothing was sent.

        Raises:
            TransferRefused: Bybit refused it.
            TransferOutcomeUnknown: It may have been done.
            VenueError: It was not taken.
        """
        sent = {
            "coin": withdrawal.asset,
            "chain": withdrawal.network,
            "address": withdrawal.address,
            "amount": f"{withdrawal.amount:f}",
            "timestamp": self._clock.now_ns() // _MS,
            "forceChain": 1,
            "accountType": "UTA",
            "feeType": _FEE_TAKEN_OUT,
            "requestId": withdrawal.id,
            **({"tag": withdrawal.memo} if withdrawal.memo else {}),
        }
        self._client.last_look = last_look
        answer = await self._once(withdrawal.id, lambda: self._client.withdraw(**sent))
        try:
            return str(answer["result"]["id"])
        except (KeyError, TypeError):
            failed = TransferOutcomeUnknown(withdrawal.id, "Bybit answered without an id")
        raise failed

    async def withdrawn(self, withdrawal: Withdrawal) -> Seen | None:
        """What became of it: the first to its address, of its amount less the fee, since it was sent.

        Bybit's records do not name `requestId`, so that two of one amount to one address must not be sent at a time.

        Raises:
            VenueError: Bybit cannot be asked, or refuses.
        """
        since_ms = withdrawal.sent_ns // _MS - _SKEW_MS
        rows = await self._rows(
            self._client.get_withdrawal_records, "rows", coin=withdrawal.asset, startTime=since_ms, limit=50
        )
        found = [
            one for one in _understood(lambda: [_withdrawal(row) for row in rows]) if _is_of(one[0], one[1], withdrawal)
        ]
        return min((one[0] for one in found), key=lambda seen: seen.begun_ns, default=None)

    async def deposits(self, asset: str, since_ns: int) -> Sequence[Seen]:
        """What arrived, or is seen on the chain, since then.

        Raises:
            VenueError: Bybit cannot be asked, or refuses.
        """
        rows = await self._rows(
            self._client.get_deposit_records, "rows", coin=asset, startTime=since_ns // _MS, limit=50
        )
        return _understood(lambda: [_deposit(row) for row in rows])

    async def leverage(self, symbol: str) -> Decimal:
        """Of a linear perpetual.

        Raises:
            VenueError: Bybit cannot be asked, or refuses.
        """
        row = await self._position(symbol)
        return _understood(lambda: Decimal(row["leverage"]))

    async def is_hedge_mode(self) -> bool:
        """Whether long and short are two positions, of the perpetual that is asked about first.

        Raises:
            VenueError: Bybit cannot be asked, or refuses.
        """
        row = await self._position("BTCUSDT")
        return _understood(lambda: int(row["positionIdx"]) != 0)

    async def _position(self, symbol: str) -> Any:
        answer = await self._asked(lambda: self._client.get_positions(category="linear", symbol=symbol))
        return _understood(lambda: answer["result"]["list"][0])

    async def _rows(self, question: Callable[..., Any], name: str, **query: Any) -> list[Any]:
        rows: list[Any] = []
        for _ in range(MOST_PAGES):
            answer = await self._asked(partial(question, **query))
            page, cursor = _understood(partial(_page, answer, name))
            rows += page
            if not cursor:
                return rows
            query = {**query, "cursor": cursor}
        raise VenueUnavailable(VENUE, f"tells no end of its {name}")

    async def _asked(self, request: Callable[[], Any]) -> Any:
        """The answer to a question; a `VenueError` that holds nothing of the request otherwise."""
        try:
            return await self._in_thread(request)
        except (FailedRequestError, InvalidRequestError, PermissionError, OSError) as error:
            failed = venue_error(error)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            failed = venue_error(error)  # pybit itself trips over an answer that is JSON and not an object
        raise failed

    async def _once(self, transfer_id: str, request: Callable[[], Any]) -> Any:
        """The answer to a request that moves money, sent once; what is raised holds nothing of the request."""
        failed: BotError
        try:
            return await self._in_thread(request)
        except InvalidRequestError as error:
            failed = meaning(transfer_id, _of_code(error), _EXISTS)
        except FailedRequestError as error:
            failed = _of_status(transfer_id, error.status_code)
        except requests.RequestException as error:
            failed = _of_network(transfer_id, error)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            failed = TransferOutcomeUnknown(transfer_id, f"no answer that is understood ({type(error).__name__})")
        raise failed

    async def _in_thread(self, request: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, request)


@asynccontextmanager
async def connected_transfers(
    settings: Settings, keys: ApiKeys, clock: Clock, budget: RequestBudget | None = None
) -> AsyncIterator[BybitTransfers]:
    """The account of these keys, for the length of the block; `budget`: shared with who else asks, None: its own.

    Raises:
        SettingsError: If the key must not be used where Bybit is.
    """
    base = keys.hosts.require(rest_url(Feed(venue=VENUE, segment=Segment.SPOT), settings))
    # retry_codes={0}: pybit replaces an empty set by codes that it retries with blocking sleeps, losing the code.
    client: Any = _Client(
        keys.hosts,
        LibraryAnswers(budget or RequestBudget(VENUE, rates(), clock), checked),
        api_key=keys.key.get_secret_value(),
        api_secret=keys.secret.get_secret_value(),
        timeout=_TIMEOUT_S,
        max_retries=1,
        retry_codes={0},
        recv_window=_WINDOW_MS,
    )
    client.endpoint = base
    client.client.trust_env = False  # no proxy and no netrc from the environment
    client.client.max_redirects = 0  # a redirect would carry the key elsewhere
    client.logger.handlers.clear()
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bybit-transfers")
    try:
        yield BybitTransfers(client, clock, thread)
    finally:
        thread.shutdown(wait=False)
        client.client.close()


def _page(answer: Any, name: str) -> tuple[list[Any], str]:
    """Its rows, and where the next page begins; empty at the end."""
    result = answer["result"]
    return list(result[name] or ()), str(result.get("nextPageCursor") or "")


def _withdrawal(row: Any) -> tuple[Seen, Decimal]:
    """It, and its fee."""
    state = _WITHDRAWN.get(row["status"], MoveState.IN_TRANSIT)
    seen = _seen(row, str(row["withdrawId"]), state, int(row["createTime"]) * _MS)
    return seen, Decimal(row["withdrawFee"])


def _is_of(seen: Seen, fee: Decimal, withdrawal: Withdrawal) -> bool:
    there = (seen.address, seen.memo, seen.network, seen.amount + fee)
    is_since = seen.begun_ns >= withdrawal.sent_ns - _SKEW_MS * _MS
    return is_since and there == (withdrawal.address, withdrawal.memo, withdrawal.network, withdrawal.amount)


def _deposit(row: Any) -> Seen:
    state = _DEPOSITED.get(int(row["status"]), MoveState.IN_TRANSIT)
    return _seen(row, str(row.get("id", "")), state, int(row.get("successAt") or 0) * _MS)


def _seen(row: Any, venue_id: str, state: MoveState, begun_ns: int) -> Seen:
    return Seen(
        venue_id=venue_id,
        asset=row["coin"],
        network=row["chain"],
        amount=Decimal(row["amount"]),
        address=row["toAddress"],
        memo=row.get("tag") or "",
        state=state,
        tx_id=row.get("txID") or "",
        begun_ns=begun_ns,
    )


def _require_done(transfer_id: str, answer: Any) -> None:
    """Code 0 says that a move was taken; whether it is done stands in its status."""
    result = answer.get("result")
    state = _MOVED.get(str(result.get("status"))) if isinstance(result, dict) else None
    if state is MoveState.FAILED:
        raise TransferRefused(transfer_id, "Bybit took it, and gave it up")
    if state is not MoveState.DONE:
        raise TransferOutcomeUnknown(transfer_id, "Bybit took it, and has not said that it is done")


def _of_code(error: InvalidRequestError) -> VenueError:
    try:
        checked(Answer(200, {}, json.dumps({"retCode": error.status_code, "retMsg": error.message})))
    except VenueError as meant:
        return meant
    return VenueUnavailable(VENUE, "answered with an error without a code")


def _of_status(transfer_id: str, status: int) -> BotError:
    is_known = status in (401, 403, 404, 429)  # turned away before it was read
    if is_known:
        return venue_error(FailedRequestError("", "", status, "", None))
    return TransferOutcomeUnknown(transfer_id, f"no answer that is understood (HTTP {status})")


def _of_network(transfer_id: str, error: requests.RequestException) -> BotError:
    cause = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(error, requests.ConnectTimeout) or isinstance(cause, NewConnectionError):
        return VenueUnavailable(VENUE, "cannot be reached")
    return TransferOutcomeUnknown(transfer_id, f"no answer ({type(error).__name__})")


def _understood(read: Callable[[], _T]) -> _T:
    try:
        return read()
    except (KeyError, IndexError, TypeError, ValueError, ArithmeticError, AttributeError, StopIteration):
        failed = VenueUnavailable(VENUE, "answered something that is not understood")
    raise failed
