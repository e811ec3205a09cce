"""The bots of an implementation, and how it is: what `get_status` tells, and which bot an action is for.

Layer 3, pure. Source: OneBot 12, interface/meta/actions (get_status), connect/data-protocol/action-request (self).
"""

from collections.abc import Iterable, Iterator

from rawbot.errors import ConfigError
from rawbot.onebot.messages import Account
from rawbot.onebot.retcodes import UNKNOWN_SELF, WHO_AM_I, ActionError


class Roster:
    """Bots by platform and id, each online or not, in the order in which they came."""

    __slots__ = ("_online", "_only", "good")

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._online: dict[tuple[str, str], tuple[Account, bool]] = {}
        self._only: Account | None = None
        self.good = True
        """Whether the implementation itself is well."""
        for account in accounts:
            if _key(account) in self._online:
                raise ConfigError(f"the bot {account.user_id!r} is given twice")
            self.set(account, online=True)

    def __iter__(self) -> Iterator[Account]:
        return (account for account, _ in self._online.values())

    def __len__(self) -> int:
        """Count the bots."""
        return len(self._online)

    def set(self, account: Account, *, online: bool) -> bool:
        """Note a bot, a new one too; return whether this changes anything."""
        key = _key(account)
        known = self._online.get(key)
        self._online[key] = (account, online)
        self._only = account if len(self._online) == 1 else None
        return known is None or known[1] is not online

    def remove(self, account: Account) -> Account | None:
        """Forget a bot; return it as it was known, or None when there was none."""
        gone = self._online.pop(_key(account), None)
        self._only = next(iter(self)) if len(self._online) == 1 else None
        return None if gone is None else gone[0]

    def find(self, named: Account | None) -> Account:
        """Return the bot that an action names, or the only one. Raises `ActionError` 10101 or 10102."""
        if named is None:
            if self._only is None:
                raise ActionError(WHO_AM_I, "there are several bots, or none: name one with self")
            return self._only
        known = self._online.get(_key(named))
        if known is None:
            raise ActionError(UNKNOWN_SELF, "self names no bot of this implementation")
        return known[0]

    def status(self, accounts: Iterable[Account] | None = None) -> dict[str, object]:
        """Return what `get_status` tells, or a status_update of some of the bots."""
        keys = self._online if accounts is None else [_key(account) for account in accounts]
        bots = [
            {"self": account.encode(), "online": online}
            for account, online in (self._online[key] for key in keys if key in self._online)
        ]
        good = self.good and all(online for _, online in self._online.values())
        return {"good": good, "bots": bots}


def _key(account: Account) -> tuple[str, str]:
    return account.platform, account.user_id
