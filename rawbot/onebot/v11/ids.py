"""Ids in both languages: OneBot 12 names users, groups and messages by strings, OneBot 11 by integers.

Layer 3, pure. Source: OneBot 11, event and api (number (int64); message ids number (int32)).

A decimal number stands for itself, in both directions and without being remembered. Any other string gets an integer
from a reserved range: a hash of the string, so that it is the same after a restart and in every process. The way back
needs a memory, which is bounded; an integer of the range that is not in it is unknown, and said to be so.

Where the ranges lie: 2**52 up to 2**53 for users and groups, beyond any QQ number (ten or eleven digits) and still
exact in a double, which is what JavaScript has; the upper half of int32 for messages. A number that itself lies in the
range is treated as any other string, so the two kinds never meet. Two strings of one hash are told apart by hashing
again, the later one. In 52 bits a million ids meet with a chance of one in ten thousand; in 30 bits it happens now
and then (65,536 ids: about two pairs), and after a restart the two may change places. An id that was pinned has the
integer that it was given, for good.
"""

import hashlib
from collections import OrderedDict

from rawbot.errors import ConfigError

INT64_MAX = 2**63 - 1
DIGITS_OF_INT64 = 19


class IdTable:
    """The integers of one kind of ids. It holds the `max_known` strings last used that are no plain numbers.

    An entry costs about 250 bytes with its string (46 characters, CPython 3.11).
    """

    def __init__(self, start: int, stop: int, *, limit: int = INT64_MAX, max_known: int = 65_536) -> None:
        """Reserve `start` up to `stop`, without it, for what is no number; numbers above `limit` are none, either."""
        if not 0 < start < stop <= limit + 1:
            raise ConfigError("the reserved range has to lie in the positive integers up to the limit")
        if not 1 <= max_known <= (stop - start) // 2:
            raise ConfigError(
                "an IdTable remembers at least one id, and at most half as many as its range has integers"
            )
        self._start = start
        self._stop = stop
        self._limit = limit
        self._max_known = max_known
        self._numbers: OrderedDict[str, int] = OrderedDict()
        """In the order of their last use."""
        self._names: dict[int, str] = {}
        self._pinned: dict[str, int] = {}
        self._pinned_names: dict[int, str] = {}

    def __len__(self) -> int:
        """Count the strings that are remembered."""
        return len(self._numbers)

    def encode(self, name: str) -> int:
        """Return the integer of this id, and remember the way back."""
        number = self._pinned.get(name) or self._plain_number(name)
        if number is not None:
            return number
        number = self._numbers.get(name)
        if number is not None:
            self._numbers.move_to_end(name)
            return number
        if len(self._numbers) >= self._max_known:
            _, forgotten = self._numbers.popitem(last=False)
            del self._names[forgotten]
        number = self._free_number(name)
        self._numbers[name] = number
        self._names[number] = name
        return number

    def decode(self, number: int) -> str | None:
        """Return the id of this integer; None when it stands for none, or for one that is not (or no more) known."""
        if number in self._pinned_names:
            return self._pinned_names[number]
        if self._start <= number < self._stop:
            name = self._names.get(number)
            if name is not None:
                self._numbers.move_to_end(name)
            return name
        return str(number) if 0 < number <= self._limit else None

    def pin(self, name: str, number: int) -> None:
        """Let this id have this integer, before anybody has seen another one. The same again changes nothing.

        An id that is this number itself is then one of the others. Raises `ConfigError` for an integer that cannot be,
        and where either of the two is pinned to something else.
        """
        if not 0 < number <= self._limit or self._start <= number < self._stop:
            raise ConfigError(f"an id's number lies above 0, up to {self._limit} and outside of the reserved range")
        if self._pinned.get(name, number) != number or self._pinned_names.get(number, name) != name:
            raise ConfigError(f"{name!r} and {number} cannot be the same: one of them belongs to another already")
        self._pinned[name] = number
        self._pinned_names[number] = name

    def _plain_number(self, name: str) -> int | None:
        if not 0 < len(name) <= DIGITS_OF_INT64 or name[0] == "0" or not (name.isascii() and name.isdigit()):
            return None
        number = int(name)
        if number > self._limit or self._start <= number < self._stop or number in self._pinned_names:
            return None
        return number

    def _free_number(self, name: str) -> int:
        width = self._stop - self._start
        data = name.encode("utf-8", "surrogatepass")
        tries = 0
        while True:  # at most half of the range is taken: each try fails with a chance of a half at the worst
            digest = hashlib.blake2b(data, digest_size=8, salt=tries.to_bytes(4)).digest()
            number = self._start + int.from_bytes(digest) % width
            if number not in self._names:
                return number
            tries += 1


def user_ids(*, max_known: int = 65_536) -> IdTable:
    """Return a table for users and groups."""
    return IdTable(2**52, 2**53, max_known=max_known)


def message_ids(*, max_known: int = 65_536) -> IdTable:
    """Return a table for messages: all of it fits int32."""
    return IdTable(2**30, 2**31, limit=2**31 - 1, max_known=max_known)
