"""rawbot/simulate/vk.py and vk_users.py: a platform with its users, over real sockets."""

import asyncio
import ssl

import orjson
import pytest
import trustme
from honest_vk import (
    CHAT,
    GROUP,
    PNG,
    SECRET,
    TOKEN,
    USER,
    HonestVKBot,
    call,
    error,
    request,
    result,
    serve,
    simulate,
)

from rawbot.errors import ConfigError, ProtocolError, StateError
from rawbot.simulate.http_client import HttpClient
from rawbot.simulate.vk import VKPlatform
from rawbot.vk.event_types import EVENT_TYPES
from rawbot.vk.messages import decode_envelope, decode_object

KEYBOARD = (
    '{"inline":true,"buttons":[[{"action":{"type":"callback","label":"Go","payload":{"a":[1]}}},'
    '{"action":{"type":"text","label":"Say","payload":"{\\"command\\":\\"start\\"}"}}],'
    '[{"action":{"type":"open_link","label":"Look","link":"https://example.com"}}]]}'
)


def test_a_message_is_numbered_within_its_dialog_and_within_the_community():
    async def use(platform: VKPlatform):
        for user, peer in ((1, None), (2, None), (1, None), (1, CHAT)):
            await platform.say(GROUP, user, "x", peer_id=peer)

    bot = HonestVKBot()
    serve(bot, use)
    messages = [event["object"]["message"] for event in bot.received]
    assert [(m["from_id"], m["peer_id"], m["id"], m["conversation_message_id"]) for m in messages] == [
        (1, 1, 1, 1),
        (2, 2, 2, 1),
        (1, 1, 3, 2),
        (1, CHAT, 0, 1),
    ]


def test_a_message_has_what_users_put_into_it():
    async def use(platform: VKPlatform):
        first = await platform.say(GROUP, USER, "first")
        sent = await platform.say(
            GROUP, USER, "look", photos=[PNG], documents={"Bericht.pdf": b"%PDF"}, reply_to=first.message,
            payload='{"a":1}',
        )  # fmt: skip
        urls = [
            sent.message.attachments[0]["photo"]["sizes"][0]["url"],
            sent.message.attachments[1]["doc"]["url"],
        ]
        return [await request(url) for url in urls]

    bot = HonestVKBot()
    photo, document = serve(bot, use)
    assert (photo.body, document.body) == (PNG, b"%PDF")
    assert (b"content-disposition", b"attachment; filename*=UTF-8''Bericht.pdf") in document.headers
    message = bot.received[-1]["object"]["message"]
    assert (message["payload"], message["reply_message"]["text"]) == ('{"a":1}', "first")
    doc = message["attachments"][1]["doc"]
    assert (doc["title"], doc["ext"], doc["size"]) == ("Bericht.pdf", "pdf", 4)


def test_users_do_what_users_do():
    async def use(platform: VKPlatform):
        await platform.join(GROUP, USER)
        await platform.leave(GROUP, USER)
        await platform.like(GROUP, USER, post_id=6)
        await platform.like(GROUP, USER, post_id=6, undo=True)
        await platform.comment(GROUP, USER, "nice", post_id=6)
        await platform.allow(GROUP, USER)
        await platform.deny(GROUP, USER)
        await platform.emit(GROUP, "poll_vote_new", {"owner_id": -GROUP, "poll_id": 1, "option_id": 2, "user_id": USER})

    bot = HonestVKBot()
    serve(bot, use)
    assert [event["type"] for event in bot.received] == [
        "group_join", "group_leave", "like_add", "like_remove", "wall_reply_new", "message_allow", "message_deny",
        "poll_vote_new",
    ]  # fmt: skip
    assert len(set(bot.event_ids)) == 8
    assert {event["type"] for event in bot.received} <= EVENT_TYPES


def test_what_is_sent_is_what_rawbot_reads():
    async def use(platform: VKPlatform):
        await platform.say(GROUP, USER, "hello", photos=[PNG])
        await platform.like(GROUP, USER)
        await platform.comment(GROUP, USER, "nice")
        await platform.join(GROUP, USER)

    bot = HonestVKBot()
    serve(bot, use)
    envelopes = [decode_envelope(orjson.dumps(event)) for event in bot.received]
    assert [type(decode_object(envelope)).__name__ for envelope in envelopes] == [
        "VKMessage",
        "Like",
        "Comment",
        "Membership",
    ]


