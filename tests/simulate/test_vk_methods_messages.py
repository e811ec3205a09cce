"""rawbot/simulate/vk_methods_messages.py: messages as bots send, edit and answer them."""

import orjson
import pytest
from honest_vk import CHAT, GROUP, USER, call, error, result, simulate

from rawbot.simulate.vk import VKPlatform

SNACKBAR = '{"type":"show_snackbar","text":"done"}'


def run(use: object) -> object:
    """Run a platform whose user, and a chat, have spoken."""

    async def opened(platform: VKPlatform):
        await platform.say(GROUP, USER, "hello")
        await platform.say(GROUP, USER, "hello", peer_id=CHAT)
        return await use(platform)

    return simulate(opened, limit_rates=False)


async def send(platform: VKPlatform, random_id: int = 1, **params: object) -> object:
    return await result(platform, "messages.send", **({"peer_id": USER, "message": "hi"} | params), random_id=random_id)


def test_a_message_is_named_by_its_id_and_shown():
    async def use(platform: VKPlatform):
        sent = await send(platform)
        (message,) = platform.dialog(GROUP, USER).sent
        return sent == message.id, message.text, message.from_id, message.outgoing, platform.problems

    assert run(use) == (True, "hi", -GROUP, True, [])


@pytest.mark.parametrize("whom", [{"peer_id": USER}, {"user_id": USER}, {"peer_ids": USER}, {"user_ids": USER}])
def test_a_user_can_be_named_in_four_ways(whom: dict):
    async def use(platform: VKPlatform):
        await result(platform, "messages.send", random_id=1, message="hi", **whom)
        return platform.dialog(GROUP, USER).shown

    assert run(use) == ["hi"]


@pytest.mark.parametrize("whom", [{"peer_id": CHAT}, {"chat_id": CHAT - 2_000_000_000}])
def test_a_chats_messages_have_no_id_of_the_communitys(whom: dict):
    async def use(platform: VKPlatform):
        sent = await result(platform, "messages.send", random_id=1, message="hi", **whom)
        return sent, platform.dialog(GROUP, CHAT).shown

    assert run(use) == (0, ["hi"])


def test_several_peers_have_an_entry_each_with_an_error_where_it_failed():
    async def use(platform: VKPlatform):
        platform.group(GROUP).blocked.add(7)
        peers = f"{USER},{CHAT},99,{CHAT + 1},7"
        return await result(platform, "messages.send", random_id=1, message="hi", peer_ids=peers), platform.problems

    entries, problems = run(use)
    assert [entry.get("error", {}).get("code") for entry in entries] == [None, None, 901, 917, 900]
    assert [entry["conversation_message_id"] for entry in entries[:2]] == [2, 2]
    assert entries[1]["message_id"] == 0
    assert problems == []


@pytest.mark.parametrize("peers", ["", ",".join(map(str, range(1, 102)))])
def test_none_and_more_than_a_hundred_peers_are_refused(peers: str):
    async def use(platform: VKPlatform):
        return await error(platform, "messages.send", random_id=1, message="hi", peer_ids=peers)

    assert run(use) == 100


def test_a_random_id_that_the_dialog_has_seen_sends_nothing():
    async def use(platform: VKPlatform):
        first = await send(platform, 5, message="one")
        assert await send(platform, 5, message="two") == first
        await result(platform, "messages.send", random_id=5, message="three", peer_id=CHAT)
        again = await result(platform, "messages.send", random_id=5, message="four", peer_ids=f"{USER},{CHAT}")
        assert [entry["message_id"] for entry in again] == [first, 0]
        return platform.dialog(GROUP, USER).shown, platform.dialog(GROUP, CHAT).shown

    assert run(use) == (["one"], ["three"])


def test_it_is_remembered_for_an_hour_and_for_a_hundred_messages():
    async def use(platform: VKPlatform):
        await send(platform, 5)
        await platform.advance(3599)
        await send(platform, 5)
        assert len(platform.dialog(GROUP, USER).sent) == 1
        await platform.advance(1)
        await send(platform, 5)
        assert len(platform.dialog(GROUP, USER).sent) == 2
        for number in range(100, 199):
            await send(platform, number)
        await send(platform, 5)
        assert len(platform.dialog(GROUP, USER).sent) == 101
        await send(platform, 199)
        await send(platform, 5)
        return len(platform.dialog(GROUP, USER).sent)

    assert run(use) == 103


