"""rawbot/onebot/gateway.py: who gets to hear what, which reply an application writes to, and how every reply ends."""

from collections.abc import Callable
from typing import Any

import pytest
from fake_endpoint import FakeReply
from gateway_replies import FullReply, make_event
from memory_files import MemoryStore, run

from rawbot.errors import ConfigError, StateError
from rawbot.event import MESSAGE, Attachment, Event
from rawbot.media import Media
from rawbot.onebot.broadcast import Broadcast
from rawbot.onebot.conversations import REMEMBERED, Meant, Target
from rawbot.onebot.files import Files
from rawbot.onebot.gateway import HOLD, Gateway, _follow_up
from rawbot.onebot.implementation import Implementation
from rawbot.onebot.messages import Account
from rawbot.onebot.requests import ActionRequest
from rawbot.onebot.retcodes import (
    BAD_PARAM,
    BAD_SEGMENT_DATA,
    FILE_NOT_FOUND,
    PLATFORM_ERROR,
    PLATFORM_UNABLE,
    PLATFORM_UNKNOWN_TARGET,
    UNSUPPORTED_PARAM,
    UNSUPPORTED_SEGMENT,
    ActionError,
)

T0 = 1_700_000_000.0
BOT = Account("wecom", "BOT")
Data = dict[str, Any]


class Ear:
    """Where events go."""

    def __init__(self) -> None:
        self.heard: list[Data] = []
        self.there = True

    def push(self, broadcast: Broadcast) -> None:
        assert broadcast.text
        self.heard.append(broadcast.value)

    def listens(self, now: float) -> bool:
        assert now >= T0
        return self.there


class Stage:
    """A gateway with one application, on a clock that the test moves."""

    def __init__(self, *, heard: bool = True, **options: object) -> None:
        self.now = T0
        numbers = iter(range(1, 1_000_000))
        self.ob = Implementation(
            "rawbot",
            platform="rawbot",
            version="1",
            clock=lambda: self.now,
            entropy=lambda count: next(numbers).to_bytes(count, "big"),
        )
        self.files = Files(MemoryStore(), clock=lambda: self.now)
        self.files.register(self.ob.actions)
        self.gateway = Gateway(self.ob, self.files, **options)
        self.ear = Ear()
        self.ear.there = heard
        self.ob.join(self.ear)

    def say(self, text: str = "hello", message_id: str = "m1", **more: object) -> Event:
        """Let a user say something to an app that has no handler for it."""
        event = self.begin(text, message_id, **more)
        self.end(event)
        return event

    def begin(self, text: str = "hello", message_id: str = "m1", **more: object) -> Event:
        """Let a user say something; the app's handler runs."""
        event = make_event(text, message_id, **more)
        self.gateway.hear(event)
        return event

    def end(self, event: Event) -> None:
        """Let the handler return, as the dispatcher does."""
        if event.keeper is None:
            event.reply.finish()
        else:
            event.keeper.returned(event)

    def call(self, action: str, **params: object) -> Data:
        """Call an action as an application does."""
        call = self.ob.actions.bind(ActionRequest(action, params, None, None), BOT)
        result = call()
        return run(result) if hasattr(result, "send") else result

    def send(self, message: object = "an answer", **to: object) -> Data:
        to = to or {"user_id": "zhangsan"}
        kind = {"detail_type": "group" if "group_id" in to else "private"}
        return self.call("send_message", message=message, **kind | to)

    def write(self, message: object = "piece", **more: object) -> Data:
        to = {} if "stream_id" in more else {"user_id": "zhangsan"}
        return self.call("rawbot.write_stream", message=message, **to | more)

    def upload(self, data: bytes) -> Data:
        file_id = run(self.files.add(data, "x.png"))
        return {"type": "image", "data": {"file_id": file_id}}

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.gateway.tick(self.now)

    @property
    def held(self) -> int:
        (figure,) = self.gateway.figures()
        assert figure.name == "onebot_gateway_held"
        return int(figure.value)

    @property
    def heard(self) -> list[Data]:
        """What the application has heard, but for the status of the bots."""
        return [event for event in self.ear.heard if event["type"] != "meta"]


def reason(call: Callable[[], object], retcode: int) -> str:
    with pytest.raises(ActionError) as caught:
        call()
    assert caught.value.retcode == retcode
    assert caught.value.message
    return caught.value.message


# What applications hear


