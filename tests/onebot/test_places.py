"""rawbot/onebot/places.py: what shares a socket, and what cannot."""

import pytest

from rawbot.errors import ConfigError
from rawbot.onebot.places import group
from rawbot.onebot.settings import HTTP, HTTPWebhook, WebSocket
from rawbot.onebot.v11.settings import V11HTTP, V11HTTPPost, V11WebSocket

HERE = {"host": "127.0.0.1", "port": 1}
THERE = {"host": "127.0.0.2", "port": 1}
FREE = {"port": 0}


def test_connections_of_one_host_and_port_share_a_socket():
    http, websocket, other = HTTP(**HERE), WebSocket(**HERE), HTTP(**THERE)
    first, second = group([http, other, websocket])
    assert (first.http, first.websocket, first.is_v11) == (http, websocket, False)
    assert (second.http, second.websocket, second.host, second.port) == (other, None, "127.0.0.2", 1)


def test_so_do_those_of_onebot_11():
    http, websocket = V11HTTP(**HERE), V11WebSocket(**HERE)
    (place,) = group([websocket, http])
    assert (place.http, place.websocket, place.is_v11) == (http, websocket, True)


def test_what_is_opened_by_ourselves_listens_nowhere():
    assert group([HTTPWebhook("http://x/"), V11HTTPPost("http://x/")]) == []


@pytest.mark.parametrize("kind", [HTTP, WebSocket, V11HTTP, V11WebSocket])
def test_two_of_a_kind_cannot_share_a_socket(kind: type):
    with pytest.raises(ConfigError, match="one kind cannot share"):
        group([kind(**HERE), kind(**HERE)])
    assert len(group([kind(**FREE), kind(**FREE)])) == 2


@pytest.mark.parametrize("kinds", [(HTTP, V11HTTP), (HTTP, V11WebSocket), (V11HTTP, WebSocket), (V11HTTP, HTTP)])
def test_onebot_12_and_11_cannot_share_a_socket(kinds: tuple[type, type]):
    with pytest.raises(ConfigError, match="mount them on two paths"):
        group([kind(**HERE) for kind in kinds])
    assert len(group([kind(**FREE) for kind in kinds])) == 2


def test_a_place_is_open_when_any_of_it_lets_everybody_in():
    (place,) = group([HTTP(**HERE, access_token="t"), WebSocket(**HERE)])
    assert place.is_open
    (place,) = group([HTTP(**HERE, access_token="t"), WebSocket(**HERE, access_token="t")])
    assert not place.is_open
    (place,) = group([V11HTTP(**HERE, access_token="")])
    assert place.is_open
