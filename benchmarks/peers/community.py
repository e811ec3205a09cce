"""The one community that all who serve VK answer for, and where they tell how many of its events they have handled.

Constants alone: a peer with an interpreter of its own has none of rawbot's packages.
"""

GROUP_ID = 123456789
NAME = "Benchmark"
SECRET = "benchmarkSecret"
CONFIRMATION = "b1e2n3c4"

PATH = "/webhook"
HANDLED = "/handled"
"""Answers a GET with the number in plain digits."""
