"""rawbot/http/files/codings.py: who takes gzip (RFC 9110, section 12.5.3)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawbot.http.files.codings import MAX_SIZE, accepts_gzip


@pytest.mark.parametrize(
    "value",
    [
        b"gzip",
        b"GZIP",
        b"x-gzip",  # section 8.4.1.3
        b"compress, gzip",  # the examples of section 12.5.3
        b"*",
        b"compress;q=0.5, gzip;q=1.0",
        b"gzip;q=1.0, identity; q=0.5, *;q=0",
        b"gzip, deflate, br, zstd",  # Chrome, Firefox
        b"gzip;q=0.001",
        b"gzip;q=1.",
        b"gzip ; Q=0.5",
        b"gzip;q=0.5,identity;q=0.5",
        b"br;q=1, *;q=0.1",
        b"identity;q=0, gzip;q=0.1",
        b", gzip,,",
        b"nonsense/, gzip",
    ],
)
def test_gzip_is_taken(value: bytes):
    assert accepts_gzip(value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"identity",
        b"br",
        b"gzip;q=0",
        b"gzip;q=0.000",
        b"*;q=0",
        b"gzip;q=0, *",
        b"gzip, gzip;q=0",
        b"gzip, x-gzip;q=0",
        b"identity, gzip;q=0.5",  # plain bytes are liked better
        b"*, gzip;q=0.8",  # plain bytes are among all others
        b"gzip;q=2",
        b"gzip;q=1.001",
        b"gzip;q=0.5555",
        b"gzip;q=.5",
        b"gzip;q=-1",
        b"gzip;q=high",
        b"gzip;q=",
        b"gzip;level=9",
        b"gzip q=1",
        b"gzipped",
        b"notgzip",
        b"gzip;q=1;q=1",
        b"\xffgzip",
    ],
)
def test_gzip_is_not_taken(value: bytes | None):
    assert not accepts_gzip(value)


def test_what_is_very_long_is_not_looked_at():
    assert accepts_gzip(b"gzip".ljust(MAX_SIZE))
    assert not accepts_gzip(b"gzip".ljust(MAX_SIZE + 1))


@given(st.binary(max_size=30))
def test_no_bytes_make_it_fail(value: bytes):
    accepts_gzip(value)


@given(st.integers(0, 1000), st.integers(0, 1000), st.booleans())
def test_the_weights_decide(gzip: int, identity: int, flip: bool):  # noqa: FBT001
    choices = [f"gzip;q={gzip / 1000:.3f}", f"identity;q={identity / 1000:.3f}"]
    assert accepts_gzip(", ".join(choices[:: -1 if flip else 1]).encode()) == (0 < gzip >= identity)
