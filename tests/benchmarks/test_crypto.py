"""benchmarks/crypto.py: all its ways do the whole work."""

import pytest

from benchmarks import crypto


def test_all_ways_of_crypto_refuse_a_wrong_signature():
    sealed = crypto.seal_messages(100)[0]
    for way in crypto.make_ways().values():
        assert len(way(sealed)) == 100
        with pytest.raises(ValueError, match="signature"):
            way(sealed._replace(signature=b"0" * 40))
