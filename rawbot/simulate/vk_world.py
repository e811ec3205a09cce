"""What VK knows: communities with their tokens, servers and dialogs, accounts of users, files.

Layer 3 (simulate). State and nothing else: who sends it and who asks for it is elsewhere.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from rawbot.errors import ConfigError
from rawbot.simulate.vk_callbacks import CallbackServer
from rawbot.simulate.vk_clock import Bell, VirtualClock
from rawbot.simulate.vk_dialogs import ChatMessage, Dialog
from rawbot.simulate.vk_events import VKEvent
from rawbot.simulate.vk_longpoll import LongPollStream
from rawbot.simulate.vk_rules import JsonObject

ANSWER_WITHIN = 60.0
"""Seconds for which a pressed button waits for its answer."""


@dataclass(slots=True, eq=False)
class Press:
    """A callback button that was pressed."""

    event_id: str
    user_id: int
    peer_id: int
    at: float
    answered: bool = False
    answer: JsonObject | None = field(default=None, repr=False)
    """What the bot told the client to do; None when nothing but to stop waiting."""


@dataclass(slots=True, eq=False, kw_only=True)
class Party:
    """Who can be written to and has a bot: a community or a user."""

    id: int
    tokens: set[str] = field(repr=False)
    stream: LongPollStream = field(repr=False)
    any_token: bool = False
    """Whether unknown tokens are taken for its own."""
    dialogs: dict[int, Dialog] = field(default_factory=dict, repr=False)
    presses: dict[str, Press] = field(default_factory=dict, repr=False)
    blocked: set[int] = field(default_factory=set)
    """Users to whom nothing can be sent: they are on a blacklist."""
    message_ids: "count[int]" = field(default_factory=lambda: count(1), repr=False)

    @property
    def peer_id(self) -> int:
        """What it is called where it may be any of these."""
        return self.id

    def dialog(self, peer_id: int) -> Dialog:
        """Return the dialog with a user, or the chat."""
        return self.dialogs.setdefault(peer_id, Dialog(peer_id))


@dataclass(slots=True, eq=False, kw_only=True)
class Community(Party):
    """A community. `confirmation` is the string that the console shows, `api_confirmation` what the API tells."""

    confirmation: str
    api_confirmation: str
    name: str
    servers: dict[int, CallbackServer] = field(default_factory=dict)
    long_poll: bool = False
    """Whether Long Poll is switched on."""
    long_poll_version: str = "5.199"
    long_poll_events: set[str] = field(default_factory=set, repr=False)
    server_ids: "count[int]" = field(default_factory=lambda: count(1), repr=False)

    @property
    def peer_id(self) -> int:
        """Return its id as objects have it: negative."""
        return -self.id

    def live_servers(self) -> list[CallbackServer]:
        """Return its callback servers."""
        for server_id in [server_id for server_id, server in self.servers.items() if server.deleted]:
            del self.servers[server_id]
        return list(self.servers.values())


@dataclass(slots=True, eq=False, kw_only=True)
class Account(Party):
    """A user who has given a token away."""


@dataclass(slots=True, eq=False)
class HostedFile:
    """A file that a user sent, or that a bot uploaded."""

    data: bytes = field(repr=False)
    name: str
    saved: JsonObject | None = field(default=None, repr=False)
    """As the API tells of it, once it is saved."""


Emit = Callable[[VKEvent], None]
OnSaid = Callable[[Party, ChatMessage | Press], None]


class World:
    """All of it. `emit` is told of events that bots' own calls make, as message_reply; `on_said` of what they say."""

    def __init__(
        self, clock: VirtualClock, on_problem: Callable[[str], None], emit: Emit, on_said: OnSaid | None = None
    ) -> None:
        self.clock = clock
        self.blame = on_problem
        self.emit = emit
        self._on_said = on_said
        self.communities: dict[int, Community] = {}
        self.accounts: dict[int, Account] = {}
        self.names: dict[int, tuple[str, str]] = {}
        """First and last names of users."""
        self.files: dict[str, HostedFile] = {}
        """By the last part of their URLs."""
        self.attachments: dict[str, HostedFile] = {}
        """By what `attachment` calls them: photo-1_2."""
        self.file_ids = count(457_239_017)
        self.called = Bell()
        """Rings when a bot has called a method, whatever came of it."""
        self.base_url = ""

    def caller(self, token: str) -> Party | None:
        """Return whose token it is."""
        parties: list[Party] = [*self.communities.values(), *self.accounts.values()]
        own = (party for party in parties if token in party.tokens)
        return next(own, None) or next((party for party in parties if token and party.any_token), None)

    def community(self, group_id: int) -> Community:
        """Return a community. Raises `ConfigError` for one that is not there."""
        found = self.communities.get(group_id)
        if found is None:
            raise ConfigError(f"there is no community {group_id}")
        return found

    def host(self, data: bytes, name: str) -> tuple[str, HostedFile]:
        """Serve a file; return its URL."""
        key = secrets.token_urlsafe(16)
        self.files[key] = hosted = HostedFile(data, name)
        return f"{self.base_url}/files/{key}", hosted

    def tell(self, party: Party, what: ChatMessage | Press) -> None:
        """Let everybody know that a bot has said something."""
        if self._on_said is not None:
            self._on_said(party, what)

    def say(self, party: Party, peer_id: int, from_id: int, text: str) -> ChatMessage:
        """Add a message to a dialog; who has been written to may answer."""
        dialog = party.dialog(peer_id)
        message = dialog.add(from_id, next(party.message_ids), self.clock.now, text)
        message.outgoing = from_id == party.peer_id
        dialog.open = dialog.open or not message.outgoing
        return message