def test_a_message_in_a_single_chat_is_private():
    stage = Stage()
    stage.say("hello", "m7")
    assert stage.heard == [
        {
            "id": stage.heard[0]["id"],
            "time": T0,
            "type": "message",
            "detail_type": "private",
            "sub_type": "",
            "self": {"platform": "wecom", "user_id": "BOT"},
            "message": [{"type": "text", "data": {"text": "hello"}}],
            "alt_message": "hello",
            "message_id": "m7",
            "user_id": "zhangsan",
        }
    ]


def test_a_message_in_a_group_is_the_group_s_and_mentions_the_bot():
    stage = Stage()
    stage.say("hello", group="wr-1", chat="BOT/wr-1")
    (event,) = stage.heard
    assert (event["detail_type"], event["group_id"], event["user_id"]) == ("group", "wr-1", "zhangsan")
    assert event["message"][0] == {"type": "mention", "data": {"user_id": event["self"]["user_id"]}}


def test_what_was_quoted_goes_along():
    stage = Stage()
    stage.say("and this?", quoted="earlier words")
    stage.say("plain")
    assert [event.get("rawbot.quote") for event in stage.heard] == ["earlier words", None]


def test_a_bot_is_online_from_its_first_event_on_and_before_it():
    stage = Stage()
    stage.say()
    stage.say()
    stage.say(bot="ANOTHER")
    kinds = [event["detail_type"] for event in stage.ear.heard]
    assert kinds == ["status_update", "private", "private", "status_update", "private"]
    assert stage.ear.heard[0]["status"]["bots"] == [{"self": {"platform": "wecom", "user_id": "BOT"}, "online": True}]


def test_a_bot_and_a_message_that_the_channel_does_not_name_are_named_by_us():
    stage = Stage()
    stage.say("hello", "", bot="", group="wr-1")
    (event,) = stage.heard
    assert event["self"] == {"platform": "wecom", "user_id": "wecom"}
    assert event["message"][0]["data"] == {"user_id": "wecom"}
    assert event["message_id"]


def test_an_event_is_a_notice_of_the_platform_s_own_name_with_its_fields():
    stage = Stage()
    payload = {"task_id": "t1", "event_key": "yes"}
    stage.say(kind="template_card_event", message_id="e1", payload=payload, group="wr-1")
    stage.say(kind="enter_chat", message_id="")
    pressed, entered = stage.heard
    base = ("id", "time", "self", "sub_type")
    assert {key: value for key, value in pressed.items() if key not in base} == {
        "type": "notice",
        "detail_type": "wecom.template_card_event",
        "user_id": "zhangsan",
        "group_id": "wr-1",
        "message_id": "e1",
        "rawbot.payload": payload,
    }
    assert entered.keys() == {*base, "type", "detail_type", "user_id"}


def test_what_belongs_to_no_conversation_is_none_of_theirs():
    stage = Stage()
    event = stage.say(kind="echo", chat="", platform="demo")
    assert (stage.ear.heard, event.keeper, stage.held) == ([], None, 0)


def test_a_file_can_be_had_by_the_id_in_the_message():
    stage = Stage()

    async def fetch(attachment: Attachment, max_bytes: int, path: str | None) -> Media:
        assert (attachment.url, path) == ("https://files.example/x", None)
        return Media("photo.png", "image/png", 3, b"PNG"[:max_bytes])

    stage.gateway.fetch = fetch
    stage.say("", attachments=[Attachment("image", "https://files.example/x", expires_at=T0 + 300)])
    (segment,) = stage.heard[0]["message"]
    got = stage.call("get_file", file_id=segment["data"]["file_id"], type="data")
    assert (got["name"], got["data"]) == ("photo.png", b"PNG")


# Nobody listens


def test_without_an_application_everything_is_as_without_the_gateway():
    stage = Stage(heard=False)
    event = stage.begin()
    assert event.keeper is None
    stage.end(event)
    assert (event.reply.endings, stage.held) == (["finished"], 0)
    assert len(stage.heard) == 1  # it is in the buffer for who comes later


def test_without_anywhere_to_send_events_none_is_made():
    stage = Stage()
    stage.ob.leave(stage.ear)
    attachment = Attachment("image", "https://files.example/x", expires_at=T0 + 300)
    event = stage.say(attachments=[attachment])
    assert (event.keeper, stage.ob.emitted, attachment.fetch) == (None, 1, None)  # the one: that the bot is online
    assert next(figure.value for figure in stage.files.figures() if figure.name == "onebot_files_offered") == 0


