"""What stays for good is not looked through again and again: a full collection stops the engine meanwhile."""

import gc


def leave_what_is_here() -> None:
    """Collect what is garbage now, and have the collector leave everything else alone from now on.

    Modules, models, instruments: hundreds of thousands of objects, 50 to 200 ms for each full collection. For a process
    that has loaded what it needs, and has nothing to do that cannot wait.
    """
    gc.collect()
    gc.freeze()
