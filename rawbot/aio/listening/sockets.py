"""Sockets to listen with: bound at an address, taken over from a stale file, or handed in.

Engine room. Nothing is accepted here, and on TCP nobody can connect yet. `listen` says what is wanted.
"""

import asyncio
import contextlib
import errno
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path

from rawbot.aio.listening.listen import Listen, write_address
from rawbot.aio.listening.systemd import activated_sockets
from rawbot.errors import ConfigError

_FREE_PORT_TRIES = 20
"""Free ports that are tried when `host` has several addresses; another program may have the same one on the second."""

_FAMILIES = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
_ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""This machine has no such address: of a name that has several, and of "all interfaces", the others are enough."""


@dataclass(frozen=True, slots=True)
class UnixFile:
    """The file of a Unix socket that we have made, known by its inode: by then another may stand in its place."""

    path: str
    device: int
    inode: int

    def unlink(self) -> None:
        """Remove it if it is still ours. Before the socket is closed, which keeps the inode from being used again."""
        with contextlib.suppress(OSError):
            found = os.lstat(self.path)
            if (found.st_dev, found.st_ino) == (self.device, self.inode):
                os.unlink(self.path)  # noqa: PTH108 - as every call in this class


@dataclass(frozen=True, slots=True)
class Bound:
    """A bound socket, and the file that goes with it."""

    sock: socket.socket
    file: UnixFile | None = None


async def open_sockets(listen: Listen, loop: asyncio.AbstractEventLoop) -> list[Bound]:
    """Return the sockets that `listen` asks for: all of them, or `ConfigError` says which one cannot be had and why."""
    if listen.uds is not None:
        return [_bind_unix(listen, listen.uds)]
    if listen.fd is not None:
        return [Bound(_adopt(listen.fd, f"fd {listen.fd}"))]
    if listen.sock is not None:
        return [Bound(_adopt(listen.sock.fileno(), "the given socket"))]
    if listen.systemd:
        return [Bound(sock) for sock in activated_sockets()]
    return await _bind_tcp(listen, loop)


def refused(what: str, error: Exception) -> ConfigError:
    """Say in one line what cannot be listened on and why."""
    return ConfigError(f"cannot listen on {what}: {getattr(error, 'strerror', None) or error}")


# TCP


@dataclass(frozen=True, slots=True)
class _Place:
    name: str
    family: int
    address: tuple[str | int | bytes, ...]
    may_be_absent: bool

    def at(self, port: int) -> tuple[str | int | bytes, ...]:
        return (self.address[0], port, *self.address[2:])


class _PortTakenError(Exception):
    """A port that was free on one address is not on another."""


async def _bind_tcp(listen: Listen, loop: asyncio.AbstractEventLoop) -> list[Bound]:
    places = [place for host in listen.hosts for place in await _resolve(listen, host, loop)]
    for _ in range(_FREE_PORT_TRIES):
        with contextlib.suppress(_PortTakenError):
            return [Bound(sock) for sock in _bind_all(listen, places)]
    raise ConfigError(f"cannot listen on {', '.join(listen.hosts)}: no port is free on all of them")


async def _resolve(listen: Listen, host: str, loop: asyncio.AbstractEventLoop) -> list[_Place]:
    """Return the addresses of a name, in the resolver's order; an address is read without asking anybody."""
    name = write_address((host, listen.port))
    try:
        try:
            found = socket.getaddrinfo(host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        except socket.gaierror:
            found = await loop.getaddrinfo(host, listen.port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # the latter for a name that cannot be one
        raise refused(name, error) from None
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    optional = listen.host is None or len(addresses) > 1
    return [_Place(name, family, address, optional) for family, address in addresses]


def _bind_all(listen: Listen, places: list[_Place]) -> list[socket.socket]:
    """Bind every place, port 0 at the port that the first one got."""
    port = listen.port
    with contextlib.ExitStack() as undo:
        sockets: list[socket.socket] = []
        absent: ConfigError | None = None
        for place in places:
            try:
                sock = undo.enter_context(_bind(listen, place, port))
            except OSError as error:
                absent = _excuse(place, error, chosen=port != listen.port)
                continue
            port = sock.getsockname()[1]
            sockets.append(sock)
        if absent is not None and not sockets:
            raise absent
        undo.pop_all()
        return sockets


def _excuse(place: _Place, error: OSError, *, chosen: bool) -> ConfigError:
    """Return why this place is left out; raise it when it must not be. A port that we have chosen may be another."""
    if chosen and error.errno == errno.EADDRINUSE:
        raise _PortTakenError from None
    reason = refused(place.name, error)
    if not place.may_be_absent or error.errno not in _ABSENT:
        raise reason from None
    return reason


def _bind(listen: Listen, place: _Place, port: int) -> socket.socket:
    # with its number: to connections of a socket without, asyncio gives no TCP_NODELAY
    sock = socket.socket(place.family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let anybody take over the port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if listen.reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if place.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(place.at(port))
    except BaseException:
        sock.close()
        raise
    return sock


# Unix


def _bind_unix(listen: Listen, path: str) -> Bound:
    name = write_address(path)
    address: str | bytes = b"\0" + os.fsencode(path[1:]) if listen.is_abstract else path
    with contextlib.ExitStack() as undo:
        try:
            sock = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            if not listen.is_abstract:
                _remove_stale(path)
            sock.bind(address)
            file = None if listen.is_abstract else _found(path)
            if file is not None:
                undo.callback(file.unlink)
            if listen.uds_mode is not None:
                os.chmod(path, listen.uds_mode)  # noqa: PTH101 - before anybody can connect
            # at once, unlike TCP: to a second server a socket that refuses connections is a stale one
            sock.listen(listen.backlog)
        except (OSError, ValueError) as error:  # the latter for a path that cannot be one
            raise refused(name, error) from None
        undo.pop_all()
        return Bound(sock, file)


def _found(path: str) -> UnixFile:
    found = os.lstat(path)
    return UnixFile(path, found.st_dev, found.st_ino)


def _remove_stale(path: str) -> None:
    """Remove the socket that a server has left behind. Raises OSError when it is in use, or no socket at all."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, "a file that is no socket is there")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            Path(path).unlink(missing_ok=True)
            return
        except BlockingIOError:  # its queue is full
            pass
    raise OSError(errno.EADDRINUSE, "somebody listens there")


# Handed in


def _adopt(fd: int, what: str) -> socket.socket:
    """Return a socket of our own on somebody else's descriptor; its family is read from the kernel."""
    try:
        copy = os.dup(fd)
        try:
            sock = socket.socket(fileno=copy)
        except BaseException:
            os.close(copy)
            raise
    except OSError as error:
        raise refused(what, error) from None
    try:
        _check(sock, what)
    except BaseException:
        sock.close()
        raise
    return sock


def _check(sock: socket.socket, what: str) -> None:
    """Refuse what cannot be listened at: an unbound socket would get some port, a connection would fail late."""
    if sock.family not in _FAMILIES or sock.type != socket.SOCK_STREAM:
        raise ConfigError(f"cannot listen on {what}: it is no stream socket of TCP or Unix")
    try:
        sock.getpeername()
    except OSError:
        pass
    else:
        raise ConfigError(f"cannot listen on {what}: it is a connection, not a socket that listens")
    address = sock.getsockname()
    if not (address[1] if isinstance(address, tuple) else address):
        raise ConfigError(f"cannot listen on {what}: it is not bound")
