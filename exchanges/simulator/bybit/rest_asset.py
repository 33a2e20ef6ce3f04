"""`/v5/asset`: networks, withdrawals, deposits, and transfers between the two wallets.

Source: https://bybit-exchange.github.io/docs/v5/asset/withdraw (and its neighbours).
"""

import re
from contextlib import suppress
from decimal import Decimal
from typing import Any
from uuid import UUID

from exchanges.simulator.bybit.catalogue import plain
from exchanges.simulator.bybit.customer import FUND, UNIFIED
from exchanges.simulator.bybit.errors import ApiError, transfer_refused
from exchanges.simulator.bybit.params import page
from exchanges.simulator.bybit.requests import Call, Endpoint, span
from exchanges.simulator.core.values import Network, Refusal, TransferState, TransferView

_MS = 1_000_000
_SECOND_NS = 1_000_000_000
_CHAINS = {
    "bitcoin": ("BTC", "BTC"),
    "ethereum": ("ETH", "Ethereum"),
    "tron": ("TRX", "TRC20"),
    "bsc": ("BSC", "BNB Smart Chain"),
    "solana": ("SOL", "SOL"),
}
"""Bybit's `chain` and `chainType` by our name of the network."""
_NETWORKS = {chain: network for network, (chain, _) in _CHAINS.items()}
_WALLETS = {"UNIFIED": UNIFIED, "FUND": FUND}
_WITHDRAWAL = {
    TransferState.PROCESSING: "SecurityCheck",
    TransferState.CONFIRMING: "BlockchainConfirmed",
    TransferState.DONE: "success",
    TransferState.FAILED: "Fail",
}
_DEPOSIT = {
    TransferState.PROCESSING: 0,
    TransferState.CONFIRMING: 1,
    TransferState.DONE: 3,
    TransferState.FAILED: 4,
}
_USER = "24617703"
_REQUEST = re.compile("[A-Za-z0-9]{1,32}")


def coin_info(call: Call) -> dict[str, Any]:
    """What can be deposited and withdrawn, and how."""
    wanted = call.params.text("coin", "")
    by_coin: dict[str, list[Network]] = {}
    for network in call.own.account.networks():
        by_coin.setdefault(network.asset, []).append(network)
    call.message = "success"
    coins = [coin for coin in by_coin if wanted in ("", coin)]
    rows = [
        {"name": coin, "coin": coin, "remainAmount": "50000000", "chains": [_chain(one) for one in by_coin[coin]]}
        for coin in coins
    ]
    return {"rows": rows}


def _chain(network: Network) -> dict[str, str]:
    chain, kind = _CHAINS.get(network.id, (network.id.upper(), network.id))
    return {
        "chainType": kind,
        "confirmation": str(network.confirmations),
        "withdrawFee": plain(network.withdraw_fee),
        "depositMin": "0",
        "withdrawMin": plain(network.min_withdraw),
        "chain": chain,
        "chainDeposit": "1" if network.can_deposit else "0",
        "chainWithdraw": "1" if network.can_withdraw else "0",
        "minAccuracy": "8",
        "withdrawPercentageFee": "0",
        "contractAddress": network.contract,
        "safeConfirmNumber": str(network.confirmations * 2),
    }


def withdraw(call: Call) -> dict[str, str]:
    """Send away; the same `requestId` again is the same withdrawal."""
    params, own = call.params, call.own
    call.message = "success"
    request = params.text("requestId", "")
    if request and not _REQUEST.fullmatch(request):
        raise ApiError(131002, "Parameter error: requestId")
    if request in own.requests:
        return {"id": str(own.requests[request])}
    coin, amount = params.text("coin"), _amount(call)
    network = _network(call, coin, params.text("chain"))
    address, tag = params.text("address"), params.text("tag", "")
    params.text("timestamp")
    params.integer("timestamp", 0)
    source = params.choice("accountType", ("FUND", "UTA", "FUND,UTA"))
    if params.integer("feeType", 0, most=1):
        # 1: what is named leaves the wallet; 0: it arrives, and the fee comes on top.
        amount -= network.withdraw_fee
    if amount < network.min_withdraw:
        raise transfer_refused(Refusal.AMOUNT_TOO_SMALL)
    _pace(call, coin, network.id)
    done = _send(call, network, amount, address, tag, request, source)
    own.withdrawn_ns[coin, network.id] = call.now_ns
    if request:
        own.requests[request] = done.number
    return {"id": str(done.number)}


def _pace(call: Call, coin: str, network: str) -> None:
    last = call.own.withdrawn_ns.get((coin, network))
    if last is not None and call.now_ns - last < call.venue.options.withdraw_interval_s * _SECOND_NS:
        raise ApiError(131096, "Withdraw too frequently; one request per chain and coin in 10 seconds")


