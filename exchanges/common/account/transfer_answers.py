"""What an error answer to a request that moves money means: refused, not taken, or nobody knows."""

from collections.abc import Collection, Sequence

from bot.domain.network import AssetNetwork
from bot.domain.terms import Told
from bot.errors import BotError, TransferOutcomeUnknown, TransferRefused, VenueError, VenueUnavailable
from exchanges.common.requests.refusals import Refusal, ServerFault


def meaning(transfer_id: str, error: VenueError, exists: Collection[int]) -> BotError:
    """The error to raise.

    Args:
        transfer_id: Ours.
        error: As the venue's codes mean it.
        exists: Codes that say that a transfer of this id is there already.
    """
    if isinstance(error, Refusal):
        is_final = error.is_definite and error.code not in exists
        return (TransferRefused if is_final else TransferOutcomeUnknown)(transfer_id, str(error))
    if isinstance(error, ServerFault):
        return TransferOutcomeUnknown(transfer_id, str(error))
    return error


def all_networks(venue: str, asset: str, told: Told[Sequence[AssetNetwork]]) -> Sequence[AssetNetwork]:
    """Of this asset, those that are understood.

    Raises:
        VenueUnavailable: Nothing is told of the asset.
    """
    if asset not in told.values:
        raise VenueUnavailable(venue, f"tells no networks of {asset}: {told.wrong.get(asset, 'not in the answer')}")
    return told.values[asset]
