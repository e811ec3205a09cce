"""rawbot/event.py: what a bot sees, and what of it stays out of logs."""

import asyncio

import pytest
from fake_endpoint import FakeReply, make_event

from rawbot.errors import StateError
from rawbot.event import MESSAGE, Attachment, Event, FollowUp
from rawbot.media import Media


def test_an_event_is_whole_without_what_few_platforms_tell():
    event = make_event("hello")
    assert (event.kind, event.attachments, event.in_flight) == (MESSAGE, (), 1)
    assert (event.message_id, event.bot, event.group, event.keeper) == ("", "", "", None)


def test_an_event_does_not_show_what_was_said_nor_by_whom():
    event = Event("message", "wecom", "SECRET", "SECRET", "SECRET", None, None)
    event.message_id = event.bot = event.group = "SECRET"
    assert repr(event) == "<Event message on wecom>"


def test_a_reply_that_takes_no_more_messages_is_no_follow_up():
    class Talkative(FakeReply):
        def follow_up(self, text: str) -> None:
            self.write(text)

    assert not isinstance(FakeReply(), FollowUp)
    assert isinstance(Talkative(), FollowUp)


def test_an_attachment_does_not_show_its_url():
    attachment = Attachment("image", "https://files.example/secret", expires_at=300, name="cat.png")
    assert repr(attachment) == "<Attachment image>"
    with_fields = Attachment("file", "https://files.example/1", expires_at=300, headers=[(b"cookie", b"secret")])
    assert repr(with_fields) == "<Attachment file>"


def test_an_attachment_outside_of_an_app_cannot_be_read():
    attachment = Attachment("image", "https://files.example/1", expires_at=300)
    assert (attachment.name, attachment.headers) == ("", ())
    for download in (attachment.read, lambda: attachment.save("there")):
        with pytest.raises(StateError, match="running App"):
            asyncio.run(download())
    with pytest.raises(NotImplementedError):
        attachment.decoder()


def test_an_attachment_is_fetched_by_the_shell_with_its_limits():
    asked: list[tuple[Attachment, int, str | None]] = []

    async def fetch(attachment: Attachment, max_bytes: int, path: str | None) -> Media:
        asked.append((attachment, max_bytes, path))
        return Media("cat.png", "image/png", 3, b"abc", path)

    attachment = Attachment("image", "https://files.example/1", expires_at=300)
    attachment.fetch = fetch
    assert asyncio.run(attachment.read()).data == b"abc"
    assert asyncio.run(attachment.save("there", max_bytes=5)).path == "there"
    assert asked == [(attachment, 20 * 1024 * 1024, None), (attachment, 5, "there")]