def _send(
    call: Call, network: Network, amount: Decimal, address: str, tag: str, request: str, source: str
) -> TransferView:
    account, coin, now_ns = call.own.account, network.asset, call.now_ns
    # The unified wallet pays through the funding wallet: what lacks there is moved first, and back if it is refused.
    missing = amount + network.withdraw_fee - (_free(call, FUND, coin) if "FUND" in source else Decimal(0))
    moved = missing if "UTA" in source and missing > 0 else Decimal(0)
    if moved:
        _check(account.move(coin, moved, source=UNIFIED, target=FUND, ts_ns=now_ns))
    done = account.withdraw(coin, network.id, amount, address, tag, request, now_ns)
    if not isinstance(done, Refusal):
        return done
    if moved:
        account.move(coin, moved, source=FUND, target=UNIFIED, ts_ns=now_ns)
    raise transfer_refused(done)


def _free(call: Call, wallet: str, coin: str) -> Decimal:
    held = (one for one in call.own.account.balances() if (one.wallet, one.asset) == (wallet, coin))
    return sum((one.total - one.locked for one in held), Decimal(0))


def _check(done: int | Refusal) -> int:
    if isinstance(done, Refusal):
        raise transfer_refused(done)
    return done


def _amount(call: Call) -> Decimal:
    amount = call.params.number("amount")
    if amount is None or amount <= 0:
        raise transfer_refused(Refusal.BAD_QUANTITY)
    return amount


def _network(call: Call, coin: str, chain: str) -> Network:
    offered = [one for one in call.own.account.networks() if one.asset == coin]
    if not offered:
        raise transfer_refused(Refusal.UNKNOWN_INSTRUMENT)
    wanted = _NETWORKS.get(chain)
    for one in offered:
        if one.id == wanted:
            return one
    raise transfer_refused(Refusal.UNKNOWN_NETWORK)


def withdrawals(call: Call) -> dict[str, Any]:
    """Withdrawals, newest first."""
    number, request = call.params.text("withdrawID", ""), call.params.text("withdrawId", "")
    coin, tx_id = call.params.text("coin", ""), call.params.text("txID", "")
    rows = [
        _withdrawal_row(view)
        for view in reversed(call.own.account.withdrawals())
        if (coin in ("", view.asset))
        and tx_id in ("", view.tx_id)
        and (number or request) in ("", str(view.number))
        and _in_time(call, view)
    ]
    return _rows(call, rows)


