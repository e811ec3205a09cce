"""rawbot/aio/files/endpoint.py: conditions, ranges, and the gzip beside a file."""

import gzip
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import CSS, NOW, ask, make_site
from descriptors import open_descriptors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rawbot.aio.files.endpoint import SMALL, Files
from rawbot.exchange import Answer, Request

BROWSER = (b"accept-encoding", b"gzip, deflate, br, zstd")


@pytest.fixture(autouse=True)
def no_descriptor_is_left() -> Iterator[None]:
    before = open_descriptors()
    yield
    assert open_descriptors() == before


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_site(tmp_path)


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
