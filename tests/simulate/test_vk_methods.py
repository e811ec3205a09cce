"""rawbot/simulate/vk_methods.py, vk_call.py and vk_execute.py: calls over real sockets, and faults to order."""

import asyncio
from contextlib import suppress

import orjson
import pytest
from honest_vk import GROUP, TOKEN, USER, call, error, request, result, simulate
from hypothesis import given
from hypothesis import strategies as st

from rawbot.errors import FetchError
from rawbot.simulate.vk import VKPlatform
from rawbot.simulate.vk_execute import parse_code
from rawbot.simulate.vk_rules import ApiError
from rawbot.vk.batching import encode_execute
from rawbot.vk.errors import CaptchaError, FloodError, RateError
from rawbot.vk.methods import decode_result, encode_call, encode_params

FORM = (b"content-type", b"application/x-www-form-urlencoded")
BEARER = (b"authorization", b"Bearer " + TOKEN.encode())


async def talk(platform: VKPlatform) -> None:
    await platform.say(GROUP, USER, "hello")


def test_a_token_comes_in_a_header_or_as_a_parameter():
    async def use(platform: VKPlatform):
        url, form = platform.api_url + "users.get", b"v=5.199"
        token = b"access_token=" + TOKEN.encode()
        answers = [
            await request(url, "POST", [FORM, BEARER], form),
            await request(url, "POST", [FORM], form + b"&" + token),
            await request(f"{url}?v=5.199&{token.decode()}"),
        ]
        return [orjson.loads(answer.body) for answer in answers]

    assert simulate(use) == [{"response": []}] * 3


def test_a_body_of_json_is_not_read():
    async def use(platform: VKPlatform):
        fields = [(b"content-type", b"application/json"), BEARER]
        return orjson.loads((await request(platform.api_url + "users.get", "POST", fields, b'{"v":"5.199"}')).body)

    assert simulate(use)["error"]["error_code"] == 8


@pytest.mark.parametrize(
    ("method", "token", "params", "code"),
    [
        ("users.get", "stranger", {}, 5),
        ("users.get", "", {}, 5),
        ("users.got", TOKEN, {}, 3),
        ("Users.get", TOKEN, {}, 3),
        ("users.get", TOKEN, {"v": ""}, 8),
        ("users.get", TOKEN, {"v": "latest"}, 8),
        ("users.get", TOKEN, {"user_ids": "durov"}, 100),
        ("users.get", TOKEN, {"user_ids": str(2**63)}, 100),
        ("groups.getCallbackServers", TOKEN, {"group_id": GROUP + 1}, 15),
    ],
)
def test_a_call_that_cannot_be_is_answered_as_vk_does_and_is_a_problem(
    method: str, token: str, params: dict, code: int
):
    async def use(platform: VKPlatform):
        answer = await call(platform, method, token, **params)
        assert len(platform.problems) == 1
        return answer["error"]

    told = simulate(use)
    assert told["error_code"] == code
    assert told["request_params"][0] == {"key": "method", "value": method}
    assert TOKEN not in str(told)


def test_more_than_twenty_calls_a_second_are_too_many():
    async def use(platform: VKPlatform):
        answers = [await call(platform, "users.get") for _ in range(21)]
        codes = [answer.get("error", {}).get("error_code") for answer in answers]
        await asyncio.sleep(1)
        return codes, await result(platform, "users.get")

    codes, later = simulate(use)
    assert codes == [None] * 20 + [6]
    assert later == []


def test_a_user_may_call_three_times_a_second():
    async def use(platform: VKPlatform):
        platform.add_account(500, token="own")
        answers = [await call(platform, "users.get", "own") for _ in range(4)]
        return [answer["response"][0]["id"] for answer in answers[:3]], answers[3]["error"]["error_code"]

    assert simulate(use) == ([500] * 3, 6)


def test_nothing_is_too_fast_when_rates_do_not_matter():
    async def use(platform: VKPlatform):
        return [await result(platform, "users.get") for _ in range(30)]

    assert simulate(use, limit_rates=False) == [[]] * 30


def test_faults_come_as_often_as_they_were_ordered():
    async def use(platform: VKPlatform):
        platform.fail("users.get", 9, times=2)
        platform.fail("*", 10)
        platform.fail("groups.getById", status=502, body=b"<html>")
        codes = [await error(platform, "users.get") for _ in range(3)]
        gateway = await request(platform.api_url + "groups.getById", "POST", [FORM, BEARER], b"v=5.199")
        assert await result(platform, "users.get") == []
        assert platform.problems == []
        return codes, gateway.status, gateway.body, [called.error for called in platform.calls]

    assert simulate(use) == ([9, 9, 10], 502, b"<html>", [9, 9, 10, 0, 0])


def test_a_fault_can_come_with_what_vk_puts_beside_it():
    async def use(platform: VKPlatform):
        platform.fail("users.get", 14, captcha_sid="239633676097", captcha_img="https://example.com/c.jpg")
        return await call(platform, "users.get")

    told = simulate(use)
    with pytest.raises(CaptchaError) as caught:
        decode_result(200, orjson.dumps(told), "users.get")
    assert caught.value.sid == "239633676097"


