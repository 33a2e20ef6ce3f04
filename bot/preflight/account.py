"""Whether a key and an account are fit to be traded with. A venue that cannot say is no answer in its favour."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from bot.domain.account_facts import AccountModes, KeyRights
from bot.domain.instrument import Instrument, Segment
from bot.engine.margin_wallets import wallet_name
from bot.preflight.check import Check, Verdict, failed, ok, warning

_DAY_NS = 86_400_000_000_000
_SOON_DAYS = 7


@dataclass(frozen=True, slots=True)
class Stakes:
    """What is at stake, and what a person has acknowledged."""

    real_money: bool
    unbound_ok: bool = False
    """`keys.unbound_ok`."""
    transfers: bool = False
    """Whether withdrawals are enabled; only then may a key have the right."""

    @property
    def worst(self) -> Verdict:
        """Of what puts real money at risk, and play money not."""
        return Verdict.FAILED if self.real_money else Verdict.WARNING


def judge_rights(
    venue: str, rights: KeyRights | None, segments: Iterable[Segment], stakes: Stakes, now_ns: int
) -> list[Check]:
    """What a key may do, against what it should.

    Args:
        venue: Whose key it is.
        rights: As the venue tells them; None where it cannot.
        segments: In which orders are to be placed.
        stakes: Decide how strict to be.
        now_ns: UTC ns.
    """
    name = "key rights"
    if rights is None:
        # `keys.unbound_ok` is about addresses: that a key may not withdraw is nothing to take a person's word for.
        advice = "real money wants a key of which the venue says that it may not withdraw"
        return [Check(name, venue, stakes.worst, "the venue does not say what the key may do", advice)]
    return [*_trading(name, venue, rights, segments), *_withdrawing(name, venue, rights, stakes),
            *_binding(venue, rights, stakes), *_ending(venue, rights, now_ns)]  # fmt: skip


def _trading(name: str, venue: str, rights: KeyRights, segments: Iterable[Segment]) -> Iterator[Check]:
    missing = sorted(segment for segment in segments if segment not in rights.may_trade)
    if not rights.may_read or missing:
        what = " and ".join([*([] if rights.may_read else ["read"]), *(f"trade {segment}" for segment in missing)])
        yield failed(name, venue, f"the key may not {what}", "give it that right on the venue's page of API keys")
    else:
        yield ok(name, venue, f"may read, and trade {' and '.join(sorted(rights.may_trade)) or 'nothing'}")


def _withdrawing(name: str, venue: str, rights: KeyRights, stakes: Stakes) -> Iterator[Check]:
    if not rights.may_withdraw and stakes.transfers:
        advice = "give the key that right, with the venue's list of addresses on, or switch transfers.enabled off"
        yield warning(name, venue, "may not withdraw, and transfers are enabled: none will leave", advice)
    elif not rights.may_withdraw:
        yield ok(name, venue, "may not withdraw")
    elif stakes.transfers:
        yield warning(name, venue, "may withdraw, as transfers want it", "keep the venue's list of addresses on")
    else:
        advice = "make a key without the right to withdraw: whoever gets hold of this one takes everything"
        yield Check(name, venue, stakes.worst, "the key may withdraw, and transfers are not enabled", advice)


def _binding(venue: str, rights: KeyRights, stakes: Stakes) -> Iterator[Check]:
    if rights.is_ip_bound:
        yield ok("key addresses", venue, "bound to addresses")
    else:
        advice = "bind it to the addresses of this machine on the venue's page, or set keys.unbound_ok"
        verdict = Verdict.WARNING if stakes.unbound_ok else stakes.worst
        yield Check("key addresses", venue, verdict, "the key works from any address", advice)


def _ending(venue: str, rights: KeyRights, now_ns: int) -> Iterator[Check]:
    if rights.expires_ns is None:
        return
    days = (rights.expires_ns - now_ns) / _DAY_NS
    if days <= 0:
        yield failed("key expiry", venue, "the key has expired", "make a new one")
    elif days <= _SOON_DAYS:
        yield warning("key expiry", venue, f"the key expires in {days:.1f} days", "make a new one before that")
    else:
        yield ok("key expiry", venue, f"in {days:.0f} days")


def judge_modes(
    venue: str, modes: AccountModes, instruments: Sequence[Instrument], margin_ratio: Decimal, stakes: Stakes
) -> list[Check]:
    """How an account is set, against what the bot counts on. Nothing is ever switched: other programs may count on it.

    Args:
        venue: Whose account it is.
        modes: As the venue tells them.
        instruments: To be traded there.
        margin_ratio: Part of a derivative's notional that is reckoned as its margin.
        stakes: Decide how strict to be.
    """
    held = [one for one in instruments if one.segment is not Segment.SPOT]
    if not held:
        return []
    return [*_position_mode(venue, modes), *_assets(venue, modes, stakes), *_margins(modes, held, margin_ratio, stakes)]


def _position_mode(venue: str, modes: AccountModes) -> Iterator[Check]:
    if modes.is_one_way:
        yield ok("position mode", venue, "one-way")
    else:
        said = "the venue does not say" if modes.is_one_way is None else "hedge mode"
        advice = "close its positions, then set it to one-way mode on the venue's page; the bot switches nothing"
        yield failed("position mode", venue, said, advice)


def _assets(venue: str, modes: AccountModes, stakes: Stakes) -> Iterator[Check]:
    if modes.is_multi_asset:
        advice = "set single-asset mode: margin of other assets is not in the bot's figures"
        yield Check("margin assets", venue, stakes.worst, "multi-assets mode", advice)
    elif modes.is_multi_asset is not None:
        yield ok("margin assets", venue, "single-asset mode")


def _margins(modes: AccountModes, held: Sequence[Instrument], margin_ratio: Decimal, stakes: Stakes) -> Iterator[Check]:
    for one in held:
        is_cross, leverage = modes.is_cross.get(one.id), modes.leverage.get(one.id)
        if is_cross is not True:
            said = "the venue does not say" if is_cross is None else "isolated"
            advice = "set it to cross: an isolated position is liquidated while the wallet is full"
            yield Check("margin mode", one.id, stakes.worst, said, advice)
        else:
            yield ok("margin mode", one.id, "cross")
        if leverage is None or leverage * margin_ratio < 1:
            said = "the venue does not say" if leverage is None else f"{leverage.normalize():f}x"
            least = (1 / margin_ratio).to_integral_value(rounding="ROUND_CEILING")
            advice = (
                f"set it to {least}x or more: orders are reckoned with {margin_ratio:%} of their notional as margin"
            )
            yield failed("leverage", one.id, said, advice)
        else:
            yield ok("leverage", one.id, f"{leverage.normalize():f}x")


def judge_balances(
    venue: str, modes: AccountModes, instruments: Sequence[Instrument], notional: float, margin_ratio: Decimal
) -> list[Check]:
    """Whether one order of `notional`, in quote units, could be paid: from either side of a spot pair."""
    checks: list[Check] = []
    for one in instruments:
        asset = one.quote if one.segment is Segment.SPOT else one.settle or one.quote
        wallet = wallet_name(one, dict(modes.balances.keys()))
        held, other = (modes.balances.get((wallet or "", name), Decimal(0)) for name in (asset, one.base))
        needed = Decimal(str(notional)) * (1 if one.segment is Segment.SPOT else margin_ratio)
        if held >= needed:
            checks.append(ok("balance", one.id, f"{held.normalize():f} {asset} available"))
        elif held > 0 or (one.segment is Segment.SPOT and other > 0):
            said = f"{held.normalize():f} {asset} available, an order of risk.max_order_notional needs {needed:f}"
            checks.append(warning("balance", one.id, said, "orders will be smaller; send more to the wallet"))
        else:
            checks.append(failed("balance", one.id, f"no {asset} available", f"send {asset} to its wallet at {venue}"))
    return checks
