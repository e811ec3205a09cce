"""rawbot/http/files/paths.py: a path gives names, and a name is nothing but a name."""

from urllib.parse import quote, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawbot.http.files.paths import split_path, with_slash


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("", ()),
        ("/", (b"",)),
        ("/a.css", (b"a.css",)),
        ("/a/b/c.css", (b"a", b"b", b"c.css")),
        ("/a/", (b"a", b"")),
        ("/%61.css", (b"a.css",)),
        ("/a%20b", (b"a b",)),
        ("/a+b", (b"a+b",)),  # a plus is a blank in forms only
        ("/%E4%B8%AD.txt", ("中.txt".encode(),)),
        ("/%e4%b8%ad", ("中".encode(),)),
        ("/a%25b", (b"a%b",)),
        ("/%252e%252e", (b"%2e%2e",)),  # decoded once: a name with percent signs
        ("/a:b", (b"a:b",)),
        ("/~user", (b"~user",)),
        ("/a..b", (b"a..b",)),
        ("/a.", (b"a.",)),
        ("/a;v=1", (b"a;v=1",)),
        ("/a%3Fb%23c", (b"a?b#c",)),
    ],
)
def test_names_stand_between_slashes_and_are_decoded_once(path: str, names: tuple[bytes, ...]):
    assert split_path(path) == names


TRAVERSALS = [
    "/..",
    "/../",
    "/../etc/passwd",
    "/a/../../etc/passwd",
    "/a/..",
    "/%2e%2e/etc/passwd",
    "/%2E%2e/etc/passwd",
    "/.%2e/etc/passwd",
    "/..%2fetc%2fpasswd",
    "/..%5cetc%5cpasswd",
    "/..\\etc\\passwd",
    "/a%2fb",
    "/a%2Fb",
    "/a%5cb",
    "/a\\b",
    "/C:%5cWindows",
    "//etc/passwd",
    "///etc/passwd",
    "/a//b",
    "/a//",
    "//",
    "//evil.example",
    "/\\evil.example",
    "/./a",
    "/.",
    "/%2e",
    "/a/./b",
    "etc/passwd",
    "../etc/passwd",
    "a",
]


@pytest.mark.parametrize("path", TRAVERSALS)
def test_what_leads_elsewhere_names_nothing(path: str):
    """CVE-2024-23334, CVE-2021-41773 (encoded dots), CVE-2018-7490 and their like."""
    assert split_path(path) is None
    assert split_path(path, hidden=True) is None


@pytest.mark.parametrize(
    "path",
    [
        "/%",
        "/%2",
        "/a%",
        "/%zz",
        "/%2g",
        "/%+1",
        "/% 1",
        "/%u0041",
        "/%00",
        "/a%00.css",
        "/a.css%00.html",
        "/a%0d%0ab",
        "/a%0ab",
        "/%1b%5b31m",
        "/%7f",
        "/%ff",
        "/%c3",
        "/%c0%ae%c0%ae",  # dots in overlong UTF-8
        "/%e0%80%af",  # a slash in overlong UTF-8
        "/%ed%a0%80",  # half of a surrogate pair
        "/\u00e4",
        "/\udcff",
        "/\uff0e\uff0e",  # full-width dots
    ],
)
def test_what_is_encoded_badly_names_nothing(path: str):
    assert split_path(path) is None
    assert split_path(path, hidden=True) is None


@pytest.mark.parametrize("path", ["/.env", "/.git/config", "/a/.htpasswd", "/%2egit/config", "/...", "/.a/"])
def test_hidden_names_are_let_through_when_asked_for(path: str):
    assert split_path(path) is None
    assert split_path(path, hidden=True) is not None


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=1), st.booleans())
def test_every_name_that_may_be_is_read_back(names: list[str], slash: bool):  # noqa: FBT001
    path = "".join("/" + quote(name, safe="") for name in names) + "/" * slash
    expected = (*(name.encode() for name in names), *([b""] * slash))
    plain = all(name not in (".", "..") and not (set(name) & set("/\\\x7f") or min(name) < " ") for name in names)
    assert split_path(path, hidden=True) == (expected if plain else None)
    visible = plain and not any(name.startswith(".") for name in names)
    assert split_path(path) == (expected if visible else None)


@given(st.text("./\\%02fFeEcC5abAB:~\x00\udcff中", max_size=20), st.booleans())
def test_no_path_gives_anything_but_names(path: str, hidden: bool):  # noqa: FBT001
    names = split_path(path, hidden=hidden)
    if names is None:
        return
    assert all(names[:-1])
    for name in names:
        assert name not in (b".", b"..")
        assert not set(name) & set(b"/\\\x00")
        assert hidden or not name.startswith(b".")
        name.decode("utf-8")


# Where a directory without its slash leads


@pytest.mark.parametrize(
    ("path", "query", "location"),
    [
        ("/static", "", b"./static/"),
        ("/static/docs", "", b"./docs/"),
        ("/static/docs", "v=1&w", b"./docs/?v=1&w"),
        ("/static/%E4%B8%AD", "", b"./%E4%B8%AD/"),
        ("/static/a:b", "", b"./a:b/"),  # without the dot it would be a scheme
    ],
)
def test_the_slash_is_added_relative_to_where_one_is(path: str, query: str, location: bytes):
    assert with_slash(path, query) == location


@pytest.mark.parametrize("path", ["//evil.example", "//evil.example/a", "/x//evil.example", "/https:evil.example"])
def test_no_path_leads_to_another_host(path: str):
    target = urljoin("http://good.example" + path, with_slash(path, "").decode())
    assert urlsplit(target).netloc == "good.example"
