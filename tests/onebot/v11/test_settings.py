"""rawbot/onebot/v11/settings.py: the standard's defaults, and what cannot work is refused when it is given.

Source: OneBot 11, communication/{http,http-post,ws,ws-reverse}.
"""

import pytest

from rawbot.errors import ConfigError
from rawbot.onebot.v11.settings import V11HTTP, V11HTTPPost, V11WebSocket, V11WebSocketReverse

SECRET = "a-secret"


def test_the_defaults_are_the_standards():
    assert (V11HTTP().port, V11WebSocket().port) == (5700, 6700)
    assert V11HTTPPost("http://x/").timeout == 0
    assert V11WebSocketReverse("ws://x/").reconnect_interval == 3000


def test_no_secret_shows():
    shown = [
        V11HTTP(access_token=SECRET),
        V11WebSocket(access_token=SECRET),
        V11HTTPPost(f"http://x/?t={SECRET}", secret=SECRET),
        V11WebSocketReverse(f"ws://x/?t={SECRET}", access_token=SECRET),
        V11WebSocketReverse(api_url=f"ws://x/?t={SECRET}", event_url=f"ws://x/?t={SECRET}"),
    ]
    assert SECRET not in repr(shown)


def test_a_reverse_websocket_is_one_connection_in_one_role_or_one_for_each_of_two():
    assert V11WebSocketReverse("ws://x/").links == [("ws://x/", "Universal")]
    assert V11WebSocketReverse("ws://x/", role="Event").links == [("ws://x/", "Event")]
    both = V11WebSocketReverse(api_url="ws://x/api", event_url="wss://x/event")
    assert both.links == [("ws://x/api", "API"), ("wss://x/event", "Event")]
    assert V11WebSocketReverse(event_url="ws://x/").links == [("ws://x/", "Event")]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (V11HTTP, {"port": 65536}),
        (V11HTTP, {"access_token": "a\nb"}),
        (V11HTTP, {"max_size": 0}),
        (V11WebSocket, {"port": -1}),
        (V11WebSocket, {"access_token": "é"}),
        (V11WebSocket, {"max_size": 0}),
        (V11WebSocket, {"max_queue_bytes": 0}),
        (V11HTTPPost, {"url": "ws://x/"}),
        (V11HTTPPost, {"url": "http://x/", "secret": ""}),
        (V11HTTPPost, {"url": "http://x/", "timeout": -1}),
        (V11HTTPPost, {"url": "http://x/", "timeout": float("nan")}),
        (V11HTTPPost, {"url": "http://x/", "timeout": float("inf")}),
        (V11HTTPPost, {"url": "http://x/", "max_queue_bytes": 0}),
        (V11WebSocketReverse, {}),
        (V11WebSocketReverse, {"url": "http://x/"}),
        (V11WebSocketReverse, {"url": "ws://x/", "api_url": "ws://x/"}),
        (V11WebSocketReverse, {"api_url": "ws://x/", "event_url": "http://x/"}),
        (V11WebSocketReverse, {"url": "ws://x/", "role": "universal"}),
        (V11WebSocketReverse, {"url": "ws://x/", "access_token": "\n"}),
        (V11WebSocketReverse, {"url": "ws://x/", "reconnect_interval": 0}),
        (V11WebSocketReverse, {"url": "ws://x/", "max_size": 0}),
        (V11WebSocketReverse, {"url": "ws://x/", "max_queue_bytes": 0}),
    ],
)
def test_what_cannot_work_is_refused(kind: type, options: dict[str, object]):
    with pytest.raises(ConfigError):
        kind(**options)
