"""A channel's message as OneBot's segments, and segments as what a channel shows.

Layer 3, pure. Source: OneBot 12, interface/message. Every channel takes text; pictures where its reply does. What
cannot be shown is refused (10005) rather than left out, and nothing of such a message is sent.
"""

from typing import NamedTuple

from rawbot.event import Attachment, Event
from rawbot.onebot import messages
from rawbot.onebot.files import Files
from rawbot.onebot.messages import Account, Message, Segment
from rawbot.onebot.retcodes import BAD_PARAM, BAD_SEGMENT_DATA, UNSUPPORTED_SEGMENT, ActionError

_AS_SEGMENT = {"image": messages.image, "video": messages.video, "voice": messages.voice, "audio": messages.audio}


class Rendered(NamedTuple):
    """What a message comes to on a channel."""

    text: str
    images: list[str]
    """The file_ids of pictures."""
    reply_to: str
    """The id of the message that it answers, or nothing."""
    is_empty: bool
    """Whether there was no segment at all."""

    def demand_something(self) -> None:
        """Raise `ActionError` for a message that shows nothing: 10003 without segments, 10006 with empty ones."""
        if self.is_empty:
            raise ActionError(BAD_PARAM, "the message is empty")
        if not self.images and not self.text.strip():
            raise ActionError(BAD_SEGMENT_DATA, "nothing of this message can be seen")


def segments_of(event: Event, account: Account, files: Files) -> Message:
    """Return what a user wrote. In a group the bot is mentioned, since channels tell of nothing else there.

    Files are offered by id, and downloaded only when an application gets them. There is a segment at least.
    """
    found: list[Segment] = []
    if event.reply_to:
        found.append(messages.reply(event.reply_to, ""))  # whose it was is not told, and must be said
    if event.group:
        found.append(messages.mention(account.user_id))
    if event.text:
        found.append(messages.text(event.text))
    found += [_segment_of(attachment, files) for attachment in event.attachments]
    return found or [messages.text("")]


def _segment_of(attachment: Attachment, files: Files) -> Segment:
    return _AS_SEGMENT.get(attachment.kind, messages.file)(files.offer_attachment(attachment))


def render(message: Message) -> Rendered:
    """Return what a channel is to show. Raises `ActionError` (10005) for a segment that no channel has a form for."""
    words: list[str] = []
    images: list[str] = []
    reply_to = ""
    mentioned = False
    for segment in message:
        data = segment.data
        if segment.type == "text":
            words.append(str(data["text"]).removeprefix(" " if mentioned else ""))
        elif segment.type == "image":
            images.append(str(data["file_id"]))
        elif segment.type == "mention":
            words.append(f"@{data['user_id']} ")
        elif segment.type == "mention_all":
            words.append("@all ")
        elif segment.type == "location":
            words.append(f"{data['title']} {data['content']} ({data['latitude']}, {data['longitude']})")
        elif segment.type == "reply":
            reply_to = str(data["message_id"])
        else:
            raise ActionError(UNSUPPORTED_SEGMENT, f"this channel shows no segments of type {segment.type[:64]}")
        mentioned = segment.type in ("mention", "mention_all")
    return Rendered("".join(words), images, reply_to, not message)
