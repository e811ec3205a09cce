"""rawbot/aio/admission.py: places are counted, never lost and never given twice."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rawbot.aio.admission import Admission, Budget, customer
from rawbot.aio.settings import Capacity
from rawbot.errors import ConfigError

PER_ADDRESS = 2
PLACES = 5


class Admitting(RuleBasedStateMachine):
    """Connections come and go; the model is a list of the addresses that are inside."""

    def __init__(self) -> None:
        super().__init__()
        self.admission = Admission(Capacity(max_connections=PLACES, max_connections_per_address=PER_ADDRESS))
        self.inside: list[str] = []

    @rule(address=st.sampled_from(["", "192.0.2.1", "192.0.2.2", "2001:db8::1"]))
    def come(self, address: str):
        crowded = bool(address) and self.inside.count(address) >= PER_ADDRESS  # a Unix socket has no address
        room = len(self.inside) < PLACES and not crowded
        assert self.admission.admit(address) is room
        if room:
            self.inside.append(address)

    @rule(data=st.data())
    def go(self, data: st.DataObject):
        if self.inside:
            self.admission.release(self.inside.pop(data.draw(st.integers(0, len(self.inside) - 1))))

    @invariant()
    def the_count_is_right_and_nobody_who_left_is_remembered(self):
        assert self.admission.taken == len(self.inside)
        counted = {customer(a): self.inside.count(a) for a in self.inside if a}
        assert self.admission._by_address == counted


TestAdmitting = Admitting.TestCase


def test_without_a_limit_by_address_only_the_sum_counts():
    admission = Admission(Capacity(max_connections=3))
    assert [admission.admit("192.0.2.1") for _ in range(4)] == [True, True, True, False]
    admission.release("192.0.2.1")
    assert admission.admit("192.0.2.2")


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_connections": 0},
        {"max_connections_per_address": 0},
        {"max_requests_per_connection": 0},
        {"read_ahead": 0},
        {"max_pending": -1},
        {"retry_after": -1},
    ],
)
def test_a_capacity_that_lets_nobody_in_is_refused(wrong: dict[str, int]):
    with pytest.raises(ConfigError, match=f"capacity.*{next(iter(wrong))}"):
        Capacity(**wrong)


def test_the_addresses_of_one_ipv6_network_are_one_customers():
    """RFC 6177: a customer gets 64 bits to choose from at least."""
    admission = Admission(Capacity(max_connections_per_address=2))
    assert [admission.admit(f"2001:db8::{n}") for n in range(3)] == [True, True, False]
    assert admission.admit("2001:db8:0:1::1")
    admission.release("2001:db8::ffff")
    assert admission.admit("2001:db8::4")


def test_a_budget_gives_no_more_than_it_has_and_takes_back():
    budget = Budget(10)
    assert [budget.take(6), budget.take(5), budget.take(4)] == [True, False, True]
    budget.give(7)
    assert budget.left == 7
