"""`--shadow`: the market with paper money, and its real venues beside it (docs/shadow.md)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed
from bot.domain.money import money_words
from bot.engine.shadow.run import SUFFIX, RealSide
from bot.errors import SettingsError
from bot.ports import QuoteDrivenVenue
from bot.settings import Settings
from bot.storage.journal import SqliteJournal

if TYPE_CHECKING:
    from exchanges.markets import OpenMarket


def check_shadow(settings: Settings, *, has_keys: bool) -> None:
    """Raise SettingsError where there is nobody to send real orders to."""
    if settings.market == "recorded":
        raise SettingsError("--shadow sends real orders, and nobody takes them at recorded prices; add --market")
    if settings.market == "live" and not has_keys:
        raise SettingsError(
            "--shadow sends real orders: on the live market that needs every lock of real money, "
            "--real-money, real_money: true and keys (docs/going-live.md)"
        )


def shadow_words(settings: Settings, *, real_money: bool) -> str:
    """What a person should read before anything else."""
    money = money_words(settings.market, real_money)
    return f"SHADOW: beside every paper order a real one of the venue's minimum size, with {money}"


def with_paper(opened: "OpenMarket") -> "OpenMarket":
    """The same market, whose orders go to the paper venue."""
    from exchanges.paper.actions import PaperActions

    market, settings = opened.market, opened.settings

    def paper(fees: Mapping[Feed, FeeSchedule]) -> QuoteDrivenVenue:
        return PaperActions(market.instruments, fees, settings.paper, market.clock)

    return replace(opened, venue=paper, no_orders_at=frozenset())


def real_side(
    opened: "OpenMarket", journal: SqliteJournal, run_id: str, accounts: Mapping[str, str] | None, *, real_money: bool
) -> RealSide:
    """The real orders of a run: `opened` as it was before `with_paper`."""
    beside = journal.beside(run_id + SUFFIX)
    return RealSide(opened.venue, beside, real_money, accounts, opened.no_orders_at)
