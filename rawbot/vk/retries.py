"""Whether and when a call that failed is made again.

Layer 3, pure: `chance` is a number from 0 to 1. Source: dev.vk.com/ru/reference/errors (6, 1, 10).
"""

from rawbot.exchange import Response
from rawbot.vk.calls import Call
from rawbot.vk.errors import Retry, VKError

MAX_TRIES = 8
"""Repetitions of one call; its time is over before, mostly."""

PAUSE = 0.34
"""Seconds in which nothing is called after VK has found us too fast: a third of the second for which it counts."""

BACK_OFF = 0.5
"""Seconds before the first repetition of what broke; each further wait is twice as long, up to `MAX_WAIT`."""

MAX_WAIT = 15.0

MAX_HINT = 60.0
"""Seconds for which a server's Retry-After is heeded."""

_DIGITS = 9


def wait_before(call: Call, error: VKError, chance: float) -> float | None:
    """Return the seconds to wait before the call is made again, or None when it must not or need not be.

    Waits for what broke are between half and all of their length, so that many who were cut off together do not come
    back together.
    """
    if error.retry not in (Retry.SOON, Retry.BACK_OFF) or call.tries >= MAX_TRIES:
        return None
    if error.uncertain and not call.idempotent:
        return None
    if error.retry is Retry.SOON:
        return PAUSE + min(MAX_WAIT, PAUSE * 2.0**call.tries) * chance
    return min(MAX_WAIT, BACK_OFF * 2.0**call.tries) * (0.5 + chance / 2)


def read_retry_after(response: Response | None) -> float:
    """Return the seconds that the server wants us to wait, `MAX_HINT` at most; 0 when it names none, or a date."""
    for name, value in () if response is None else response.headers:
        if name == b"retry-after" and value.isdigit():
            return min(float(value[:_DIGITS]), MAX_HINT)
    return 0.0
