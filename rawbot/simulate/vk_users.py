"""What users do on VK, in the words of a test: write, press, join, like.

Layer 3 (simulate). Each makes an event of it, as VK does; who is told of the event is the platform's business.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rawbot.errors import ConfigError, StateError
from rawbot.simulate import vk_events as events
from rawbot.simulate import vk_user_updates as user_updates
from rawbot.simulate.vk_callbacks import Attempt, Delivery
from rawbot.simulate.vk_clock import VirtualClock
from rawbot.simulate.vk_dialogs import ChatMessage, Dialog, find_button, payload_text, payload_value
from rawbot.simulate.vk_events import VKEvent
from rawbot.simulate.vk_rules import JsonObject
from rawbot.simulate.vk_world import Account, Press, World


@dataclass(slots=True, eq=False)
class SentEvent:
    """Something that happened, and what the bots' servers made of it."""

    event: VKEvent
    deliveries: list[Delivery] = field(repr=False)
    """One for each server that the event goes to."""
    message: ChatMessage | None = field(default=None, repr=False)
    """What was said, if that is what happened."""
    press: Press | None = field(default=None, repr=False)
    """The callback button that was pressed."""

    @property
    def attempts(self) -> list[Attempt]:
        """Return the requests that were made, server by server."""
        return [attempt for delivery in self.deliveries for attempt in delivery.attempts]

    @property
    def delivered(self) -> bool:
        """Whether each server, and there is one, has taken it."""
        return bool(self.deliveries) and all(delivery.state == "delivered" for delivery in self.deliveries)