def _withdrawal_row(view: TransferView) -> dict[str, Any]:
    return {
        "coin": view.asset,
        "chain": _chain_name(view),
        "amount": plain(view.amount),
        "txID": view.tx_id,
        "status": _WITHDRAWAL[view.state],
        "toAddress": view.address,
        "tag": view.tag,
        "withdrawFee": plain(view.fee),
        "createTime": str(view.created_ns // _MS),
        "updateTime": str(view.updated_ns // _MS),
        "withdrawId": str(view.number),
        "withdrawType": 0,
        "tax": "",
        "taxRate": "",
        "taxType": "",
    }


def deposits(call: Call) -> dict[str, Any]:
    """Deposits, newest first."""
    coin, tx_id = call.params.text("coin", ""), call.params.text("txID", "")
    rows = [
        _deposit_row(view)
        for view in reversed(call.own.account.deposits())
        if coin in ("", view.asset) and tx_id in ("", view.tx_id) and _in_time(call, view)
    ]
    return _rows(call, rows)


def _deposit_row(view: TransferView) -> dict[str, Any]:
    is_done = view.state is TransferState.DONE
    return {
        "id": str(view.number),
        "coin": view.asset,
        "chain": _chain_name(view),
        "amount": plain(view.amount),
        "txID": view.tx_id,
        "status": _DEPOSIT[view.state],
        "toAddress": view.address,
        "tag": view.tag,
        "depositFee": "",
        "successAt": str(view.updated_ns // _MS) if is_done else "",
        "confirmations": str(view.confirmations),
        "txIndex": "0",
        "blockHash": "",
        "batchReleaseLimit": "-1",
        "depositType": "0",
        "fromAddress": "",
        "taxDepositRecordsId": "0",
        "taxStatus": 0,
    }


def _chain_name(view: TransferView) -> str:
    return _CHAINS.get(view.network, (view.network.upper(), ""))[0]


def _in_time(call: Call, view: TransferView) -> bool:
    start, end = call.params.integer("startTime", 0), call.params.integer("endTime", 2**53)
    return start <= view.created_ns // _MS <= end


def _rows(call: Call, rows: list[dict[str, Any]]) -> dict[str, Any]:
    call.message = "success"
    shown, cursor = page(rows, call.params, default=50, most=50)
    return {"rows": shown, "nextPageCursor": cursor}


def deposit_address(call: Call) -> dict[str, Any]:
    """Where to send a coin, by chain."""
    coin, chain = call.params.text("coin"), call.params.text("chainType", "")
    chains = []
    for network in call.own.account.networks():
        name, kind = _CHAINS.get(network.id, (network.id.upper(), network.id))
        if network.asset != coin or chain not in ("", name, kind):
            continue
        found = call.own.account.deposit_address(coin, network.id)
        if isinstance(found, Refusal):
            raise transfer_refused(found)
        row = {"chainType": kind, "addressDeposit": found[0], "tagDeposit": found[1], "chain": name}
        chains.append({**row, "batchReleaseLimit": "-1", "contractAddress": ""})
    if not chains:
        raise transfer_refused(Refusal.UNKNOWN_NETWORK)
    call.message = "success"
    return {"coin": coin, "chains": chains}


def transfer(call: Call) -> dict[str, str]:
    """Move money between the wallets, at once; a `transferId` is good for one transfer."""
    params, own = call.params, call.own
    name, coin, amount = _uuid(params.text("transferId")), params.text("coin"), _amount(call)
    source = params.choice("fromAccountType", _WALLETS)
    target = params.choice("toAccountType", _WALLETS)
    if source == target:
        raise ApiError(131002, "Parameter error: fromAccountType and toAccountType are the same")
    if any(row["transferId"] == name for row in own.transfers):
        raise ApiError(131214, "Duplicate transferId")
    _check(own.account.move(coin, amount, source=_WALLETS[source], target=_WALLETS[target], ts_ns=call.now_ns))
    row = {"transferId": name, "coin": coin, "amount": plain(amount), "fromAccountType": source}
    own.transfers.append({**row, "toAccountType": target, "timestamp": str(call.now_ms), "status": "SUCCESS"})
    call.message = "success"
    return {"transferId": name, "status": "SUCCESS"}


def _uuid(text: str) -> str:
    with suppress(ValueError):
        if str(UUID(text)) == text:
            return text
    raise ApiError(131203, "Request parameter error: transferId is not a UUID")


def transfers(call: Call) -> dict[str, Any]:
    """Transfers between the wallets, newest first; those of seven days, whatever is named."""
    name, coin = call.params.text("transferId", ""), call.params.text("coin", "")
    start, end = span(call)
    rows = [
        row
        for row in reversed(call.own.transfers)
        if name in ("", row["transferId"]) and coin in ("", row["coin"]) and start <= int(row["timestamp"]) <= end
    ]
    call.message = "success"
    shown, cursor = page(rows, call.params, default=20, most=50)
    return {"list": shown, "nextPageCursor": cursor}


def coins_balance(call: Call) -> dict[str, Any]:
    """What every coin of one wallet amounts to."""
    kind = call.params.choice("accountType", _WALLETS)
    wanted = [coin for coin in call.params.text("coin", "").split(",") if coin]
    held = {one.asset: one for one in call.own.account.balances() if one.wallet == _WALLETS[kind]}
    balance = []
    for coin in wanted or held:
        one = held.get(coin)
        total, free = (one.total, one.total - one.locked) if one is not None else (Decimal(0), Decimal(0))
        row = {"coin": coin, "transferBalance": plain(max(free, Decimal(0))), "walletBalance": plain(total)}
        balance.append({**row, "bonus": ""})
    call.message = "success"
    return {"memberId": _USER, "accountType": kind, "balance": balance}


def coin_balance(call: Call) -> dict[str, Any]:
    """The same of one coin."""
    call.params.text("coin")
    many = coins_balance(call)
    row = many["balance"][0]
    whole = {"accountType": many["accountType"], "bizType": 1, "accountId": _USER, "memberId": _USER}
    return {**whole, "balance": {**row, "transferSafeAmount": "", "ltvTransferSafeAmount": ""}}


ENDPOINTS = (
    Endpoint("GET", "/v5/asset/coin/query-info", coin_info, "asset"),
    Endpoint("POST", "/v5/asset/withdraw/create", withdraw, "withdraw"),
    Endpoint("GET", "/v5/asset/withdraw/query-record", withdrawals, "asset"),
    Endpoint("GET", "/v5/asset/deposit/query-record", deposits, "asset"),
    Endpoint("GET", "/v5/asset/deposit/query-address", deposit_address, "asset"),
    Endpoint("POST", "/v5/asset/transfer/inter-transfer", transfer, "transfer"),
    Endpoint("GET", "/v5/asset/transfer/query-inter-transfer-list", transfers, "asset"),
    Endpoint("GET", "/v5/asset/transfer/query-account-coins-balance", coins_balance, "asset"),
    Endpoint("GET", "/v5/asset/transfer/query-account-coin-balance", coin_balance, "asset"),
)
