"""rawbot/onebot/settings.py: what cannot work is refused when it is given, and a token shows nowhere.

Names: OneBot 12, glossary. Settings and their units: connect/communication.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawbot.errors import ConfigError
from rawbot.onebot.settings import HTTP, NAME, HTTPWebhook, WebSocket, WebSocketReverse, check_name

SECRET = "a-secret"
KINDS = {
    HTTP: {},
    WebSocket: {},
    HTTPWebhook: {"url": "http://127.0.0.1:1/hook"},
    WebSocketReverse: {"url": "ws://127.0.0.1:1/onebot/v12/"},
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def make(kind: type, **options: object) -> object:
    settings = KINDS[kind] | options
    url = settings.pop("url", None)
    return kind(**settings) if url is None else kind(url, **settings)


@each_kind
def test_without_options_there_is_no_token_and_the_standard_names_are_there(kind: type):
    settings = make(kind)
    assert settings.access_token is None
    names = {
        HTTP: ("host", "port", "event_enabled", "event_buffer_size"),
        WebSocket: ("host", "port"),
        HTTPWebhook: ("url", "timeout"),
        WebSocketReverse: ("url", "reconnect_interval"),
    }
    assert all(hasattr(settings, name) for name in names[kind])


@each_kind
def test_neither_token_nor_url_is_shown(kind: type):
    url = KINDS[kind].get("url", "http://x").replace("1/", "1/?access_token=in-the-url")
    options = {"url": url} if "url" in KINDS[kind] else {}
    shown = repr(make(kind, access_token=SECRET, **options))
    assert SECRET not in shown
    assert "in-the-url" not in shown


@each_kind
@pytest.mark.parametrize("token", [None, "", "x", "with blanks, +, / and =", "~!@#$%^&*()"])
def test_a_token_is_anything_that_a_header_field_can_hold(kind: type, token: str | None):
    assert make(kind, access_token=token).access_token == token


@each_kind
@pytest.mark.parametrize("token", ["\n", "a\r\nb", "é", "密", "\x7f", " x", "x ", "\t", 5, b"x"])
def test_any_other_token_is_refused_and_not_repeated(kind: type, token: object):
    with pytest.raises(ConfigError) as refused:
        make(kind, access_token=token)
    assert repr(token) not in str(refused.value)


@pytest.mark.parametrize("kind", [HTTP, WebSocket])
@pytest.mark.parametrize("port", [-1, 65536, "80", 8.0, True, None])
def test_a_port_has_16_bits(kind: type, port: object):
    with pytest.raises(ConfigError, match="port must be"):
        make(kind, port=port)
    assert make(kind, port=0).port == 0
    assert make(kind, port=65535).port == 65535


@pytest.mark.parametrize(
    ("kind", "name", "least"),
    [
        (HTTP, "event_buffer_size", 0),
        (HTTP, "max_size", 1),
        (WebSocket, "max_size", 1),
        (WebSocket, "max_queue_bytes", 1),
        (HTTPWebhook, "timeout", 0),
        (HTTPWebhook, "max_queue_bytes", 1),
        (WebSocketReverse, "reconnect_interval", 1),
        (WebSocketReverse, "max_size", 1),
        (WebSocketReverse, "max_queue_bytes", 1),
    ],
)
def test_a_number_is_whole_and_not_below_its_least(kind: type, name: str, least: int):
    assert getattr(make(kind, **{name: least}), name) == least
    for wrong in (least - 1, -1, 1.5, float("nan"), "1", None, True):
        with pytest.raises(ConfigError, match=f"{name} must be a whole number, {least} or more"):
            make(kind, **{name: wrong})


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        (HTTPWebhook, "http://h"),
        (HTTPWebhook, "https://h.example:8443/a/b?c=d"),
        (HTTPWebhook, "http://[::1]:80/"),
        (WebSocketReverse, "ws://h/onebot/v12/ws/"),
        (WebSocketReverse, "wss://h.example"),
    ],
)
def test_a_url_leads_to_a_host_by_one_of_two_schemes(kind: type, url: str):
    assert kind(url).url == url


@pytest.mark.parametrize("kind", [HTTPWebhook, WebSocketReverse])
@pytest.mark.parametrize("url", ["", "h", "//h/", "ftp://h", "{}:h", "{}:///x", "{}://:80/", "{}://h:x/", "{}://[h/"])
def test_any_other_url_is_refused(kind: type, url: str):
    scheme = KINDS[kind]["url"].partition(":")[0]
    other = {"http": "ws", "ws": "http"}[scheme]
    for wrong in (url.format(scheme), url.format(other), f"{other}://h/", f"{other}s://h/"):
        with pytest.raises(ConfigError, match=r"^url "):
            kind(wrong)


@pytest.mark.parametrize("url", [None, 5, b"http://h"])
def test_what_is_no_text_is_no_url(url: object):
    with pytest.raises(ConfigError):
        HTTPWebhook(url)


@pytest.mark.parametrize(("kind", "scheme"), [(HTTPWebhook, "http"), (WebSocketReverse, "wss")])
def test_a_password_belongs_to_no_url(kind: type, scheme: str):
    with pytest.raises(ConfigError, match="access_token") as refused:
        kind(f"{scheme}://user:hunter2@h/")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("name", ["a", "nonebot2", "my-impl", "x-1.y-2", "a.0", "qq.guild"])
def test_a_name_begins_with_a_letter_and_may_have_parts(name: str):
    assert check_name("impl", name) == name


@pytest.mark.parametrize("name", ["", "A", "1a", "-a", ".a", "a.", "a..b", "a_b", "a b", "a\n", "机器人", None, 5])
def test_any_other_name_is_refused(name: object):
    with pytest.raises(ConfigError, match=r"^platform is made of"):
        check_name("platform", name)


@given(st.from_regex(r"[a-z][\-a-z0-9]*(\.[\-a-z0-9]+)*", fullmatch=True))
def test_every_name_of_the_standard_can_stand_in_a_header_field(name: str):
    assert NAME.fullmatch(name)
    assert check_name("impl", name).isascii()
    assert f"12.{name}".encode("ascii").replace(b".", b"").replace(b"-", b"").isalnum()
