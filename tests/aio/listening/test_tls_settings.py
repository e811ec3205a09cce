"""rawbot/aio/listening/tls_settings.py: what cannot work is refused before a file is read, without a secret."""

import pytest

from rawbot.aio.listening.tls import TLS
from rawbot.aio.listening.tls_settings import TLSSettings
from rawbot.errors import ConfigError

PASSWORD = "correct horse"  # of no key at all
CERTIFICATE = b"-----BEGIN CERTIFICATE-----\n"
KEY = b"-----BEGIN PRIVATE KEY-----\n"
ENCRYPTED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
OLD_ENCRYPTED = b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"


def test_the_defaults_are_what_the_documentation_says():
    tls = TLSSettings("cert.pem")
    assert (tls.ssl_handshake_timeout, tls.ssl_shutdown_timeout, tls.minimum_version) == (10.0, 5.0, "1.2")
    assert (tls.keyfile, tls.ca_certs, tls.ciphers) == (None, None, None)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"certfile": ""}, "tls.certfile is empty"),
        ({"minimum_version": "1.1"}, "tls.minimum_version"),
        ({"cert_reqs": "always"}, "tls.cert_reqs is"),
        ({"cert_reqs": "required"}, "go together"),
        ({"cert_reqs": "optional"}, "go together"),
        ({"cert_reqs": "none", "ca_certs": "ca.pem"}, "go together"),
        ({"ssl_handshake_timeout": 0}, "tls.ssl_handshake_timeout"),
        ({"ssl_shutdown_timeout": float("inf")}, "tls.ssl_shutdown_timeout"),
    ],
)
def test_what_cannot_work_is_refused_as_it_is_made(settings: dict[str, object], text: str):
    with pytest.raises(ConfigError, match=text):
        TLS(**{"certfile": "cert.pem"} | settings)


def test_the_password_does_not_show():
    assert PASSWORD not in repr(TLS("cert.pem", keyfile_password=PASSWORD))


@pytest.mark.parametrize(
    ("settings", "verification"),
    [
        ({}, "none"),
        ({"cert_reqs": "none"}, "none"),
        ({"ca_certs": "ca.pem"}, "required"),
        ({"ca_certs": "ca.pem", "cert_reqs": "optional"}, "optional"),
        ({"ca_certs": "ca.pem", "cert_reqs": "required"}, "required"),
    ],
)
def test_who_names_authorities_wants_certificates(settings: dict[str, object], verification: str):
    assert TLS("cert.pem", **settings).verification == verification


@pytest.mark.parametrize(
    ("reason", "chain", "key", "text"),
    [
        ("KEY_VALUES_MISMATCH", CERTIFICATE, KEY, "the key in k is not that of the certificate in c"),
        (None, b"", KEY, "no certificate in c"),
        (None, KEY, CERTIFICATE, "no certificate in c"),
        (None, CERTIFICATE, b"", "no key in k"),
        (None, CERTIFICATE, ENCRYPTED, "the key in k is encrypted, and keyfile_password does not open it"),
        (None, CERTIFICATE, OLD_ENCRYPTED, "the key in k is encrypted, and keyfile_password does not open it"),
        (None, CERTIFICATE, KEY, "the certificate in c or the key in k is broken"),
    ],
)
def test_the_file_that_is_wrong_is_named(reason: str | None, chain: bytes, key: bytes, text: str):
    assert TLSSettings("c", "k", PASSWORD).blame(reason, chain, key) == text


def test_a_key_in_the_certificates_file_is_named_by_that():
    assert TLSSettings("c").blame(None, CERTIFICATE, CERTIFICATE) == "no key in c"
