"""rawbot/vk/access.py: bad configuration is refused when the object is made, and no text holds the token."""

import pytest

from rawbot.errors import ConfigError
from rawbot.vk.access import API_URL, API_VERSION, Access

TOKEN = "vk1.a.secret"


def test_a_call_goes_to_the_url_with_version_and_token():
    call = Access(TOKEN, "https://api.vk.ru/method", "5.131").encode("users.get", {"user_ids": "1"})
    assert call.url == "https://api.vk.ru/method/users.get"
    assert call.body == b"user_ids=1&v=5.131"
    assert (b"authorization", b"Bearer vk1.a.secret") in call.headers


def test_without_more_it_is_vk_itself():
    access = Access(TOKEN)
    assert (access.url, access.version, access.https) == (API_URL, API_VERSION, True)
    assert TOKEN not in repr(access) + str(access)


@pytest.mark.parametrize("token", ["", " ", "a b", "a\r\nx: y", "ключ", "a\x00", None, 7, b"bytes"])
def test_what_is_no_token_is_refused_and_not_told(token: str):
    with pytest.raises(ConfigError) as caught:
        Access(token)
    assert str(token).strip() == "" or str(token) not in str(caught.value)


@pytest.mark.parametrize("version", ["", "5", "5.199.1", "v5.199", "5.x", 5.199, None, "5.199&x=1"])
def test_what_is_no_version_is_refused(version: str):
    with pytest.raises(ConfigError):
        Access(TOKEN, version=version)


@pytest.mark.parametrize(
    ("url", "https"), [("http://127.0.0.1:8000/method", False), ("http://[::1]:8000/m/", False), (API_URL, True)]
)
def test_a_url_of_one_s_own_is_taken(url: str, https: bool):  # noqa: FBT001 - of the table
    access = Access(TOKEN, url)
    assert access.url == url.rstrip("/") + "/"
    assert access.https is https


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.vk.com/method/",
        "ftp://api.vk.com/",
        "https://",
        "https:///method/",
        "https://user:secret@api.vk.com/method/",
        "https://api.vk.com/method/?access_token=secret",
        "https://api.vk.com/method/#x",
        "https://api.vk.com:x/",
        "https://api.vk.com:0/",
        "https://api.vk.com:99999/",
        "https://api.vk.com/me thod/",
        "https://api.vk.com/\n",
        "https://вк.рф/",
        "https://[::1/",
        None,
        7,
        b"https://api.vk.com/method/",
    ],
)
def test_what_is_no_url_for_an_api_is_refused_and_not_told(url: str):
    with pytest.raises(ConfigError) as caught:
        Access(TOKEN, url)
    assert "secret" not in str(caught.value)


def test_a_token_has_a_fingerprint_that_tells_nothing_of_it():
    prints = {Access(token).fingerprint for token in (TOKEN, TOKEN + "1", "a", "b")}
    assert len(prints) == 4
    assert all(len(told) == 12 and int(told, 16) >= 0 and told not in TOKEN for told in prints)
    assert Access(TOKEN).fingerprint == Access(TOKEN, "http://127.0.0.1:8/", "5.81").fingerprint
