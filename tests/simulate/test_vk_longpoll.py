"""rawbot/simulate/vk_longpoll.py and vk_user_updates.py over real sockets: polls of communities and of users."""

import asyncio
from urllib.parse import urlencode

import orjson
import pytest
from honest_vk import CHAT, GROUP, TOKEN, USER, HonestVKBot, error, request, result, serve

from rawbot.errors import FetchError
from rawbot.exchange import Response
from rawbot.simulate.http_client import HttpClient
from rawbot.simulate.vk import VKPlatform
from rawbot.simulate.vk_longpoll import KEY_LIFETIME
from rawbot.vk.user_events import decode_user_update
from rawbot.vk.user_objects import EditedMessage, NewMessage

ACCOUNT = 500
OWN = "vk1.a.tokenOfAUser"


def run(use: object, **options: object) -> object:
    """Run a platform with a community that is polled, and a user that is."""

    async def main():
        async with VKPlatform(**options) as platform:
            platform.add_group(GROUP, token=TOKEN, long_poll=True, window=5)
            platform.add_account(ACCOUNT, token=OWN, window=5)
            return await use(platform)

    return asyncio.run(main())


class Poller:
    """Polls as a bot does, told what to ask with each time."""

    def __init__(self, server: dict, **params: object) -> None:
        self.url = server["server"] if "://" in server["server"] else "http://" + server["server"]
        self.key, self.ts = server["key"], server["ts"]
        self.params = params

    async def ask(self, **params: object) -> Response:
        query = {"act": "a_check", "key": self.key, "ts": self.ts, "wait": 0} | self.params | params
        return await request(f"{self.url}?{urlencode(query)}")

    async def poll(self, **params: object) -> dict:
        return orjson.loads((await self.ask(**params)).body)

    async def take(self, **params: object) -> list:
        reply = await self.poll(**params)
        self.ts = reply["ts"]
        return reply["updates"]


async def community(platform: VKPlatform) -> Poller:
    return Poller(await result(platform, "groups.getLongPollServer", group_id=GROUP))


async def user(platform: VKPlatform, **params: object) -> Poller:
    server = await result(platform, "messages.getLongPollServer", OWN, need_pts=1, lp_version=3)
    return Poller(server, **({"mode": 234, "version": 3} | params))


def test_a_community_gets_what_came_since_in_its_order_without_secrets():
    async def use(platform: VKPlatform):
        poller = await community(platform)
        assert isinstance(poller.ts, str)
        assert await poller.take() == []
        await platform.say(GROUP, USER, "one")
        await platform.join(GROUP, USER)
        updates = await poller.take()
        assert await poller.take() == []
        return updates

    message, join = run(use)
    assert list(message) == ["group_id", "type", "event_id", "v", "object"]
    assert message["object"]["message"]["text"] == "one"
    assert (join["type"], join["group_id"]) == ("group_join", GROUP)


def test_the_same_ts_gives_the_same_again_whoever_asks():
    async def use(platform: VKPlatform):
        poller, other = await community(platform), await community(platform)
        await platform.say(GROUP, USER, "one")
        return await poller.poll(), await poller.poll(), await other.poll()

    first, again, elsewhere = run(use)
    assert first == again == elsewhere


def test_a_poll_waits_for_what_comes():
    async def use(platform: VKPlatform):
        poller = await community(platform)
        polling = asyncio.create_task(poller.poll(wait=25))
        await platform.group(GROUP).stream.wait_held()
        await platform.say(GROUP, USER, "one")
        return (await asyncio.wait_for(polling, 1))["updates"][0]["type"], platform.group(GROUP).stream.waiting

    assert run(use) == ("message_new", 0)


def test_a_poll_ends_when_its_time_is_over_virtual_or_real():
    async def use(platform: VKPlatform):
        poller = await community(platform)
        polling = asyncio.create_task(poller.poll(wait=25))
        await platform.group(GROUP).stream.wait_held()
        await platform.advance(24)
        await asyncio.sleep(0.01)
        assert not polling.done()
        await platform.advance(1)
        return (await asyncio.wait_for(polling, 1))["updates"]

    async def use_real(platform: VKPlatform):
        return (await asyncio.wait_for((await community(platform)).poll(wait=25), 1))["updates"]

    assert run(use) == []
    assert run(use_real, speed=500) == []


def test_polls_may_be_posts():
    async def use(platform: VKPlatform):
        poller = await community(platform)
        form = urlencode({"act": "a_check", "key": poller.key, "ts": poller.ts, "wait": 0}).encode()
        return orjson.loads((await request(poller.url, "POST", (), form)).body)["updates"]

    assert run(use) == []


