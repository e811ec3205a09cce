"""rawbot/aio/files.py: a request in, a response with a file's bytes out; no server, no socket."""

import contextlib
import errno
import gzip
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from descriptors import open_descriptors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rawbot.aio import files
from rawbot.aio.files import BUSY, NOT_FOUND, SMALL, Files
from rawbot.errors import ConfigError
from rawbot.exchange import Answer, Request, Response
from rawbot.http.dates import parse_date
from rawbot.http.responses import encode_response

NOW = time.time() + 60  # what is written below was written a while ago
CSS = b"body { color: black }\n" * 20
BROWSER = (b"accept-encoding", b"gzip, deflate, br, zstd")


@pytest.fixture(autouse=True)
def no_descriptor_is_left() -> Iterator[None]:
    before = open_descriptors()
    yield
    assert open_descriptors() == before


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a small site."""
    (tmp_path / "style.css").write_bytes(CSS)
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "index.html").write_bytes(b"<p>top")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.html").write_bytes(b"<p>docs")
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "a.txt").write_bytes(b"a")
    (tmp_path / ".env").write_bytes(b"SECRET=1")
    (tmp_path / "\u4e2d \u6587.txt").write_bytes(b"unicode")
    return tmp_path


def ask(
    endpoint: Files, path: str, *headers: tuple[bytes, bytes], method: str = "GET", query: str = ""
) -> tuple[int, dict[bytes, bytes], bytes]:
    """Return status, fields and body, having looked that they can be written and that the length is right."""
    answer = endpoint.receive(Request(method, path, query, headers), NOW)
    assert isinstance(answer, Answer)
    assert answer.event is None
    response = answer.response
    body = response.body
    if response.region is not None:
        assert not body
        assert response.region.count > 0
        response.region.file.seek(response.region.offset)
        body = response.region.file.read(response.region.count)
        assert len(body) == response.region.count
        response.region.close()
    written = encode_response(Response(response.status, body, response.content_type, response.headers), NOW)
    head, _, rest = written.partition(b"\r\n\r\n")
    lines = [line.split(b": ", 1) for line in head.split(b"\r\n")[1:]]
    assert len({name for name, _ in lines}) == len(lines)
    assert rest == body
    return response.status, {name: value for name, value in lines if name != b"date"}, body


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
    assert answer.response is BUSY


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


# Conditions and ranges


def test_what_the_client_has_is_not_sent_again(folder: Path):
    _, fields, _ = ask(Files(folder), "/style.css")
    for condition in ((b"if-none-match", fields[b"etag"]), (b"if-modified-since", fields[b"last-modified"])):
        for method in ("GET", "HEAD"):
            status, again, body = ask(Files(folder), "/style.css", condition, method=method)
            assert (status, body) == (304, b"")
            assert again == {name: fields[name] for name in (b"etag", b"cache-control", b"vary")}


def test_a_failed_precondition_is_told(folder: Path):
    status, _, body = ask(Files(folder), "/style.css", (b"if-match", b'"x"'))
    assert (status, body) == (412, b"Precondition Failed\n")


@pytest.mark.parametrize("condition", [b"if-match", b"if-unmodified-since"])
def test_conditions_are_not_looked_at_where_nothing_is(folder: Path, condition: bytes):
    """RFC 9110, section 13.2.1."""
    field = (condition, b'"x"' if condition == b"if-match" else b"Sun, 06 Nov 1994 08:49:37 GMT")
    assert ask(Files(folder), "/nothing", field)[0] == 404
    assert ask(Files(folder), "/docs", field)[0] == 308


def test_every_change_of_a_file_changes_its_tag(folder: Path):
    endpoint, path = Files(folder), folder / "style.css"
    tags = set()
    for content in (CSS, CSS + b" ", CSS.upper()):
        path.write_bytes(content)
        os.utime(path, ns=(0, len(tags)))
        tags.add(ask(endpoint, "/style.css")[1][b"etag"])
    other = folder / "new"
    other.write_bytes(CSS.lower())
    time.sleep(0.02)  # the file system's clock goes in steps of up to 10 ms
    os.utime(other, ns=(0, 2))
    other.rename(path)  # same size, same time of modification, as an archive is unpacked
    tags.add(ask(endpoint, "/style.css")[1][b"etag"])
    assert len(tags) == 4


def test_a_part_is_sent_with_its_place(folder: Path):
    status, fields, body = ask(Files(folder), "/style.css", (b"range", b"bytes=5-9"))
    assert (status, body) == (206, CSS[5:10])
    assert fields[b"content-range"] == b"bytes 5-9/%d" % len(CSS)
    assert fields[b"content-type"] == b"text/css; charset=utf-8"
    status, fields, body = ask(Files(folder), "/style.css", (b"range", b"bytes=5-9"), method="HEAD")
    assert (status, fields[b"content-length"]) == (200, b"%d" % len(CSS))  # section 14.2: for GET only


def test_a_part_that_is_not_there_is_told_with_the_size(folder: Path):
    status, fields, _ = ask(Files(folder), "/style.css", (b"range", b"bytes=%d-" % len(CSS)))
    assert (status, fields[b"content-range"]) == (416, b"bytes */%d" % len(CSS))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.integers(0, 500), st.integers(0, 500))
def test_parts_put_together_are_the_file(folder: Path, first: int, second: int):
    cuts = sorted({0, min(first, len(CSS)), min(second, len(CSS)), len(CSS)})
    endpoint = Files(folder)
    parts = [
        ask(endpoint, "/style.css", (b"range", b"bytes=%d-%d" % (start, end - 1)))[2]
        for start, end in itertools.pairwise(cuts)
    ]
    assert b"".join(parts) == CSS


@pytest.mark.parametrize("size", [SMALL - 1, SMALL, SMALL + 1])
def test_small_bodies_are_in_memory_and_others_are_regions(folder: Path, size: int):
    (folder / "file").write_bytes(bytes(range(256)) * (size // 256) + b"x" * (size % 256))
    answer = Files(folder).receive(Request("GET", "/file"), NOW)
    assert isinstance(answer, Answer)
    region = answer.response.region
    assert (region is None) == (size <= SMALL)
    if region is None:
        assert answer.response.body == (folder / "file").read_bytes()
    else:
        assert (region.offset, region.count) == (0, size)
        region.close()
    part = Files(folder).receive(Request("GET", "/file", headers=[(b"range", b"bytes=1-2")]), NOW)
    assert isinstance(part, Answer)
    assert part.response.body == (folder / "file").read_bytes()[1:3]


def test_head_reads_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(os, "pread")
    status, fields, _ = ask(Files(folder), "/style.css", method="HEAD")
    assert (status, fields[b"content-length"]) == (200, b"%d" % len(CSS))


def test_files_beyond_4_gib_are_served_in_parts(folder: Path):
    size = 5 * 2**30
    with (folder / "large").open("wb") as file:
        file.seek(size - 6)
        file.write(b"at end")
    status, fields, body = ask(Files(folder), "/large", (b"range", b"bytes=-6"))
    assert (status, body, fields[b"content-range"]) == (206, b"at end", b"bytes %d-%d/%d" % (size - 6, size - 1, size))
    whole = Files(folder).receive(Request("GET", "/large"), NOW)
    assert isinstance(whole, Answer)
    assert whole.response.region is not None
    assert whole.response.region.count == size
    whole.response.region.close()
    part = Files(folder).receive(Request("GET", "/large", headers=[(b"range", b"bytes=3221225472-")]), NOW)
    assert isinstance(part, Answer)
    assert part.response.region is not None
    assert (part.response.region.offset, part.response.region.count) == (3 * 2**30, 2 * 2**30)
    part.response.region.close()


# The gzip beside the file


def test_a_ready_made_gzip_goes_to_those_who_take_it(folder: Path):
    zipped = gzip.compress(CSS)
    (folder / "style.css.gz").write_bytes(zipped)
    endpoint = Files(folder)
    status, plain, body = ask(endpoint, "/style.css")
    assert (status, body) == (200, CSS)
    status, fields, body = ask(endpoint, "/style.css", BROWSER)
    assert (status, body) == (200, zipped)
    assert fields[b"content-encoding"] == b"gzip"
    assert fields[b"content-type"] == plain[b"content-type"]
    assert fields[b"vary"] == plain[b"vary"] == b"accept-encoding"
    assert fields[b"etag"] != plain[b"etag"]
    assert b"content-encoding" not in plain


def test_the_gzip_is_a_representation_of_its_own(folder: Path):
    zipped = gzip.compress(CSS)
    (folder / "style.css.gz").write_bytes(zipped)
    endpoint = Files(folder)
    plain = ask(endpoint, "/style.css")[1][b"etag"]
    etag = ask(endpoint, "/style.css", BROWSER)[1][b"etag"]
    assert ask(endpoint, "/style.css", BROWSER, (b"if-none-match", etag))[0] == 304
    assert ask(endpoint, "/style.css", BROWSER, (b"if-none-match", plain))[0] == 200
    assert ask(endpoint, "/style.css", (b"if-none-match", etag))[0] == 200
    status, fields, body = ask(endpoint, "/style.css", BROWSER, (b"range", b"bytes=2-5"))
    assert (status, body, fields[b"content-range"]) == (206, zipped[2:6], b"bytes 2-5/%d" % len(zipped))


def test_an_old_gzip_or_one_without_its_file_is_not_sent(folder: Path):
    (folder / "style.css.gz").write_bytes(gzip.compress(b"old"))
    os.utime(folder / "style.css.gz", (0, 0))
    assert ask(Files(folder), "/style.css", BROWSER)[2] == CSS
    (folder / "alone.css.gz").write_bytes(gzip.compress(b"alone"))
    assert ask(Files(folder), "/alone.css", BROWSER)[0] == 404
    assert ask(Files(folder), "/alone.css.gz", BROWSER)[1][b"content-type"] == b"application/gzip"


def test_an_index_has_its_gzip_too(folder: Path):
    (folder / "index.html.gz").write_bytes(gzip.compress(b"<p>top"))
    assert ask(Files(folder), "/", BROWSER)[1][b"content-encoding"] == b"gzip"


def test_gzip_can_be_left_out(folder: Path):
    (folder / "style.css.gz").write_bytes(b"zipped")
    _, fields, body = ask(Files(folder, gzip=False), "/style.css", BROWSER)
    assert body == CSS
    assert b"vary" not in fields


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