def test_who_comes_later_may_still_follow_up_what_was_said_before():
    stage = Stage(heard=False)
    event = stage.say()
    stage.ear.there = True
    stage.send("better late")
    assert event.reply.followed_by == ["better late"]


def test_pictures_go_into_a_reply_that_only_its_handler_keeps_open():
    stage = Stage(heard=False)
    event = stage.begin()
    stage.send(stage.upload(b"one"))
    assert (event.reply.images, event.reply.endings, stage.held) == ([b"one"], [], 0)
    stage.end(event)
    assert event.reply.endings == ["finished"]


def test_who_comes_while_the_handler_runs_writes_to_the_open_reply():
    stage = Stage(heard=False)
    event = stage.begin()
    stage.ear.there = True
    stage.send("from afar")
    assert event.reply.ended == ""
    event.reply.write(" and from here")
    stage.end(event)
    assert (event.reply.text, event.reply.endings) == ("from afar and from here", ["finished"])


def test_a_reply_that_somebody_else_keeps_is_left_to_them():
    stage = Stage()
    event = make_event()
    event.keeper = keeper = object()
    stage.gateway.hear(event)
    assert (event.keeper, stage.held) == (keeper, 0)


# Who answers, and how it ends


def test_the_first_message_goes_into_the_reply_and_ends_it():
    stage = Stage()
    event = stage.say()
    assert (event.reply.endings, stage.held) == ([], 1)
    sent = stage.send("an answer")
    assert (event.reply.text, event.reply.endings) == ("an answer", ["finished"])
    assert sent["time"] == T0
    assert isinstance(sent["message_id"], str)
    assert sent["message_id"]
    assert stage.held == 0


def test_the_second_message_follows_and_the_third_is_refused_with_the_channel_s_reason():
    stage = Stage()
    event = stage.say()
    first, second = stage.send("one"), stage.send("two")
    assert (event.reply.text, event.reply.followed_by) == ("one", ["two"])
    assert first["message_id"] != second["message_id"]
    assert reason(lambda: stage.send("three"), PLATFORM_UNABLE) == "one message has followed"


def test_a_channel_without_follow_ups_says_so():
    stage = Stage()
    event = stage.say(reply=FakeReply())
    stage.send("one")
    assert event.reply.text == "one"
    assert "one answer" in reason(lambda: stage.send("two"), PLATFORM_UNABLE)


def test_a_handler_that_answers_ends_the_reply_and_an_application_follows_up():
    stage = Stage()
    event = stage.begin()
    event.reply.write("from here")
    stage.end(event)
    assert (event.reply.endings, stage.held) == (["finished"], 0)
    stage.send("from afar")
    assert event.reply.followed_by == ["from afar"]


def test_a_handler_that_shows_a_picture_and_says_nothing_has_answered():
    stage = Stage()
    event = stage.begin()
    event.reply.attach_images([b"picture"])
    stage.end(event)
    assert event.reply.endings == ["finished"]


def test_an_application_that_is_quicker_than_the_handler_does_not_cut_it_short():
    stage = Stage()
    event = stage.begin()
    event.reply.write("from here, ")
    stage.send("from afar")
    stage.send("and again")
    event.reply.write(" and here")
    assert event.reply.endings == []
    stage.end(event)
    assert event.reply.text == "from here, \n\nfrom afar\n\nand again and here"
    assert (event.reply.endings, event.reply.followed_by, stage.held) == (["finished"], [], 0)


def test_a_handler_that_fails_ends_the_reply_and_an_application_follows_up():
    stage = Stage()
    event = stage.begin()
    event.reply.fail()
    stage.send("here you are")
    assert (event.reply.text, event.reply.followed_by) == ("", ["here you are"])
    stage.pass_time(HOLD)
    assert (event.reply.ended, stage.held) == ("failed", 0)


@pytest.mark.parametrize("cause", ["superseded", "busy", "shutdown"])
def test_a_handler_that_is_stopped_ends_the_reply(cause: str):
    stage = Stage()
    event = stage.begin()
    event.reply.cancel(cause)
    stage.pass_time(HOLD)
    assert (event.reply.endings, stage.held) == ([cause], 0)


def test_a_reply_that_nobody_wants_ends_when_its_time_is_over():
    stage = Stage()
    event = stage.say()
    stage.pass_time(HOLD - 0.01)
    assert event.reply.endings == []
    stage.pass_time(0.01)
    assert (event.reply.endings, stage.held) == (["finished"], 0)
    stage.send("late")
    assert event.reply.followed_by == ["late"]


