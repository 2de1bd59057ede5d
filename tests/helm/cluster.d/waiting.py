"""Waiting for what comes about, not for a time to pass."""

import time


class Failure(Exception):
    """The test cannot go on; the text says why."""


def until(what, condition, seconds=300, every=0.2):
    """What `condition` returns, once that is something; a Failure where it stays nothing."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise Failure(f"waited {seconds} s in vain: {what}")
        time.sleep(every)
    return found
