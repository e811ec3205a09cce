"""The random_id of messages.send, made from the event that is answered: an answer that is sent twice arrives once.

Layer 3, pure. Source: VK, messages.send (dev.vk.com/ru/method/messages.send): within an hour a random_id that the
dialog has seen sends nothing and gives the id of the first message; 0 turns that off.
"""

from hashlib import blake2b

from rawbot.errors import StateError

MAX_RANDOM_ID = 2**31 - 1
"""The largest integer of 32 bits. Two answers to one dialog share one with odds of 5e-10."""


def random_id(group_id: int, event_id: str, n: int) -> int:
    """Return the number for the n-th message that answers this event, 1 to 2**31 - 1; the same at every call.

    Raises `StateError` without an event_id: all events would share one number, and all answers but the first be lost.
    """
    if not event_id:
        raise StateError("without the event's id there is no random_id that is its own")
    name = f"{group_id}:{n}:{event_id}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(name, digest_size=8).digest(), "big") % MAX_RANDOM_ID + 1
