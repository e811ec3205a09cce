"""Small honest programs that do what rawbot does for WeCom, one per stack: `python -m benchmarks.peers NAME PORT`."""

from benchmarks.peers.table import PEERS, Peer

__all__ = ["PEERS", "Peer"]
