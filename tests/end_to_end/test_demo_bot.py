"""Every command of the demo bot, as a WeCom user sees it: encrypted both ways, over real sockets."""

from itertools import pairwise

import pytest
from talking import KEY, TOKEN, Meeting, meet

import rawbot
from rawbot import demo
from rawbot.simulate import wecom_messages as messages
from rawbot.simulate.wecom import Conversation
from rawbot.wecom.markdown import TEXT_LIMIT
from rawbot.wecom.texts import WeComTexts

TEXTS = WeComTexts()
PNG = demo.png(3, 2)
PDF = b"%PDF-1.7\n" + bytes(300_000)  # more than what is decrypted in a thread
MP4 = b"\0\0\0\x18ftypisom" + bytes(1000)


def demo_app(delay: str = "0.01") -> rawbot.App:
    environ = {"RAWBOT_WECOM_TOKEN": TOKEN, "RAWBOT_WECOM_ENCODING_AES_KEY": KEY, "RAWBOT_DEMO_DELAY": delay}
    return demo.make_app(environ)


def say(text: str, **options: object) -> Conversation:
    conversation = meet(demo_app(), lambda meeting: meeting.platform.say(text), **options)
    assert (conversation.problems, conversation.finished) == ([], True)
    return conversation


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Hello", "You said: Hello"),
        ("你好，\n**世界** <think>", "You said: 你好，\n**世界** <think>"),
        ("/slow 0.05", "That took 0.05 s."),
        ("/slow -7", "That took 0 s."),
        ("/slow nan", "That took 0 s."),
        ("/long 5", "1. Th"),
        ("/image", "Here is a picture."),
        ("/card", "Please decide."),
        ("/silent", TEXTS.silent),
        ("/fail", TEXTS.failed),
        ("  /silent  ", TEXTS.silent),
        ("/unknown", "You said: /unknown"),
    ],
)
def test_what_is_said_is_answered(said: str, shown: str):
    assert say(said).shown == shown


def test_an_answer_grows_while_it_is_written():
    conversation = meet(demo_app("0.05"), lambda meeting: meeting.platform.say("a text of some length"))
    snapshots = [frame.content for frame in conversation.frames if frame.content != "<think></think>"]
    assert len(set(snapshots)) > 2
    assert all(later.startswith(earlier) for earlier, later in pairwise(snapshots))
    assert snapshots[-1] == conversation.shown == "You said: a text of some length"
    assert conversation.problems == []


def test_a_slow_answer_comes_after_its_time_and_the_first_frame_at_once():
    conversation = say("/slow 0.3")
    assert conversation.first_answer < 0.3 <= conversation.frames[-1].at


@pytest.mark.parametrize("size", [TEXT_LIMIT, TEXT_LIMIT + 1, 30_000, 40_000])
def test_a_long_answer_goes_on_through_response_url(size: int):
    async def talk(meeting: Meeting) -> Conversation:
        conversation = await meeting.platform.say(f"/long {size}")
        await meeting.platform.wait_active(conversation, count=int(size > TEXT_LIMIT))
        return conversation

    conversation = meet(demo_app(), talk)
    rest = [message["markdown"]["content"] for message in conversation.active_messages]
    assert conversation.problems == []
    assert len(conversation.shown.encode()) <= TEXT_LIMIT
    assert len(rest) == int(size > TEXT_LIMIT)
    assert "".join([conversation.shown, *rest]) == demo.long_text(size)


def test_what_no_second_message_can_hold_is_said_to_be_cut():
    async def talk(meeting: Meeting) -> Conversation:
        conversation = await meeting.platform.say("/long 60000")
        await meeting.platform.wait_active(conversation)
        return conversation

    conversation = meet(demo_app(), talk)
    rest = conversation.active_messages[0]["markdown"]["content"]
    assert conversation.problems == []
    assert rest.endswith(TEXTS.cut)
    shown = conversation.shown + rest.removesuffix(TEXTS.cut).rstrip()
    assert demo.long_text(60_000).startswith(shown)
    assert len(shown) > 1.9 * TEXT_LIMIT


