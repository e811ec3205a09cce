"""What the operator says of a community: how it is known, how it is answered for, and who answers.

Layer 3, pure. Source: VK, Callback API (dev.vk.com/ru/api/callback/getting-started): confirmation string and secret key
belong to a community, and either may change while the other server settings stay.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from rawbot.errors import ConfigError
from rawbot.event import Handlers

Streaming = Literal["final", "edit"]
"""How a reply reaches the user: as one message when the handler is done, or as one that is edited as the text grows."""

Confirmation = str | Callable[[], str | None] | None
"""The string, or what gives it when it is asked for; None has it asked of the API, with the community's token."""

MAX_SECRET = 50
"""Characters of a secret key (groups.addCallbackServer)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VKGroup:
    """A community.

    - `secret`: one secret key, or several while they are changed; None, the default, takes every sender's word.
    - `common_name`: that of the client certificate which the sender must show, verified by TLS (`TLS.ca_certs`).
    - `token`: the community's access token, without which nothing can be answered.
    - `bot`: who hears of its events, where that is not the app's bot.

    Raises `ConfigError` for settings that cannot work: an empty secret above all, which would let everybody in who
    leaves it out.
    """

    secret: str | Sequence[str] | None = field(default=None, repr=False)
    confirmation: Confirmation = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    stream: Streaming = "final"
    common_name: str | None = None
    bot: Handlers | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.secret, str | Sequence | None):
            raise ConfigError("secret is one secret key, or a list of them")
        if self.secret is not None and not self.secrets:
            raise ConfigError("secret is empty: leave it out, or give the secret key of the server's settings")
        for secret in self.secrets:
            check_secret(secret)
        text = self.confirmation
        if not (text is None or callable(text) or (isinstance(text, str) and text and text.isascii())):
            raise ConfigError("confirmation is the string that VK's settings show, or what returns it")
        if self.token == "" or self.common_name == "":
            raise ConfigError("token and common_name are not empty: leave them out instead")
        if self.stream not in get_args(Streaming):
            raise ConfigError("stream is final or edit")

    @property
    def secrets(self) -> tuple[str, ...]:
        """All secret keys that are valid at present."""
        if self.secret is None:
            return ()
        return (self.secret,) if isinstance(self.secret, str) else tuple(self.secret)


def check_secret(secret: str) -> None:
    """Raise `ConfigError` for what VK takes for no secret key."""
    if not isinstance(secret, str) or not 0 < len(secret) <= MAX_SECRET or not secret.isprintable():
        raise ConfigError(f"a secret key is a string of 1 to {MAX_SECRET} characters")
