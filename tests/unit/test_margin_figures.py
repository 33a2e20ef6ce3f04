"""Margins by the venues' own figures, by their tiers, and assumed; and figures that are broken."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from math import inf, isnan
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.account import Balance, Position
from bot.domain.instrument import Instrument
from bot.domain.margin import MarginSource, MarginTiers, PositionMargin, WalletMargin
from bot.engine.margins import Margins
from bot.engine.watches.margin_guard import MarginGuard
from bot.ports import TellsMargins
from bot.risk import limits
from bot.risk.limits import KNOWN, Limit
from bot.risk.maintenance import Maintenance
from bot.risk.margin import MarginAfter
from exchanges.binance import margins as binance
from exchanges.binance import private_schemas as binance_rows
from exchanges.bybit import margins as bybit
from exchanges.bybit import private_schemas as bybit_rows
from tests.unit.risk_rig import A, B, Held, proposal

D = Decimal
ASSUMED = 0.01
TIERS = MarginTiers([(0.0, 0.004, 0.0), (50_000.0, 0.005, 50.0), (250_000.0, 0.01, 1_300.0)])


def slot(instrument: Instrument, mid: float = 100.0) -> Any:
    statistics = SimpleNamespace(mean_mid=mid, volatility_bps_per_sqrt_s=1.0)
    return SimpleNamespace(instrument=instrument, quote=SimpleNamespace(mid=mid), statistics=statistics)


@dataclass
class Venue:
    """An `Actions` that tells margins, as far as they are asked for."""

    cash: str = "1000"
    held: list[Position] = field(default_factory=list)
    tiers: MarginTiers | None = None
    sums: list[WalletMargin] = field(default_factory=list)

    def balances(self) -> Sequence[Balance]:
        return [Balance(wallet=name, asset="USDT", total=D(self.cash)) for name in ("binance.linear", "bybit.unified")]

    def positions(self) -> Sequence[Position]:
        return self.held

    def wallet_margins(self) -> Sequence[WalletMargin]:
        return self.sums

    def margin_tiers(self, instrument: Instrument) -> MarginTiers | None:
        return self.tiers

    def submit(self, order: object) -> None: ...
    def cancel(self, order: object) -> None: ...
    def affordable_notional(self, *_: object) -> float:
        return 0.0


def told(maintenance: str = "30", mark: str = "100", liquidation: str | None = None) -> PositionMargin:
    price = None if liquidation is None else D(liquidation)
    return PositionMargin(maintenance=D(maintenance), mark_price=D(mark), liquidation_price=price)


def position(what: Instrument, quantity: str, margin: PositionMargin | None = None, entry: str = "100") -> Position:
    return Position(instrument=what, quantity=D(quantity), average_price=D(entry), margin=margin)


def margins(venue: Venue, mid: float = 100.0) -> Margins:
    assert isinstance(venue, TellsMargins)
    return Margins(venue, {one.id: slot(one, mid) for one in (A, B)}, ASSUMED)  # type: ignore[arg-type]


def at(venue: Venue, where: str, mid: float = 100.0) -> MarginAfter:
    return next(one for one in margins(venue, mid).now() if one.venue == where)


def test_the_venues_own_figure_counts_and_grows_with_the_price() -> None:
    venue = Venue(held=[position(B, "-50", told("30"))], tiers=None)
    now = at(venue, "bybit")
    assert (now.ratio, now.source) == (pytest.approx(30 / 1000), MarginSource.VENUE)
    later = at(venue, "bybit", 110.0)
    assert later.ratio == pytest.approx(33 / 500)  # 10 % up: 33 wanted, and a short of 5000 has lost 500
    assert at(venue, "binance").ratio == 0.0


@pytest.mark.parametrize(
    ("margin", "tiers", "ratio", "source"),
    [
        (told("30"), TIERS, 30 / 1000, MarginSource.VENUE),
        (None, TIERS, 20 / 1000, MarginSource.TIERS),  # 5000 at 0.4 %
        (None, None, 50 / 1000, MarginSource.ASSUMED),
    ],
)
def test_what_is_told_counts_before_tiers_and_these_before_what_is_assumed(
    margin: PositionMargin | None, tiers: MarginTiers | None, ratio: float, source: MarginSource
) -> None:
    now = at(Venue(held=[position(B, "-50", margin)], tiers=tiers), "bybit")
    assert (now.ratio, now.source) == (pytest.approx(ratio), source)


def test_the_venues_liquidation_price_bounds_the_distance_unless_the_position_is_made_smaller() -> None:
    # By its cash alone it would be 1943 bps away; other positions of the account make the venue say 500.
    venue = Venue(held=[position(B, "-50", told("30", liquidation="105"))])
    assert at(venue, "bybit").distance_bps == pytest.approx(500.0)
    assert at(venue, "bybit", 104.0).distance_bps == pytest.approx(1e4 / 104)
    assert at(venue, "bybit", 105.5).distance_bps == 0.0
    long = Venue(held=[position(B, "50", told("30", liquidation="96"))])
    assert at(long, "bybit").distance_bps == pytest.approx(400.0)
    # The route sells B: more of the short, less of the long.
    (_, more) = margins(venue).after(proposal()) or ()
    (_, less) = margins(long).after(proposal()) or ()
    assert more.distance_bps == pytest.approx(500.0)
    assert less.distance_bps > 1_900.0


def test_a_wallets_own_sums_count_what_nobody_here_knows_of() -> None:
    held = [position(B, "-50", told("30"))]
    own = at(Venue(held=held), "bybit")
    # Another program's position wants 270 more, and coins that are not USDT cover for 3000 more.
    sums = [WalletMargin(wallet="bybit.unified", asset=None, equity=D(4000), maintenance=D(300))]
    whole = at(Venue(held=held, sums=sums), "bybit")
    assert (own.ratio, whole.ratio) == (pytest.approx(0.03), pytest.approx(300 / 4000))
    assert at(Venue(held=held, sums=sums), "bybit", 110.0).ratio == pytest.approx(303 / 3500)
    other = [WalletMargin(wallet="binance.linear", asset="BNB", equity=D(1), maintenance=D(1))]
    assert at(Venue(held=held, sums=other), "binance").ratio == 0.0


def test_what_a_proposal_adds_is_counted_in_the_tier_where_it_ends() -> None:
    held = [position(B, "-400", told("200"))]
    venue = Venue(cash="100000", held=held, tiers=TIERS)
    (bought, sold) = margins(venue).after(proposal(quantity=200.0)) or ()
    assert (bought.venue, bought.ratio) == ("binance", pytest.approx(0.004 * 20_000 / 100_000))
    # 40,000 held at the venue's 0.5 %, 20,050 added: 60,050 in all, more than the tiers' 250.25.
    assert sold.ratio == pytest.approx(0.005 * 60_050 / 100_000)
    assert (bought.source, sold.source) == (MarginSource.TIERS, MarginSource.TIERS)
    (_, sold) = margins(replace(venue, tiers=None)).after(proposal(quantity=200.0)) or ()
    assert sold.ratio == pytest.approx((200 + 0.01 * 20_050) / 100_000)
    assert sold.source is MarginSource.ASSUMED


FIGURES = {"maintenance": D(30), "mark_price": D(100), "liquidation_price": D(200)}
BROKEN = [D("NaN"), D("Infinity"), D("-Infinity"), D("-1")]
EVERY_LIMIT: Sequence[Limit] = (
    limits.MaxMarginRatio(1.0),
    limits.LiquidationDistance(0.0),
    limits.TimeToMarginCall(0.0),
)


@pytest.mark.parametrize("limit", EVERY_LIMIT, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("broken", [*BROKEN, D(0)], ids=str)
def test_fault_49_a_broken_figure_of_an_open_position_refuses(name: str, broken: Decimal, limit: Limit) -> None:
    good = Venue(held=[position(B, "-1", PositionMargin.model_validate(FIGURES))])
    assert limit.check(proposal(quantity=1.0), Held(wallets=margins(good).after(proposal(quantity=1.0)))) is None
    bad = Venue(held=[position(B, "-1", PositionMargin.model_validate(FIGURES | {name: broken}))])
    refused = limit.check(proposal(), Held(wallets=margins(bad).after(proposal())))
    assert refused is not None
    assert (refused.limit.split()[1:], refused.unit) == (["bybit.unified", "USDT"], KNOWN)


@pytest.mark.parametrize("limit", EVERY_LIMIT, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("change", [{"equity": D("NaN")}, {"maintenance": D("NaN")}, {"maintenance": D(-1)}])
def test_a_broken_sum_of_a_wallet_refuses(change: dict[str, Decimal], limit: Limit) -> None:
    sums = {"wallet": "bybit.unified", "asset": None, "equity": D(1000), "maintenance": D(0)}
    good, bad = (Venue(sums=[WalletMargin.model_validate(one)]) for one in (sums, sums | change))
    assert limit.check(proposal(), Held(wallets=margins(good).after(proposal(quantity=1.0)))) is None
    assert limit.check(proposal(), Held(wallets=margins(bad).after(proposal()))) is not None


@pytest.mark.parametrize(
    ("limit", "passing", "refused"),
    [
        (limits.MaxMarginRatio(0.05), "49.9", "50.1"),  # of 1000
        # (1000 − M) / (5000 + M): 1881 bps are left at M = 50.
        (limits.LiquidationDistance(950 / 5050 * 1e4), "49.9", "50.1"),
        (limits.TimeToMarginCall((950 / 5050 * 1e4 / 1.96) ** 2), "49.9", "50.1"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_a_limit_holds_at_the_venues_own_figure_and_refuses_beyond(limit: Limit, passing: str, refused: str) -> None:
    nothing = proposal(quantity=1e-12)

    def answer(maintenance: str) -> object:
        held = Held(wallets=margins(Venue(held=[position(B, "-50", told(maintenance))])).after(nothing))
        return limit.check(nothing, held)

    assert answer(passing) is None
    assert answer(refused) is not None


def test_a_refusal_that_rests_on_a_setting_says_so() -> None:
    after = margins(Venue(held=[position(B, "-500")])).after(proposal())
    refused = limits.MaxMarginRatio(0.1).check(proposal(), Held(wallets=after))
    assert refused is not None
    assert refused.unit == "of equity (maintenance margin ASSUMED)"
    after = margins(Venue(held=[position(B, "-500", told("300"))], tiers=TIERS)).after(proposal())
    refused = limits.MaxMarginRatio(0.1).check(proposal(), Held(wallets=after))
    assert refused is not None
    assert refused.unit == "of equity"


def test_pairs_of_a_wallet_are_left_at_a_distance_and_a_broken_one_is_said_once() -> None:
    lines: list[tuple[str, str]] = []
    venue = Venue(held=[position(B, "-50", told("30", liquidation="101.999"))])
    guard = MarginGuard(margins(venue), 200.0, lambda level, line: lines.append((level, line)))
    assert guard.endangered() == guard.endangered() == frozenset({B.id})
    assert lines == [("error", "bybit.unified USDT: 200 bps from its liquidation, its pairs are closed")]
    venue = Venue(held=[position(B, "-50", told("30", liquidation="102.001"))])
    assert MarginGuard(margins(venue), 200.0, lambda *_: None).endangered() == frozenset()
    venue = Venue(held=[position(B, "-50", told("NaN"))])
    guard = MarginGuard(margins(venue), 200.0, lambda level, line: lines.append((level, line)))
    assert guard.endangered() == guard.endangered() == frozenset()
    assert len(lines) == 2
    assert "cannot be told" in lines[1][1]


@given(st.floats(0, 1e7), st.floats(0, 1e7))
def test_more_of_a_position_never_wants_less_and_tiers_are_continuous(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert TIERS.maintenance(low) <= TIERS.maintenance(high) + 1e-9
    assert TIERS.maintenance(-high) == TIERS.maintenance(high)
    for floor in (50_000.0, 250_000.0):
        assert TIERS.maintenance(floor * (1 - 1e-12)) == pytest.approx(TIERS.maintenance(floor))
    assert isnan(TIERS.maintenance(float("nan")))


@given(
    told_ratio=st.none() | st.floats(1e-4, 0.5),
    held=st.floats(0, 1e6),
    sizes=st.tuples(st.floats(0, 1e7), st.floats(0, 1e7)),
    tiers=st.sampled_from([None, TIERS]),
)
def test_maintenance_grows_with_the_notional(
    told_ratio: float | None, held: float, sizes: tuple[float, float], tiers: MarginTiers | None
) -> None:
    one = Maintenance(ASSUMED, tiers, told_ratio, held)
    low, high = sorted(sizes)
    assert 0 <= one.needed(low) <= one.needed(high) * (1 + 1e-9)
    if told_ratio is not None:
        assert one.needed(-low) >= told_ratio * low * (1 - 1e-9)


@pytest.mark.parametrize(
    "rows",
    [
        [], [(10.0, 0.01, 0.0)], [(0.0, 0.0, 0.0)], [(0.0, 1.1, 0.0)], [(0.0, float("nan"), 0.0)],
        [(0.0, 0.01, 1.0)], [(0.0, 0.01, 0.0), (10.0, 0.02, -1.0)], [(0.0, 0.02, 0.0), (10.0, 0.01, 0.0)],
        [(0.0, 0.01, 0.0), (0.0, 0.02, 0.0)], [(0.0, 0.01, 0.0), (inf, 0.02, 0.0)],
    ],
)  # fmt: skip
def test_what_are_no_tiers_is_refused(rows: list[tuple[float, float, float]]) -> None:
    with pytest.raises(ValueError, match=r"tier|ratio|deduction"):
        MarginTiers(rows)


def limit_row(up_to: str, maintenance: str, initial: str, leverage: str, deduction: str = "") -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT", "riskLimitValue": up_to, "maintenanceMargin": maintenance, "initialMargin": initial,
        "maxLeverage": leverage, "mmDeduction": deduction,
    }  # fmt: skip


@pytest.mark.parametrize("unit", [1, 100], ids=["ratios", "percentages"])
def test_bybits_risk_limits_in_both_units_that_it_prints(unit: int) -> None:
    rows = [
        limit_row("4000000", f"{D('0.01') * unit}", f"{D('0.02') * unit}", "50.00", "10000"),
        limit_row("2000000", f"{D('0.005') * unit}", f"{D('0.01') * unit}", "100.00"),
    ]
    tiers = bybit.tiers_of(bybit_rows.RiskLimitRows.model_validate({"list": rows}).rows)
    assert tiers.maintenance(1_000_000) == pytest.approx(5_000)
    assert tiers.maintenance(3_000_000) == pytest.approx(30_000 - 10_000)
    assert tiers.maintenance(9_000_000) == pytest.approx(90_000 - 10_000)  # beyond the last: as the last
    with pytest.raises(ValueError, match="do not belong"):
        bybit.tiers_of(bybit_rows.RiskLimitRows.model_validate({"list": [rows[0] | {"maxLeverage": "7"}]}).rows)


@pytest.mark.parametrize("text", ["", None, "NaN", "oops"])
def test_a_broken_margin_does_not_spoil_the_position_that_it_is_of(text: str | None) -> None:
    row = {"symbol": "BTCUSDT", "size": "1", "side": "Sell", "avgPrice": "100"}
    told = {"positionMM": "1", "markPrice": "100", "liqPrice": "150"}
    read = bybit_rows.PositionRow.model_validate
    for name in told:
        margin = bybit.position_margin(read(row | told | {name: text}))
        assert margin is not None
        assert margin.is_usable is (name == "liqPrice" and text in ("", None))
    assert bybit.position_margin(read(row)).is_usable is False  # type: ignore[union-attr]
    assert bybit.position_margin(read(row | told)).is_usable is True  # type: ignore[union-attr]
    assert bybit.position_margin(read(row | told | {"size": "0"})) is None

    row = {"symbol": "BTCUSDT", "positionAmt": "-1", "entryPrice": "100"}
    told = {"maintMargin": "1", "markPrice": "100", "liquidationPrice": "150"}
    for name in told:
        margin = binance.position_margin(binance_rows.PositionRow.model_validate(row | told | {name: text}))
        assert margin is not None
        assert margin.is_usable is (name == "liquidationPrice" and text in ("", None))
    none = binance.position_margin(binance_rows.PositionRow.model_validate(row | told | {"liquidationPrice": "0"}))
    assert none is not None
    assert none.liquidation_price is None
    assert none.is_usable


def test_an_account_with_isolated_margin_has_no_sums() -> None:
    row = {"accountType": "UNIFIED", "totalMarginBalance": "", "totalMaintenanceMargin": ""}
    assert bybit.wallet_margin("w", bybit_rows.WalletRow.model_validate(row)) is None
    half = bybit.wallet_margin("w", bybit_rows.WalletRow.model_validate(row | {"totalMarginBalance": "5"}))
    assert half is not None
    assert not half.is_usable
