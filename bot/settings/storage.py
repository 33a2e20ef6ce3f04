"""Settings of the market memory: archive, MongoDB, minute rows, jobs, backups."""

from typing import Annotated, Literal

from pydantic import Field

from bot.settings.section import Positive, Section, SegmentName, VenueName

ChannelName = Annotated[
    str, Field(pattern=r"^(quotes|trades|funding|depth|gaps|views|minute_books|minute_trades|klines)$")
]

InstrumentId = Annotated[str, Field(pattern=r"^(ALL|[a-z][a-z0-9_]*:[^\s:/]+/[^\s:/]+(:[^\s/]+)?)$")]
"""`binance:BTC/USDT:USDT`, or ALL."""
FIRST_INSTRUMENT = "binance:BTC/USDT:USDT"


class ArchiveSettings(Section):
    """Market data on disk."""

    enabled: bool = Field(default=True, description="Keep what live runs see; --mode record always keeps.")
    url: str | None = Field(
        default=None, description="Directory or URL (s3://BUCKET/PREFIX) of the files; unset: data_dir/archive."
    )
    every_s: Positive = Field(default=60.0, description="Rows go to the disk at whole multiples of this time, UTC.")
    books: dict[VenueName, dict[SegmentName, list[str]]] = Field(
        default_factory=dict, description="Order books to keep: venue -> segment -> unified symbols."
    )
    minute_trades: list[InstrumentId] = Field(
        default=[FIRST_INSTRUMENT],
        description="Instruments with a row of what they traded every minute; ALL: all that are watched.",
    )
    minute_books: list[InstrumentId] = Field(
        default=[FIRST_INSTRUMENT],
        description="Instruments with their order book at every minute's end; of those that archive.books keeps.",
    )
    views: list[str] = Field(
        default=["BTC/USDT:USDT"], description="Unified symbols whose combined view across venues is sampled."
    )
    views_per_s: Positive = Field(default=1.0, le=100, description="How often.")
    keep_days: dict[ChannelName, Positive] = Field(
        default_factory=dict, description="Channel -> days after which its rows are removed; unset: never."
    )
    max_bytes: int | None = Field(
        default=20_000_000_000, gt=0, description="Above this the oldest rows go; unset: no bound."
    )


class MongoSettings(Section):
    """MongoDB, filled from journal and archive. A URI with a password stands in MONGODB_URI alone."""

    uri: str | None = Field(default=None, description="mongodb://HOST:PORT/DATABASE; unset: MONGODB_URI, or none.")
    channels: list[ChannelName] = Field(
        default=[
            "quotes",
            "trades",
            "funding",
            "depth",
            "gaps",
            "views",
            "minute_books",
            "minute_trades",
            "klines",
        ],
        description="What of the archive is delivered; the journal always is. What is left out stays in the archive.",
    )
    quotes: Literal["tick", "minute"] = Field(
        default="minute", description="A document a quote, or one an instrument and minute."
    )
    raw_days: Positive | None = Field(default=30.0, description="Raw market data is removed at this age; unset: never.")
    time_series: bool = Field(default=False, description="Ticks in time-series collections where the server has them.")


class JobSettings(Section):
    """When jobs run: `every 60s`, or five cron fields in UTC; unset: never."""

    minutes: str | None = Field(default="every 60s", description="Minute rows of trades and books.")
    merge: str | None = Field(default="10 * * * *", description="Small files of the archive into larger ones.")
    retention: str | None = Field(default="40 3 * * *", description="Remove what archive.keep_days and max_bytes say.")
    backup: str | None = Field(default=None, description="To backup.url.")
    fees: str | None = Field(default="every 30m", description="Ask the venues for fees and funding again.")
    clock_offset: str | None = Field(default="every 5m", description="Ask the venues for their time again.")
    rights: str | None = Field(
        default="every 1h", description="Ask the venues again what the API keys may do; live and testnet orders."
    )
    daily_report: str | None = Field(
        default="5 0 * * *", description="The past UTC day's post-mortem to data_dir/reports."
    )


class BackupSettings(Section):
    """Where backups go."""

    url: str | None = Field(default=None, description="Directory or URL (s3://BUCKET/PREFIX).")
    keep: int = Field(default=7, gt=0, description="Newest backups that stay.")