def test_failed_1_tells_a_number_to_go_on_from():
    async def use(platform: VKPlatform):
        poller = await community(platform)
        for number in range(6):  # the window is 5
            await platform.say(GROUP, USER, str(number))
        reply = await poller.ask()
        assert orjson.loads(reply.body) == {"failed": 1, "ts": int(poller.ts) + 6}
        assert reply.body.endswith(b"}\n")
        assert await poller.poll(ts=int(poller.ts) + 7) == await poller.poll(ts="x") == orjson.loads(reply.body)
        updates = (await poller.poll(ts=int(poller.ts) + 1))["updates"]
        return [update["object"]["message"]["text"] for update in updates]

    assert run(use) == ["1", "2", "3", "4", "5"]


def test_failed_2_wants_a_new_key_and_the_old_ts_is_good():
    async def use(platform: VKPlatform):
        poller = await community(platform)
        await platform.say(GROUP, USER, "in the gap")
        assert await poller.poll(key="wrong") == await poller.poll(act="x") == {"failed": 2}
        await platform.advance(KEY_LIFETIME - 1)
        assert "updates" in await poller.poll()
        await platform.advance(1)
        assert await poller.poll() == {"failed": 2}
        poller.key = (await community(platform)).key
        assert len(await poller.take()) == 1
        platform.group(GROUP).stream.expire_keys()
        return await poller.poll()

    assert run(use) == {"failed": 2}


def test_a_key_that_ends_ends_the_poll_that_waits_with_it():
    async def use(platform: VKPlatform):
        polling = asyncio.create_task((await community(platform)).poll(wait=25))
        await platform.group(GROUP).stream.wait_held()
        platform.group(GROUP).stream.expire_keys()
        return await asyncio.wait_for(polling, 1)

    assert run(use) == {"failed": 2}


def test_failed_3_wants_both_anew():
    async def use(platform: VKPlatform):
        poller = await community(platform)
        await platform.say(GROUP, USER, "lost")
        platform.group(GROUP).stream.lose_information()
        assert await poller.poll() == {"failed": 3}
        poller = await community(platform)
        await platform.say(GROUP, USER, "found")
        return [update["object"]["message"]["text"] for update in await poller.take()]

    assert run(use) == ["found"]


def test_failed_4_is_told_users_who_want_a_strange_version():
    async def use(platform: VKPlatform):
        poller = await user(platform)
        assert "updates" in await poller.poll(version=19)
        return await poller.poll(version=20), await poller.poll(version="x")

    assert run(use) == ({"failed": 4, "min_version": 0, "max_version": 19},) * 2


def test_any_answer_can_be_ordered():
    async def use(platform: VKPlatform):
        poller, stream = await community(platform), platform.group(GROUP).stream
        stream.fail({"failed": 1, "ts": 1659999797})
        stream.fail(status=502, body=b"<html>", times=2)
        stream.fail(body=b"not JSON")
        stream.fail(hang_up=True)
        answers = [await poller.ask() for _ in range(4)]
        with pytest.raises(FetchError):
            await poller.ask()
        assert await poller.take() == []
        return [(answer.status, answer.body) for answer in answers]

    assert run(use) == [
        (200, b'{"failed":1,"ts":1659999797}\n'),
        (502, b"<html>"),
        (502, b"<html>"),
        (200, b"not JSON"),
    ]


def test_the_hint_of_the_next_ts_may_be_missing():
    async def use(platform: VKPlatform):
        poller = await community(platform)
        with_hint = await poller.ask()
        platform.group(GROUP).stream.next_ts_header = False
        without = await poller.ask()
        assert (b"x-next-ts", poller.ts.encode()) in with_hint.headers
        return [name for name, _ in without.headers]

    assert b"x-next-ts" not in run(use)


def test_what_was_asked_is_kept_without_the_key():
    async def use(platform: VKPlatform):
        poller = await community(platform)
        await poller.poll()
        return platform.group(GROUP).stream.polls == [{"act": "a_check", "ts": poller.ts, "wait": "0"}]

    assert run(use)


def test_a_community_that_has_it_switched_off_has_no_server():
    async def use(platform: VKPlatform):
        platform.group(GROUP).long_poll = False
        return await error(platform, "groups.getLongPollServer", group_id=GROUP)

    assert run(use) == 100


def test_settings_say_what_comes_and_in_which_version():
    async def use(platform: VKPlatform):
        await result(
            platform, "groups.setLongPollSettings", group_id=GROUP, api_version="5.100", group_join=0, enabled=1
        )
        settings = await result(platform, "groups.getLongPollSettings", group_id=GROUP)
        poller = await community(platform)
        await platform.join(GROUP, USER)
        await platform.say(GROUP, USER, "hello")
        await platform.emit(GROUP, "market_order_new", {"id": 1})
        return settings, await poller.take()

    settings, updates = run(use)
    assert (settings["is_enabled"], settings["api_version"]) == (True, "5.100")
    assert (settings["events"]["group_join"], settings["events"]["group_leave"]) == (0, 1)
    assert [(update["type"], update["object"].get("text")) for update in updates] == [("message_new", "hello")]