class Users:
    """The users of `world`. Who inherits from it brings events to those who asked for such, with `emit`."""

    world: World
    clock: VirtualClock

    async def emit(
        self,
        group_id: int,
        event_type: str,
        about: JsonObject,
        *,
        event_id: str | None = None,
        lose_answer: int = 0,
        twice: bool = False,
    ) -> SentEvent:
        """Let any event happen, known to VK or not, and bring it to all who asked for such; each is asked once here.

        `event_id` is made unless given; "" leaves it out. So many good answers as `lose_answer` says get lost, so that
        the event comes again. `twice` sends it two times at once.
        """
        raise NotImplementedError

    def dialog(self, group_id: int, peer_id: int) -> Dialog:
        """Return what a user, or a chat, sees of a community."""
        return self.world.community(group_id).dialog(peer_id)

    def host(self, data: bytes, *, name: str = "file") -> str:
        """Serve a file; return its URL."""
        return self.world.host(data, name)[0]

    async def say(
        self,
        group_id: int,
        user_id: int,
        text: str,
        *,
        peer_id: int | None = None,
        payload: str = "",
        photos: Sequence[bytes] = (),
        documents: Mapping[str, bytes] | None = None,
        reply_to: ChatMessage | None = None,
        lose_answer: int = 0,
        twice: bool = False,
    ) -> SentEvent:
        """Write to the community, in the user's dialog with it or in the chat `peer_id`. See `emit`."""
        community = self.world.community(group_id)
        message = self.world.say(community, peer_id or user_id, user_id, text)
        message.payload, message.reply_to = payload, reply_to
        message.attachments = [self._photo(data, user_id) for data in photos]
        message.attachments += [self._document(data, name, user_id) for name, data in (documents or {}).items()]
        about: JsonObject = {"message": message.object(), "client_info": events.CLIENT_INFO}
        sent = await self.emit(group_id, "message_new", about, lose_answer=lose_answer, twice=twice)
        sent.message = message
        return sent

    async def press(
        self,
        group_id: int,
        user_id: int,
        message: ChatMessage,
        button: str | JsonObject,
        *,
        lose_answer: int = 0,
        twice: bool = False,
    ) -> SentEvent:
        """Press a button below a message of the bot's, named by its label or as it stands in the keyboard.

        Raises `StateError` for one that is not there, or that tells the bot nothing.
        """
        action, peer_id = find_button(message, button), message.peer_id
        if action["type"] == "text":
            text, payload = str(action.get("label", "")), payload_text(action)
            return await self.say(
                group_id, user_id, text, peer_id=peer_id, payload=payload, lose_answer=lose_answer, twice=twice
            )
        if action["type"] != "callback":
            raise StateError("the bot hears nothing of this button")
        press = Press(secrets.token_hex(6), user_id, peer_id, self.clock.now)
        self.world.community(group_id).presses[press.event_id] = press
        about: JsonObject = {"user_id": user_id, "peer_id": peer_id, "event_id": press.event_id}
        about |= {"payload": payload_value(action), "conversation_message_id": message.conversation_message_id}
        sent = await self.emit(group_id, "message_event", about, lose_answer=lose_answer, twice=twice)
        sent.press = press
        return sent

    async def join(self, group_id: int, user_id: int, *, join_type: str = "join") -> SentEvent:
        """Become a member."""
        return await self.emit(group_id, "group_join", {"user_id": user_id, "join_type": join_type})

    async def leave(self, group_id: int, user_id: int, *, by_self: bool = True) -> SentEvent:
        """Be a member no more."""
        return await self.emit(group_id, "group_leave", {"user_id": user_id, "self": int(by_self)})

    async def like(self, group_id: int, user_id: int, *, post_id: int = 1, undo: bool = False) -> SentEvent:
        """Like a post of the community's, or like it no more."""
        about = events.like(user_id, object_type="post", owner_id=-group_id, object_id=post_id)
        return await self.emit(group_id, "like_remove" if undo else "like_add", about)

    async def comment(self, group_id: int, user_id: int, text: str, *, post_id: int = 1) -> SentEvent:
        """Write below a post of the community's."""
        number, date = next(self.world.file_ids), self.clock.now
        about = events.comment(user_id, text, comment_id=number, group_id=group_id, post_id=post_id, date=date)
        return await self.emit(group_id, "wall_reply_new", about)

    async def allow(self, group_id: int, user_id: int) -> SentEvent:
        """Let the community write first."""
        self.dialog(group_id, user_id).open = True
        return await self.emit(group_id, "message_allow", {"user_id": user_id, "key": ""})

    async def deny(self, group_id: int, user_id: int) -> SentEvent:
        """Let it write no more."""
        self.dialog(group_id, user_id).open = False
        return await self.emit(group_id, "message_deny", {"user_id": user_id})

    def say_to_user(self, user_id: int, sender_id: int, text: str, *, peer_id: int | None = None) -> ChatMessage:
        """Write to a user who has a bot, in their dialog or in the chat `peer_id`; it comes by user Long Poll."""
        account = self.account(user_id)
        message = self.world.say(account, peer_id or sender_id, sender_id, text)
        account.stream.push(user_updates.update_of(message, sender_id=sender_id))
        return message

    def push_update(self, user_id: int, update: list[object]) -> None:
        """Let anything happen to a user who has a bot: an array of user Long Poll."""
        self.account(user_id).stream.push(update)

    def account(self, user_id: int) -> Account:
        """Return the account of a user. Raises `ConfigError` for one that was not opened."""
        account = self.world.accounts.get(user_id)
        if account is None:
            raise ConfigError(f"user {user_id} has no account here")
        return account

    # Inside

    def _photo(self, data: bytes, owner_id: int) -> JsonObject:
        url, number, date = self.host(data, name="photo.jpg"), next(self.world.file_ids), int(self.clock.now)
        return events.photo_attachment(url, owner_id=owner_id, photo_id=number, date=date)

    def _document(self, data: bytes, name: str, owner_id: int) -> JsonObject:
        url, number, date = self.host(data, name=name), next(self.world.file_ids), int(self.clock.now)
        return events.document_attachment(url, owner_id=owner_id, doc_id=number, name=name, size=len(data), date=date)