@pytest.mark.parametrize(("code", "kind"), [(6, RateError), (29, FloodError)])
def test_faults_are_read_by_rawbot_as_vks(code: int, kind: type[Exception]):
    async def use(platform: VKPlatform):
        platform.fail("users.get", code)
        return await call(platform, "users.get")

    with pytest.raises(kind):
        decode_result(200, orjson.dumps(simulate(use)), "users.get")


@pytest.mark.parametrize("fault", [{"hang_up": True}, {"status": 502}])
def test_a_call_may_be_carried_out_and_its_result_get_lost(fault: dict):
    async def use(platform: VKPlatform):
        await talk(platform)
        platform.fail("messages.send", carried_out=True, **fault)
        params = {"peer_id": USER, "random_id": 5, "message": "hi"}
        with suppress(FetchError, orjson.JSONDecodeError):
            await call(platform, "messages.send", **params)
        repeated = await result(platform, "messages.send", **params)
        return platform.dialog(GROUP, USER).shown, repeated

    assert simulate(use) == (["hi"], 2)


def test_a_call_is_what_rawbot_encodes():
    async def use(platform: VKPlatform):
        await talk(platform)
        params = {"peer_ids": [USER, 99], "random_id": 3, "message": "hi", "dont_parse_links": True, "keyboard": None}
        url, body, headers = encode_call("messages.send", params, token=TOKEN, v="5.199", url=platform.api_url)
        answer = await request(url, "POST", headers, body)
        return decode_result(answer.status, answer.body, "messages.send")

    sent, failed = simulate(use)
    assert sent == {"peer_id": USER, "message_id": 2, "conversation_message_id": 2}
    assert (failed.peer_id, failed.code) == (99, 901)


def test_execute_carries_out_calls_in_their_order_with_false_for_what_failed():
    async def use(platform: VKPlatform):
        await talk(platform)
        calls = [
            ("messages.send", encode_params({"peer_id": USER, "random_id": 1, "message": 'a "quoted" ]); тест'})),
            ("messages.send", encode_params({"peer_id": 99, "random_id": 1, "message": "x"})),
            ("users.get", {}),
            ("users.got", {}),
        ]
        return await call(platform, "execute", code=encode_execute(calls)), platform.dialog(GROUP, USER).shown

    answer, shown = simulate(use)
    assert answer["response"] == [2, False, [], False]
    assert [(e["method"], e["error_code"]) for e in answer["execute_errors"]] == [
        ("messages.send", 901),
        ("users.got", 3),
    ]
    assert shown == ['a "quoted" ]); тест']


def test_execute_of_one_call_gives_its_result():
    async def use(platform: VKPlatform):
        return await call(platform, "execute", code='return API.users.get({"user_ids": [1, 2]});')

    assert [user["id"] for user in simulate(use)["response"]] == [1, 2]


def test_execute_needs_code_and_a_version():
    async def use(platform: VKPlatform):
        return await error(platform, "execute"), await error(platform, "execute", code="return API.a.b();", v="")

    assert simulate(use) == (12, 8)


@pytest.mark.parametrize(
    ("code", "calls"),
    [
        ("return [API.users.get({})];", [("users.get", {})]),
        ("return [API.a.b(),API.c.d( {} ) ];", [("a.b", {}), ("c.d", {})]),
        (' return API.a.b({"x":1,"y":true,"z":[1,"2"],"s":"t","o":{"k":1}}) ; ',
         [("a.b", {"x": "1", "y": "1", "z": "1,2", "s": "t", "o": '{"k": 1}'})]),
    ],
)  # fmt: skip
def test_the_code_that_clients_write_is_read(code: str, calls: list):
    assert parse_code(code)[0] == calls


@pytest.mark.parametrize(
    "code",
    [
        "",
        "return 1;",
        "return API.a.b({})",
        "return [API.a.b({});",
        "return [];",
        "return [API.a.b({}),];",
        "return [API.a.b({}) API.c.d({})];",
        "return API.a.b({}),API.c.d({});",
        "return API.a({});",
        "return API.a.b([1]);",
        "return API.a.b({x: 1});",
        "return API.a.b({};",
        "var a = 1; return a;",
    ],
)
def test_other_code_is_12(code: str):
    with pytest.raises(ApiError) as caught:
        parse_code(code)
    assert caught.value.code == 12


def test_twenty_five_calls_are_the_most():
    code = "return [" + ",".join(["API.a.b({})"] * 26) + "];"
    assert len(parse_code(code.replace("API.a.b({}),", "", 1))[0]) == 25
    with pytest.raises(ApiError) as caught:
        parse_code(code)
    assert caught.value.code == 13


FIELDS = st.dictionaries(st.text(max_size=8), st.text(max_size=40), max_size=4)


@given(st.lists(st.tuples(st.sampled_from(["messages.send", "users.get"]), FIELDS), min_size=1, max_size=25))
def test_whatever_rawbot_packs_is_unpacked(calls: list[tuple[str, dict[str, str]]]):
    assert parse_code(encode_execute(calls)) == (calls, True)
