"""Who gets a place: connections counted, in all and by address.

Engine room, pure.
"""

from ipaddress import IPv6Address, IPv6Network

from rawbot.aio.settings import Capacity
from rawbot.http.peers.trust import read_address

CUSTOMER_PREFIX = 64
"""Bits of an IPv6 address that stand for one customer (RFC 6177): the others are his to choose."""


def customer(address: str) -> str:
    """Return what addresses of one customer have in common: an IPv4 address, or an IPv6 network."""
    read = read_address(address)
    return str(IPv6Network((read, CUSTOMER_PREFIX), strict=False)) if isinstance(read, IPv6Address) else address


class Budget:
    """So much of something for all together."""

    __slots__ = ("left",)

    def __init__(self, total: int) -> None:
        self.left = total

    def take(self, amount: int) -> bool:
        """Take that much, if it is there."""
        if amount > self.left:
            return False
        self.left -= amount
        return True

    def give(self, amount: int) -> None:
        """Give it back."""
        self.left += amount


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
            address = customer(address)
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
            address = customer(address)
            left = self._by_address[address] - 1
            if left:
                self._by_address[address] = left
            else:
                del self._by_address[address]