def test_the_time_is_over_although_no_tick_has_come():
    stage = Stage()
    event = stage.say()
    stage.now += HOLD
    stage.send("late")
    assert (event.reply.text, event.reply.followed_by) == ("", ["late"])


def test_a_handler_that_takes_longer_than_that_keeps_its_reply_and_lets_applications_write_to_it():
    stage = Stage()
    event = stage.begin()
    stage.pass_time(HOLD)
    assert (event.reply.endings, stage.held) == ([], 0)
    stage.send("from afar")
    assert event.reply.endings == []
    stage.end(event)
    assert (event.reply.text, event.reply.endings) == ("from afar", ["finished"])


def test_a_silent_handler_that_takes_longer_than_that_ends_the_reply():
    stage = Stage()
    event = stage.begin()
    stage.pass_time(HOLD)
    stage.end(event)
    assert event.reply.endings == ["finished"]


def test_a_gateway_that_holds_nothing_leaves_replies_alone():
    stage = Stage(hold=0)
    event = stage.begin()
    assert event.keeper is None
    stage.send("from afar")
    stage.end(event)
    assert event.reply.text == "from afar"


@pytest.mark.parametrize("hold", [-1, float("nan"), float("inf")])
def test_a_time_that_cannot_be_is_refused(hold: float):
    with pytest.raises(ConfigError, match="hold"):
        Stage(hold=hold)


# Which reply is meant


def test_of_two_messages_in_flight_the_newer_is_answered_unless_the_other_is_named():
    stage = Stage()
    first, second = stage.say("one", "a"), stage.say("two", "b")
    stage.send("to the newer")
    stage.send("to the other")
    assert (first.reply.text, second.reply.text) == ("to the other", "to the newer")
    first, second = stage.say("one", "c"), stage.say("two", "d")
    stage.send([{"type": "reply", "data": {"message_id": "c"}}, {"type": "text", "data": {"text": "to the first"}}])
    assert (first.reply.text, second.reply.text) == ("to the first", "")


def test_in_a_group_everybody_gets_the_answer_to_their_own_message():
    stage = Stage()
    events = {user: stage.say(user, sender=user, group="wr-1") for user in ("lisi", "wangwu", "zhaoliu")}
    for user in events:
        stage.send(f"to {user}", group_id="wr-1", user_id=user)
    assert {user: event.reply.text for user, event in events.items()} == {user: f"to {user}" for user in events}


def test_a_second_message_to_one_goes_not_into_the_reply_to_another():
    stage = Stage()
    first = stage.say("one", "a", sender="lisi", group="wr-1")
    stage.send("to lisi", group_id="wr-1", user_id="lisi")
    other = stage.say("two", "b", sender="wangwu", group="wr-1")
    stage.send("to lisi again", group_id="wr-1", user_id="lisi")
    assert (first.reply.followed_by, other.reply.text) == (["to lisi again"], "")
    reply = {"type": "reply", "data": {"message_id": "a"}}
    assert reason(
        lambda: stage.send([reply, {"type": "text", "data": {"text": "x"}}], group_id="wr-1"), PLATFORM_UNABLE
    )
    assert (other.reply.text, other.reply.ended) == ("", "")


def test_where_one_message_s_follow_up_is_used_an_older_one_s_carries_the_next():
    stage = Stage()
    events = [stage.say("x", f"m{number}") for number in range(2)]
    for _ in events:
        stage.send("answer")
    for number in range(2):
        stage.send(f"more {number}")
    assert [event.reply.followed_by for event in events] == [["more 1"], ["more 0"]]


def test_it_is_remembered_which_replies_nothing_can_follow_any_more():
    stage = Stage()
    stage.say("x", "used")
    stage.send("answer")
    stage.send("more")
    stage.begin("x", "running")
    reason(lambda: _follow_up(meant(stage), "and more"), PLATFORM_UNABLE)
    assert [(turn.message_id, turn.spent) for turn in meant(stage).turns] == [("running", False), ("used", True)]


def meant(stage: Stage) -> Meant:
    found = stage.gateway._conversations.find(Target("wecom", "BOT", "private", "zhangsan"), "", "", stage.now)
    assert found is not None
    return found


