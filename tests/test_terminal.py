"""rawbot/terminal.py: what a conversation looks like in a terminal."""

import io

import pytest

from rawbot.simulate.wecom_conversation import Conversation, Frame
from rawbot.simulate.wecom_messages import text_body, user_message
from rawbot.terminal import Transcript

CARD = {"card_type": "text_notice", "task_id": "T"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def conversation() -> Conversation:
    return Conversation(user_message(text_body("hello"), user="zhangsan"))


def shown(*frames: Frame) -> list[str]:
    """Show frames as the simulator does; give the lines."""
    stream, talk = io.StringIO(), conversation()
    transcript = Transcript(stream)
    for frame in frames:
        talk.frames.append(frame)
        transcript.frame(talk, frame)
    return stream.getvalue().splitlines()


def snapshot(at: float, content: str, **more: object) -> Frame:
    return Frame(at, content, **{"finish": False, "size": len(content.encode()), **more})


def test_each_snapshot_is_a_line_with_its_time_and_the_last_has_a_mark():
    assert shown(snapshot(0.0012, "<think></think>"), snapshot(0.25, "你好"), snapshot(1.5, "你好!", finish=True)) == [
        "      1.2 ms │ · · ·",
        "    250.0 ms │ 你好",
        "      1.50 s │ 你好! ✔",
    ]


def test_a_snapshot_that_shows_nothing_new_is_left_out():
    assert len(shown(snapshot(0, "a"), snapshot(1, "a"), snapshot(2, "a"))) == 1
    assert len(shown(snapshot(0, "a"), snapshot(1, "a", finish=True))) == 2
    assert len(shown(snapshot(0, "a"), snapshot(1, "b"), snapshot(2, "a"))) == 3


def test_a_card_that_comes_with_the_same_words_is_shown():
    assert shown(snapshot(0, "a"), snapshot(1, "a", card=CARD))[1:] == ["      1.00 s │ a [card]"]


def test_an_empty_answer_has_no_line():
    assert shown(Frame(0.1)) == []
    assert shown(Frame(0.1, card=CARD)) == ["    100.0 ms │  [card] ✔"]


def test_pictures_are_counted():
    assert shown(snapshot(0, "look", finish=True, msg_items=2)) == ["      0.0 ms │ look [2 picture(s)] ✔"]


def test_of_a_long_text_the_end_is_shown_and_its_size():
    (line,) = shown(snapshot(0, "天" * 7000 + "地"))
    assert line == f"      0.0 ms │ …{'天' * 71}地 (21,003 bytes)"
    assert shown(snapshot(0, "x" * 72)) == [f"      0.0 ms │ {'x' * 72}"]


def test_what_the_bot_says_cannot_steer_the_terminal():
    assert shown(snapshot(0, "a\x1b[2Jb\r\nc\u202ed\x9b")) == ["      0.0 ms │ a [2Jb  c d"]


def test_what_follows_the_bubble_is_a_message_of_its_own():
    stream = io.StringIO()
    transcript = Transcript(stream)
    transcript.active(conversation(), {"msgtype": "markdown", "markdown": {"content": "the rest\x07"}})
    transcript.active(conversation(), {"msgtype": "template_card", "template_card": CARD})
    assert stream.getvalue().splitlines() == [
        "   + message │ the rest (9 bytes)",
        "   + message │ [card] (6 bytes)",
    ]


def test_users_notes_and_verdicts_are_told_apart():
    stream = io.StringIO()
    transcript = Transcript(stream)
    transcript.say("zhangsan", "hello")
    transcript.verdict("well", good=True)
    transcript.verdict("badly", good=False)
    transcript.note("by the way")
    transcript.note()
    assert stream.getvalue() == ("\n    zhangsan │ hello\n           ✔ │ well\n           ✘ │ badly\nby the way\n\n")


def test_colours_are_for_terminals():
    stream = Terminal()
    transcript = Transcript(stream)
    transcript.say("zhangsan", "hello")
    transcript.verdict("well", good=True)
    transcript.verdict("badly", good=False)
    transcript.frame(conversation(), Frame(0.0, "hi"))
    said, well, badly, hi = stream.getvalue().lstrip("\x1b[1m\n").splitlines()
    assert said.endswith("hello\x1b[0m")
    assert (well[:5], badly[:5], hi[:5]) == ("\x1b[32m", "\x1b[31m", "\x1b[36m")
    assert stream.getvalue().count("\x1b[0m") == 4


def test_without_a_stream_it_prints_to_stdout(capsys: pytest.CaptureFixture[str]):
    Transcript().note("here")
    assert capsys.readouterr().out == "here\n"
