"""rawbot/simulate/vk_methods_groups.py: callback servers and their settings, who is who."""

import pytest
from honest_vk import CODE, GROUP, OK, USER, HonestVKBot, Raw, call, error, result, simulate

from rawbot.simulate.vk import VKPlatform
from rawbot.vk.event_types import LONG_POLL_SETTABLE, SETTABLE

HERE = {"group_id": GROUP}
NOBODY = "http://127.0.0.1:9/"


def with_bot(use: object, bot: HonestVKBot) -> object:
    async def served(platform: VKPlatform):
        async with bot.serve() as url:
            return await use(platform, url)

    return simulate(served, limit_rates=False)


async def add(platform: VKPlatform, url: str, **params: object) -> int:
    told = await result(platform, "groups.addCallbackServer", **({"url": url, "title": "bot"} | HERE | params))
    return told["server_id"]


async def servers(platform: VKPlatform) -> list[dict]:
    told = await result(platform, "groups.getCallbackServers", **HERE)
    assert told["count"] == len(told["items"])
    return told["items"]


def test_a_server_is_asked_for_the_string_while_it_is_added():
    async def use(platform: VKPlatform, url: str):
        number = await add(platform, url, secret_key="s3")
        assert bot.confirmations == [{"type": "confirmation", "group_id": GROUP, "secret": "s3"}]
        return [{**server, "url": server["url"] == url} for server in await servers(platform)], number

    bot = HonestVKBot()
    items, number = with_bot(use, bot)
    assert items == [{"id": number, "title": "bot", "creator_id": 0, "url": True, "secret_key": "s3", "status": "ok"}]


def test_the_bot_may_ask_for_the_string_while_it_is_asked_for_it():
    async def use(platform: VKPlatform, url: str):
        platforms.append(platform)
        await add(platform, url)
        return (await servers(platform))[0]["status"]

    async def fetch():
        told = await result(platforms[0], "groups.getCallbackConfirmationCode", **HERE)
        return told["code"].encode()

    class Asking(HonestVKBot):
        def _say(self, event: dict, head: bytes) -> object:
            return fetch() if event["type"] == "confirmation" else super()._say(event, head)

    platforms: list[VKPlatform] = []
    assert with_bot(use, Asking()) == "ok"


def test_the_string_of_the_api_may_be_another_than_the_consoles():
    async def use(platform: VKPlatform, url: str):
        platform.add_group(GROUP, token=None, confirmation=CODE, api_confirmation="other")
        await platform.connect(GROUP, url)
        await add(platform, url)
        return await result(platform, "groups.getCallbackConfirmationCode"), [
            server["status"] for server in await servers(platform)
        ]

    assert with_bot(use, HonestVKBot()) == ({"code": "other"}, ["ok", "failed"])


def test_a_server_that_does_not_confirm_is_there_and_gets_nothing_until_it_does():
    async def use(platform: VKPlatform, url: str):
        number = await add(platform, url, secret_key="old")
        await result(platform, "groups.setCallbackSettings", server_id=number, message_new=1, **HERE)
        assert (await servers(platform))[0]["status"] == "failed"
        assert (await platform.say(GROUP, USER, "nobody hears this")).deliveries == []
        bot.confirm = CODE.encode()
        edited = {"server_id": number, "url": url, "title": "bot", "secret_key": "new"}
        assert await result(platform, "groups.editCallbackServer", **edited, **HERE) == 1
        assert (await platform.say(GROUP, USER, "hello")).delivered
        return (await servers(platform))[0]["status"]

    bot = HonestVKBot(confirm=b"wrong")
    assert with_bot(use, bot) == "ok"
    assert [event["secret"] for event in bot.received] == ["new"]


