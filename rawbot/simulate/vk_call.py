"""One call of the API as its methods see it: who calls, and the parameters, read and judged.

Layer 3 (simulate), pure. Source: dev.vk.com/ru/api/api-requests.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rawbot.simulate.vk_rules import ApiError, Version
from rawbot.simulate.vk_world import Account, Community, Party, World

MAX_INT = 2**63 - 1


@dataclass(slots=True, eq=False)
class Call:
    """A call. Its methods raise `ApiError` (100) for parameters that are not what the method needs."""

    method: str
    params: Mapping[str, str] = field(repr=False)
    version: Version
    caller: Party
    world: World = field(repr=False)

    @property
    def now(self) -> float:
        """The time."""
        return self.world.clock.now

    def text(self, name: str, default: str | None = None) -> str:
        """Return a parameter; without a default it must be there."""
        value = self.params.get(name, default)
        if value is None:
            raise ApiError(100, f"{name} is undefined")
        return value

    def integer(self, name: str, default: int | None = None) -> int:
        """Return a number; an empty one is missing."""
        value = self.params.get(name, "")
        if not value:
            if default is None:
                raise ApiError(100, f"{name} is undefined")
            return default
        return read_integer(name, value)

    def integers(self, name: str) -> list[int]:
        """Return numbers that are joined by commas."""
        return [read_integer(name, part) for part in self.text(name, "").split(",") if part]

    def flag(self, name: str) -> bool:
        """Return whether it is 1."""
        value = self.params.get(name, "0")
        if value not in ("0", "1", ""):
            raise ApiError(100, f"{name} should be 0 or 1")
        return value == "1"

    def community(self) -> Community:
        """Return the community that calls. Raises `ApiError` (15) for a user, or when another community is named."""
        own = self.own_community()
        named = self.integer("group_id", own.id)
        if named != own.id:
            raise ApiError(15, "the token is another community's")
        return own

    def own_community(self) -> Community:
        """Return the community that calls, whatever `group_id` says. Raises `ApiError` (15) for a user."""
        if not isinstance(self.caller, Community):
            raise ApiError(15, "this needs a community's token")
        return self.caller

    def account(self) -> Account:
        """Return the user that calls. Raises `ApiError` (27) for a community."""
        if not isinstance(self.caller, Account):
            raise ApiError(27)
        return self.caller


def read_integer(name: str, value: str) -> int:
    """Return a number out of a form. Raises `ApiError` (100)."""
    digits = value.removeprefix("-")
    if not digits.isdigit() or not digits.isascii() or int(digits) > MAX_INT:
        raise ApiError(100, f"{name} should be an integer")
    return int(value)
