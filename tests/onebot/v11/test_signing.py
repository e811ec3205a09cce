"""rawbot/onebot/v11/signing.py: the signature that the standard's own example computes."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawbot.errors import ConfigError
from rawbot.onebot.v11.signing import Signer


def test_a_published_vector():
    # RFC 2202, section 3, test case 2
    assert Signer("Jefe").sign(b"what do ya want for nothing?") == b"sha1=effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"


@given(st.text(min_size=1), st.binary())
def test_it_is_what_a_receiver_computes(secret: str, body: bytes):
    # as in OneBot 11, communication/http-post
    signer = Signer(secret)
    expected = "sha1=" + hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()
    assert signer.sign(body) == signer.sign(body) == expected.encode()


def test_an_empty_secret_is_refused():
    with pytest.raises(ConfigError):
        Signer("")


def test_the_secret_is_not_told():
    assert "geheim" not in repr(Signer("geheim"))
