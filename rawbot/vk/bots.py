"""Several bots behind one door: each community's events are its own bot's.

Layer 3, pure.
"""

from collections.abc import Awaitable, Mapping

from rawbot.errors import ConfigError
from rawbot.event import Event, Handler, Handlers, Reply
from rawbot.lanes import Policy


class Bots:
    """Handlers that pass events on to the bot of their community (`event.Handlers`).

    Raises `ConfigError` for bots that would do differently with messages that come while another is answered.
    """

    def __init__(self, bots: Mapping[int, Handlers]) -> None:
        kinds = {(bot.policy, bot.max_waiting) for bot in bots.values()}
        if len(kinds) != 1:
            raise ConfigError("bots behind one endpoint have the same policy and max_waiting")
        self.policy: Policy
        self.policy, self.max_waiting = kinds.pop()
        self._bots = {str(group_id): bot for group_id, bot in bots.items()}

    def handler_for(self, kind: str) -> Handler | None:
        """Return what calls the community's own handler, None when no bot has one for this kind."""
        return self._call if any(bot.handler_for(kind) for bot in self._bots.values()) else None

    def _call(self, event: Event, reply: Reply) -> Awaitable[None] | None:
        handler = self._bots[event.bot].handler_for(event.kind)
        return None if handler is None else handler(event, reply)


def own_bots(bots: Mapping[int, Handlers | None]) -> Bots | None:
    """Return the bots of these communities, None when they have none of their own: then there is the app's.

    Raises `ConfigError` when some have one and others do not.
    """
    own = {group_id: bot for group_id, bot in bots.items() if bot is not None}
    if not own:
        return None
    if len(own) < len(bots):
        raise ConfigError("either each community of an endpoint has a bot of its own, or none has")
    return Bots(own)
