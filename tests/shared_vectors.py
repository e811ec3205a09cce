"""Test vectors: the project's own, and the larger set that stands beside the checkout where there is one."""

import json
import os
from pathlib import Path

HERE = Path(__file__).resolve().parent

Vectors = dict[str, list[dict]]
"""The sections of a file of vectors."""


def shared_vectors(name: str) -> Vectors | None:
    """Return the shared vectors called `name`, or None where the suite has to do without them.

    They are looked for in $RAWBOT_SHARED_VECTORS, else in `shared/vectors` next to the folder of the checkout.
    """
    folder = os.environ.get("RAWBOT_SHARED_VECTORS") or HERE.parents[1] / "shared" / "vectors"
    path = (Path(folder) / name).with_suffix(".json")
    return json.loads(path.read_bytes()) if path.is_file() else None


def own_vectors(name: str) -> Vectors:
    """Return the vectors of the project's own making."""
    return json.loads((HERE / "vectors" / name).with_suffix(".json").read_bytes())


def all_vectors(name: str, *sections: str) -> list[dict]:
    """Return the entries of these sections, our own first."""
    files = (own_vectors(name), shared_vectors(name) or {})
    return [entry for vectors in files for section in sections for entry in vectors.get(section, [])]
