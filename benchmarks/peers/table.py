"""The contenders: what each is called, what must be installed for it, and how it can be run.

Nothing is imported here but names, so that a missing package is no more than a line in a report.
"""

from dataclasses import dataclass
from typing import Literal

Role = Literal["rawbot", "peer", "compiled", "limit", "langbot"]
"""Who somebody is in a comparison.

- `rawbot`: ours. `langbot`: the client of LangBot, which is what rawbot is made to replace.
- `compiled`: HTTP is parsed by C, Cython or Rust: llhttp under httptools or aiohttp, hyper under granian, actix under
  robyn. With such a parser a stack counts as compiled whatever else of it is Python. `peer`: HTTP is parsed by Python;
  of Sanic too, which asks httptools only to split URLs.
- `limit`: does less than the work, to show what a part of it costs at the least.
"""

_BOTH = ("asyncio", "uvloop")
_CHOICE = ("fresh", "cached")


@dataclass(frozen=True, slots=True)
class Peer:
    """One program.

    `packages` are distributions: their versions belong to a result, and without one of them the peer cannot run.
    `loops` and `ciphers` are what it can be started with, the first being the default. `serve` names the function
    that serves, as "module:function".
    """

    name: str
    title: str
    packages: tuple[str, ...]
    loops: tuple[str, ...]
    ciphers: tuple[str, ...]
    role: Role
    serve: str

    @property
    def extra(self) -> str:
        """What to give to `pip install` for it."""
        return "langbot" if self.role == "langbot" else "'rawbot[bench]'"


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

PEERS: dict[str, Peer] = {peer.name: peer for peer in _ALL}
"""All of them by name. On uvloop the distribution `uvloop` is needed as well."""
