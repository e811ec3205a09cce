"""Small honest programs that do what rawbot does, one per stack: `python -m benchmarks.peers NAME PORT`."""

from benchmarks.peers.table import BY_PLATFORM, ONEBOT_PEERS, PEERS, Peer, Platform

__all__ = ["BY_PLATFORM", "ONEBOT_PEERS", "PEERS", "Peer", "Platform"]
