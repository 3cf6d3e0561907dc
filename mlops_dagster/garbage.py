"""A pause of Python's garbage collector while many objects are made that live on: it would walk them and free none."""

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected(*, for_good: bool = False) -> Iterator[None]:
    """Pause the garbage collector; no-op where it is off.

    A batch of the log is a hundred thousand objects that live until it is written, and the definitions of a code
    location live as long as the process. To walk through them again and again would be a third of the shipper's time,
    and of the time of loading 1,000 models.

    Args:
        for_good: whether the objects live as long as the process; then they are never looked at again.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
        if was_on and for_good:
            gc.freeze()
            atexit.register(gc.unfreeze)  # else libraries report what the collector has left as leaks