def test_a_random_id_of_0_checks_nothing():
    async def use(platform: VKPlatform):
        await send(platform, 0)
        await send(platform, 0)
        return platform.dialog(GROUP, USER).shown

    assert run(use) == ["hi", "hi"]


def test_a_random_id_is_needed_since_version_5_90():
    async def use(platform: VKPlatform):
        assert await error(platform, "messages.send", peer_id=USER, message="hi") == 100
        assert await error(platform, "messages.send", peer_id=USER, message="hi", random_id=2**31) == 100
        return await result(platform, "messages.send", peer_id=USER, message="hi", v="5.89")

    assert run(use)


def test_nobody_is_written_to_who_has_not_written_or_allowed_it():
    async def use(platform: VKPlatform):
        params = {"peer_id": 99, "random_id": 1, "message": "hi"}
        codes = [await error(platform, "messages.send", **params)]
        await platform.allow(GROUP, 99)
        await result(platform, "messages.send", **params)
        await platform.deny(GROUP, 99)
        codes.append(await error(platform, "messages.send", **params | {"random_id": 2}))
        codes.append(await error(platform, "messages.send", **params | {"peer_id": CHAT + 1}))
        return codes, platform.problems

    assert run(use) == ([901, 901, 917], [])


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"message": "x" * 9001}, 914),
        ({"message": ""}, 100),
        ({"message": " \n"}, 100),
        ({"message": "hi", "attachment": "photo"}, 100),
        ({"message": "hi", "attachment": "photo-1_2 doc1_2"}, 100),
        ({"message": "hi", "keyboard": "{"}, 911),
        ({"message": "hi", "peer_id": 0}, 100),
        ({"message": "hi", "peer_id": "durov"}, 100),
    ],
)
def test_a_message_that_cannot_be_is_refused_and_is_a_problem(params: dict, code: int):
    async def use(platform: VKPlatform):
        told = await error(platform, "messages.send", **({"peer_id": USER, "random_id": 1} | params))
        return told, len(platform.problems), platform.dialog(GROUP, USER).shown

    assert run(use) == (code, 1, [])


def test_the_longest_message_is_sent():
    async def use(platform: VKPlatform):
        await send(platform, message="ж" * 9000)
        return len(platform.dialog(GROUP, USER).shown[0])

    assert run(use) == 9000


def test_what_vk_has_already_can_be_attached_by_its_name():
    async def use(platform: VKPlatform):
        await send(platform, message="", attachment="photo-1_2_abc,wall-5_6")
        return platform.dialog(GROUP, USER).sent[0].attachments

    assert run(use) == [
        {"type": "photo", "photo": {"owner_id": -1, "id": 2}},
        {"type": "wall", "wall": {"owner_id": -5, "id": 6}},
    ]


def test_a_message_may_answer_another():
    async def use(platform: VKPlatform):
        (asked,) = platform.dialog(GROUP, USER).messages
        await send(platform, reply_to=asked.id)
        return platform.dialog(GROUP, USER).sent[0].reply_to is asked

    assert run(use)


@pytest.mark.parametrize("name", ["conversation_message_id", "cmid", "message_id"])
def test_a_message_is_edited_by_any_of_its_numbers(name: str):
    async def use(platform: VKPlatform):
        await send(platform)
        (message,) = platform.dialog(GROUP, USER).sent
        number = message.id if name == "message_id" else message.conversation_message_id
        assert await result(platform, "messages.edit", peer_id=USER, message="more", **{name: number}) == 1
        return message.text, message.edits, platform.dialog(GROUP, USER).shown

    assert run(use) == ("more", ["hi"], ["more"])


def test_an_edit_replaces_text_and_attachments():
    async def use(platform: VKPlatform):
        await send(platform, attachment="photo1_2")
        await result(platform, "messages.edit", peer_id=USER, message="more", cmid=2)
        return platform.dialog(GROUP, USER).sent[0].attachments

    assert run(use) == []


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"cmid": 3}, 100),
        ({"cmid": 1}, 100),  # the user's own
        ({}, 100),
        ({"cmid": 2, "peer_id": 99}, 100),
        ({"cmid": 2, "message": ""}, 100),
        ({"cmid": 2, "message": "x" * 9001}, 914),
    ],
)
def test_an_edit_that_cannot_be_is_refused(params: dict, code: int):
    async def use(platform: VKPlatform):
        await send(platform)
        told = await error(platform, "messages.edit", **({"peer_id": USER, "message": "more"} | params))
        return told, platform.dialog(GROUP, USER).shown

    assert run(use) == (code, ["hi"])


