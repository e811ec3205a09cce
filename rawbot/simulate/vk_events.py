"""What happens in a community, as the objects of its events and the envelopes around them.

Layer 3 (simulate), pure: objects go in and out, nothing is sent. Source of the shapes: dev.vk.com/ru/api/callback,
dev.vk.com/ru/api/community-events/json-schema, and bodies that were recorded.
"""

from dataclasses import dataclass, field

from rawbot.simulate.vk_rules import JsonObject, Version, is_object, parse_version

CLIENT_INFO: JsonObject = {
    "button_actions": [
        "text", "vkpay", "open_app", "location", "open_link", "callback", "intent_subscribe", "intent_unsubscribe",
    ],
    "keyboard": True,
    "inline_keyboard": True,
    "carousel": True,
    "lang_id": 0,
}  # fmt: skip

_WITH_CLIENT_INFO: Version = (5, 103)
"""From this version on a new message stands in an object beside what the user's client can do."""
_WITH_VERSION: Version = (5, 199)
"""From this version on messages have a field `version`."""


@dataclass(slots=True, eq=False)
class VKEvent:
    """One event of a community's. `object` is in the shape of the newest version."""

    type: str
    group_id: int
    object: JsonObject = field(repr=False)
    event_id: str = ""
    """40 hexadecimal digits; empty for one that VK would have sent before it had them."""
    at: float = 0.0

    def object_for(self, version: str) -> JsonObject:
        """Return the object as this version of the API has it."""
        known = parse_version(version) or _WITH_VERSION
        message = self.object.get("message")
        if self.type == "message_new" and is_object(message):
            message = _message_for(message, known)
            return message if known < _WITH_CLIENT_INFO else self.object | {"message": message}
        return _message_for(self.object, known) if self.type.startswith("message_") else self.object

    def envelope(self, version: str, secret: str = "") -> JsonObject:
        """Return the body of a callback, or with no secret an update of Long Poll, in the order of today's servers."""
        envelope: JsonObject = {"group_id": self.group_id, "type": self.type}
        if self.event_id:
            envelope["event_id"] = self.event_id
        envelope |= {"v": version, "object": self.object_for(version)}
        return envelope | {"secret": secret} if secret else envelope


def _message_for(message: JsonObject, version: Version) -> JsonObject:
    return message if version >= _WITH_VERSION else {k: v for k, v in message.items() if k != "version"}


def confirmation(group_id: int, secret: str) -> JsonObject:
    """Return what a server is asked when it is added or edited."""
    envelope: JsonObject = {"type": "confirmation", "group_id": group_id}
    return envelope | {"secret": secret} if secret else envelope


def photo_attachment(url: str, *, owner_id: int, photo_id: int, date: int) -> JsonObject:
    """Return a photo as it comes with a message: one size, the largest."""
    size = {"height": 1080, "type": "z", "width": 1080, "url": url}
    photo = {"album_id": -3, "date": date, "id": photo_id, "owner_id": owner_id, "access_key": f"{photo_id:018x}"}
    return {"type": "photo", "photo": photo | {"sizes": [size], "text": "", "has_tags": False}}


def document_attachment(url: str, *, owner_id: int, doc_id: int, name: str, size: int, date: int) -> JsonObject:
    """Return a document as it comes with a message."""
    doc = {"id": doc_id, "owner_id": owner_id, "title": name, "size": size, "ext": name.rpartition(".")[2]}
    return {"type": "doc", "doc": doc | {"date": date, "type": 8, "url": url, "access_key": f"{doc_id:018x}"}}


def like(user_id: int, *, object_type: str, owner_id: int, object_id: int, post_id: int = 0) -> JsonObject:
    """Return what a like_add or a like_remove is about."""
    about: JsonObject = {"liker_id": user_id, "object_type": object_type, "object_owner_id": owner_id}
    return about | {"object_id": object_id, "thread_reply_id": 0, "post_id": post_id}


def comment(user_id: int, text: str, *, comment_id: int, group_id: int, post_id: int, date: float) -> JsonObject:
    """Return a comment below a post of the community's: what a wall_reply_new is about."""
    about: JsonObject = {"id": comment_id, "from_id": user_id, "date": int(date), "text": text}
    where: JsonObject = {"owner_id": -group_id, "post_id": post_id, "post_owner_id": -group_id}
    return about | where | {"parents_stack": [], "thread": {"count": 0}}