def test_to_edit_a_server_ends_its_pause():
    async def use(platform: VKPlatform, url: str):
        server = await platform.connect(GROUP, url)
        for _ in range(10):
            await platform.say(GROUP, USER, "x")
        assert (server.status, (await servers(platform))[0]["status"]) == ("failed", "failed")
        bot.answer = lambda _: OK
        held = await platform.say(GROUP, USER, "held")
        await result(platform, "groups.editCallbackServer", server_id=server.id, url=url, title="bot", **HERE)
        await platform.settle()
        await platform.advance(600)  # when the pause would have ended
        return server.status, held.delivered

    bot = HonestVKBot(lambda _: Raw(b"", 500))
    assert with_bot(use, bot) == ("ok", True)


def test_what_waits_stays_when_the_server_does_not_confirm_again():
    async def use(platform: VKPlatform, url: str):
        server = await platform.connect(GROUP, url)
        bot.answer = lambda _: Raw(b"", 500)
        sent = await platform.say(GROUP, USER, "x")
        edit = {"server_id": server.id, "url": url, "title": "bot"} | HERE
        bot.confirm = b"wrong"
        await result(platform, "groups.editCallbackServer", **edit)
        await platform.advance(7000)
        assert len(sent.attempts) == 1
        bot.confirm, bot.answer = CODE.encode(), lambda _: OK
        await result(platform, "groups.editCallbackServer", **edit)
        await platform.settle()
        return sent.delivered

    bot = HonestVKBot()
    assert with_bot(use, bot)


def test_a_new_server_gets_nothing_before_events_are_switched_on():
    async def use(platform: VKPlatform, url: str):
        number = await add(platform, url)
        assert (await platform.say(GROUP, USER, "nobody hears this")).deliveries == []
        at = {"server_id": number} | HERE
        before = await result(platform, "groups.getCallbackSettings", **at)
        await result(platform, "groups.setCallbackSettings", api_version="5.131", message_new=1, group_join=1, **at)
        await result(platform, "groups.setCallbackSettings", group_join=0, **at)
        await platform.say(GROUP, USER, "hello")
        await platform.join(GROUP, USER)
        return before, await result(platform, "groups.getCallbackSettings", **at), platform.problems

    bot = HonestVKBot()
    before, after, problems = with_bot(use, bot)
    assert before == {"api_version": "5.199", "events": dict.fromkeys(sorted(SETTABLE), 0)}
    assert (after["api_version"], [name for name, on in after["events"].items() if on]) == ("5.131", ["message_new"])
    assert [(event["type"], event["v"]) for event in bot.received] == [("message_new", "5.131")]
    assert problems == []


def test_a_setting_that_there_is_not_is_ignored_and_a_problem():
    async def use(platform: VKPlatform, url: str):
        number = await add(platform, url)
        params = {"server_id": number, "app_payload": 1} | HERE
        return await result(platform, "groups.setCallbackSettings", **params), platform.problems

    assert with_bot(use, HonestVKBot()) == (1, ["groups.setCallbackSettings: there is no parameter app_payload"])


@pytest.mark.parametrize("params", [{"api_version": "5.80"}, {"api_version": "new"}, {"message_new": 2}])
def test_a_setting_that_cannot_be_is_refused(params: dict):
    async def use(platform: VKPlatform, url: str):
        number = await add(platform, url)
        return await error(platform, "groups.setCallbackSettings", server_id=number, **params, **HERE)

    assert with_bot(use, HonestVKBot()) == 100


def test_ten_servers_are_the_most():
    async def use(platform: VKPlatform, url: str):
        for _ in range(10):
            last = await add(platform, url)
        described = {"url": url, "title": "bot"} | HERE
        assert await error(platform, "groups.addCallbackServer", **described) == 2000
        assert await result(platform, "groups.deleteCallbackServer", server_id=last, **HERE) == 1
        await add(platform, url)
        return len(await servers(platform)), last in [server["id"] for server in await servers(platform)]

    assert with_bot(use, HonestVKBot()) == (10, False)


@pytest.mark.parametrize(
    "params",
    [
        {"url": "nonsense"},
        {"url": "ftp://127.0.0.1/"},
        {"title": "x" * 15},
        {"title": ""},
        {"secret_key": "x" * 51},
    ],
)
def test_a_server_that_cannot_be_is_refused(params: dict):
    async def use(platform: VKPlatform):
        described = {"url": NOBODY, "title": "bot"} | HERE | params
        return await error(platform, "groups.addCallbackServer", **described), platform.group(GROUP).servers

    assert simulate(use) == (100, {})


