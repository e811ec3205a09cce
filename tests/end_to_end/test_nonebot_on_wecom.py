"""A bot on NoneBot answers WeCom's users: the demo's gateway between the adapter, as it comes, and the simulator."""

import asyncio
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import pytest
from onebot_processes import HEARD, CallError, NoneBot
from processes import CREDENTIALS, serving
from talking import PATH, in_time, make_platform, until

from rawbot import demo
from rawbot.simulate.wecom import Conversation, WeComPlatform
from rawbot.wecom.texts import WeComTexts

GATEWAY = {"RAWBOT_ONEBOT_PATH": "/onebot", "RAWBOT_ONEBOT_ACCESS_TOKEN": "token of the gateway"}
BOT = "aib-of-the-office"
PNG = demo.png(40, 30)

T = TypeVar("T")


class Office:
    """The demo, served, with a NoneBot at its gateway."""

    def __init__(self, stack: ExitStack, folder: Path, driver: str) -> None:
        _, url = stack.enter_context(serving("rawbot.demo:app", **CREDENTIALS, **GATEWAY))
        self.base_url = url.removesuffix(PATH)
        gateway = self.base_url.replace("http://", "ws://") + "/onebot"
        settings = {"onebot_v12_ws_urls": [gateway], "onebot_v12_access_token": GATEWAY["RAWBOT_ONEBOT_ACCESS_TOKEN"]}
        self.nonebot = stack.enter_context(NoneBot(folder, driver, **settings))
        self.nonebot.log.wait(lambda line: "Connect meta event received, impl is rawbot" in line)

    def meet(self, use: Callable[[WeComPlatform], Awaitable[T]], **options: object) -> T:
        """Let users talk to the bot; `options` are the platform's."""

        async def run() -> T:
            async with make_platform(self.base_url, bot_id=BOT, **options) as platform:
                return await use(platform)

        return in_time(run())

    def heard(self, conversation: Conversation) -> dict:
        """Return NoneBot's event of what the user has said."""
        message = conversation.message
        kind = "message.private" if message["chattype"] == "single" else "message.group"
        return self.nonebot.wait(BOT, kind, message_id=message["msgid"])["event"]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with ExitStack() as stack:
        yield Office(stack, tmp_path_factory.mktemp("nonebot"), "~aiohttp")


def assert_well(*conversations: Conversation) -> None:
    for conversation in conversations:
        assert (conversation.problems, conversation.finished) == ([], True)


def test_words_come_back_from_nonebot_in_the_bubble(office: Office):
    text = "Hello, 你好 *world*!"
    conversation = office.meet(lambda platform: platform.say(text))
    assert_well(conversation)
    assert conversation.shown == HEARD + text
    event = office.heard(conversation)
    assert (event["user_id"], event["alt_message"]) == ("zhangsan", text)
    assert event["self"] == {"platform": "wecom", "user_id": BOT}


def test_a_group_is_answered_as_a_group(office: Office):
    conversation = office.meet(lambda platform: platform.say("all of you", chat="wr-group", user="lisi"))
    assert_well(conversation)
    assert conversation.shown == f"{HEARD}all of you"
    event = office.heard(conversation)
    assert (event["group_id"], event["user_id"]) == ("wr-group", "lisi")


def test_a_picture_comes_back_as_a_picture(office: Office):
    conversation = office.meet(lambda platform: platform.send_mixed(["look", PNG]))
    assert_well(conversation)
    assert (conversation.shown, conversation.images) == (f"{HEARD}look", [PNG])


def test_a_second_message_follows_below_the_bubble(office: Office):
    async def use(platform: WeComPlatform) -> Conversation:
        conversation = await platform.say("two, please", user="wangwu")
        to = {"detail_type": "private", "user_id": "wangwu", "message": "and one more"}
        await asyncio.to_thread(office.nonebot.call, BOT, "send_message", **to)
        await platform.wait_active(conversation)
        with pytest.raises(CallError) as caught:  # a response_url is good for one message
            await asyncio.to_thread(office.nonebot.call, BOT, "send_message", **to)
        assert 34000 <= caught.value.retcode < 35000
        return conversation

    conversation = office.meet(use)
    assert_well(conversation)
    assert conversation.shown == f"{HEARD}two, please"
    assert conversation.active_messages == [{"msgtype": "markdown", "markdown": {"content": "and one more"}}]


def test_an_answer_grows_in_the_bubble_while_it_is_streamed(office: Office):
    seen = list[str]()

    async def write(message: str, **options: object) -> str:
        """Write to the bubble, and wait till the user sees it."""
        data = await asyncio.to_thread(office.nonebot.call, BOT, "rawbot.write_stream", message=message, **options)
        await until(lambda: any(message in text for text in seen))
        return data["stream_id"]

    async def use(platform: WeComPlatform) -> Conversation:
        saying = asyncio.create_task(platform.say("/say nothing", user="zhaoliu"))
        await asyncio.to_thread(office.nonebot.wait, BOT, "message.private", user_id="zhaoliu")
        stream_id = await write("first", detail_type="private", user_id="zhaoliu")
        assert await write(", second", stream_id=stream_id) == stream_id
        assert not saying.done()
        await write("all anew", stream_id=stream_id, replace=True, finish=True)
        return await saying

    conversation = office.meet(use, on_frame=lambda _, frame: seen.append(frame.content))
    assert_well(conversation)
    assert conversation.shown == "all anew"
    assert [text for text in dict.fromkeys(seen) if "<think>" not in text] == ["first", "first, second", "all anew"]


def test_what_this_channel_cannot_do_is_refused_with_the_reason(office: Office):
    call = office.nonebot.call
    office.meet(lambda platform: platform.say("hello", user="sunqi"))
    assert call(BOT, "get_self_info")["user_id"] == BOT
    assert call(BOT, "get_user_info", user_id="sunqi")["user_id"] == "sunqi"
    assert "sunqi" in [friend["user_id"] for friend in call(BOT, "get_friend_list")]
    for action, params in (
        ("send_message", {"detail_type": "private", "user_id": "nobody", "message": "are you there?"}),
        ("delete_message", {"message_id": "any"}),
        ("get_user_info", {"user_id": "nobody"}),
    ):
        with pytest.raises(CallError) as caught:
            call(BOT, action, **params)
        assert (caught.value.raised, caught.value.retcode // 1000) == ("PlatformError", 34)
        assert caught.value.message
    with pytest.raises(CallError, match="10002"):
        call(BOT, "leave_group", group_id="wr-group")


def test_without_the_token_nobody_acts_in_the_bots_name(office: Office):
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{office.base_url}/onebot", b"{}", headers)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    with caught.value as answer:
        assert answer.status == 401


def test_when_the_application_has_gone_nobody_waits_for_it_and_the_bot_itself_answers(tmp_path: Path):
    with ExitStack() as stack:
        office = Office(stack, tmp_path, "~httpx+~websockets")

        async def use(platform: WeComPlatform) -> list[Conversation]:
            answered = await platform.say("hello")
            saying = asyncio.create_task(platform.say("/say nothing", user="lisi"))
            await asyncio.to_thread(office.nonebot.wait, BOT, "message.private", user_id="lisi")
            office.nonebot.process.kill()
            return [answered, await saying, await platform.say("hello")]

        conversations = office.meet(use)
    assert_well(*conversations)
    assert [conversation.shown for conversation in conversations] == [
        f"{HEARD}hello",
        WeComTexts().silent,
        "You said: hello",
    ]