def test_an_event_may_lack_its_id_or_have_a_given_one():
    async def use(platform: VKPlatform):
        await platform.emit(GROUP, "group_join", {"user_id": 1, "join_type": "join"}, event_id="")
        await platform.emit(GROUP, "group_join", {"user_id": 1, "join_type": "join"}, event_id="ab")

    bot = HonestVKBot()
    serve(bot, use)
    assert "event_id" not in bot.received[0]
    assert bot.received[1]["event_id"] == "ab"


def test_a_callback_button_makes_an_event_and_takes_one_answer():
    async def use(platform: VKPlatform):
        await platform.say(GROUP, USER, "hello")
        await result(platform, "messages.send", peer_id=USER, random_id=1, message="?", keyboard=KEYBOARD)
        (shown,) = await platform.wait_sent(GROUP, USER)
        press = (await platform.press(GROUP, USER, shown, "Go")).press
        where = {"event_id": press.event_id, "user_id": USER, "peer_id": USER}
        asked = bot.received[-1]["object"]
        assert (asked, len(press.event_id)) == (where | {"payload": {"a": [1]}, "conversation_message_id": 2}, 12)
        assert not press.answered
        data = '{"type":"show_snackbar","text":"done"}'
        assert await result(platform, "messages.sendMessageEventAnswer", event_data=data, **where) == 1
        assert (press.answered, press.answer) == (True, {"type": "show_snackbar", "text": "done"})
        assert platform.problems == []
        assert await error(platform, "messages.sendMessageEventAnswer", **where) == 100
        return platform.problems

    bot = HonestVKBot()
    (problem,) = serve(bot, use)
    assert problem.endswith("event_id was answered already")


def test_a_text_button_says_its_label_with_the_payload():
    async def use(platform: VKPlatform):
        await platform.say(GROUP, USER, "hello")
        await result(platform, "messages.send", peer_id=USER, random_id=1, message="?", keyboard=KEYBOARD)
        (shown,) = platform.dialog(GROUP, USER).sent
        await platform.press(GROUP, USER, shown, shown.buttons()[1])
        with pytest.raises(StateError):
            await platform.press(GROUP, USER, shown, "Look")
        with pytest.raises(StateError):
            await platform.press(GROUP, USER, shown, "Nowhere")

    bot = HonestVKBot()
    serve(bot, use)
    message = bot.received[-1]["object"]["message"]
    assert (message["text"], message["payload"]) == ("Say", '{"command":"start"}')


def test_what_a_bot_says_comes_back_as_an_echo():
    async def use(platform: VKPlatform):
        await platform.say(GROUP, USER, "hello")
        await result(platform, "messages.send", peer_id=USER, random_id=-5, message="hi")
        await result(platform, "messages.edit", peer_id=USER, conversation_message_id=2, message="hi!")
        await platform.settle()

    bot = HonestVKBot()
    serve(bot, use)
    _, reply, edit = (event["object"] for event in bot.received)
    assert (reply["out"], reply["from_id"], reply["random_id"], reply["text"]) == (1, -GROUP, -5, "hi")
    assert (edit["text"], edit["conversation_message_id"]) == ("hi!", 2)
    assert [event["type"] for event in bot.received] == ["message_new", "message_reply", "message_edit"]


def test_who_waits_for_an_answer_gets_it_when_it_is_there():
    async def answer(_: dict):
        asyncio.get_running_loop().call_later(0.02, lambda: tasks.append(asyncio.create_task(say())))
        return b"ok"

    async def say():
        return await result(use.platform, "messages.send", peer_id=USER, random_id=1, message="hi")

    async def use(platform: VKPlatform):
        use.platform = platform
        await platform.say(GROUP, USER, "hello")
        async with asyncio.timeout(5):
            sent = await platform.wait_sent(GROUP, USER)
        await asyncio.gather(*tasks)
        return [message.text for message in sent], platform.dialog(GROUP, USER).shown

    tasks: list[asyncio.Task] = []
    assert serve(HonestVKBot(lambda event: answer(event) if event["type"] == "message_new" else b"ok"), use) == (
        ["hi"],
        ["hi"],
    )


def test_whoever_looks_hears_what_is_said_and_what_is_wrong():
    said, problems = [], []

    async def use(platform: VKPlatform):
        await platform.say(GROUP, USER, "hello")
        await result(platform, "messages.send", peer_id=USER, random_id=1, message="hi")
        await error(platform, "messages.send", peer_id=USER, message="hi")
        await error(platform, "messages.send", peer_id=USER, message="hi")

    serve(
        HonestVKBot(), use, on_said=lambda party, what: said.append((party.id, what.text)), on_problem=problems.append
    )
    assert said == [(GROUP, "hi")]
    assert problems == [
        "messages.send: 100 One of the parameters specified was missing or invalid: random_id is undefined"
    ]