def test_a_picture_ends_the_answer():
    conversation = say("/image")
    assert conversation.images == [demo.png(64, 64)]
    assert [frame.msg_items for frame in conversation.frames][-1] == 1


@pytest.mark.parametrize("chat", [None, "wr-group"])
@pytest.mark.parametrize("key", ["yes", "no"])
def test_a_card_comes_and_changes_when_it_is_pressed(key: str, chat: str | None):
    async def talk(meeting: Meeting) -> tuple[Conversation, Conversation]:
        conversation = await meeting.platform.say("/card", chat=chat)
        return conversation, await meeting.platform.press(conversation.cards[0], key, chat=chat)

    asked, pressed = meet(demo_app(), talk)
    assert asked.problems == pressed.problems == []
    assert asked.cards == [demo.answered_card(f"demo-{asked.stream_id}", key)]
    assert pressed.first_answer < 1.0


def test_in_a_group_the_mention_is_not_repeated():
    conversation = meet(demo_app(), lambda meeting: meeting.platform.say("你好 all", chat="wr-group", user="lisi"))
    assert (conversation.shown, conversation.problems) == ("You said: 你好 all", [])
    assert conversation.message["text"] == {"content": "@RobotA 你好 all"}


def test_files_are_downloaded_decrypted_and_described():
    async def talk(meeting: Meeting) -> list[Conversation]:
        platform = meeting.platform
        quote = messages.image_body(platform.host(PNG, name="quoted"))
        return [
            await platform.send_image(PNG),
            await platform.send_file(PDF, name="年报 2025.pdf"),
            await platform.send_file(b"", name="empty.txt"),
            await platform.send_video(MP4),
            await platform.send_mixed(["look", PNG, "and", PNG]),
            await platform.send_mixed(["look", PNG], chat="wr-group"),
            await platform.say("what is this?", chat="wr-group", quote=quote),
        ]

    conversations = meet(demo_app(), talk)
    picture = f"image: image/png, image, {len(PNG)} bytes\n"
    assert [conversation.problems for conversation in conversations] == [[]] * 7
    assert [conversation.shown for conversation in conversations] == [
        picture,
        f"file: application/pdf, 年报 2025.pdf, {len(PDF)} bytes\n",
        "file: application/octet-stream, empty.txt, 0 bytes\n",
        f"video: video/mp4, video.mp4, {len(MP4)} bytes\n",
        picture * 2,
        picture,
        picture.replace("image, ", "quoted, "),
    ]


def test_speech_and_quoted_words_are_answered_like_typed_ones():
    async def talk(meeting: Meeting) -> list[Conversation]:
        platform = meeting.platform
        return [
            await platform.send_voice("说话"),
            *[
                await platform.say("and this?", quote=quote)
                for quote in (
                    messages.text_body("earlier words"),
                    messages.voice_body("earlier speech"),
                    messages.mixed_body([messages.text_body("words alone")]),
                )
            ],
        ]

    conversations = meet(demo_app(), talk)
    assert [conversation.problems for conversation in conversations] == [[]] * 4
    assert [conversation.shown for conversation in conversations] == ["You said: 说话", *["You said: and this?"] * 3]


def test_whoever_opens_the_chat_is_welcomed():
    conversation = meet(demo_app(), lambda meeting: meeting.platform.enter_chat())
    assert (conversation.shown, conversation.problems) == (demo.HELP, [])


def test_feedback_and_unknown_events_are_acknowledged_without_a_word():
    async def talk(meeting: Meeting) -> list[Conversation]:
        said = await meeting.platform.say("Hello")
        return [
            await meeting.platform.give_feedback(said.stream_id, verdict=2, content="no", reasons=[1, 3]),
            await meeting.platform.send_event("an_event_of_tomorrow", {"a": 1}),
        ]

    for conversation in meet(demo_app(), talk):
        assert (conversation.state, conversation.shown, conversation.problems) == ("finished", "", [])
        assert conversation.deliveries == 1
