"""Who gets a place: connections counted, in all and by address.

Engine room, pure.
"""

from rawbot.aio.settings import Capacity


class Admission:
    """Counts the connections that have a place."""

    __slots__ = ("_by_address", "_max", "_per_address", "taken")

    def __init__(self, capacity: Capacity) -> None:
        self._max = capacity.max_connections
        self._per_address = capacity.max_connections_per_address
        self._by_address: dict[str, int] = {}
        self.taken = 0
        """How many places are taken."""

    def admit(self, address: str) -> bool:
        """Take a place for a connection from this address (empty for a Unix socket) if there is one."""
        if self.taken >= self._max:
            return False
        if self._per_address is not None and address:
            count = self._by_address.get(address, 0)
            if count >= self._per_address:
                return False
            self._by_address[address] = count + 1
        self.taken += 1
        return True

    def release(self, address: str) -> None:
        """Give back a place that was taken with this address."""
        self.taken -= 1
        if self._per_address is not None and address:
            left = self._by_address[address] - 1
            if left:
                self._by_address[address] = left
            else:
                del self._by_address[address]
