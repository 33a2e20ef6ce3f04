"""Typed settings. Every threshold carries its unit in the key; unknown keys, NaN and infinity are refused.

How the layers are read and merged stands in `bot/settings/loader.py`; the values and their meaning stand here.
Descriptions are shown to people: in `docs/settings.md`, in the editor's schema and beside errors.
"""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from bot.settings.execution import ExecutionSettings as ExecutionSettings
from bot.settings.history import ImportSettings
from bot.settings.keys import KeySettings
from bot.settings.look import BreakEvenSettings, ScanSettings
from bot.settings.reconciliation import ReconciliationSettings
from bot.settings.risk import RiskSettings
from bot.settings.section import (
    AssetName,
    FiniteDecimal,
    NotNegative,
    Positive,
    Section,
    SegmentName,
    VenueName,
    WalletName,
)
from bot.settings.shadow import ShadowSettings
from bot.settings.start import StartSettings
from bot.settings.storage import ArchiveSettings, BackupSettings, JobSettings, MongoSettings
from bot.settings.telling import LogSettings, MetricsSettings, NotificationSettings
from bot.settings.terms import TermsSettings
from bot.settings.transfers import TransferSettings


class EndpointSettings(Section):
    """Where one segment of a venue is."""

    rest_url: str | None = Field(default=None, description="REST base URL; unset: the venue's own.")
    stream_url: str | None = Field(default=None, description="WebSocket base URL; unset: the venue's own.")


class ConnectionSettings(Section):
    """Supervision of every market-data socket."""

    first_frame_timeout_s: Positive = Field(
        default=5.0, description="Acknowledged, but no frame on the whole connection for this long: an error."
    )
    silence_timeout_s: Positive = Field(default=5.0, description="No frame for this long: reconnect.")
    stale_after_s: Positive = Field(default=2.0, description="No frame for this long: the feed is SILENT.")
    backoff_first_s: Positive = Field(default=0.25, description="First wait before a reconnect.")
    backoff_cap_s: Positive = Field(default=30.0, description="Longest wait before a reconnect.")
    planned_reconnect_h: Positive = Field(
        default=23.5, description="A fresh connection replaces the old one before the venue's 24 h cut."
    )
    max_frame_bytes: int = Field(default=10_485_760, gt=0, description="A larger frame recycles the connection.")


class FeeSettings(Section):
    """Fees of one feed, overriding the venue's tier; negative is a rebate."""

    taker_bps: FiniteDecimal | None = Field(default=None, description="Of notional, for taking; unset: the venue's.")
    maker_bps: FiniteDecimal | None = Field(default=None, description="Of notional, for making; unset: the venue's.")


class FundingSettings(Section):
    """What to assume where nothing tells the funding rate."""

    assumed_bps_per_8h: FiniteDecimal | None = Field(
        default=None,
        description="Shown as ASSUMED. Unset: routes that hold a perpetual without a known rate are refused.",
    )


class QuoteGateSettings(Section):
    """What a quote must be before it may be traded on."""

    max_age_ms: Positive = Field(default=500.0, le=120_000, description="Since we received it.")
    max_event_age_ms: Positive = Field(
        default=1000.0, le=120_000, description="Since the venue made it, clock offset corrected."
    )
    max_skew_ms: Positive = Field(default=300.0, le=120_000, description="Between the two legs of a route.")
    max_jump_bps: Positive = Field(default=500.0, description="Mid against the last accepted mid.")
    jump_confirm_ms: Positive = Field(default=1000.0, description="A new level that holds this long is accepted.")


class WindowSettings(Section):
    """What stays in memory."""

    hold_h: Positive = Field(default=24.0, description="Older rows are evicted.")
    rolling_s: Positive = Field(
        default=360.0,
        description="Span of the rolling statistics: the least time an on-chain transfer takes.",
    )


class PaperSettings(Section):
    """The paper venue."""

    latency_ms: NotNegative = Field(default=10.0, description="From sending an order to its meeting the quotes.")
    balances: dict[WalletName, dict[AssetName, FiniteDecimal]] = Field(
        default_factory=dict,
        description="Starting balances: wallet (binance.spot, bybit.unified) -> asset -> amount.",
    )
    resting_fill: Literal["touch", "through"] = Field(
        default="touch",
        description="A resting order is filled when the other side reaches its price (touch) or goes beyond (through).",
    )
    initial_margin_ratio: Annotated[Decimal, Field(gt=0, le=1, allow_inf_nan=False)] = Field(
        default=Decimal("0.2"),
        description="Part of a derivative's notional that its wallet must have available.",
    )


class OrderBookSettings(Section):
    """Order books behind the quotes of live and simulated markets: how much fits, and at which price."""

    enabled: bool = Field(default=True, description="Read them; off: sizes follow the top of the book alone.")
    levels: int = Field(default=20, gt=0, le=1000, description="So many of a side are traded into, at most.")
    symbols: list[str] = Field(default=["ALL"], description="Unified, on every venue; ALL: all that are watched.")


