"""`/sapi/v1/capital`: coins and their networks, withdrawals, deposits."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from exchanges.simulator.binance.errors import Rejected, missing, refused
from exchanges.simulator.binance.gateway import Call
from exchanges.simulator.binance.numbers import milliseconds, money, plain
from exchanges.simulator.binance.orders import time_filter
from exchanges.simulator.binance.spot_account import spot_balances
from exchanges.simulator.core.values import Network, Refusal, TransferState, TransferView

_NETWORKS = {"bitcoin": "BTC", "tron": "TRX", "ethereum": "ETH", "bsc": "BSC", "solana": "SOL"}
"""Binance's names of the chains."""
_LONG_NAMES = {
    "bitcoin": "Bitcoin", "tron": "Tron (TRC20)", "ethereum": "Ethereum (ERC20)", "bsc": "BNB Smart Chain (BEP20)",
    "solana": "Solana",
}  # fmt: skip
_COINS = {"BTC": "Bitcoin", "ETH": "Ethereum", "USDT": "TetherUS", "BNB": "BNB"}
_ADDRESSES = {
    "bitcoin": "^[13][a-km-zA-HJ-NP-Z1-9]{25,34}$|^(bc1)[0-9A-Za-z]{39,59}$",
    "tron": "^T[1-9A-HJ-NP-Za-km-z]{33}$",
    "solana": "^[1-9A-HJ-NP-Za-km-z]{32,44}$",
}
_ETHEREUM_ADDRESS = "^(0x)[0-9A-Fa-f]{40}$"
_WITHDRAWAL_STATUS = {
    TransferState.PROCESSING: 4,
    TransferState.CONFIRMING: 4,
    TransferState.DONE: 6,
    TransferState.FAILED: 5,
}
_DEPOSIT_STATUS = {
    TransferState.PROCESSING: 0,
    TransferState.CONFIRMING: 0,
    TransferState.DONE: 1,
    TransferState.FAILED: 2,
}
_LOOKED_THROUGH_NS = 7 * 86_400 * 10**9
"""For a `withdrawOrderId` that comes without times."""


def coins(call: Call) -> list[dict[str, object]]:
    """`capital/config/getall`: every coin with its networks."""
    by_asset: dict[str, list[Network]] = defaultdict(list)
    for network in call.account.networks():
        by_asset[network.asset].append(network)
    held = {one.asset: one for one in spot_balances(call)}
    zero = "0"
    rows: list[dict[str, object]] = []
    for asset in sorted(by_asset.keys() | held.keys()):
        networks, balance = by_asset[asset], held.get(asset)
        rows.append({
            "coin": asset,
            "depositAllEnable": any(one.can_deposit for one in networks),
            "withdrawAllEnable": any(one.can_withdraw for one in networks),
            "name": _COINS.get(asset, asset),
            "free": money(balance.total - balance.locked) if balance else zero,
            "locked": money(balance.locked) if balance else zero,
            "freeze": zero,
            "withdrawing": zero,
            "ipoing": zero,
            "ipoable": zero,
            "storage": zero,
            "isLegalMoney": False,
            "trading": True,
            "networkList": [_network(one, is_default=one is networks[0]) for one in networks],
        })  # fmt: skip
    return rows


def _network(one: Network, *, is_default: bool) -> dict[str, object]:
    return {
        "network": _NETWORKS.get(one.id, one.id.upper()),
        "coin": one.asset,
        "name": _LONG_NAMES.get(one.id, one.id),
        "withdrawIntegerMultiple": "0.00000001",
        "isDefault": is_default,
        "depositEnable": one.can_deposit,
        "withdrawEnable": one.can_withdraw,
        "depositDesc": "" if one.can_deposit else "Wallet Maintenance, Deposit Suspended",
        "withdrawDesc": "" if one.can_withdraw else "Wallet Maintenance, Withdrawal Suspended",
        "specialTips": "",
        "specialWithdrawTips": "",
        "addressRegex": _ADDRESSES.get(one.id, _ETHEREUM_ADDRESS),
        "memoRegex": "",
        "withdrawFee": plain(one.withdraw_fee),
        "withdrawMin": plain(_least(one)),
        "withdrawMax": "10000000000",
        "withdrawInternalMin": "0.00000001",
        "depositDust": "0.00000001",
        "minConfirm": one.confirmations,
        "unLockConfirm": 0,
        "sameAddress": False,
        "resetAddressStatus": False,
        "estimatedArrivalTime": max(1, round(one.confirmations * one.block_s / 60)),
        "busy": False,
        "contractAddress": one.contract,
        "contractAddressUrl": "",
        "denomination": 1,
    }


def _least(network: Network) -> Decimal:
    """The smallest `amount` that may be withdrawn: the fee is part of it."""
    return network.min_withdraw + network.withdraw_fee


