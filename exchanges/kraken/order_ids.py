"""Our client order ids as Kraken takes them: up to 18 characters as they are, longer ones as 32 hex digits, both ways.

`cl_ord_id` is a UUID, with or without dashes, or a text of at most 18 characters; ours have the run's time in them and
are longer. They are written as a number, so that an order that is found there after a crash tells its name again.

Source: https://docs.kraken.com/exchange/guides/general/clordid.
"""

import re
from hashlib import sha256

_TEXT = 18
_DIGITS = "0123456789abcdefT-"
_BASE = len(_DIGITS)
_MOST = 30
_UUID = re.compile(r"[0-9a-f]{32}")


def wire_id(client_order_id: str) -> str:
    """How Kraken is told this id; one that cannot be written as a number is told by its digest."""
    if len(client_order_id) <= _TEXT:
        return client_order_id
    if len(client_order_id) > _MOST or not set(client_order_id) <= set(_DIGITS):
        # No number of a name is as large as one that begins with f, so a digest is never read back as a name.
        return "f" + sha256(client_order_id.encode()).hexdigest()[:31]
    number = 1  # so that digits of zero in front are not lost
    for character in client_order_id:
        number = number * _BASE + _DIGITS.index(character)
    return f"{number:032x}"


def own_id(wire: str) -> str:
    """The id that Kraken was told so; one that was never ours comes out as something that never was either."""
    plain = wire.replace("-", "").lower()
    if len(wire) <= _TEXT or not _UUID.fullmatch(plain):
        return wire
    number, characters = int(plain, 16), ""
    while number > 1:
        number, digit = divmod(number, _BASE)
        characters = _DIGITS[digit] + characters
    # Digests and other people's UUIDs stay as they are: whoever knows them by that name finds them.
    return characters if number == 1 and wire_id(characters) == plain else wire