def test_a_clock_that_follows_the_real_one_brings_retries_in_time():
    async def use(platform: VKPlatform):
        start = platform.clock.now
        following = asyncio.create_task(platform.follow_clock())
        await asyncio.sleep(0.35)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        return platform.clock.now - start

    assert 0.1 < simulate(use) < 1


def test_time_begins_now_or_when_it_is_told_to():
    async def use(platform: VKPlatform):
        return platform.clock.now

    assert simulate(use, start=5.0) == 5.0
    assert simulate(use) > 1_700_000_000


def test_communities_do_not_mix():
    async def use(platform: VKPlatform):
        platform.add_group(8, token="other", name="Eight")
        await platform.say(8, USER, "hello")
        await result(platform, "messages.send", "other", peer_id=USER, random_id=1, message="from eight")
        assert await error(platform, "messages.send", peer_id=USER, random_id=1, message="from seven") == 901
        return platform.dialog(8, USER).shown, platform.dialog(GROUP, USER).shown

    assert simulate(use) == (["from eight"], [])


def test_a_community_without_a_token_takes_any_but_another_ones():
    async def use(platform: VKPlatform):
        platform.add_group(8)
        own = await result(platform, "groups.getById", "whatever", v="5.131")
        other = await result(platform, "groups.getById", v="5.131")
        nobody = await error(platform, "groups.getById", "")
        return own[0]["id"], other[0]["id"], nobody

    assert simulate(use) == (8, GROUP, 5)


def test_it_can_be_served_by_tls_and_talk_to_bots_that_are():
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)

    async def use(platform: VKPlatform):
        assert platform.api_url.startswith("https://")
        async with HttpClient(platform.api_url, ssl_context=client) as http:
            return (await http.request("POST", "/method/users.get?v=5.199&access_token=" + TOKEN)).body

    assert simulate(use, ssl_context=server) == b'{"response":[]}'


@pytest.mark.parametrize("settings", [{"timeout": 0}, {"speed": 0}, {"speed": float("nan")}])
def test_settings_that_cannot_work_are_refused(settings: dict):
    async def make():
        VKPlatform(**settings)

    with pytest.raises(ConfigError):
        asyncio.run(make())


def test_what_is_not_there_is_an_error_of_the_tests():
    async def use(platform: VKPlatform):
        with pytest.raises(ConfigError, match="no community 99"):
            await platform.say(99, USER, "hello")
        with pytest.raises(ConfigError, match="no account"):
            platform.say_to_user(99, USER, "hello")
        with pytest.raises(ConfigError, match="URL"):
            await platform.connect(GROUP, "nonsense")
        with pytest.raises(ConfigError, match="one of them"):
            platform.fail("users.get")
        with pytest.raises(ConfigError, match="one of them"):
            platform.fail("users.get", 5, hang_up=True)
        assert (await request(platform.api_url.replace("method", "nothing"))).status == 404
        assert (await request(platform.api_url.replace("method/", "files/x"))).status == 404
        assert (await request(platform.api_url.replace("method/", "lp/wh99"))).status == 404
        assert (await request(platform.api_url.replace("method/", "nim99"))).status == 404

    simulate(use)


def test_without_asking_a_server_is_taken_at_its_word():
    async def use(platform: VKPlatform):
        bot = HonestVKBot(confirm=b"wrong")
        async with bot.serve() as url:
            with pytest.raises(ProtocolError):
                await platform.connect(GROUP, url)
            await platform.connect(GROUP, url, secret=SECRET, ask=False)
            return (await platform.say(GROUP, USER, "hello")).delivered, len(bot.confirmations)

    assert simulate(use) == (True, 1)


def test_calls_are_kept_without_their_tokens():
    async def use(platform: VKPlatform):
        await call(platform, "users.get", user_ids="1")
        await call(platform, "users.get", "stranger", user_ids="2")
        return [(called.method, called.params, called.error) for called in platform.calls]

    assert simulate(use) == [
        ("users.get", {"v": "5.199", "user_ids": "1"}, 0),
        ("users.get", {"v": "5.199", "user_ids": "2"}, 5),
    ]


def test_a_platform_that_ends_drops_what_is_under_way():
    async def for_ever(event: dict):
        if event["type"] == "message_reply":
            await asyncio.sleep(60)
        return b"ok"

    async def use(platform: VKPlatform):
        await platform.say(GROUP, USER, "hello")
        await result(platform, "messages.send", peer_id=USER, random_id=1, message="hi")
        await asyncio.sleep(0.05)

    serve(HonestVKBot(for_ever), use)
