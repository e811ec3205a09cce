"""Serve until a signal.

`python -m benchmarks.peers NAME PORT [--ciphers fresh|cached] [--loop asyncio|uvloop] [--platform wecom|onebot]`
"""

import argparse
import signal
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn

from benchmarks.peers.order import Order
from benchmarks.peers.table import BY_PLATFORM, Peer

MISSING = 3
"""The exit status when a package is not installed."""

_HIGHEST_PORT = 65_535


def main(arguments: list[str] | None = None) -> int:
    """Serve one peer; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    told = "; ".join(f"for {platform}: {', '.join(peers)}" for platform, peers in BY_PLATFORM.items())
    parser.add_argument("name", metavar="NAME", help=told)
    parser.add_argument("port", type=int, metavar="PORT", help="on the loopback")
    parser.add_argument("--ciphers", choices=("fresh", "cached"), help="an AES object per message, or one kept")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"))
    parser.add_argument("--platform", choices=list(BY_PLATFORM), default="wecom", help="what to serve (default: wecom)")
    options = parser.parse_args(arguments)
    peer = BY_PLATFORM[options.platform].get(options.name)
    if peer is None:
        parser.error(f"there is no {options.name} for {options.platform}; {told}")
    loop = options.loop or peer.loops[0]
    if loop not in peer.loops:
        parser.error(f"{peer.name} runs on {' or '.join(peer.loops)}")
    if options.ciphers and options.ciphers not in peer.ciphers:
        parser.error(f"{peer.name} has no {options.ciphers} ciphers")
    if not 0 < options.port <= _HIGHEST_PORT:
        parser.error(f"the port is a number from 1 to {_HIGHEST_PORT}")
    missing = _missing(peer, loop)
    if missing:
        print(f"{missing} is not installed: pip install {peer.extra}", file=sys.stderr)
        return MISSING
    # Stacks that hear signals replace this; some raise the signal again when they have ended, and then it is an end.
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    module, _, function = peer.serve.partition(":")
    sys.argv[1:] = []  # ours; robyn reads the command line for itself when it is imported
    getattr(import_module(module), function)(Order(options.port, loop, options.ciphers or "fresh"))
    return 0


def _missing(peer: Peer, loop: str) -> str | None:
    for package in (*peer.packages, *(("uvloop",) if loop == "uvloop" else ())):
        try:
            version(package)
        except PackageNotFoundError:
            return package
    return None


def _leave(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
