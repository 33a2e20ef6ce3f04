"""The accounts from Python, whose keys may be used on this machine; see `live_child`."""

import asyncio
import sys

import tests.integration.live_child  # noqa: F401 - lets keys be used on this machine
from modes.account import opened_account


async def main(settings: str, *, real_money: bool, waits: bool) -> None:
    async with opened_account(settings, real_money=real_money) as account:
        order = await account.long("binance.linear", "BTC/USDT:USDT", "0.002")
        print(order.status, order.filled_quantity, flush=True)
        if waits:
            await asyncio.to_thread(sys.stdin.readline)
        await account.short("binance.linear", "BTC/USDT:USDT", "0.002")  # a bot wants no position that is not its own


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], real_money="real" in sys.argv[2:], waits="wait" in sys.argv[2:]))