def test_after_a_day_a_message_is_too_old_to_be_changed():
    async def use(platform: VKPlatform):
        await send(platform)
        await platform.advance(24 * 3600 - 1)
        await result(platform, "messages.edit", peer_id=USER, message="more", cmid=2)
        await platform.advance(1)
        return await error(platform, "messages.edit", peer_id=USER, message="no more", cmid=2)

    assert run(use) == 909


async def press(platform: VKPlatform) -> dict:
    """Press a button; return by what it is answered."""
    buttons = [[{"action": {"type": "callback", "label": "Go", "payload": {}}}]]
    await send(platform, keyboard=orjson.dumps({"inline": True, "buttons": buttons}).decode())
    sent = await platform.press(GROUP, USER, platform.dialog(GROUP, USER).sent[-1], "Go")
    return {"event_id": sent.press.event_id, "user_id": USER, "peer_id": USER}


@pytest.mark.parametrize(
    "data",
    [
        SNACKBAR,
        '{"type":"open_link","link":"https://example.com"}',
        '{"type":"open_app","app_id":1,"hash":"x"}',
        "",
    ],
)
def test_a_button_is_answered_with_one_of_three_things_or_nothing(data: str):
    async def use(platform: VKPlatform):
        where = await press(platform)
        await result(platform, "messages.sendMessageEventAnswer", event_data=data, **where)
        answered = platform.group(GROUP).presses[where["event_id"]]
        return answered.answered, answered.answer, platform.problems

    assert run(use) == (True, orjson.loads(data) if data else None, [])


@pytest.mark.parametrize(
    "params",
    [
        {"event_data": "{"},
        {"event_data": "[]"},
        {"event_data": '{"type":"dance"}'},
        {"event_data": '{"type":["show_snackbar"]}'},
        {"event_data": '{"type":"show_snackbar"}'},
        {"event_data": '{"type":"show_snackbar","text":7}'},
        {"event_data": orjson.dumps({"type": "show_snackbar", "text": "x" * 91}).decode()},
        {"event_data": orjson.dumps({"type": "open_link", "link": "x" * 1000}).decode()},
        {"event_id": "nothing"},
        {"user_id": 99},
        {"peer_id": CHAT},
    ],
)
def test_an_answer_that_cannot_be_is_refused(params: dict):
    async def use(platform: VKPlatform):
        where = await press(platform)
        return await error(platform, "messages.sendMessageEventAnswer", **(where | {"event_data": SNACKBAR} | params))

    assert run(use) == 100


@pytest.mark.parametrize(("seconds", "answered"), [(60.0, True), (60.5, False)])
def test_an_answer_is_waited_for_for_a_minute(seconds: float, *, answered: bool):
    async def use(platform: VKPlatform):
        where = await press(platform)
        await platform.advance(seconds)
        answer = await call(platform, "messages.sendMessageEventAnswer", **where)
        assert all(problem.endswith("nobody waits any more") for problem in platform.problems)
        return answer == {"response": 1}

    assert run(use) == answered


def test_a_users_bot_answers_no_buttons():
    async def use(platform: VKPlatform):
        platform.add_account(500, token="own")
        return await error(platform, "messages.sendMessageEventAnswer", "own", event_id="x", user_id=1, peer_id=1)

    assert run(use) == 15


def test_a_users_bot_may_write_first_but_not_in_chats_it_does_not_know():
    async def use(platform: VKPlatform):
        platform.add_account(500, token="own")
        sent = await result(platform, "messages.send", "own", peer_id=USER, random_id=1, message="hi")
        failed = await call(platform, "messages.send", "own", peer_id=CHAT, random_id=1, message="hi")
        return sent, failed["error"]["error_code"], platform.dialog(GROUP, USER).shown

    assert run(use) == (1, 917, [])