def test_both_transports_bring_the_same_event_ids():
    async def use(platform: VKPlatform):
        await result(platform, "groups.setLongPollSettings", group_id=GROUP, enabled=1, message_new=1)
        poller = await community(platform)
        await platform.say(GROUP, USER, "hello")
        return [update["event_id"] for update in await poller.take()]

    bot = HonestVKBot()
    assert serve(bot, use) == bot.event_ids


def test_a_user_gets_arrays_with_all_that_the_mode_asks_for():
    async def use(platform: VKPlatform):
        poller = await user(platform)
        assert isinstance(poller.ts, int)
        assert "://" not in (await result(platform, "messages.getLongPollServer", OWN))["server"]
        platform.say_to_user(ACCOUNT, USER, 'a < b & "c"\nd &quot;')
        platform.say_to_user(ACCOUNT, USER, "in a chat", peer_id=CHAT)
        platform.push_update(ACCOUNT, [114, {"peer_id": USER, "sound": 1, "disabled_until": 0}])
        everything = await poller.poll()
        return everything, (await poller.poll(mode=0))["updates"], (await poller.poll(mode="x"))["updates"]

    everything, bare, odd = run(use)
    assert "pts" in everything
    first, second, settings = everything["updates"]
    assert first[:4] == [4, 1, 1, USER]
    assert first[5:] == ["a &lt; b &amp; &quot;c&quot;<br>d &amp;quot;", {"title": " ... "}, {}, 0]
    assert (second[2], second[3], second[6]) == (8193, CHAT, {"from": str(USER)})
    assert settings[0] == 114
    assert [len(update) for update in bare] == [6, 6]
    assert bare == odd
    event = decode_user_update(first)
    assert isinstance(event, NewMessage)
    assert event.text == 'a < b & "c"\nd &quot;'


def test_a_user_hears_of_what_the_bot_said_as_the_user():
    async def use(platform: VKPlatform):
        poller = await user(platform)
        assert await result(platform, "messages.send", OWN, peer_id=USER, random_id=9, message="hi") == 1
        assert await result(platform, "messages.edit", OWN, peer_id=USER, message_id=1, message="hi!") == 1
        return await poller.take(), platform.account(ACCOUNT).dialog(USER).shown

    (sent, edited), shown = run(use)
    assert (sent[2], sent[3], sent[5], sent[8]) == (2, USER, "hi", 9)
    assert isinstance(decode_user_update(edited), EditedMessage)
    assert (edited[5], shown) == ("hi!", ["hi!"])


def test_a_user_reads_the_gap_from_the_history():
    async def use(platform: VKPlatform):
        server = await result(platform, "messages.getLongPollServer", OWN, need_pts=1)
        platform.say_to_user(ACCOUNT, USER, "<one>\n&")
        platform.push_update(ACCOUNT, [2, 1, 128, USER])
        pts = {"ts": server["ts"], "pts": server["pts"]}
        history = await result(platform, "messages.getLongPollHistory", OWN, **pts)
        assert history["new_pts"] == server["pts"] + 2
        assert await error(platform, "messages.getLongPollHistory", OWN, ts=1, pts=server["pts"] + 3) == 908
        for _ in range(4):
            platform.push_update(ACCOUNT, [80, 1, 0])
        assert await error(platform, "messages.getLongPollHistory", OWN, **pts) == 907
        return history, platform.problems

    history, problems = run(use, limit_rates=False)
    assert [update[0] for update in history["history"]] == [4, 2]
    (message,) = history["messages"]["items"]
    assert (message["text"], message["peer_id"], message["out"], problems) == ("<one>\n&", USER, 0, [])


def test_a_communitys_token_is_not_one_for_a_users_poll():
    async def use(platform: VKPlatform):
        communitys = await error(platform, "messages.getLongPollServer")
        return communitys, await error(platform, "groups.getLongPollServer", OWN, group_id=GROUP)

    assert run(use) == (27, 15)


def test_a_connection_serves_one_poll_after_the_other():
    async def use(platform: VKPlatform):
        poller = await community(platform)
        target = f"/lp/wh{GROUP}?" + urlencode({"act": "a_check", "key": poller.key, "ts": poller.ts, "wait": 0})
        async with HttpClient(poller.url) as client:
            return [(await client.request("GET", target)).status for _ in range(3)]

    assert run(use) == [200, 200, 200]
