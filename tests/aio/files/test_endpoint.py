"""rawbot/aio/files/endpoint.py: a request in, a response with a file's bytes out; no server, no socket."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import CSS, NOW, ask, make_site
from descriptors import open_descriptors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rawbot.aio.files import endpoint as files
from rawbot.aio.files.endpoint import Files
from rawbot.aio.routes import NOT_FOUND
from rawbot.errors import ConfigError
from rawbot.exchange import Answer, Request
from rawbot.http.dates import parse_date
from rawbot.http.responses import UNAVAILABLE


@pytest.fixture(autouse=True)
def no_descriptor_is_left() -> Iterator[None]:
    before = open_descriptors()
    yield
    assert open_descriptors() == before


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_site(tmp_path)


def test_a_file_comes_with_its_type_its_validators_and_how_to_cache_it(folder: Path):
    status, fields, body = ask(Files(folder), "/style.css")
    assert (status, body) == (200, CSS)
    etag, modified = fields.pop(b"etag"), fields.pop(b"last-modified")
    assert etag.startswith(b'"')
    assert parse_date(modified, NOW) == int((folder / "style.css").stat().st_mtime)
    assert fields == {
        b"content-type": b"text/css; charset=utf-8",
        b"content-length": b"%d" % len(CSS),
        b"cache-control": b"no-cache",
        b"vary": b"accept-encoding",
        b"accept-ranges": b"bytes",
        b"x-content-type-options": b"nosniff",
    }


def test_it_needs_no_bot_and_answers_below_its_path():
    assert (Files.needs_bot, Files.below, Files.methods, Files.keeps_state) == (False, True, ("GET", "HEAD"), False)


@pytest.mark.parametrize("mounted_at", ["", "/", "/static", "/static/", "/a/b"])
def test_names_begin_behind_the_path_that_it_was_added_with(folder: Path, mounted_at: str):
    endpoint = Files(folder)
    endpoint.mounted_at = mounted_at
    prefix = mounted_at.rstrip("/")
    assert ask(endpoint, f"{prefix}/style.css")[2] == CSS
    assert ask(endpoint, f"{prefix}/docs/")[2] == b"<p>docs"
    assert ask(endpoint, f"{prefix}/")[2] == b"<p>top"
    assert ask(endpoint, f"{prefix}/%E4%B8%AD%20%E6%96%87.txt")[2] == b"unicode"


def test_an_empty_file_is_a_file(folder: Path):
    status, fields, body = ask(Files(folder), "/empty.txt")
    assert (status, body, fields[b"content-length"]) == (200, b"", b"0")
    status, fields, body = ask(Files(folder), "/empty.txt", method="HEAD")
    assert (status, body, fields[b"content-length"]) == (200, b"", b"0")
    assert ask(Files(folder), "/empty.txt", (b"range", b"bytes=0-"))[0] == 416


# What is not served


HIDDEN_FROM_ALL = [
    "/nothing",
    "/nothing/",
    "/style.css/",
    "/style.css/x",
    "/docs/nothing",
    "/.env",
    "/%2eenv",
    "/../" + Path(__file__).name,
    "/%2e%2e/x",
    "/docs/%2e%2e/style.css",
    "/docs/../style.css",
    "//style.css",
    "/docs//index.html",
    "/docs%2findex.html",
    "/docs%5cindex.html",
    "/docs\\index.html",
    "/style.css%00",
    "/%",
    "/%ff",
    "/" + "a" * 300,
    "/a" * 3000,
    "*",
]


@pytest.mark.parametrize("path", HIDDEN_FROM_ALL)
def test_whatever_the_reason_the_answer_is_the_same(folder: Path, path: str):
    assert Files(folder).receive(Request("GET", path), NOW) is NOT_FOUND


def test_links_fifos_and_what_may_not_be_read_are_not_there(folder: Path):
    (folder / "link.css").symlink_to("style.css")
    (folder / "up").symlink_to("..")
    os.mkfifo(folder / "fifo")
    for path in ("/link.css", "/up/", "/up", "/fifo"):
        assert Files(folder).receive(Request("GET", path), NOW) is NOT_FOUND
    following = Files(folder, follow_symlinks=True)
    assert ask(following, "/link.css")[2] == CSS
    (folder.parent / "secret").write_bytes(b"secret")
    assert following.receive(Request("GET", "/up/secret"), NOW) is NOT_FOUND


def test_a_file_without_the_right_to_read_it_is_not_there(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object):
        raise PermissionError(errno.EACCES, "Permission denied")

    endpoint = Files(folder)
    monkeypatch.setattr(os, "open", refuse)  # the superuser, who may run this, is refused nothing
    assert endpoint.receive(Request("GET", "/style.css"), NOW) is NOT_FOUND


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_without_descriptors_it_is_busy(folder: Path, monkeypatch: pytest.MonkeyPatch, number: int):
    def fail(*_: object, **__: object):
        raise OSError(number, os.strerror(number))

    endpoint = Files(folder)
    monkeypatch.setattr(os, "open", fail)
    assert ask(endpoint, "/style.css")[0] == 503


def test_a_disk_that_fails_is_our_fault(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(OSError, match="Input/output"):
        Files(folder).receive(Request("GET", "/style.css"), NOW)


def test_a_file_that_became_shorter_while_it_was_read_is_not_sent(folder: Path, monkeypatch: pytest.MonkeyPatch):
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda *given: pread(*given)[:-1])
    answer = Files(folder).receive(Request("GET", "/style.css"), NOW)
    assert isinstance(answer, Answer)
    assert answer.response is UNAVAILABLE


def test_hidden_files_are_served_when_that_is_asked_for(folder: Path):
    (folder / ".well-known").mkdir()
    (folder / ".well-known" / "token").write_bytes(b"token")
    assert ask(Files(folder, hidden=True), "/.well-known/token")[2] == b"token"
    assert Files(folder, hidden=True).receive(Request("GET", "/.well-known/../style.css"), NOW) is NOT_FOUND


# Directories


def test_a_directory_is_its_index_behind_a_slash(folder: Path):
    assert ask(Files(folder), "/")[2] == b"<p>top"
    status, fields, body = ask(Files(folder), "/docs/")
    assert (status, fields[b"content-type"], body) == (200, b"text/html; charset=utf-8", b"<p>docs")


def test_without_the_slash_the_client_is_sent_there(folder: Path):
    status, fields, _ = ask(Files(folder), "/docs", query="a=1")
    assert (status, fields[b"location"]) == (308, b"./docs/?a=1")
    endpoint = Files(folder)
    endpoint.mounted_at = "/static"
    status, fields, _ = ask(endpoint, "/static")
    assert (status, fields[b"location"]) == (308, b"./static/")


def test_a_directory_without_an_index_tells_nothing(folder: Path):
    (folder / "odd").mkdir()
    (folder / "odd" / "index.html").mkdir()
    for path in ("/bare", "/bare/", "/odd", "/odd/"):
        assert Files(folder).receive(Request("GET", path), NOW) is NOT_FOUND
    for path in ("/", "/docs", "/docs/"):
        assert Files(folder, index=None).receive(Request("GET", path), NOW) is NOT_FOUND
    assert ask(Files(folder, index=None), "/docs/index.html")[0] == 200


def test_the_index_may_have_another_name(folder: Path):
    assert ask(Files(folder, index="a.txt"), "/bare/")[2] == b"a"


@pytest.mark.parametrize("path", ["//evil.example", "//evil.example/..", "/\\evil.example", "/%5cevil.example"])
def test_nobody_is_sent_to_another_host(folder: Path, path: str):
    (folder / "evil.example").mkdir()
    (folder / "evil.example" / "index.html").write_bytes(b"")
    assert Files(folder).receive(Request("GET", path), NOW) is NOT_FOUND


# How it is made


def test_the_operator_says_how_files_are_cached(folder: Path):
    forever = "public, max-age=31536000, immutable"
    _, fields, _ = ask(Files(folder, cache_control=forever), "/style.css")
    assert fields[b"cache-control"] == forever.encode()


@pytest.mark.parametrize("suffix", ["log", ".log", ".LOG"])
def test_media_types_may_be_added_and_replaced(folder: Path, suffix: str):
    (folder / "a.log").write_bytes(b"line")
    assert ask(Files(folder, types={suffix: "text/x-log"}), "/a.log")[1][b"content-type"] == b"text/x-log"
    assert ask(Files(folder, types={suffix: "text/x-log"}), "/style.css")[1][b"content-type"].startswith(b"text/css")


@pytest.mark.parametrize(
    "wrong",
    [
        {"directory": "/nothing/there"},
        {"directory": __file__},
        {"index": ""},
        {"index": "."},
        {"index": ".."},
        {"index": "a/b"},
        {"index": "/etc/passwd"},
        {"index": "a\0"},
        {"cache_control": ""},
        {"cache_control": "no-cache\r\nx: y"},
        {"cache_control": "ja\u00a0"},
        {"types": {"log": ""}},
        {"types": {"log": "text/x\n"}},
    ],
)
def test_what_cannot_work_is_refused_at_once(folder: Path, wrong: dict[str, object]):
    with pytest.raises(ConfigError):
        Files(**{"directory": folder, **wrong})


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.sampled_from(["..", ".", "", "docs", "style.css", "link", "%2e%2e", "%2f", "\\", "index.html", "x"])),
    st.booleans(),
    st.booleans(),
)
def test_no_path_reads_anything_but_the_site(folder: Path, names: list[str], follow: bool, hidden: bool):  # noqa: FBT001
    with contextlib.suppress(FileExistsError):
        (folder / "link").symlink_to("../..")
    endpoint = Files(folder, follow_symlinks=follow, hidden=hidden)
    status, _, body = ask(endpoint, "/" + "/".join(names))
    assert status in (200, 308, 404)
    assert status != 200 or body in (CSS, b"<p>top", b"<p>docs")


def test_the_threshold_is_what_asyncio_buffers_anyway():
    assert files.SMALL == 64 * 1024
