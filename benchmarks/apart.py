"""Servers in processes of their own, all on one core, and the measuring process on the others."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

_CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


@contextmanager
def apart(serve: Callable[..., None], *arguments: object) -> Iterator[Connection]:
    """Run `serve(connection, *arguments)` until the block ends: this end of the pipe.

    Where the system can neither pin nor offer a second core, both run wherever they are put.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(_CORES, serve, there, *arguments), daemon=True)
    process.start()
    if len(_CORES) > 1:
        os.sched_setaffinity(0, set(_CORES[:-1]))
    try:
        yield here
    finally:
        process.terminate()
        process.join()
        if len(_CORES) > 1:
            os.sched_setaffinity(0, set(_CORES))


def move_aside(name: str) -> None:
    """Take the threads of this name off the only core that is left to the measuring one, and onto the servers'.

    The measuring thread has two cores then, as a bot has on any machine of more than two.
    """
    if len(_CORES) == 2:
        for thread in threading.enumerate():
            if thread.name == name and thread.native_id is not None:
                os.sched_setaffinity(thread.native_id, {_CORES[-1]})


@contextmanager
def kept_awake() -> Iterator[None]:
    """The servers' core does not sleep until the block ends: what has nothing to do there turns in a circle.

    It gives way to whatever has something to do. Without it each message to a server wakes a processor, and the host
    of a virtual machine that has none to spare stops the sender's for that, which no server on another machine does.
    Where the system has no such class of processes, or one core, nothing is kept awake.
    """
    if len(_CORES) < 2 or not hasattr(os, "SCHED_IDLE"):
        yield
        return
    process = multiprocessing.get_context("spawn").Process(target=_turn, args=(_CORES[-1],), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _turn(core: int) -> None:
    os.sched_setaffinity(0, {core})
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    parent = os.getppid()
    while os.getppid() == parent:  # whoever is killed takes it along
        pass


def _serve(cores: list[int], serve: Callable[..., None], *arguments: object) -> None:
    # Told and not looked up: a process starts with what its parent may use by then.
    if len(cores) > 1:
        os.sched_setaffinity(0, {cores[-1]})
    serve(*arguments)