class JournalSettings(Section):
    """The local journal."""

    group_commit_ms: NotNegative = Field(default=2.0, description="Records that come within this time share an fsync.")
    max_behind_ms: Positive = Field(
        default=1000.0, description="A disk that is busy with one commit for longer is slow: REDUCING until it is not."
    )
    min_free_bytes: int = Field(
        default=1_000_000_000, ge=0, description="Less room on the disk of data_dir is an alarm; 0: none."
    )


class RecordedSettings(Section):
    """`--market recorded`."""

    speed: Literal["max", "1x", "10x"] = Field(
        default="max", description="How fast recorded time passes; decisions are the same at every speed."
    )


class SimulatorSettings(Section):
    """The simulated exchanges: `--mode simulate`."""

    scenario: str = Field(default="lively", description="How the day goes: calm, lively, crash or chaos.")
    seed: int = Field(default=1, ge=0, description="Of prices, books, keys and block times.")
    time_scale: Positive = Field(
        default=60.0,
        description="How much faster money travels between wallets, paper ones beside them too; 1 is real.",
    )
    fee_tier: Literal["regular", "vip1", "vip2", "vip3", "vip4", "vip5", "vip6", "supreme"] = Field(
        default="regular", description="Of linear perpetuals; a venue that has fewer takes its highest below it."
    )
    fees_in_bnb: bool = Field(default=False, description="Fees at Binance are paid in BNB; the wallets start with 10.")
    listings: int | None = Field(
        default=None, ge=8, le=2000, description="Instruments at both venues together; unset: bitcoin and ether alone."
    )
    crosses: bool = Field(default=False, description="ETH/BTC is listed at both venues besides, for triangular routes.")
    kraken: bool = Field(default=False, description="Kraken is simulated besides: BTC/USDT and ETH/USDT, spot.")
    faults: list[str] = Field(
        default_factory=list, description="What goes wrong, as `--fault` takes it: KIND,venue=VENUE,key=value."
    )
    faults_per_hour: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)] | None = Field(
        default=None, description="Faults at random moments, drawn from the seed; unset: as the scenario has them."
    )
    address: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9.\[\]:-]+:\d{1,5}$",
        description="HOST:PORT of simulated exchanges that run already and outlive the bot; unset: it starts its own.",
    )
    host: str = Field(
        default="127.0.0.1",
        description="IP address to listen on, of `--mode simulate`; one that other machines reach needs a password.",
    )


class Settings(BaseModel):
    """All settings but the strategy's own, which `main.py` joins in under the strategy's name."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    strategy: str = Field(default="arbitrage", description="Which strategy decides.")
    market: Literal["recorded", "simulated", "live", "testnet"] = Field(
        default="simulated", description="Where quotes come from."
    )
    real_money: bool = Field(default=False, description="One of four locks; others: market live, --real-money, keys.")
    keys: KeySettings = KeySettings()
    data_dir: Path = Field(default=Path("data"), description="Journal, logs, recordings, the control socket.")
    instruments: dict[VenueName, dict[SegmentName, list[str]]] = Field(
        default_factory=dict, description="Live markets: venue -> segment -> unified symbols to watch."
    )
    venues: dict[VenueName, dict[SegmentName, EndpointSettings]] = Field(
        default_factory=dict, description="venue -> segment -> endpoints."
    )
    connection: ConnectionSettings = ConnectionSettings()
    fees: dict[VenueName, dict[SegmentName, FeeSettings]] = Field(
        default_factory=dict, description="venue -> segment -> rates."
    )
    funding: dict[VenueName, dict[SegmentName, FundingSettings]] = Field(
        default_factory=dict, description="venue -> segment -> assumption."
    )
    terms: TermsSettings = TermsSettings()
    quote_gate: QuoteGateSettings = QuoteGateSettings()
    order_books: OrderBookSettings = OrderBookSettings()
    window: WindowSettings = WindowSettings()
    paper: PaperSettings = PaperSettings()
    risk: RiskSettings = RiskSettings()
    execution: ExecutionSettings = ExecutionSettings()
    start: StartSettings = StartSettings()
    reconciliation: ReconciliationSettings = ReconciliationSettings()
    transfers: TransferSettings = TransferSettings()
    shadow: ShadowSettings = ShadowSettings()
    journal: JournalSettings = JournalSettings()
    recorded: RecordedSettings = RecordedSettings()
    simulator: SimulatorSettings = SimulatorSettings()
    archive: ArchiveSettings = ArchiveSettings()
    mongodb: MongoSettings = MongoSettings()
    jobs: JobSettings = JobSettings()
    backup: BackupSettings = BackupSettings()
    import_history: ImportSettings = ImportSettings()
    break_even: BreakEvenSettings = BreakEvenSettings()
    scan: ScanSettings = ScanSettings()
    notifications: NotificationSettings = NotificationSettings()
    metrics: MetricsSettings = MetricsSettings()
    log: LogSettings = LogSettings()
