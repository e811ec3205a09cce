"""The contenders: what each is called, what must be installed for it, and how it can be run.

Nothing is imported here but names, so that a missing package is no more than a line in a report.
"""

from dataclasses import dataclass
from typing import Literal

Platform = Literal["wecom", "onebot"]
"""What somebody is a server for."""

Role = Literal["rawbot", "peer", "compiled", "limit", "langbot"]
"""Who somebody is in a comparison.

- `rawbot`: ours. `langbot`: the client of LangBot, which is what rawbot is made to replace.
- `compiled`: HTTP is parsed by C, Cython or Rust: llhttp under httptools or aiohttp, hyper under granian, actix under
  robyn. With such a parser a stack counts as compiled whatever else of it is Python. `peer`: HTTP is parsed by Python;
  of Sanic too, which asks httptools only to split URLs.
- `limit`: does less than the work, to show what a part of it costs at the least.
"""

_EXTRAS = {"langbot": "langbot", "pylibob": "pylibob starlette==0.39.2"}
"""What is not in our own extra, since it wants other versions of what the others want."""
_PYLIBOB = ("pylibob", "starlette", "uvicorn", "httptools", "websockets")
_BOTH = ("asyncio", "uvloop")
_CHOICE = ("fresh", "cached")


@dataclass(frozen=True, slots=True)
class Peer:
    """One program.

    `packages` are distributions: their versions belong to a result, and without one of them the peer cannot run.
    `loops` and `ciphers` are what it can be started with, the first being the default. `serve` names the function
    that serves, as "module:function". A name may have a second part, behind a hyphen, that tells a kind of the first.
    """

    name: str
    title: str
    packages: tuple[str, ...]
    loops: tuple[str, ...]
    ciphers: tuple[str, ...]
    role: Role
    serve: str
    platform: Platform = "wecom"

    @property
    def extra(self) -> str:
        """What to give to `pip install` for it."""
        return _EXTRAS.get(self.name.partition("-")[0], "'rawbot[bench]'")


def _on_uvicorn(framework: str, title: str) -> tuple[Peer, Peer]:
    """Return a framework with uvicorn's parser in Python, and with the one in C."""
    module = f"benchmarks.peers.on_{framework}"
    pure, compiled = ("h11", "httptools")
    return (
        Peer(
            f"{framework}-{pure}",
            f"{title}, uvicorn, {pure}",
            (framework, "uvicorn", pure),
            _BOTH,
            _CHOICE,
            "peer",
            f"{module}:serve_{pure}",
        ),
        Peer(
            f"{framework}-{compiled}",
            f"{title}, uvicorn, {compiled}",
            (framework, "uvicorn", compiled),
            _BOTH,
            _CHOICE,
            "compiled",
            f"{module}:serve_{compiled}",
        ),
    )


def _on(module: str, title: str, packages: tuple[str, ...], role: Role, *, loops: tuple[str, ...] = _BOTH) -> Peer:
    return Peer(module, title, packages, loops, _CHOICE, role, f"benchmarks.peers.on_{module}:serve")


def _limit(name: str, title: str, packages: tuple[str, ...] = ()) -> Peer:
    return Peer(name, title, packages, _BOTH, (), "limit", f"benchmarks.peers.limits:serve_{name}")


def _onebot(name: str, title: str, packages: tuple[str, ...], role: Role) -> Peer:
    return Peer(name, title, packages, _BOTH, (), role, f"benchmarks.peers.onebot_{name}:serve", "onebot")


_PYLIBOB_RUN = Peer(
    "pylibob-run",
    "pylibob by its run, with an access log",
    _PYLIBOB,
    ("asyncio",),
    (),
    "compiled",
    "benchmarks.peers.onebot_pylibob:serve_by_run",
    "onebot",
)


_ALL = (
    Peer("rawbot", "rawbot", (), _BOTH, ("cached",), "rawbot", "benchmarks.peers.on_rawbot:serve"),
    Peer(
        "langbot",
        "LangBot's client",
        ("langbot", "quart", "hypercorn"),
        ("asyncio",),
        ("own",),
        "langbot",
        "benchmarks.peers.on_langbot:serve",
    ),
    _on("quart", "Quart, Hypercorn", ("quart", "hypercorn"), "peer"),
    *_on_uvicorn("fastapi", "FastAPI"),
    *_on_uvicorn("starlette", "Starlette"),
    _on("sanic", "Sanic", ("sanic",), "peer"),
    _on("aiohttp", "aiohttp", ("aiohttp",), "compiled"),
    _on("blacksheep", "BlackSheep, uvicorn, httptools", ("blacksheep", "uvicorn", "httptools"), "compiled"),
    _on("granian", "granian, RSGI", ("granian",), "compiled"),
    _on("robyn", "robyn", ("robyn",), "compiled", loops=("uvloop",)),
    _limit("constant", "constant answer"),
    _limit("h11", "h11 alone", ("h11",)),
    _limit("httptools", "httptools alone", ("httptools",)),
)

_ONEBOT = (
    _onebot("rawbot", "rawbot", (), "rawbot"),
    _onebot("pylibob", "pylibob", _PYLIBOB, "compiled"),
    _PYLIBOB_RUN,
    _onebot("aiohttp", "aiohttp, the least that answers", ("aiohttp", "orjson"), "compiled"),
)

PEERS: dict[str, Peer] = {peer.name: peer for peer in _ALL}
"""All who serve WeCom, by name. On uvloop the distribution `uvloop` is needed as well."""

ONEBOT_PEERS: dict[str, Peer] = {peer.name: peer for peer in _ONEBOT}
"""All who serve OneBot 12, in the same way."""

BY_PLATFORM: dict[Platform, dict[str, Peer]] = {"wecom": PEERS, "onebot": ONEBOT_PEERS}