def test_nothing_is_followed_up_after_the_hour_that_it_may():
    stage = Stage()
    old = stage.say("x", "old")
    stage.send("answer")
    stage.pass_time(REMEMBERED - 1)
    new = stage.say("x", "new")
    stage.send("answer")
    stage.send("more")
    stage.pass_time(1)
    reason(lambda: stage.send("and more"), PLATFORM_UNABLE)
    assert (old.reply.followed_by, new.reply.followed_by) == ([], ["more"])
    stage.pass_time(REMEMBERED)
    assert "lately" in reason(stage.send, PLATFORM_UNKNOWN_TARGET)


@pytest.mark.parametrize(
    ("params", "retcode"),
    [
        ({"detail_type": "private", "user_id": "nobody"}, PLATFORM_UNKNOWN_TARGET),
        ({"detail_type": "group", "group_id": "zhangsan"}, PLATFORM_UNKNOWN_TARGET),
        ({"detail_type": "private"}, BAD_PARAM),
        ({"detail_type": "private", "group_id": "wr-1"}, BAD_PARAM),
        ({"detail_type": "group", "user_id": "zhangsan"}, BAD_PARAM),
        ({"detail_type": "wecom.enter_chat"}, BAD_PARAM),
        ({"detail_type": "private", "user_id": ""}, BAD_PARAM),
        ({"detail_type": "private", "user_id": 7}, BAD_PARAM),
        ({"user_id": "zhangsan"}, BAD_PARAM),
        ({"detail_type": "channel", "guild_id": "g", "channel_id": "c"}, UNSUPPORTED_PARAM),
    ],
)
def test_what_is_for_nobody_is_refused(params: Data, retcode: int):
    stage = Stage()
    event = stage.say()
    told = reason(lambda: stage.call("send_message", message="x", **params), retcode)
    assert ("group_id" in told) == (params == {"detail_type": "group", "user_id": "zhangsan"})
    assert (event.reply.text, event.reply.ended) == ("", "")


@pytest.mark.parametrize(
    ("message", "retcode"),
    [
        ([], BAD_PARAM),
        (7, BAD_PARAM),
        ("", BAD_SEGMENT_DATA),
        ([{"type": "text", "data": {}}], BAD_SEGMENT_DATA),
        ([{"type": "file", "data": {"file_id": "x"}}], UNSUPPORTED_SEGMENT),
        (["x", {"type": "wecom.card", "data": {}}], BAD_PARAM),
        ([{"type": "text", "data": {"text": "x"}}, {"type": "wecom.card", "data": {}}], UNSUPPORTED_SEGMENT),
        ([{"type": "image", "data": {"file_id": "nobody knows"}}], FILE_NOT_FOUND),
    ],
)
def test_of_a_message_that_cannot_be_shown_nothing_is(message: object, retcode: int):
    stage = Stage()
    event = stage.say()
    reason(lambda: stage.send(message), retcode)
    assert (event.reply.text, event.reply.ended, stage.held) == ("", "", 1)
    stage.send("never mind")
    assert event.reply.text == "never mind"


# Pictures


def test_pictures_and_words_go_into_the_reply():
    stage = Stage()
    event = stage.say()
    stage.send([stage.upload(b"one"), {"type": "text", "data": {"text": "look"}}, stage.upload(b"two")])
    assert (event.reply.text, event.reply.images, event.reply.endings) == ("look", [b"one", b"two"], ["finished"])


def test_a_picture_that_the_channel_does_not_take_keeps_the_others_and_the_words_back():
    stage = Stage()
    event = stage.say()
    message = [stage.upload(b"one"), stage.upload(b"bad"), {"type": "text", "data": {"text": "look"}}]
    assert reason(lambda: stage.send(message), PLATFORM_ERROR) == "neither JPG nor PNG"
    assert (event.reply.text, event.reply.images, event.reply.ended) == ("", [], "")


def test_a_picture_never_follows_a_reply_and_is_not_even_read_for_that():
    stage = Stage()
    event = stage.say()
    stage.send("one")
    message = [{"type": "text", "data": {"text": "look"}}, {"type": "image", "data": {"file_id": "nobody knows"}}]
    assert "no pictures" in reason(lambda: stage.send(message), UNSUPPORTED_SEGMENT)
    assert event.reply.followed_by == []


def test_a_channel_that_shows_no_pictures_says_so():
    stage = Stage()
    stage.say(reply=FakeReply())
    assert "no pictures" in reason(lambda: stage.send(stage.upload(b"one")), UNSUPPORTED_SEGMENT)


