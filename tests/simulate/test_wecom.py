"""rawbot/simulate/wecom.py over real sockets, against a bot that does what its script says."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import chain, repeat

import orjson
import pytest
from honest_bot import HANG_UP, KEY, PNG, TOKEN, HonestBot, Raw, listen, stream

from rawbot.errors import ConfigError, FetchError, ProtocolError, StateError
from rawbot.media import decode_filename
from rawbot.simulate import wecom_messages as messages
from rawbot.simulate.http_client import HttpClient, split_url
from rawbot.simulate.wecom import Conversation, WeComPlatform
from rawbot.simulate.wecom_conversation import FALLBACK_TEXT
from rawbot.wecom.crypto import decode_key
from rawbot.wecom.media import MediaDecoder

DONE = stream("done", finish=True)
CARD = {"card_type": "button_interaction", "task_id": "T", "button_list": [{"text": "Yes", "key": "yes"}]}
DONE_CARD = {"card_type": "text_notice", "task_id": "T"}
SECOND = {"speed": 360.0, "interval": 0.9}  # a refresh every 2.5 ms, six minutes in a second


def simulate(bot: HonestBot, use: Callable[[WeComPlatform], Awaitable[object]], **options: object) -> object:
    async def run():
        async with (
            bot.serve() as url,
            WeComPlatform(url, token=TOKEN, encoding_aes_key=KEY, **{**SECOND, **options}) as platform,
        ):
            return await use(platform)

    return asyncio.run(run())


def say(bot: HonestBot, **options: object) -> Conversation:
    return simulate(bot, lambda platform: platform.say("hello"), **options)


def script(*answers: object) -> HonestBot:
    """Make a bot that gives these answers one after the other, the last one for ever."""
    following: Iterator[object] = chain(answers, repeat(answers[-1]))
    return HonestBot(lambda _: next(following))


async def download(url: str, *, method: str = "GET", body: bytes = b"") -> object:
    async with HttpClient(url) as client:
        return await client.request(method, split_url(url).target, (), body)


def test_a_stream_is_asked_for_until_it_is_finished():
    bot = script(stream(""), stream("do"), DONE)
    conversation = say(bot)
    assert [frame.content for frame in conversation.frames] == ["", "do", "done"]
    assert (conversation.shown, conversation.finished, conversation.problems) == ("done", True, [])
    assert conversation.deliveries == 3
    first, *refreshes = bot.received
    assert first["text"] == {"content": "hello"}
    assert (first["aibotid"], first["chattype"], first["from"]) == ("AIBOTID", "single", {"userid": "zhangsan"})
    assert [r["stream"] for r in refreshes] == [{"id": "S1"}] * 2
    assert len({m["msgid"] for m in bot.received}) == 3
    assert len({e["nonce"] for e in bot.envelopes}) == 3
    assert not any("response_url" in r for r in refreshes)
    assert bot.connections == 1


def test_refreshes_keep_their_interval():
    conversation = say(script(stream("a"), stream("b"), DONE), speed=100.0, interval=3.0)
    assert conversation.frames[1].at - conversation.frames[0].at >= 0.029
    assert conversation.frames[2].at - conversation.frames[1].at >= 0.029
    assert 0 < conversation.first_answer == conversation.frames[0].at < 1


def test_six_minutes_end_the_asking():
    conversation = say(script(stream("half")), speed=3600.0, interval=60.0)
    assert (conversation.state, conversation.shown) == ("expired", "half")
    assert conversation.problems == ["the stream was not finished within six minutes"]
    assert 2 <= conversation.deliveries <= 6
    assert say(script(stream("")), speed=36000.0, interval=60.0).shown == FALLBACK_TEXT


def test_the_time_in_the_envelope_is_the_clocks():
    bot = script(DONE)
    say(bot, clock=lambda: 1767225600.9)
    assert bot.envelopes[0]["timestamp"] == "1767225600"


def test_an_answer_that_is_lost_is_asked_for_again_with_the_same_msgid():
    bot = HonestBot(lambda message: stream("a") if message["msgtype"] == "text" else DONE)
    conversation = say(bot, lose_reply=lambda _, number: number < 3)
    assert len(bot.received) == 6
    assert [len({m["msgid"] for m in bot.messages(kind)}) for kind in ("text", "stream")] == [1, 1]
    assert len({e["nonce"] for e in bot.envelopes}) == 6
    assert (conversation.shown, conversation.problems) == ("done", [])
    assert conversation.notes == ["an answer was dropped on purpose"]


def test_lost_answers_come_with_a_probability_and_a_seed():
    async def talk(platform: WeComPlatform):
        return [(await platform.say("x")).deliveries for _ in range(30)]

    counts = simulate(script(DONE), talk, lose_reply=0.3, seed=7)
    assert counts == simulate(script(DONE), talk, lose_reply=0.3, seed=7)
    assert counts != simulate(script(DONE), talk, lose_reply=0.3, seed=8)
    assert set(counts) == {1, 2, 3}


def test_after_three_lost_answers_the_message_is_given_up():
    bot = script(DONE)
    conversation = say(bot, lose_reply=1.0)
    assert (conversation.state, conversation.deliveries, conversation.problems) == ("unanswered", 3, [])


def test_another_answer_to_the_same_msgid_is_blamed():
    conversation = say(script(stream("a", stream_id="S1"), stream("a", stream_id="S2", finish=True)),
                       lose_reply=lambda _, number: number == 1)  # fmt: skip
    assert conversation.problems == ["a repeated delivery got another stream id than the first"]


@pytest.mark.parametrize(
    ("failure", "problem"),
    [
        (HANG_UP, "the server closed the connection without an answer"),
        (Raw(b"oops", 500), "an answer's status is 500"),
    ],
)
def test_a_failure_is_blamed_and_tried_again_with_the_same_msgid(failure: Raw, problem: str):
    bot = script(failure, failure, DONE)
    conversation = say(bot)
    assert (conversation.shown, conversation.problems) == ("done", [problem])
    assert len({m["msgid"] for m in bot.received}) == 1
    bot = script(failure)
    assert (say(bot).state, len(bot.received)) == ("unanswered", 3)


def test_an_answer_that_takes_too_long_is_blamed_and_tried_again():
    async def sleep_once(_: dict):
        if len(bot.received) == 1:
            await asyncio.sleep(9)
        return DONE

    bot = HonestBot(sleep_once)
    conversation = say(bot, timeout=0.15)
    assert (conversation.shown, conversation.problems) == ("done", ["no whole answer within 0.15 s"])


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Raw(b"", 403), "an answer's status is 403"),
        (Raw(b"nonsense"), "the answer is not JSON"),
        (Raw(b""), "the message got an empty answer: no stream is opened and the user sees nothing"),
    ],
)
def test_an_answer_that_says_no_is_not_tried_again(answer: Raw, problem: str):
    bot = script(answer)
    conversation = say(bot)
    assert (conversation.problems, conversation.state, len(bot.received)) == ([problem], "unanswered", 1)


def test_a_refresh_that_fails_does_not_end_the_asking():
    conversation = say(script(stream("a"), HANG_UP, HANG_UP, HANG_UP, DONE))
    assert (conversation.shown, conversation.deliveries) == ("done", 5)


def test_an_envelope_that_is_wrong_is_blamed_and_shown():
    conversation = say(HonestBot(lambda _: DONE, mangle=lambda envelope: envelope.pop("nonce")))
    assert conversation.shown == "done"
    assert conversation.problems == ["nonce is missing from the answer", "msgsignature in the answer is wrong"]


def test_duplicates_overlap_and_have_one_msgid():
    together = asyncio.Barrier(2)

    async def answer_in_pairs(message: dict):
        await together.wait()
        return stream("a") if message["msgtype"] == "text" else DONE

    bot = HonestBot(answer_in_pairs)
    conversation = say(bot, duplicate=1.0)
    assert (conversation.shown, conversation.problems, conversation.deliveries) == ("done", [], 4)
    assert [len({m["msgid"] for m in bot.messages(kind)}) for kind in ("text", "stream")] == [1, 1]
    assert bot.connections == 2


def test_a_duplicate_that_opens_a_stream_of_its_own_is_blamed():
    bot = HonestBot(lambda _: stream("a", stream_id=f"S{len(bot.received)}", finish=True))
    assert say(bot, duplicate=1.0).problems == ["a repeated delivery got another stream id than the first"]


def test_frames_are_told_as_they_are_shown():
    told = []
    conversation = say(script(stream("a"), DONE), on_frame=lambda c, frame: told.append((c, frame.content, c.shown)))
    assert told == [(conversation, "a", "a"), (conversation, "done", "done")]


def test_every_kind_of_message_reaches_the_bot():
    async def talk(platform: WeComPlatform):
        quote = messages.file_body(platform.host(b"file"))
        await platform.say("hi", user="lisi", chat="wrCHAT", quote=quote)
        await platform.send_image(PNG, quote=messages.text_body("q"))
        await platform.send_mixed(["one", PNG, "two"], chat="wrCHAT")
        await platform.send_voice("spoken")
        await platform.send_file(b"file")
        await platform.send_video(b"video")
        await platform.send(
            messages.user_message({"msgtype": "link", "link": {}}, user="u") | {"msgid": "M", "aibotid": "B"}
        )

    bot = script(DONE)
    simulate(bot, talk, bot_name="Bot")
    text, image, mixed, voice, file, video, link = bot.received
    assert (text["text"]["content"], text["chatid"], text["chattype"]) == ("@Bot hi", "wrCHAT", "group")
    assert (text["from"], text["quote"]["msgtype"]) == ({"userid": "lisi"}, "file")
    assert (image["quote"], image["image"]["url"][:17]) == (messages.text_body("q"), "http://127.0.0.1:")
    items = mixed["mixed"]["msg_item"]
    assert [item["msgtype"] for item in items] == ["text", "image", "text"]
    assert [item["text"]["content"] for item in items[::2]] == ["@Bot one", "two"]
    assert voice["voice"] == {"content": "spoken"}
    assert (list(file["file"]), list(video["video"])) == (["url"], ["url"])
    assert (link["msgid"], link["aibotid"]) == ("M", "B")
    assert all(m["response_url"].startswith("http://127.0.0.1:") for m in bot.received)


def test_a_file_can_be_downloaded_and_opened():
    async def talk(platform: WeComPlatform):
        await platform.send_file(b"%PDF" + bytes(1000), name="a b.pdf")
        return await download(bot.received[0]["file"]["url"])

    bot = script(DONE)
    answer = simulate(bot, talk)
    decoder = MediaDecoder(decode_key(KEY))
    assert decoder.update(answer.body) + decoder.finish() == b"%PDF" + bytes(1000)
    assert decode_filename(dict(answer.headers)[b"content-disposition"]) == "a b.pdf"


def test_a_response_url_is_good_once_and_told():
    body = orjson.dumps({"msgtype": "markdown", "markdown": {"content": "the rest"}})
    told = []

    async def talk(platform: WeComPlatform):
        conversation = await platform.say("hi")
        waiting = asyncio.create_task(platform.wait_active(conversation))
        await asyncio.sleep(0)
        url = bot.received[0]["response_url"]
        answers = [await download(url, method="POST", body=body) for _ in range(2)]
        await waiting
        await platform.wait_active(conversation)
        return conversation, [orjson.loads(answer.body)["errcode"] for answer in answers]

    bot = script(DONE)
    conversation, codes = simulate(bot, talk, on_active=lambda c, m: told.append((c, m["msgtype"])))
    assert codes == [0, 40029]
    assert [m["markdown"]["content"] for m in conversation.active_messages] == ["the rest"]
    assert conversation.problems == ["response_url: it was used twice"]
    assert told == [(conversation, "markdown")]


@pytest.mark.parametrize(("speed", "problems"), [(1.0, []), (18_000.0, ["response_url: it was used after its hour"])])
def test_an_hour_ends_a_response_url(speed: float, problems: list[str]):
    async def talk(platform: WeComPlatform):
        conversation = await platform.say("hi")
        await asyncio.sleep(0.21 if problems else 0)
        body = orjson.dumps({"msgtype": "markdown", "markdown": {"content": "late"}})
        await download(bot.received[0]["response_url"], method="POST", body=body)
        return conversation

    bot = script(DONE)
    assert simulate(bot, talk, speed=speed).problems == problems


def test_a_welcome_is_shown_and_not_asked_for_twice():
    bot = script({"msgtype": "text", "text": {"content": "welcome"}})
    conversation = simulate(bot, lambda platform: platform.enter_chat(user="lisi"))
    assert (conversation.shown, conversation.problems) == ("welcome", [])
    assert bot.received[0]["event"] == {"eventtype": "enter_chat"}
    assert "response_url" not in bot.received[0]
    bot = script(HANG_UP)
    simulate(bot, lambda platform: platform.enter_chat(), duplicate=1.0)
    assert len(bot.received) == 1


def test_feedback_and_unknown_events_want_no_answer():
    async def talk(platform: WeComPlatform):
        one = await platform.give_feedback("F", verdict=2, content="no", reasons=[3])
        return one, await platform.send_event("something_new", {"x": 1}, chat="wrCHAT")

    bot = script(Raw(b""))
    for conversation in simulate(bot, talk, clock=lambda: 77.0):
        assert (conversation.finished, conversation.problems) == (True, [])
    feedback, unknown = bot.received
    assert feedback["event"]["feedback_event"] == {"id": "F", "type": 2, "content": "no", "inaccurate_reason_list": [3]}
    assert (unknown["event"]["something_new"], unknown["chatid"], unknown["create_time"]) == ({"x": 1}, "wrCHAT", 77)


def test_a_pressed_card_is_updated():
    async def talk(platform: WeComPlatform):
        asked = await platform.say("card")
        pressed = await platform.press(asked.cards[0], "yes", selected={"q": ["o"]})
        return asked, pressed

    bot = script(
        {"msgtype": "template_card", "template_card": CARD},
        {"response_type": "update_template_card", "template_card": DONE_CARD},
    )
    asked, pressed = simulate(bot, talk)
    assert asked.cards == [DONE_CARD]
    assert (pressed.finished, asked.problems, pressed.problems) == (True, [], [])
    about = bot.received[1]["event"]["template_card_event"]
    assert (about["event_key"], about["task_id"]) == ("yes", "T")
    assert bot.received[0]["response_url"] != bot.received[1]["response_url"]


def test_a_press_is_delivered_once_whatever_happens():
    bot = script(Raw(b"", 500))
    conversation = simulate(bot, lambda platform: platform.press(dict(CARD), "yes"), duplicate=1.0)
    assert (len(bot.received), conversation.state) == (1, "unanswered")
    assert conversation.problems == ["an answer's status is 500"]


def test_a_card_has_only_its_own_buttons():
    with pytest.raises(StateError, match="nothing to press"):
        simulate(script(DONE), lambda platform: platform.press(dict(CARD), "no"))


def test_conversations_run_side_by_side():
    async def talk(platform: WeComPlatform):
        return await asyncio.gather(*(platform.say(f"{n}", user=f"user{n}") for n in range(50)))

    def answer(message: dict) -> dict:
        if message["msgtype"] == "text":
            return stream("", stream_id=message["text"]["content"])
        return stream(message["stream"]["id"], stream_id=message["stream"]["id"], finish=True)

    conversations = simulate(HonestBot(answer), talk)
    assert [c.shown for c in conversations] == [str(n) for n in range(50)]
    assert not any(c.problems for c in conversations)


def verify(bot: HonestBot, **options: str) -> None:
    async def run():
        async with bot.serve() as url:
            await WeComPlatform(url, **({"token": TOKEN, "encoding_aes_key": KEY} | options)).verify_url()

    asyncio.run(run())


def test_a_url_that_echoes_the_bare_text_is_verified():
    verify(HonestBot(echo=lambda text, _: Raw(text)))


@pytest.mark.parametrize(
    ("echo", "words"),
    [
        (lambda text, _: Raw(b'"%b"' % text), "in quotes"),
        (lambda text, _: Raw(b"\xef\xbb\xbf" + text), "byte order mark"),
        (lambda text, _: Raw(text + b"\n"), "white space"),
        (lambda _, echostr: Raw(echostr), "must be decrypted"),
        (lambda text, _: Raw(text[:-1]), "another text"),
        (lambda text, _: Raw(text, 404), "status is 404"),
    ],
)
def test_a_url_that_does_not_is_told_why(echo: Callable[[bytes, bytes], Raw], words: str):
    with pytest.raises(ProtocolError, match=words):
        verify(HonestBot(echo=echo))


def test_the_right_echo_may_come_too_late(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rawbot.simulate.wecom._ECHO_WITHIN", 0.0)
    with pytest.raises(ProtocolError, match="the console waits 0 s"):
        verify(HonestBot(echo=lambda text, _: Raw(text)))


def test_a_url_where_nobody_answers_is_told_too():
    async def run():
        async with listen(HonestBot()._handle) as url:
            pass
        await WeComPlatform(url, token=TOKEN, encoding_aes_key=KEY).verify_url()

    with pytest.raises(FetchError):
        asyncio.run(run())


def test_messages_need_the_platforms_own_server():
    async def run():
        await WeComPlatform("http://127.0.0.1:1/", token=TOKEN, encoding_aes_key=KEY).say("hi")

    with pytest.raises(StateError, match="async with"):
        asyncio.run(run())


@pytest.mark.parametrize(
    "options",
    [{"speed": 0.0}, {"timeout": 0.0}, {"interval": -1.0}, {"token": ""}, {"encoding_aes_key": "short"}, {"url": "x"}],
)
def test_a_setting_that_cannot_work_is_refused_at_once(options: dict):
    with pytest.raises(ConfigError):
        WeComPlatform(**({"url": "http://127.0.0.1/", "token": TOKEN, "encoding_aes_key": KEY} | options))