def _chosen(call: Call) -> Network:
    """The network that `coin` and `network` name; the coin's first where none is named."""
    coin = call.parameters.required("coin").upper()
    of_coin = [one for one in call.account.networks() if one.asset == coin]
    if not of_coin:
        raise Rejected(-4018, "We don't have this asset.")
    name = call.parameters.text("network")
    for one in of_coin:
        if name in ("", _NETWORKS.get(one.id, one.id.upper())):
            return one
    raise refused(Refusal.UNKNOWN_NETWORK, None)


def withdraw(call: Call) -> dict[str, object]:
    """`capital/withdraw/apply`: `amount` leaves the wallet, and arrives less the fee."""
    network, sent = _chosen(call), call.parameters
    address, amount = sent.required("address"), sent.decimal("amount")
    if amount is None:
        raise missing("amount")
    if amount < _least(network):
        raise Rejected(-4022, f"Not less than the minimum pick-up quantity {plain(_least(network))}.")
    view = call.account.withdraw(
        network.asset,
        network.id,
        amount - network.withdraw_fee,
        address,
        sent.text("addressTag"),
        sent.text("withdrawOrderId"),
        call.desk.now_ns(),
    )
    if isinstance(view, Refusal):
        raise refused(view, None)
    return {"id": _withdrawal_id(view)}


def _withdrawal_id(view: TransferView) -> str:
    return hashlib.sha256(f"withdrawal:{view.number}:{view.created_ns}".encode()).hexdigest()[:32]


def _stamp(ts_ns: int) -> str:
    return datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def withdrawals(call: Call) -> list[dict[str, object]]:
    """`capital/withdraw/history`, newest first; by `withdrawOrderId` of the last seven days, if none are named."""
    wanted_id, status = call.parameters.text("withdrawOrderId"), call.parameters.integer("status")
    times = [call.parameters.integer(name) for name in ("startTime", "endTime")]
    since_ns = call.desk.now_ns() - _LOOKED_THROUGH_NS if wanted_id and times == [None, None] else 0
    rows = [
        _withdrawal(view)
        for view in _matching(call, call.account.withdrawals())
        if wanted_id in ("", view.client_id)
        and view.created_ns >= since_ns
        and status in (None, _WITHDRAWAL_STATUS[view.state])
    ]
    return _page(call, rows)


def _matching(call: Call, views: Sequence[TransferView]) -> list[TransferView]:
    within = time_filter(call)
    coin = call.parameters.text("coin").upper()
    return [one for one in reversed(views) if coin in ("", one.asset) and within(one.created_ns)]


def _page(call: Call, rows: list[dict[str, object]]) -> list[dict[str, object]]:
    start = call.parameters.integer("offset", 0)
    assert start is not None
    return rows[start : start + call.parameters.limit(1000, 1000)]


def _withdrawal(view: TransferView) -> dict[str, object]:
    row: dict[str, object] = {
        "id": _withdrawal_id(view),
        "amount": plain(view.amount),
        "transactionFee": plain(view.fee),
        "coin": view.asset,
        "status": _WITHDRAWAL_STATUS[view.state],
        "address": view.address,
        "addressTag": view.tag,
        "txId": view.tx_id,
        "applyTime": _stamp(view.created_ns),
        "network": _NETWORKS.get(view.network, view.network.upper()),
        "transferType": 0,
        "info": "",
        "confirmNo": view.confirmations,
        "walletType": 0,
        "txKey": "",
    }
    if view.client_id:
        row["withdrawOrderId"] = view.client_id
    if view.state is TransferState.DONE:
        row["completeTime"] = _stamp(view.updated_ns)
    return row


def deposits(call: Call) -> list[dict[str, object]]:
    """`capital/deposit/hisrec`, newest first."""
    status = call.parameters.integer("status")
    rows = [
        _deposit(view)
        for view in _matching(call, call.account.deposits())
        if status in (None, _DEPOSIT_STATUS[view.state])
    ]
    return _page(call, rows)


def _deposit(view: TransferView) -> dict[str, object]:
    row: dict[str, object] = {
        "id": str(view.number),
        "amount": plain(view.amount),
        "coin": view.asset,
        "network": _NETWORKS.get(view.network, view.network.upper()),
        "status": _DEPOSIT_STATUS[view.state],
        "address": view.address,
        "addressTag": view.tag,
        "txId": view.tx_id,
        "insertTime": milliseconds(view.created_ns),
        "transferType": 0,
        "confirmTimes": f"{view.confirmations}/{view.confirmations_needed}",
        "unlockConfirm": 0,
        "walletType": 0,
    }
    if view.state is TransferState.DONE:
        row["completeTime"] = milliseconds(view.updated_ns)
    return row


def deposit_address(call: Call) -> dict[str, object]:
    """`capital/deposit/address`."""
    network = _chosen(call)
    found = call.account.deposit_address(network.asset, network.id)
    if isinstance(found, Refusal):
        raise refused(found, None)
    address, tag = found
    return {"coin": network.asset, "address": address, "tag": tag, "url": ""}
