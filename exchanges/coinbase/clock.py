"""Coinbase's clock, over its public REST interface."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import BaseModel, Field, ValidationError

from bot.errors import VenueUnavailable
from exchanges.coinbase.endpoints import VENUE
from exchanges.common.requests.offset_watch import AskTime
from exchanges.common.requests.public_http import PublicHttp


class _Time(BaseModel):
    ms: int = Field(gt=0, validation_alias="epochMillis")


@asynccontextmanager
async def asking_time(rest_url: str) -> AsyncIterator[AskTime]:
    """What asks Coinbase's time, UTC ms, over one connection for the length of the block.

    Raises:
        VenueError: Coinbase cannot be asked, or does not say its time.
    """
    http = PublicHttp(VENUE)

    async def ask() -> int:
        try:
            return _Time.model_validate_json(await http.get(f"{rest_url}/api/v3/brokerage/time")).ms
        except ValidationError as error:
            raise VenueUnavailable(VENUE, "the answer to `time` has no epochMillis") from error

    try:
        yield ask
    finally:
        await http.close()
