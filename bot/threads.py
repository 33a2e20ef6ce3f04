"""How the threads of the engine's process share the interpreter."""

import sys

_SWITCH_S = 1e-4


def share_quickly() -> None:
    """Let a thread that asks for the interpreter have it after 0.1 ms, and not after 5.

    The journal's thread asks when an order waits for it, while the engine's spells that order; the engine's asks when a
    frame has come, while the journal's puts records into words. Each then holds the other up for as long as this says.
    """
    sys.setswitchinterval(_SWITCH_S)
