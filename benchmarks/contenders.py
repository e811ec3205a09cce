"""Who takes part: programs of `benchmarks.peers`, each on a loop, with a kind of ciphers, run by an interpreter.

A name says all of it: `aiohttp+uvloop+cached`, `rawbot@3.13`. Left out of it is what is common, asyncio and a fresh AES
object per message, or what cannot be chosen.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import orjson

from benchmarks.peers import BY_PLATFORM, PEERS, Peer, Platform

OURS, LIMIT = "rawbot", "constant"
"""Who all others are compared with, and whom a record of another day is compared by: both always take part."""

ROOT = Path(__file__).parents[1]

_PATIENCE = 20.0
_ASK = """
import importlib.metadata, json, platform, sys

def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None

packages = {package: version(package) for package in sys.argv[1:]}
print(json.dumps({"python": platform.python_version(), "packages": packages}))
"""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python, and the versions of what is installed for it."""

    path: str
    python: str
    packages: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Contender:
    """One program as it is started."""

    name: str
    peer: Peer
    loop: str
    ciphers: str
    """Empty where nothing is encrypted."""
    interpreter: Interpreter

    @property
    def title(self) -> str:
        """Its name for a reader."""
        ciphers = {"cached": "cached ciphers", "fresh": "", "own": "", "": ""}[self.ciphers]
        loop = "uvloop" if self.loop == "uvloop" else ""
        ours = self.peer.role == "rawbot"
        python = f"Python {self.name.partition('@')[2]}" if "@" in self.name else ""
        parts = (self.peer.title, loop, "" if ours else ciphers, python)
        return ", ".join(part for part in parts if part)

    def command(self, port: int) -> list[str]:
        """Return what starts it on a port of the loopback."""
        command = [self.interpreter.path, "-m", "benchmarks.peers", self.peer.name, str(port), "--loop", self.loop]
        command += ["--ciphers", self.ciphers] if self.ciphers in ("fresh", "cached") else []
        return command + (["--platform", self.peer.platform] if self.peer.platform != "wecom" else [])

    @property
    def versions(self) -> dict[str, str]:
        """Return the versions of what it is made of; `aiohttp@3.13.0` is what another Python has."""
        interpreter = self.interpreter
        at = "" if interpreter.path == sys.executable else f"@{interpreter.python}"
        return {package + at: interpreter.packages[package] for package in _needed(self.peer, self.loop)}


class Chosen(NamedTuple):
    """Who takes part, and a line for each who cannot."""

    contenders: list[Contender]
    skipped: list[str]


class Interpreters(NamedTuple):
    """Which Python runs what.

    `ours`: those that run rawbot once more; `theirs`: by the name of a peer, or by what stands in it before a hyphen.
    """

    ours: Sequence[str] = ()
    theirs: Mapping[str, str] = {}


def choose(wanted: Sequence[str] | None, interpreters: Interpreters, peers: Mapping[str, Peer] = PEERS) -> Chosen:
    """Return the contenders of these names: `aiohttp` is all of it, `aiohttp+uvloop+cached` a part; None is all.

    Raises `ValueError` for a name that is none.
    """
    for name in wanted or ():
        if fault := _find_fault(name, peers):
            raise ValueError(fault)
    own = ask_interpreter(sys.executable, peers.values())
    chosen = Chosen([], [])
    for name, peer in peers.items():
        path = interpreters.theirs.get(name) or interpreters.theirs.get(name.partition("-")[0])
        _enter(chosen, peer, own if path is None else ask_interpreter(path, [peer]), wanted)
    for path in interpreters.ours:
        interpreter = ask_interpreter(path, [peers[OURS]])
        _enter(chosen, peers[OURS], interpreter, None, "@" + ".".join(interpreter.python.split(".")[:2]))
    return chosen


