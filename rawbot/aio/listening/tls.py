"""TLS: a server's certificate, its clients' ones, and new ones while it runs.

Engine room. Only HTTP/1.1 is offered (ALPN), nothing below TLS 1.2 is spoken, and nobody may renegotiate.
"""

import asyncio
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from rawbot.aio.listening.tls_settings import TLSSettings
from rawbot.errors import ConfigError

_CERT_REQS = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@dataclass(frozen=True, slots=True)
class TLS(TLSSettings):
    """A certificate and how it is used; one may serve several sockets.

    Raises `ConfigError` for settings that cannot work. The files are read by `make_context`, and again by `reload`.
    """

    _live: list[ssl.SSLContext] = field(default_factory=list, init=False, repr=False, compare=False)

    def make_context(self) -> ssl.SSLContext:
        """Return the server's context for a handshake that begins now: the same one until the next `reload`.

        Raises `ConfigError` when the files cannot be read or do not fit together.
        """
        if not self._live:
            self._live.append(self._load())
        return self._live[0]

    def reload(self) -> None:
        """Read the files again: new handshakes get what is there now, old connections go on as they are.

        All is read into a context of its own, which then takes the place of the old one in a single step: loading into
        the old one could leave it with a new certificate and an old key. Sessions of before are not resumed, so that a
        client whose authority is no longer among `ca_certs` is out. Raises `ConfigError` when something is wrong with
        the files; then all stays as it was.
        """
        self._live[:] = [self._load()]

    def _hand_over(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        """Let a handshake go on with the newest context, for those who keep an old one, as `loop.create_server` does.

        OpenSSL calls this with a server name and without. A session of before is resumed all the same here.
        """
        connection.context = self._live[0]

    def _load(self) -> ssl.SSLContext:
        chain = _read(self.certfile)
        key = chain if self.keyfile is None else _read(self.keyfile)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _VERSIONS[self.minimum_version]
        context.options |= ssl.OP_NO_RENEGOTIATION  # a client can ask for it without end, at our cost
        context.set_alpn_protocols(["http/1.1"])
        context.sni_callback = self._hand_over
        try:
            context.load_cert_chain(self.certfile, self.keyfile, lambda: self.keyfile_password or "")
        except (OSError, ValueError) as error:  # the latter for a password that is too long
            raise ConfigError(f"TLS: {self.blame(getattr(error, 'reason', None), chain, key)}") from None
        try:
            if self.ciphers is not None:
                context.set_ciphers(self.ciphers)
        except ssl.SSLError:
            raise ConfigError(f"TLS: OpenSSL knows no ciphers {self.ciphers!r}") from None
        self._verify_clients(context)
        return context

    def _verify_clients(self, context: ssl.SSLContext) -> None:
        if self.ca_certs is None:
            return
        _read(self.ca_certs)
        try:
            context.load_verify_locations(self.ca_certs)
        except OSError:
            raise ConfigError(f"TLS: no certificates in {self.ca_certs}") from None
        context.verify_mode = _CERT_REQS[self.verification]


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:  # the latter for a NUL in it
        raise ConfigError(f"TLS: cannot read {path}: {getattr(error, 'strerror', None) or error}") from None


def client_certificate(transport: asyncio.BaseTransport) -> dict[str, object] | None:
    """Return the certificate that the client has shown and that was verified, as `ssl.SSLSocket.getpeercert` has it.

    None when there was none, or when the connection is not under TLS.
    """
    return transport.get_extra_info("peercert") or None


async def start_tls(transport: asyncio.Transport, protocol: asyncio.Protocol, tls: TLS) -> asyncio.Transport:
    r"""Upgrade a connection that began in the clear, as its server; then `protocol` has it, as if it were new.

    For a server of one's own that serves an app on some of its connections, `protocol` being fresh from its
    `App.protocol_factory`:

        def data_received(self, data):
            if data != b"STARTTLS\r\n":  # nothing may stand behind it: that came in the clear
                return self.transport.abort()
            self.transport.write(b"OK\r\n")
            self.task = asyncio.ensure_future(start_tls(self.transport, factory(), tls))

    Returns the encrypted transport. Raises `OSError` when the handshake fails or takes longer than
    `tls.ssl_handshake_timeout`, and closes the connection then; `ConfigError` as `tls.make_context` does.
    """
    gate = _Gate()
    context = tls.make_context()
    try:
        upgraded = await asyncio.get_running_loop().start_tls(
            transport,
            gate,
            context,
            server_side=True,
            ssl_handshake_timeout=tls.ssl_handshake_timeout,
            ssl_shutdown_timeout=tls.ssl_shutdown_timeout,
        )
    except BaseException:
        transport.abort()
        raise
    if upgraded is None or gate.over:
        raise ConnectionResetError("the peer has closed the connection")
    upgraded.set_protocol(protocol)
    protocol.connection_made(upgraded)
    if gate.data:
        protocol.data_received(bytes(gate.data))
    return upgraded


class _Gate(asyncio.Protocol):
    """Keeps what comes right behind the handshake, which asyncio hands out before `start_tls` returns."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.over = False

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> None:
        self.over = True
