"""Settings of `--mode import`: where the exchanges' own history comes from."""

from pathlib import Path

from pydantic import Field

from bot.settings.section import NotNegative, Section


class ImportSettings(Section):
    """The exchanges' own history: `--mode import`."""

    binance_url: str | None = Field(
        default=None, description="Base of Binance's files; unset: https://data.binance.vision."
    )
    bybit_url: str | None = Field(
        default=None, description="Base of Bybit's trade files; unset: https://public.bybit.com."
    )
    bybit_books_url: str | None = Field(
        default=None, description="Base of Bybit's order books; unset: https://quote-saver.bycsi.com."
    )
    retry_wait_s: NotNegative = Field(
        default=2.0, description="Before a download is tried again; twice as long before each further try."
    )
    book_depth: int = Field(default=50, gt=0, le=1000, description="Levels a side that are kept of order books.")
    keep_downloads: bool = Field(default=False, description="Files stay when they have been imported.")
    downloads_dir: Path | None = Field(
        default=None, description="For downloads and what is unpacked of them; unset: data_dir/downloads."
    )
