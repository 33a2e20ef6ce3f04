"""Settings of what the venues tell beside quotes: fees, funding schedules, listings, networks."""

from pydantic import Field

from bot.settings.section import NotNegative, Positive, Section


class TermsSettings(Section):
    """Fees, funding schedules, listings and networks as the venues tell them."""

    max_fee_age_s: Positive = Field(default=21_600.0, description="Older fees of an account refuse its routes.")
    max_funding_age_s: Positive = Field(default=7_200.0, description="Older funding schedules refuse their routes.")
    max_listing_age_s: Positive = Field(default=1_800.0, description="Older listings refuse their instruments.")
    max_network_age_s: Positive = Field(default=300.0, description="Older networks and wallets refuse transfers.")
    retry_s: Positive = Field(default=60.0, description="Between two questions to a venue that did not answer.")
    transfer_processing_s: NotNegative = Field(
        default=600.0, description="Mean time that two venues take for a transfer beside the chain, assumed."
    )
    transfer_model_weight: Positive = Field(
        default=5.0, description="So many past transfers of the account are worth as much as the assumed times."
    )