def test_a_server_without_a_url_or_a_title_is_refused():
    async def use(platform: VKPlatform):
        method = "groups.addCallbackServer"
        return await error(platform, method, title="bot"), await error(platform, method, url=NOBODY)

    assert simulate(use) == (100, 100)


def test_a_server_where_nobody_listens_is_added_and_fails():
    async def use(platform: VKPlatform):
        await add(platform, NOBODY)
        return (await servers(platform))[0]["status"]

    assert simulate(use) == "failed"


def test_servers_can_be_asked_for_by_their_ids():
    async def use(platform: VKPlatform, url: str):
        first, _ = await add(platform, url), await add(platform, url)
        told = await result(platform, "groups.getCallbackServers", server_ids=first, **HERE)
        return [server["id"] for server in told["items"]] == [first]

    assert with_bot(use, HonestVKBot())


@pytest.mark.parametrize(
    "method", ["editCallbackServer", "deleteCallbackServer", "getCallbackSettings", "setCallbackSettings"]
)
def test_a_server_that_is_not_there_is_refused(method: str):
    async def use(platform: VKPlatform):
        return await error(platform, f"groups.{method}", server_id=5, **HERE)

    assert simulate(use) == 100


def test_what_is_held_for_a_server_that_is_deleted_goes_nowhere():
    async def use(platform: VKPlatform, url: str):
        server = await platform.connect(GROUP, url)
        for _ in range(10):
            await platform.say(GROUP, USER, "x")
        held = await platform.say(GROUP, USER, "held")
        await result(platform, "groups.deleteCallbackServer", server_id=server.id, **HERE)
        return held.deliveries[0].state, await servers(platform)

    assert with_bot(use, HonestVKBot(lambda _: Raw(b"", 500))) == ("dropped", [])


def test_long_polls_settings_have_no_events_that_it_does_not_know():
    async def use(platform: VKPlatform):
        settings = await result(platform, "groups.getLongPollSettings", **HERE)
        params = {"market_order_new": 1, "enabled": 1, "message_new": 1} | HERE
        await result(platform, "groups.setLongPollSettings", **params)
        after = await result(platform, "groups.getLongPollSettings", **HERE)
        return settings, after, platform.problems

    before, after, problems = simulate(use)
    assert before == {
        "is_enabled": False,
        "api_version": "5.199",
        "events": dict.fromkeys(sorted(LONG_POLL_SETTABLE), 0),
    }
    assert (after["is_enabled"], after["events"]["message_new"]) == (True, 1)
    assert problems == ["groups.setLongPollSettings: there is no parameter market_order_new"]


def test_groups_come_in_an_object_since_version_5_139():
    async def use(platform: VKPlatform):
        platform.add_group(8, token="other", name="Eight")
        own = await result(platform, "groups.getById")
        named = await result(platform, "groups.getById", group_ids=f"8,{GROUP},99", v="5.131")
        return own["groups"][0]["id"], [group["name"] for group in named]

    assert simulate(use) == (GROUP, ["Eight", f"Community {GROUP}"])


def test_users_have_names_and_a_users_token_tells_whose_it_is():
    async def use(platform: VKPlatform):
        platform.world.names[5] = ("Anna", "Petrova")
        platform.add_account(500, token="own")
        users = await result(platform, "users.get", user_ids="5,6")
        own = await call(platform, "users.get", "own")
        nobody = await result(platform, "users.get", user_id=6)
        return [user["first_name"] for user in users], own["response"][0]["id"], nobody[0]["id"]

    assert simulate(use) == (["Anna", "Ivan"], 500, 6)


def test_a_users_token_manages_no_community():
    async def use(platform: VKPlatform):
        platform.add_account(500, token="own")
        return await error(platform, "groups.getCallbackServers", "own", **HERE), await error(
            platform, "groups.getById", "own"
        )

    assert simulate(use) == (15, 15)