@pytest.mark.parametrize(("lasts", "shown"), [(HOLD - 1, True), (HOLD + 1, False)])
def test_a_reply_is_held_on_while_its_pictures_are_read(lasts: float, shown: bool):  # noqa: FBT001 - a state
    stage = Stage()
    event = stage.say()

    async def read() -> Media:
        stage.pass_time(lasts)
        return Media("x", "image/png", 1, b"P")

    message = {"type": "image", "data": {"file_id": stage.files.offer("", "image", read)}}
    stage.pass_time(HOLD - 1)
    if shown:
        stage.send(message)
        assert event.reply.images == [b"P"]
    else:
        reason(lambda: stage.send(message), UNSUPPORTED_SEGMENT)
    assert event.reply.endings == ["finished"]


# Streams


def test_a_stream_grows_piece_by_piece_and_ends_the_reply():
    stage = Stage()
    event = stage.say()
    first = stage.write("Once ")
    assert first["time"] == T0
    assert first["message_id"] == first["stream_id"] != ""
    for piece in ("upon ", "a time"):
        assert stage.write(piece, stream_id=first["stream_id"])["stream_id"] == first["stream_id"]
    assert (event.reply.written, event.reply.ended) == (["Once ", "upon ", "a time"], "")
    stage.write(".", stream_id=first["stream_id"], finish=True)
    assert (event.reply.text, event.reply.endings, stage.held) == ("Once upon a time.", ["finished"], 0)
    assert stage.gateway._streams == {}
    stage.send("The end")
    assert event.reply.followed_by == ["The end"]


def test_a_stream_replaces_what_was_written_be_it_by_nothing():
    stage = Stage()
    event = stage.say()
    stream_id = stage.write("Thinking")["stream_id"]
    stage.write("", stream_id=stream_id, replace=True)
    assert event.reply.text == ""
    stage.write("Done", stream_id=stream_id, replace=True, finish=True)
    assert (event.reply.text, event.reply.endings) == ("Done", ["finished"])


def test_a_stream_may_begin_and_end_at_once_or_end_without_a_word_more():
    stage = Stage()
    first = stage.say()
    stage.write("all", finish=True)
    assert (first.reply.text, first.reply.endings) == ("all", ["finished"])
    second = stage.say()
    stream_id = stage.write("all")["stream_id"]
    stage.call("rawbot.write_stream", stream_id=stream_id, finish=True)
    assert (second.reply.text, second.reply.endings) == ("all", ["finished"])


def test_a_reply_is_held_while_pieces_come_and_ends_when_they_do_not():
    stage = Stage()
    event = stage.say()
    stream_id = stage.write("a")["stream_id"]
    for _ in range(10):
        stage.pass_time(HOLD - 1)
        stage.write("a", stream_id=stream_id)
    stage.pass_time(HOLD)
    assert (event.reply.text, event.reply.endings, stage.gateway._streams) == ("a" * 11, ["finished"], {})
    assert "send_message" in reason(lambda: stage.write("a", stream_id=stream_id), PLATFORM_UNABLE)


def test_a_stream_whose_time_is_over_ends_although_no_tick_has_come():
    stage = Stage()
    event = stage.say()
    stream_id = stage.write("a")["stream_id"]
    stage.now += HOLD
    reason(lambda: stage.write("b", stream_id=stream_id), PLATFORM_UNABLE)
    assert (event.reply.text, event.reply.endings) == ("a", ["finished"])


def test_a_stream_stands_apart_from_what_the_handler_wrote():
    stage = Stage()
    event = stage.begin()
    event.reply.write("from here")
    stream_id = stage.write("from ")["stream_id"]
    stage.write("afar", stream_id=stream_id, finish=True)
    assert event.reply.endings == []
    stage.end(event)
    assert (event.reply.text, event.reply.endings) == ("from here\n\nfrom afar", ["finished"])


def test_a_message_after_a_stream_ends_the_same_reply():
    stage = Stage()
    event = stage.say()
    stage.write("a stream")
    stage.send("and a message")
    assert (event.reply.text, event.reply.endings) == ("a stream\n\nand a message", ["finished"])


def test_a_stream_goes_on_when_the_handler_has_returned_whatever_that_has_said():
    stage = Stage()
    event = stage.begin()
    stage.pass_time(HOLD)  # it is not held any more, but runs
    stream_id = stage.write("a")["stream_id"]
    stage.pass_time(1)
    event.reply.write("b")
    stage.end(event)
    stage.write("c", stream_id=stream_id, finish=True)
    assert (event.reply.text, event.reply.endings) == ("abc", ["finished"])


