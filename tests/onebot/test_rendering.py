"""rawbot/onebot/rendering.py: what users write as segments, and segments as what they see.

Source: OneBot 12, interface/message.
"""

import pytest
from gateway_replies import make_event
from memory_files import MemoryStore, run

from rawbot.errors import FetchError
from rawbot.event import Attachment
from rawbot.media import Media
from rawbot.onebot import messages
from rawbot.onebot.files import MAX_SIZE, Files
from rawbot.onebot.messages import Account, Message, Segment, alt_message, decode_message, encode_message
from rawbot.onebot.rendering import Rendered, render, segments_of
from rawbot.onebot.retcodes import BAD_PARAM, BAD_SEGMENT_DATA, NETWORK_ERROR, UNSUPPORTED_SEGMENT, ActionError

T0 = 1_700_000_000.0
BOT = Account("wecom", "BOT")


class DiskStore(MemoryStore):
    """Gives paths of its own, at which a `FakeFetch` puts files."""

    async def new_path(self) -> str:
        return f"/spill/{len(self.disk)}"


class FakeFetch:
    """Downloads as the shell does, and counts."""

    def __init__(self, store: MemoryStore, data: bytes) -> None:
        self.store = store
        self.data = data
        self.bounds: list[int] = []

    async def __call__(self, attachment: Attachment, max_bytes: int, path: str | None) -> Media:
        self.bounds.append(max_bytes)
        if len(self.data) > max_bytes:
            raise FetchError("the file is larger than allowed")
        name = attachment.name or "downloaded"
        if path is None:
            return Media(name, "", len(self.data), self.data)
        self.store.disk[None, path] = self.data
        return Media(name, "", len(self.data), path=path)


def make_files() -> tuple[Files, DiskStore]:
    store = DiskStore()
    return Files(store, clock=lambda: T0), store


def seen_as(**more: object) -> list[dict[str, object]]:
    return encode_message(segments_of(make_event(**more), BOT, make_files()[0]))


def test_words_are_a_text():
    assert seen_as(text="hello") == [{"type": "text", "data": {"text": "hello"}}]


def test_nothing_is_an_empty_text_since_a_message_has_a_segment():
    assert seen_as(text="") == [{"type": "text", "data": {"text": ""}}]


def test_in_a_group_the_bot_is_mentioned():
    mention = {"type": "mention", "data": {"user_id": "BOT"}}
    assert seen_as(text="hi", group="wr-1") == [mention, {"type": "text", "data": {"text": "hi"}}]
    assert seen_as(text="", group="wr-1", bot="") == [mention]


def test_what_is_answered_comes_first_with_all_that_the_standard_wants_of_it():
    reply = {"type": "reply", "data": {"message_id": "m0", "user_id": ""}}
    assert seen_as(text="why?", reply_to="m0") == [reply, {"type": "text", "data": {"text": "why?"}}]


@pytest.mark.parametrize(
    ("kind", "segment"),
    [("image", "image"), ("video", "video"), ("voice", "voice"), ("audio", "audio"), ("file", "file"), ("new", "file")],
)
def test_a_file_is_offered_by_id_and_downloaded_once_it_is_asked_for(kind: str, segment: str):
    files, store = make_files()
    attachment = Attachment(kind, "https://files.example/x", expires_at=T0 + 300, name="x.bin")
    fetch = attachment.fetch = FakeFetch(store, b"content")
    (found,) = segments_of(make_event("", attachments=[attachment]), BOT, files)
    assert found.type == segment
    assert (fetch.bounds, store.held, store.disk) == ([], [], {})
    for _ in range(2):
        media = run(files.read(str(found.data["file_id"])))
        assert (media.name, media.data) == ("x.bin", b"content")
    assert len(fetch.bounds) == 1
    assert store.disk == {}  # taken over


def test_a_picture_goes_to_memory_and_what_may_be_larger_to_the_disk():
    files, store = make_files()
    for kind, bound in (("image", 20 * 1024 * 1024), ("file", MAX_SIZE), ("video", MAX_SIZE)):
        attachment = Attachment(kind, "https://files.example/x", expires_at=T0 + 300)
        fetch = attachment.fetch = FakeFetch(store, b"content")
        run(files.read(files.offer_attachment(attachment)))
        assert fetch.bounds == [bound]


def test_a_download_that_fails_says_so_without_a_word_of_the_url():
    files, store = make_files()
    attachment = Attachment("file", "https://files.example/secret", expires_at=T0 + 300)
    attachment.fetch = FakeFetch(store, bytes(MAX_SIZE + 1))
    with pytest.raises(ActionError, match="could not be downloaded") as caught:
        run(files.read(files.offer_attachment(attachment)))
    assert caught.value.retcode == NETWORK_ERROR
    assert "example" not in caught.value.message


def shown(*segments: Segment) -> Rendered:
    return render(list(segments))


def test_text_mentions_and_places_become_words_in_their_order():
    rendered = shown(
        messages.mention("lisi"),
        messages.text("look "),
        messages.location(31.5, 121.25, "Bund", "Zhongshan Road"),
        messages.text(" and "),
        messages.mention_all(),
        messages.text("come"),
    )
    assert rendered.text == "@lisi look Bund Zhongshan Road (31.5, 121.25) and @all come"
    assert (rendered.images, rendered.reply_to) == ([], "")


def test_a_blank_that_an_application_puts_behind_a_mention_is_not_doubled():
    assert shown(messages.mention("lisi"), messages.text(" yes")).text == "@lisi yes"
    assert shown(messages.mention("lisi"), messages.text("  yes")).text == "@lisi  yes"
    assert shown(messages.text("well,"), messages.text(" yes")).text == "well, yes"


def test_pictures_go_by_their_ids_and_the_last_reply_counts():
    rendered = shown(messages.reply("m1"), messages.image("a"), messages.reply("m2"), messages.image("b"))
    assert rendered == Rendered("", ["a", "b"], "m2", is_empty=False)


@pytest.mark.parametrize("kind", ["voice", "audio", "video", "file", "wecom.card", "x" * 1000])
def test_what_no_channel_has_a_form_for_is_refused_by_its_name(kind: str):
    with pytest.raises(ActionError) as caught:
        shown(messages.text("look"), Segment(kind, {"file_id": "a"}))
    assert caught.value.retcode == UNSUPPORTED_SEGMENT
    assert kind[:64] in caught.value.message
    assert len(caught.value.message) < 150


@pytest.mark.parametrize(
    ("message", "retcode"),
    [
        ([], BAD_PARAM),
        ("", BAD_SEGMENT_DATA),
        (" \n", BAD_SEGMENT_DATA),
        ([{"type": "text", "data": {"text": ""}}], BAD_SEGMENT_DATA),
        ([{"type": "reply", "data": {"message_id": "m1"}}], BAD_SEGMENT_DATA),
    ],
)
def test_a_message_that_shows_nothing_is_refused(message: object, retcode: int):
    with pytest.raises(ActionError) as caught:
        render(decode_message(message)).demand_something()
    assert caught.value.retcode == retcode


@pytest.mark.parametrize("message", [[messages.text("x")], [messages.image("a")], [messages.mention_all()]])
def test_a_message_that_shows_something_is_taken(message: Message):
    render(message).demand_something()


def test_the_stand_in_for_a_message_tells_all_of_it():
    files, _ = make_files()
    attachment = Attachment("image", "https://files.example/x", expires_at=T0 + 300)
    event = make_event("look", group="wr-1", attachments=[attachment])
    assert alt_message(segments_of(event, BOT, files)) == "@BOTlook[image]"
