"""rawbot/onebot_gateway.py: WeCom's users on one side, a OneBot application on the other, over real sockets."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import pytest
from onebot_application import Application, Failed, application
from talking import Meeting, make_app, make_endpoint, meet, until
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import InvalidStatus

import rawbot
from rawbot.demo import png
from rawbot.onebot_gateway import OneBotGateway
from rawbot.simulate.http_client import HttpClient
from rawbot.simulate.wecom import Conversation
from rawbot.wecom import cards
from rawbot.wecom.markdown import TEXT_LIMIT
from rawbot.wecom.texts import WeComTexts

TEXTS = WeComTexts()
TOKEN = "token of the gateway"
PATH = "/onebot"
PNG = png(4, 3)
BIG = b"%PDF-1.7\n" + bytes(range(256)) * (21 * 4096)
"""Larger than what `Attachment.read` takes by default, 20 MB."""

T = TypeVar("T")
Use = Callable[[Meeting, Application], Awaitable[T]]
Data = dict[str, Any]


class World:
    """A bot behind the gateway, and an application at it."""

    def __init__(self, bot: rawbot.Bot | None = None, **options: object) -> None:
        self.app = make_app(bot or rawbot.Bot())
        self.gateway = OneBotGateway(self.app, path=PATH, access_token=TOKEN, **options)

    def url(self, meeting: Meeting) -> str:
        return f"ws://127.0.0.1:{meeting.server.port}{PATH}"

    def play(self, use: Use[T], **options: object) -> T:
        """Let users and the application do this."""

        async def run(meeting: Meeting) -> T:
            async with application(self.url(meeting), TOKEN) as app:
                return await use(meeting, app)

        return meet(self.app, run, **options)


def assert_well(*conversations: Conversation) -> None:
    for conversation in conversations:
        assert (conversation.problems, conversation.finished) == ([], True)


def words(conversation: Conversation) -> list[str]:
    """Return what came by response_url."""
    return [message["markdown"]["content"] for message in conversation.active_messages]


async def say(
    meeting: Meeting, app: Application, text: str, **more: object
) -> tuple["asyncio.Task[Conversation]", Data]:
    """Let a user say something; return the conversation as it goes on, and what the application hears of it."""
    before = len(app.events)
    saying = asyncio.create_task(meeting.platform.say(text, **more))
    await app.heard("group" if "chat" in more else "private", message=heard_words(text, **more))
    return saying, app.events[before:][-1]


def heard_words(text: str, **more: object) -> list[Data]:
    mention = [{"type": "mention", "data": {"user_id": "AIBOTID"}}] if "chat" in more else []
    return [*mention, {"type": "text", "data": {"text": text}}]


# Words


def test_what_an_application_sends_is_in_the_bubble_and_what_it_sends_then_follows():
    async def use(meeting: Meeting, app: Application) -> Conversation:
        saying, event = await say(meeting, app, "hello")
        assert (event["user_id"], event["alt_message"], event["message_id"]) == (
            "zhangsan",
            "hello",
            event["message_id"],
        )
        await app.send("one")
        conversation = await saying
        assert event["message_id"] == conversation.message["msgid"]
        await app.send("two")
        await meeting.platform.wait_active(conversation)
        with pytest.raises(Failed, match="response_url") as caught:
            await app.send("three")
        assert caught.value.retcode == 34001
        return conversation

    conversation = World().play(use)
    assert_well(conversation)
    assert (conversation.shown, words(conversation)) == ("one", ["two"])


def test_a_long_answer_goes_on_through_response_url_and_leaves_nothing_to_follow_it():
    async def use(meeting: Meeting, app: Application) -> Conversation:
        saying, _ = await say(meeting, app, "tell me all")
        await app.send("line\n" * 6000)
        conversation = await saying
        await meeting.platform.wait_active(conversation)
        with pytest.raises(Failed):
            await app.send("and this")
        return conversation

    conversation = World().play(use)
    assert_well(conversation)
    assert conversation.shown + words(conversation)[0] == "line\n" * 6000


def test_what_follows_and_is_too_long_is_cut_and_says_so():
    async def use(meeting: Meeting, app: Application) -> Conversation:
        saying, _ = await say(meeting, app, "hello")
        await app.send("one")
        conversation = await saying
        await app.send("word " * 10_000)
        await meeting.platform.wait_active(conversation)
        return conversation

    conversation = World().play(use)
    assert_well(conversation)
    assert len(words(conversation)[0].encode()) <= TEXT_LIMIT
    assert words(conversation)[0].endswith(TEXTS.cut)


def test_everybody_in_a_group_is_answered_where_they_asked():
    async def use(meeting: Meeting, app: Application) -> list[Conversation]:
        users = ("lisi", "wangwu", "zhaoliu")
        sayings = [(await say(meeting, app, f"from {user}", user=user, chat="wr-1"))[0] for user in users]
        for user in users:  # as NoneBot sends: with both ids
            event = await app.heard("group", user_id=user)
            assert event["group_id"] == "wr-1"
            mention = {"type": "mention", "data": {"user_id": user}}
            message = [mention, {"type": "text", "data": {"text": " there you are"}}]
            await app.send(message, user, detail_type="group", group_id="wr-1")
        return [await saying for saying in sayings]

    conversations = World().play(use)
    assert_well(*conversations)
    assert [c.shown for c in conversations] == [f"@{user} there you are" for user in ("lisi", "wangwu", "zhaoliu")]


def test_a_reply_names_the_one_of_two_messages_that_it_answers():
    async def use(meeting: Meeting, app: Application) -> list[Conversation]:
        first, event = await say(meeting, app, "one")
        second, _ = await say(meeting, app, "two")
        reply = {"type": "reply", "data": {"message_id": event["message_id"]}}
        await app.send([reply, {"type": "text", "data": {"text": "to one"}}])
        await app.send("to two")
        return [await first, await second]

    conversations = World().play(use)
    assert_well(*conversations)
    assert [conversation.shown for conversation in conversations] == ["to one", "to two"]


def test_what_was_quoted_is_told():
    async def use(meeting: Meeting, app: Application) -> Data:
        quote = {"msgtype": "text", "text": {"content": "earlier words"}}
        saying = asyncio.create_task(meeting.platform.say("and this?", quote=quote))
        event = await app.heard("private")
        await app.send("yes")
        assert_well(await saying)
        return event

    assert World().play(use)["rawbot.quote"] == "earlier words"


def test_a_stream_grows_in_the_bubble():
    async def use(meeting: Meeting, app: Application) -> Conversation:
        saying, _ = await say(meeting, app, "a story")
        to = {"detail_type": "private", "user_id": "zhangsan"}
        stream_id = (await app.call("rawbot.write_stream", message="Once", **to))["stream_id"]
        for piece in (" upon", " a time"):
            await asyncio.sleep(0.05)
            await app.call("rawbot.write_stream", message=piece, stream_id=stream_id)
        await asyncio.sleep(0.05)
        await app.call("rawbot.write_stream", message="Never", stream_id=stream_id, replace=True)
        await app.call("rawbot.write_stream", stream_id=stream_id, finish=True)
        with pytest.raises(Failed) as caught:
            await app.call("rawbot.write_stream", message="more", stream_id=stream_id)
        assert caught.value.retcode == 34001
        return await saying

    conversation = World().play(use)
    assert_well(conversation)
    shown = list(dict.fromkeys(frame.content for frame in conversation.frames))
    assert shown[1:] == ["Once", "Once upon", "Once upon a time", "Never"]


# Files


def test_a_picture_that_was_uploaded_is_in_the_bubble_and_never_follows_it():
    async def use(meeting: Meeting, app: Application) -> Conversation:
        saying, _ = await say(meeting, app, "show me")
        picture = await app.upload(PNG)
        message = [{"type": "text", "data": {"text": "look"}}, picture]
        no_picture = await app.upload(b"GIF89a" + bytes(20))
        with pytest.raises(Failed, match="neither JPG nor PNG") as caught:
            await app.send([*message, no_picture])
        assert caught.value.retcode == 34000
        await app.send(message)
        conversation = await saying
        with pytest.raises(Failed, match="no pictures") as caught:
            await app.send(message)
        assert caught.value.retcode == 10005
        return conversation

    conversation = World().play(use)
    assert_well(conversation)
    assert (conversation.shown, conversation.images, words(conversation)) == ("look", [PNG], [])


def test_what_users_send_is_downloaded_when_it_is_asked_for_and_not_before():
    world = World()

    async def use(meeting: Meeting, app: Application) -> None:
        saying = asyncio.create_task(meeting.platform.send_mixed(["look", PNG, "and", PNG]))
        text, first, second = (await app.heard("private"))["message"]
        assert text["data"] == {"text": "look\nand"}
        assert world.gateway.files.downloads == 0
        got = await app.call("get_file", type="data", file_id=first["data"]["file_id"])
        assert (got["name"], got["sha256"]) == ("image", hashlib.sha256(PNG).hexdigest())
        assert world.gateway.files.downloads == 1
        await app.send([second])  # forwarded: downloaded here, for the bubble
        conversation = await saying
        assert_well(conversation)
        assert conversation.images == [PNG]

    world.play(use)


def test_a_large_file_is_had_in_parts():
    async def use(meeting: Meeting, app: Application) -> None:
        saying = asyncio.create_task(meeting.platform.send_file(BIG, name="年报.pdf"))
        ((kind, data),) = [segment.values() for segment in (await app.heard("private"))["message"]]
        assert kind == "file"
        with pytest.raises(Failed, match="get_file_fragmented") as caught:
            await app.call("get_file", type="data", **data)
        assert caught.value.retcode == 32002
        head, content = await app.download(data["file_id"])
        assert (head["name"], content == BIG) == ("年报.pdf", True)
        await app.send("thanks")
        assert_well(await saying)

    World().play(use)


def test_a_file_that_the_platform_serves_no_longer_is_not_had():
    async def use(meeting: Meeting, app: Application) -> None:
        saying = asyncio.create_task(meeting.platform.send_image(PNG))
        (segment,) = (await app.heard("private"))["message"]
        await asyncio.sleep(0.35)
        with pytest.raises(Failed, match="could not be downloaded") as caught:
            await app.call("get_file", type="data", **segment["data"])
        assert caught.value.retcode == 33000
        await saying

    World().play(use, speed=1000)  # five minutes are 0.3 s, and six 0.36


# Handlers in the process, too


class Slow(rawbot.Bot):
    """Says `before`, waits for `go_on`, and says `after` or raises it."""

    def __init__(self, before: str = "", after: str | Exception = "") -> None:
        super().__init__()
        self.on_message(self.answer)
        self.go_on = asyncio.Event()
        self._before, self._after = before, after

    async def answer(self, _event: rawbot.Event, reply: rawbot.Stream) -> None:
        reply.write(self._before)
        await self.go_on.wait()
        if isinstance(self._after, Exception):
            raise self._after
        reply.write(self._after)


@pytest.mark.parametrize(
    ("bot", "shown", "follows"),
    [
        (Slow("from here", ""), "from here\n\nfrom afar", False),
        (Slow("", " and here"), "from afar and here", False),
        (Slow("", ""), "from afar", False),
        (Slow("", RuntimeError("on purpose")), f"from afar\n\n{TEXTS.failed}", False),
    ],
)
def test_an_application_writes_while_the_handler_runs_and_cuts_nothing_short(bot: Slow, shown: str, *, follows: bool):
    async def use(meeting: Meeting, app: Application) -> Conversation:
        saying, _ = await say(meeting, app, "hello")
        await app.send("from afar")
        await asyncio.sleep(0.05)
        assert not saying.done()
        bot.go_on.set()
        return await saying

    conversation = World(bot).play(use)
    assert_well(conversation)
    assert (conversation.shown, bool(conversation.active_messages)) == (shown, follows)


@pytest.mark.parametrize(
    ("bot", "shown"),
    [(Slow("from here"), "from here"), (Slow("", RuntimeError("on purpose")), TEXTS.failed)],
)
def test_after_a_handler_that_has_ended_the_bubble_an_application_follows_it(bot: Slow, shown: str):
    bot.go_on.set()

    async def use(meeting: Meeting, app: Application) -> Conversation:
        conversation = await meeting.platform.say("hello")
        await app.heard("private")
        await app.send("from afar")
        await meeting.platform.wait_active(conversation)
        return conversation

    conversation = World(bot).play(use)
    assert_well(conversation)
    assert (conversation.shown, words(conversation)) == (shown, ["from afar"])


def test_a_handler_that_shows_a_card_and_says_nothing_keeps_nobody_waiting():
    bot = rawbot.Bot()

    @bot.on_message
    def answer(_event: rawbot.Event, reply: rawbot.Stream) -> None:
        reply.card(cards.text_notice(main_title={"title": "x"}, card_action={"type": 1, "url": "https://example.com/"}))

    async def use(meeting: Meeting, _app: Application) -> Conversation:
        async with asyncio.timeout(5):
            return await meeting.platform.say("hello")

    conversation = World(bot).play(use)
    assert_well(conversation)
    assert len(conversation.cards) == 1


def test_a_newer_message_that_stops_the_handler_ends_the_bubble():
    bot = Slow()
    bot.policy = "cancel_previous"

    async def use(meeting: Meeting, app: Application) -> list[Conversation]:
        first, _ = await say(meeting, app, "one")
        second, _ = await say(meeting, app, "two")
        bot.go_on.set()
        await app.send("to two")
        return [await first, await second]

    first, second = World(bot).play(use)
    assert_well(first, second)
    assert (first.shown, second.shown) == (TEXTS.superseded, "to two")


# For how long


def test_what_nobody_answers_ends_in_time_and_a_late_answer_follows():
    world = World(hold=0.2)

    async def use(meeting: Meeting, app: Application) -> Conversation:
        conversation = await meeting.platform.say("hello")
        assert await figure(world, "onebot_gateway_held") == 0
        await app.heard("private")
        await app.send("at last")
        await meeting.platform.wait_active(conversation)
        return conversation

    conversation = world.play(use)
    assert_well(conversation)
    assert (conversation.shown, words(conversation)) == (TEXTS.silent, ["at last"])
    assert conversation.frames[-1].at >= 0.2


async def figure(world: World, name: str) -> float:
    engine = world.app.running
    assert engine is not None
    return next(figure.value for _, figure in engine.figures() if figure.name == name)


def test_nobody_waits_for_an_application_where_there_is_none():
    world = World()

    async def use(meeting: Meeting) -> list[str]:
        shown = [(await meeting.platform.say("hello")).shown]
        async with application(world.url(meeting), TOKEN) as app:
            saying, _ = await say(meeting, app, "hello")
            await app.send("I am here")
            shown.append((await saying).shown)
        await until(lambda: not world.gateway.is_heard())
        return [*shown, (await meeting.platform.say("hello")).shown]

    assert meet(world.app, use) == [TEXTS.silent, "I am here", TEXTS.silent]


def test_who_is_held_at_the_end_is_told_that_the_bot_restarts():
    world = World()

    async def use(meeting: Meeting) -> "asyncio.Task[Conversation]":
        async with application(world.url(meeting), TOKEN) as app:
            saying, _ = await say(meeting, app, "hello")
            stopping = asyncio.create_task(world.app.aclose())
            conversation = await saying
            assert (await app.heard("status_update", status={"good": False, "bots": []}))["type"] == "meta"
            assert (conversation.shown, conversation.problems) == (TEXTS.shutdown, [])
        await stopping
        return saying

    meet(world.app, use)


# Events


def test_a_welcome_is_said_in_time_by_an_application_that_answers_the_notice():
    async def use(meeting: Meeting, app: Application) -> Conversation:
        entering = asyncio.create_task(meeting.platform.enter_chat())
        notice = await app.heard("wecom.enter_chat")
        assert (notice["type"], notice["user_id"]) == ("notice", "zhangsan")
        await app.send("Welcome!", detail_type=notice["detail_type"])  # as NoneBot answers
        return await entering

    conversation = World().play(use)
    assert (conversation.shown, conversation.problems) == ("Welcome!", [])


def test_a_welcome_that_nobody_says_is_left_out():
    conversation = World(hold=0.2).play(lambda meeting, _: meeting.platform.enter_chat())
    assert (conversation.shown, conversation.problems, conversation.state) == ("", [], "finished")


def test_a_welcome_of_the_app_s_own_waits_for_nobody():
    bot = rawbot.Bot()

    @bot.on_event("enter_chat")
    def welcome(_event: rawbot.Event, reply: rawbot.Reply) -> None:
        reply.write("Welcome from here")

    conversation = World(bot).play(lambda meeting, _: meeting.platform.enter_chat())
    assert (conversation.shown, conversation.problems) == ("Welcome from here", [])
    assert conversation.first_answer < 2


def test_a_card_that_is_pressed_is_told_with_all_its_fields_and_may_be_followed_up():
    bot = rawbot.Bot()

    @bot.on_message
    def ask(_event: rawbot.Event, reply: rawbot.Stream) -> None:
        buttons = [cards.button("Yes", "yes"), cards.button("No", "no")]
        reply.card(cards.button_interaction(main_title={"title": "?"}, button_list=buttons, task_id="task-1"))

    async def use(meeting: Meeting, app: Application) -> Conversation:
        asked = await meeting.platform.say("ask me")
        pressed = await meeting.platform.press(asked.cards[0], "yes")
        assert pressed.first_answer < 2
        notice = await app.heard("wecom.template_card_event")
        payload = notice["rawbot.payload"]
        assert (payload["event_key"], payload["task_id"]) == ("yes", "task-1")
        assert notice["message_id"] == pressed.message["msgid"]
        reply = {"type": "reply", "data": {"message_id": notice["message_id"]}}
        await app.send([reply, {"type": "text", "data": {"text": "You said yes"}}])
        await meeting.platform.wait_active(pressed)
        return pressed

    conversation = World(bot).play(use)
    assert (conversation.problems, words(conversation)) == ([], ["You said yes"])


def test_a_judgement_is_told_and_cannot_be_answered():
    async def use(meeting: Meeting, app: Application) -> Data:
        await meeting.platform.give_feedback("feedback-1", verdict=2, content="no", user="lisi")
        notice = await app.heard("wecom.feedback_event")
        with pytest.raises(Failed) as caught:
            await app.send("sorry", "lisi")
        assert caught.value.retcode == 34002
        return notice["rawbot.payload"]

    payload = World().play(use)
    assert (payload["id"], payload["type"], payload["content"]) == ("feedback-1", 2, "no")


# Connections


@pytest.mark.parametrize("token", ["", "another"])
def test_without_the_token_nobody_is_let_in(token: str):
    world = World()

    async def use(meeting: Meeting) -> int:
        with pytest.raises(InvalidStatus) as caught:
            async with application(world.url(meeting), token):
                pass
        return caught.value.response.status_code

    assert meet(world.app, use) == 401


def test_an_application_polls_and_acts_over_http():
    world = World()

    async def use(meeting: Meeting) -> Conversation:
        async with HttpClient(f"http://127.0.0.1:{meeting.server.port}") as client:

            async def call(action: str, **params: object) -> Any:  # noqa: ANN401 - data of any action
                fields = [(b"content-type", b"application/json"), (b"authorization", f"Bearer {TOKEN}".encode())]
                body = json.dumps({"action": action, "params": params}).encode()
                response = json.loads((await client.request("POST", PATH, fields, body)).body)
                assert response["retcode"] == 0
                return response["data"]

            assert await call("get_latest_events") == []
            saying = asyncio.create_task(meeting.platform.say("hello"))
            (event,) = await call("get_latest_events", timeout=10)
            assert event["alt_message"] == "hello"
            await call("send_message", detail_type="private", user_id="zhangsan", message="by HTTP")
            return await saying

    conversation = meet(world.app, use)
    assert_well(conversation)
    assert conversation.shown == "by HTTP"


def test_it_connects_to_applications_by_itself():
    accepted: asyncio.Queue[Application] = asyncio.Queue()

    async def accept(connection: ServerConnection) -> None:
        app = Application(connection)
        accepted.put_nowait(app)
        await app.listen()

    async def use() -> Conversation:
        async with serve(accept, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            rb = make_app(rawbot.Bot())
            known = rawbot.Account("wecom", "AIBOTID")
            reverse = rawbot.WebSocketReverse(f"ws://127.0.0.1:{port}/onebot", access_token=TOKEN)
            OneBotGateway(rb, connections=[reverse], bots=[known])

            async def talk(meeting: Meeting) -> Conversation:
                app = await accepted.get()
                status = (await app.heard("status_update"))["status"]
                assert [bot["self"]["user_id"] for bot in status["bots"]] == ["AIBOTID"]
                saying, _ = await say(meeting, app, "hello")
                await app.send("from the other side")
                return await saying

            return await meet_inside(rb, talk)

    conversation = asyncio.run(use())
    assert_well(conversation)
    assert conversation.shown == "from the other side"


async def meet_inside(app: rawbot.App, use: Callable[[Meeting], Awaitable[T]]) -> T:
    """Do what `meet` does, in a loop that runs."""
    return await asyncio.to_thread(meet, app, use)


def test_it_listens_on_ports_of_its_own_while_the_app_runs():
    rb = make_app(rawbot.Bot())
    places = [rawbot.HTTP(port=0, access_token=TOKEN), rawbot.WebSocket(port=0, access_token=TOKEN)]
    gateway = OneBotGateway(rb, connections=places, names={"wecom": "Bot"})

    async def use(meeting: Meeting) -> Conversation:
        async with application(f"ws://127.0.0.1:{gateway.server.port}/", TOKEN) as app:
            saying, _ = await say(meeting, app, "hello")
            assert (await app.call("get_self_info"))["user_name"] == "Bot"
            await app.send("from another port")
            return await saying

    for _ in range(2):  # an app may be served again
        conversation = meet(rb, use)
        assert_well(conversation)
        assert conversation.shown == "from another port"

    async def knock() -> None:
        with suppress(OSError):
            async with application(f"ws://127.0.0.1:{gateway.server.port}/", TOKEN):
                raise AssertionError("it listens still")

    asyncio.run(knock())


@pytest.mark.parametrize("options", [{"hold": -1}, {"impl": "Not A Name"}, {"path": "no path"}])
def test_settings_that_cannot_work_are_refused(options: Data):
    with pytest.raises(rawbot.ConfigError):
        OneBotGateway(make_app(rawbot.Bot(), make_endpoint()), **options)
