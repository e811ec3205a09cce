"""rawbot/vk/api.py: any method by attribute or name, awaited or not."""

import copy
from collections.abc import Callable

import pytest
from vk_calling import NOW, TOKEN, URL, FakePromise, FakeShell, error, fields_of, method_of, result

from rawbot.errors import ConfigError, StateError
from rawbot.exchange import Source
from rawbot.vk.api import VKApi
from rawbot.vk.errors import AccessError, QueueFullError


def test_a_method_is_called_by_attribute_or_by_name():
    shell = FakeShell()
    shell.api.users.get(user_ids=[1, 2], fields=None)
    shell.api.call("groups.getById", group_id=7)
    shell.api.execute(code="return 1;")
    assert [method_of(request) for request in shell.sending] == ["users.get", "groups.getById", "execute"]
    assert fields_of(shell.sending[0]) == {"user_ids": "1,2", "v": "5.199"}


def test_what_is_called_can_be_awaited():
    shell = FakeShell()
    promise = shell.api.users.get()
    assert isinstance(promise, FakePromise)
    shell.reply(result([1]))
    assert (promise.done(), promise.outcome) == (True, [1])


def test_what_is_awaited_raises_what_went_wrong():
    shell = FakeShell(places=1, max_waiting=1)
    first, _, third = (shell.api.messages.send(message="x") for _ in range(3))
    assert isinstance(third.outcome, QueueFullError)
    shell.reply(error(901))
    assert isinstance(first.outcome, AccessError)


def test_parameters_may_be_named_like_anything():
    shell = FakeShell()
    shell.api.call("x.y", method=1, self=2, timeout=3, on_done=4, params=5, **{"from": 6})
    fields = fields_of(shell.request)
    assert fields == {
        "method": "1",
        "self": "2",
        "timeout": "3",
        "on_done": "4",
        "params": "5",
        "from": "6",
        "v": "5.199",
    }
    shell.api.x.y(method=1, self=2, name=3)
    assert fields_of(shell.sending[1])["self"] == "2"


def test_an_awaiter_that_has_gone_is_not_told_and_what_it_wanted_is_not_sent():
    shell = FakeShell(places=1)
    first, second = shell.api.a.a(), shell.api.b.b()
    first.cancel()
    second.cancel()
    shell.reply(result(1))
    assert (shell.sending, shell.api.waiting(), first.outcome) == ([], 0, None)


def test_before_an_app_runs_nothing_can_be_awaited():
    api = VKApi(TOKEN)
    with pytest.raises(StateError):
        api.users.get()
    with pytest.raises(StateError):
        api.upload_photo(b"x")
    assert api.waiting() == 0
    api.submit("users.get", {}, lambda _: None)
    assert api.waiting() == 1


@pytest.mark.parametrize(("method", "params"), [("users/get", {}), ("", {}), ("users.get", {"x": object()})])
def test_what_cannot_be_sent_is_refused_at_once(method: str, params: dict[str, object]):
    shell = FakeShell()
    with pytest.raises(StateError):
        shell.api.submit(method, params, shell.outcomes.append)
    with pytest.raises(StateError):
        shell.api.call(method, **params)
    assert (shell.sending, shell.outcomes) == ([], [])


# random_id


def draw(value: int) -> Callable[[int], bytes]:
    return lambda count: value.to_bytes(count, "big")


@pytest.mark.parametrize(
    ("drawn", "random_id"), [(0, "1"), (2**31 - 2, "2147483647"), (2**31 - 1, "1"), (2**32 - 1, "2")]
)
def test_a_message_without_a_random_id_gets_one_that_is_never_0(drawn: int, random_id: str):
    shell = FakeShell(entropy=draw(drawn))
    shell.submit("messages.send", peer_id=1, message="x")
    assert fields_of(shell.request)["random_id"] == random_id
    shell.reply(error(10))  # by the id it may be repeated
    shell.wait(1)
    assert fields_of(shell.request)["random_id"] == random_id


@pytest.mark.parametrize("random_id", [0, 77, "77"])
def test_a_random_id_that_is_given_stays(random_id: object):
    shell = FakeShell()
    shell.submit("messages.send", random_id=random_id)
    shell.submit("messages.edit")
    assert fields_of(shell.sending[0])["random_id"] == str(random_id)
    assert "random_id" not in fields_of(shell.sending[1])


# The object


def test_it_is_a_source_whose_urls_are_the_operator_s():
    api = VKApi(TOKEN)
    assert isinstance(api, Source)
    assert api.trusted
    assert not api.enabled
    assert (api.waiting(), api.next_request(NOW)) == (0, None)


def test_neither_it_nor_its_parts_show_the_token():
    api = VKApi(TOKEN)
    assert repr(api) == "<VKApi>"
    assert all(TOKEN not in repr(value) for value in vars(api).values())


def test_what_python_asks_for_is_no_section():
    api = VKApi(TOKEN)
    for name in ("_private", "__len__", "__await__", "__deepcopy__"):
        assert not hasattr(api, name)
    assert repr(copy.copy(api)) == "<VKApi>"


@pytest.mark.parametrize(
    "settings",
    [
        {"token": ""},
        {"url": "vk"},
        {"version": "5"},
        {"rate": 0},
        {"timeout": 0},
        {"timeout": float("inf")},
        {"timeout": float("nan")},
        {"max_waiting": 0},
    ],
)
def test_settings_that_cannot_work_are_refused_when_it_is_made(settings: dict[str, object]):
    with pytest.raises(ConfigError):
        VKApi(**{"token": TOKEN, "url": URL, **settings})


# The names of VK's own sections (dev.vk.com/ru/method), none of which may be taken by something else
SECTIONS = """
account ads adsweb appWidgets apps asr auth board bugtracker calls database docs donut downloadedGames execute fave
friends gifts groups identity leadForms likes market messages newsfeed notes notifications orders pages photos podcasts
polls prettyCards search secure stats status storage store stories streaming translations users utils video vmoji wall
widgets
"""


@pytest.mark.parametrize("name", SECTIONS.split())
def test_every_section_of_vk_s_can_be_reached(name: str):
    shell = FakeShell()
    getattr(shell.api, name).get()
    assert method_of(shell.request) == f"{name}.get"
