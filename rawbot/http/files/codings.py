"""Which content coding a client takes (RFC 9110, sections 8.4.1 and 12.5.3).

Layer 2, pure. Only gzip is asked about; whatever is malformed or too long counts as a client that does not take it.
"""

import re

MAX_SIZE = 1024
"""A longer Accept-Encoding is not looked at. Browsers send 30 bytes."""

_CHOICE = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]++)(?:[ \t]*+;[ \t]*+q=(0(?:\.[0-9]{0,3}+)?|1(?:\.0{0,3}+)?))?", re.IGNORECASE
)
_GZIP = (b"gzip", b"x-gzip")
"""Names of the same coding (section 8.4.1.3)."""


def accepts_gzip(value: bytes | None) -> bool:
    """Tell whether gzip may be sent and is not liked less than the plain bytes.

    What is not listed has the weight of `*`; without one, plain bytes are the last resort and gzip is not acceptable.
    No field at all allows everything, but such a client may well be a script that unpacks nothing.
    """
    if value is None or len(value) > MAX_SIZE:
        return False
    weights: dict[bytes, float] = {}
    for choice in value.split(b","):
        found = _CHOICE.fullmatch(choice.strip(b" \t"))
        if found is None:
            continue
        name = found[1].lower()
        name = b"gzip" if name in _GZIP else name
        weight = float(found[2] or 1)
        weights[name] = min(weight, weights.get(name, weight))
    others = weights.get(b"*", 0.0)
    gzip = weights.get(b"gzip", others)
    return gzip > 0 and gzip >= weights.get(b"identity", others)