def test_a_handler_that_returns_ends_a_stream_of_which_no_piece_has_come_for_long():
    stage = Stage()
    event = stage.begin()
    stage.write("a")
    stage.pass_time(HOLD)
    stage.end(event)
    assert (event.reply.text, event.reply.endings) == ("a", ["finished"])


def test_a_group_s_stream_is_for_the_user_s_message():
    stage = Stage()
    first = stage.say("one", sender="lisi", group="wr-1")
    stage.say("two", sender="wangwu", group="wr-1")
    stage.write("a", detail_type="group", group_id="wr-1", user_id="lisi")
    assert first.reply.text == "a"


@pytest.mark.parametrize(
    ("params", "retcode"),
    [
        ({"message": "x", "stream_id": "unknown"}, PLATFORM_UNABLE),
        ({"message": "x", "stream_id": "unknown", "finish": True}, PLATFORM_UNABLE),
        ({"message": "x", "user_id": "nobody"}, PLATFORM_UNKNOWN_TARGET),
        ({"message": "x"}, BAD_PARAM),
        ({"user_id": "zhangsan"}, BAD_PARAM),
        ({"message": "", "user_id": "zhangsan"}, BAD_SEGMENT_DATA),
        ({"message": {"type": "image", "data": {"file_id": "x"}}, "user_id": "zhangsan"}, UNSUPPORTED_SEGMENT),
        ({"message": {"type": "file", "data": {"file_id": "x"}}, "user_id": "zhangsan"}, UNSUPPORTED_SEGMENT),
    ],
)
def test_a_stream_that_cannot_be_is_refused(params: Data, retcode: int):
    stage = Stage()
    event = stage.say()
    reason(lambda: stage.call("rawbot.write_stream", **params), retcode)
    assert (event.reply.text, event.reply.ended, stage.gateway._streams) == ("", "", {})


def test_a_stream_needs_an_open_reply():
    stage = Stage()
    stage.say()
    stage.send("one")
    assert "send_message" in reason(lambda: stage.write("two"), PLATFORM_UNABLE)


# Events that may be answered


def test_a_welcome_is_said_within_the_platform_s_patience():
    stage = Stage()
    event = stage.say(kind="enter_chat", patience=4.0)
    assert (event.reply.endings, stage.held) == ([], 1)
    stage.send("Welcome", user_id="zhangsan", detail_type="wecom.enter_chat")  # as NoneBot's `send` has it
    assert (event.reply.text, event.reply.endings) == ("Welcome", ["finished"])


def test_a_welcome_that_nobody_says_is_left_out_after_that():
    stage = Stage()
    event = stage.say(kind="enter_chat", patience=4.0)
    message = stage.say()
    stage.pass_time(4.0)
    assert (event.reply.endings, message.reply.endings) == (["finished"], [])


def test_a_gateway_does_not_hold_an_event_for_longer_than_a_message():
    stage = Stage(hold=1)
    event = stage.say(kind="enter_chat", patience=4.0)
    stage.pass_time(1)
    assert event.reply.endings == ["finished"]


def test_an_event_that_keeps_the_platform_waiting_for_no_words_is_not_held_but_may_be_followed_up():
    stage = Stage()
    event = stage.say(kind="template_card_event", message_id="e1", group="wr-1")
    assert (event.reply.endings, stage.held) == (["finished"], 0)
    stage.send("You pressed it", group_id="wr-1", user_id="zhangsan", detail_type="wecom.template_card_event")
    assert event.reply.followed_by == ["You pressed it"]


def test_an_event_that_may_not_be_answered_is_heard_and_forgotten():
    stage = Stage()
    reply = FullReply()
    reply.finish()
    event = stage.begin(kind="feedback_event", reply=reply)
    assert (event.keeper, stage.held, len(stage.heard)) == (None, 0, 1)
    reason(stage.send, PLATFORM_UNKNOWN_TARGET)


def test_a_reply_that_refuses_words_gives_its_reason():
    class Deaf(FullReply):
        def write(self, text: str) -> None:
            raise StateError(f"too late for {text}")

    stage = Stage()
    stage.begin(kind="enter_chat", patience=4.0, reply=Deaf())
    assert reason(lambda: stage.send("this"), PLATFORM_ERROR) == "too late for this"
    assert reason(lambda: stage.write("that"), PLATFORM_ERROR) == "too late for that"


# The other actions


