"""What an order is called: by its pair or chain, and a number."""


def order_name(owner_id: str, run_id: str, number: int) -> str:
    """The client order id of an order that this run makes for a pair or chain: `OWNER-7`, or `OWNER-1a2bT7`.

    While its journal failed, an earlier run may have sent orders of numbers that nobody knows, and a venue takes a name
    once: for what another run began, the names have the end of this run's own.
    """
    if owner_id.rpartition("-")[0] == run_id:
        return f"{owner_id}-{number}"
    own = "".join(letter for letter in run_id if letter.isalnum())[-4:]
    return f"{owner_id}-{own}T{number}"
