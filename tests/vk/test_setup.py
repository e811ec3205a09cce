"""rawbot/vk/setup.py: VK is made to call a bot, once and for the right events; doing it again changes nothing."""

import asyncio

import pytest
from vk_samples import GROUP
from vk_servers import URL, Servers, server

from rawbot.bot import Bot
from rawbot.errors import ConfigError
from rawbot.vk.access import API_VERSION
from rawbot.vk.errors import AnswerError, VKError
from rawbot.vk.event_types import SETTABLE
from rawbot.vk.setup import (
    MAX_SERVERS,
    CallbackServer,
    SetUp,
    decode_servers,
    events_for,
    list_servers,
    renewal,
    set_up,
)

ADD, EDIT, SET = "groups.addCallbackServer", "groups.editCallbackServer", "groups.setCallbackSettings"


def run(servers: Servers, **options: object) -> SetUp:
    return asyncio.run(set_up(servers, GROUP, url=options.pop("url", URL), **options))


def test_a_server_that_is_not_there_is_made():
    servers = Servers(server(1, url="https://other.example/"))
    done = run(servers, secret="neu", events=["message_new", "message_event"])
    assert (done.created, done.changed) == (True, False)
    assert done.server == CallbackServer(2, URL, "rawbot", "neu", "ok")
    assert done.events == ("message_event", "message_new")
    settings = servers.settings[2]
    assert settings["api_version"] == API_VERSION
    assert {name for name, value in settings["events"].items() if value} == {"message_new", "message_event"}
    assert settings["events"].keys() == SETTABLE
    assert servers.changes == [ADD, SET]


def test_doing_it_again_changes_nothing():
    servers = Servers()
    first = run(servers, secret="neu", events=["message_new"])
    servers.calls.clear()
    again = run(servers, secret="neu", events=["message_new"])
    assert (again.created, again.changed) == (False, False)
    assert again.server == first.server
    assert servers.changes == []


def test_the_secret_of_a_server_is_kept_and_told():
    servers = Servers(server())
    done = run(servers)
    assert done.server.secret == "geheim"
    assert EDIT not in servers.calls


def test_another_secret_is_set_and_the_title_stays():
    servers = Servers(server())
    done = run(servers, secret="neu")
    assert done.changed
    assert (done.server.secret, done.server.title) == ("neu", "мой")
    assert servers.edits[0]["secret_key"] == "neu"


def test_a_server_without_a_secret_gets_none_unless_one_is_given():
    servers = Servers()
    assert run(servers).server.secret == ""
    assert run(servers, secret="neu").server.secret == "neu"


@pytest.mark.parametrize(
    ("status", "changed"), [("failed", True), ("unconfigured", True), ("ok", False), ("wait", False)]
)
def test_a_server_that_vk_has_given_up_is_confirmed_anew(status: str, changed: bool):  # noqa: FBT001 - a column
    servers = Servers(server(status=status))
    servers.settings[1] = {"api_version": API_VERSION, "events": dict.fromkeys(SETTABLE, 1)}
    done = run(servers)
    assert done.changed == changed
    assert servers.changes == [EDIT] * changed
    assert done.server.status == ("ok" if changed else status)
    assert done.server.secret == "geheim"


def test_a_confirmation_that_fails_shows_in_the_status():
    servers = Servers()
    servers.status_after = "failed"
    assert run(servers).server.status == "failed"


def test_events_that_are_not_as_wanted_are_switched():
    servers = Servers(server())
    run(servers, events=["message_new"])
    done = run(servers, events=["message_new", "group_join"])
    assert done.changed
    assert servers.settings[1]["events"]["group_join"] == 1
    run(servers, events=["group_join"])
    assert servers.settings[1]["events"]["message_new"] == 0


def test_another_version_is_switched_too():
    servers = Servers(server())
    run(servers)
    assert run(servers, api_version="5.131").changed
    assert servers.settings[1]["api_version"] == "5.131"


@pytest.mark.parametrize("told", [None, [], {}, {"events": []}, {"api_version": API_VERSION}])
def test_settings_that_cannot_be_read_are_set(told: object):
    servers = Servers(server())
    servers.faults["groups.getCallbackSettings"] = told
    assert run(servers).changed


def test_more_servers_than_may_be_are_not_made():
    servers = Servers(*(server(number, url=f"https://{number}.example/") for number in range(1, MAX_SERVERS + 1)))
    with pytest.raises(ConfigError, match="10 callback servers"):
        run(servers)
    assert servers.changes == []
    assert not run(servers, url="https://3.example/").created


@pytest.mark.parametrize(
    "options",
    [
        {"url": "bot.example/webhook"},
        {"url": "ftp://bot.example/"},
        {"url": "https:///webhook"},
        {"title": ""},
        {"title": "x" * 15},
        {"secret": ""},
        {"secret": "x" * 51},
        {"events": ["message_new", "message_net"]},
        {"events": ["app_payload"]},
    ],
)
def test_what_vk_would_refuse_is_refused_before_anything_is_asked(options: dict[str, object]):
    servers = Servers()
    with pytest.raises(ConfigError):
        run(servers, **options)
    assert servers.calls == []


def test_what_vk_refuses_is_raised():
    servers = Servers()
    servers.faults[ADD] = VKError(2000, "Servers number limit is reached", ADD)
    with pytest.raises(VKError, match="2000"):
        run(servers)


@pytest.mark.parametrize("told", [None, [], {}, {"items": {}}, {"items": [1]}, {"items": [{"id": "1"}]}])
def test_an_answer_without_servers_is_no_answer(told: object):
    with pytest.raises(AnswerError):
        decode_servers(told)


@pytest.mark.parametrize("told", [None, 1, {}, {"server_id": "1"}, {"server_id": True}])
def test_an_answer_that_names_no_new_server_is_none(told: object):
    servers = Servers()
    servers.faults[ADD] = told
    with pytest.raises(AnswerError):
        run(servers)


def test_a_server_may_lack_what_it_does_not_need():
    assert decode_servers({"items": [{"id": 5}]}) == [CallbackServer(5, "", "", "", "")]
    assert renewal(GROUP, CallbackServer(5, URL, "", "", "failed")) == {
        "group_id": GROUP, "server_id": 5, "url": URL, "title": "rawbot", "secret_key": None,
    }  # fmt: skip


def test_servers_can_be_listed_and_their_reprs_hide_secret_and_url():
    (known,) = asyncio.run(list_servers(Servers(server()), GROUP))
    assert repr(known) == "<CallbackServer 1 ok>"
    assert "geheim" not in repr(SetUp(known, created=False, changed=False, events=()))


# The events that a bot wants


def ignore(*_: object) -> None: ...


def test_a_bot_wants_the_events_that_it_has_handlers_for():
    bot = Bot()
    bot.on_message(ignore)
    bot.on_event("group_join", "enter_chat", "app_payload")(ignore)
    assert events_for(bot.kinds) == ("group_join", "message_new")


def test_a_bot_with_a_handler_for_all_events_wants_all():
    bot = Bot()
    bot.on_event()(ignore)
    assert bot.kinds is None
    assert events_for(bot.kinds) == tuple(sorted(SETTABLE))


def test_a_bot_without_handlers_wants_nothing():
    assert events_for(Bot().kinds) == ()