def test_nothing_that_was_sent_is_taken_back():
    stage = Stage()
    stage.say()
    sent = stage.send()
    assert "take back" in reason(lambda: stage.call("delete_message", message_id=sent["message_id"]), PLATFORM_UNABLE)


@pytest.mark.parametrize(
    ("names", "name"),
    [({}, ""), ({"wecom": "Bot"}, "Bot"), ({"BOT": "Anna", "wecom": "Bot"}, "Anna"), ({"vk": "x"}, "")],
)
def test_a_bot_tells_who_it_is(names: dict[str, str], name: str):
    stage = Stage(names=names)
    assert stage.call("get_self_info") == {"user_id": "BOT", "user_name": name, "user_displayname": ""}


def test_users_are_those_who_have_spoken_lately():
    stage = Stage()
    stage.say(sender="lisi", group="wr-1")
    stage.say(sender="zhangsan")
    zhangsan = {"user_id": "zhangsan", "user_name": "", "user_displayname": "", "user_remark": ""}
    assert stage.call("get_friend_list") == [zhangsan]
    assert stage.call("get_user_info", user_id="zhangsan") == zhangsan
    assert stage.call("get_user_info", user_id="lisi")["user_id"] == "lisi"
    reason(lambda: stage.call("get_user_info", user_id="wangwu"), PLATFORM_UNKNOWN_TARGET)
    stage.pass_time(REMEMBERED)
    assert stage.call("get_friend_list") == []
    reason(lambda: stage.call("get_user_info", user_id="zhangsan"), PLATFORM_UNKNOWN_TARGET)


def test_what_can_be_done_is_told():
    names = Stage().call("get_supported_actions")
    assert {"send_message", "delete_message", "get_self_info", "get_user_info", "get_friend_list"} < {*names}
    assert "rawbot.write_stream" in names


# The end


def test_at_the_end_nothing_is_held_and_nobody_waits():
    stage = Stage()
    waiting, running, streaming = stage.say("a", sender="a"), stage.begin("b", sender="b"), stage.say("c")
    stream_id = stage.write("half")["stream_id"]
    stage.gateway.drain(T0)
    assert [event.reply.endings for event in (waiting, running, streaming)] == [["shutdown"], [], ["shutdown"]]
    assert (streaming.reply.text, stage.held) == ("half", 0)
    reason(lambda: stage.write("more", stream_id=stream_id), PLATFORM_UNABLE)
    stage.end(running)
    assert running.reply.endings == ["finished"]
    late = stage.say("d", sender="d")
    assert (late.reply.endings, stage.held) == (["finished"], 0)


def test_a_handler_that_runs_at_the_end_lets_applications_write_to_its_reply():
    stage = Stage()
    event = stage.begin()
    stage.gateway.drain(T0)
    stream_id = stage.write("still ")["stream_id"]
    stage.write("here", stream_id=stream_id)
    assert stage.held == 0
    stage.end(event)
    assert (event.reply.text, event.reply.endings) == ("still here", ["finished"])


def test_after_another_start_replies_are_held_again():
    stage = Stage()
    stage.gateway.drain(T0)
    stage.gateway.start(T0)
    assert stage.say().reply.endings == []
    assert stage.held == 1


def test_many_messages_leave_nothing_behind():
    stage = Stage()
    stage.ob.leave(stage.ear)
    stage.ob.join(ear := Ear())
    ear.push = lambda _: None
    for number in range(5_000):
        event = stage.say(
            "x", f"m{number}", sender=f"u{number % 1700}", group=f"wr-{number % 50}" if number % 3 else ""
        )
        if number % 4 == 0:
            stage.write("x", detail_type="group", group_id=event.group) if event.group else stage.send(
                user_id=event.sender
            )
        stage.pass_time(0.01)
    assert 0 < stage.held <= 30 / 0.01
    stage.pass_time(HOLD)
    assert (stage.held, stage.gateway._streams) == (0, {})
    stage.pass_time(REMEMBERED)
    conversations = stage.gateway._conversations
    assert (len(conversations._known), len(conversations._users), conversations._due) == (0, 0, [])


def test_it_hears_and_an_app_with_it_is_served_by_one_process():
    gateway = Stage().gateway
    assert (gateway.hears, gateway.keeps_state, gateway.needs_bot) == (True, True, False)


def test_it_tells_nothing_of_anybody():
    stage = Stage()
    stage.say("a private word")
    assert repr(stage.gateway) == "<Gateway>"
    assert MESSAGE not in repr(stage.gateway)