def choose_for(
    platforms: Sequence[Platform], wanted: Sequence[str] | None, interpreters: Interpreters
) -> dict[Platform, Chosen]:
    """Return the contenders of each of these platforms, by names that need not be known for all of them.

    Raises `ValueError` for a name that is none on any.
    """
    tables = {platform: BY_PLATFORM[platform] for platform in platforms}
    for name in wanted or ():
        faults = [_find_fault(name, peers) for peers in tables.values()]
        if all(faults):
            raise ValueError(faults[0])
    return {
        platform: choose(
            None if wanted is None else [name for name in wanted if not _find_fault(name, peers)], interpreters, peers
        )
        for platform, peers in tables.items()
    }


def ask_interpreter(path: str, peers: Iterator[Peer] | Sequence[Peer]) -> Interpreter:
    """Ask a Python for its version, and for those of the packages. Raises `ValueError` when it does not answer."""
    packages = sorted({package for peer in peers for loop in peer.loops for package in _needed(peer, loop)})
    try:
        asked = subprocess.run(  # noqa: S603 - the user names it
            [path, "-c", _ASK, *packages], capture_output=True, check=True, timeout=_PATIENCE, stdin=subprocess.DEVNULL
        )
        said = orjson.loads(asked.stdout)
    except (OSError, subprocess.SubprocessError, orjson.JSONDecodeError) as error:
        raise ValueError(f"{path} is no Python that runs: {error}") from None
    installed = {package: version for package, version in said["packages"].items() if version is not None}
    return Interpreter(path, said["python"], installed)


def _enter(
    chosen: Chosen, peer: Peer, interpreter: Interpreter, wanted: Sequence[str] | None, suffix: str = ""
) -> None:
    """Add all variants of a peer that are wanted, or the reason why they cannot take part."""
    for loop in peer.loops:
        missing = [package for package in _needed(peer, loop) if package not in interpreter.packages]
        for ciphers in peer.ciphers or ("",):
            name = _name(peer, loop, ciphers) + suffix
            if not _is_wanted(peer, loop, ciphers, wanted):
                continue
            if missing:
                by = f" for {interpreter.path}" if interpreter.path != sys.executable else ""
                chosen.skipped.append(f"{name}: {', '.join(missing)} not installed{by}: pip install {peer.extra}")
            else:
                chosen.contenders.append(Contender(name, peer, loop, ciphers, interpreter))


def _name(peer: Peer, loop: str, ciphers: str) -> str:
    parts = [peer.name]
    if loop == "uvloop":
        parts.append(loop)
    if ciphers == "cached" and len(peer.ciphers) > 1:
        parts.append(ciphers)
    return "+".join(parts)


def _is_wanted(peer: Peer, loop: str, ciphers: str, wanted: Sequence[str] | None) -> bool:
    if wanted is None or (peer.name in (OURS, LIMIT) and loop == "asyncio"):
        return True
    asked = (name.split("+") for name in wanted)
    return any(name == peer.name and {*qualities} <= {loop, ciphers} for name, *qualities in asked)


def _find_fault(wanted: str, peers: Mapping[str, Peer]) -> str | None:
    """Return what is wrong with a name, if something is."""
    name, *qualities = wanted.split("+")
    if name not in peers:
        return f"there is no peer {name!r}; there are {', '.join(peers)}"
    known = {*peers[name].loops, *peers[name].ciphers}
    if unknown := [quality for quality in qualities if quality not in known]:
        return f"{name} has no {unknown[0]!r}; it has {', '.join(sorted(known))}"
    return None


def _needed(peer: Peer, loop: str) -> tuple[str, ...]:
    with_loop = (*peer.packages, *(("uvloop",) if loop == "uvloop" else ()))
    if peer.role == "rawbot":
        return (*with_loop, "h11", "orjson", "pycryptodome")
    if peer.platform == "wecom":
        return (*with_loop, "orjson", "pycryptodome")  # benchmarks.traffic tells the key, the callbacks use both
    return with_loop
