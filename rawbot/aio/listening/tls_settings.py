"""What an operator says of certificates, and in which words he is told what is wrong with them.

Engine room, pure: values and texts. `rawbot.aio.listening.tls` has the files read and speaks TLS.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

from rawbot.errors import ConfigError


@dataclass(frozen=True, slots=True)
class TLSSettings:
    """The fields of `TLS`. Raises `ConfigError` for what cannot work."""

    certfile: str
    """PEM: the server's certificate, then those between it and the root."""
    keyfile: str | None = None
    """PEM: its key, if that is not in `certfile`."""
    keyfile_password: str | None = field(default=None, repr=False)
    """What an encrypted key is decrypted with. Nobody is asked for it: a service has no terminal."""
    ca_certs: str | None = None
    """PEM: the authorities that clients' certificates are verified against."""
    cert_reqs: Literal["none", "optional", "required"] | None = None
    """Whether clients must show one: "required" when `ca_certs` is given, else "none"."""
    ciphers: str | None = None
    """For TLS 1.2, in OpenSSL's spelling; None is Python's choice, which has forward secrecy only."""
    minimum_version: Literal["1.2", "1.3"] = "1.2"
    ssl_handshake_timeout: float = 10.0
    """Seconds, after which a connection that is not through is cut off; asyncio's own are 60."""
    ssl_shutdown_timeout: float = 5.0
    """Seconds to wait for the peer's goodbye before the connection is cut off; asyncio's own are 30."""

    def __post_init__(self) -> None:
        if not self.certfile:
            raise ConfigError("tls.certfile is empty")
        if self.minimum_version not in ("1.2", "1.3"):
            raise ConfigError("tls.minimum_version is '1.2' or '1.3'")
        if self.cert_reqs is not None and self.cert_reqs not in ("none", "optional", "required"):
            raise ConfigError("tls.cert_reqs is 'none', 'optional' or 'required'")
        if self.cert_reqs is not None and (self.cert_reqs == "none") != (self.ca_certs is None):
            raise ConfigError("tls.ca_certs and tls.cert_reqs 'optional' or 'required' go together")
        for name in ("ssl_handshake_timeout", "ssl_shutdown_timeout"):
            seconds = getattr(self, name)
            if not math.isfinite(seconds) or seconds <= 0:
                raise ConfigError(f"tls.{name} must be a finite number of seconds above 0")

    @property
    def verification(self) -> str:
        """Whether clients must show a certificate: "none", "optional" or "required"."""
        return self.cert_reqs or ("none" if self.ca_certs is None else "required")

    def blame(self, reason: str | None, chain: bytes, key: bytes) -> str:
        """Say what is wrong with the files; `reason` is OpenSSL's name for it, which mostly has none but "PEM lib"."""
        keyfile = self.keyfile or self.certfile
        if reason == "KEY_VALUES_MISMATCH":
            return f"the key in {keyfile} is not that of the certificate in {self.certfile}"
        if b"CERTIFICATE-----" not in chain:
            return f"no certificate in {self.certfile}"
        if b"PRIVATE KEY-----" not in key:
            return f"no key in {keyfile}"
        if b"ENCRYPTED" in key:
            return f"the key in {keyfile} is encrypted, and keyfile_password does not open it"
        return f"the certificate in {self.certfile} or the key in {keyfile} is broken"
