# SPDX-License-Identifier: GPL-3.0-or-later
"""The judges of the loops find what they are there for: a check that cannot fail would prove nothing."""

import pytest

import steady
from checker import Ledger, Violation, problem_of


@pytest.mark.parametrize("numbers, others, floor, ceiling, problem", [
    ([7, 8], 0, 8, 8, None),
    ([8, 9], 0, 8, 9, None),         # sent, and visible before its acknowledgement came
    ([8], 0, 8, 9, None),
    ([], 0, 0, 0, None),             # nothing was acknowledged yet
    ([], 0, 0, 1, None),
    ([], 0, 8, 8, "nothing"),
    ([6, 7], 0, 8, 8, "though 8 was acknowledged"),
    ([8, 10], 0, 8, 9, "only 9 was sent"),
    ([1], 0, 0, 0, "not sent yet"),
    ([6, 8], 0, 8, 8, "come back"),
    ([8, 8], 0, 8, 8, "twice"),
    ([7, 8], 1, 8, 8, "never sent"),
    ([-1, 8], 0, 8, 8, "never sent"),
])
def test_a_served_set(numbers, others, floor, ceiling, problem):
    found = problem_of(numbers, others, floor, ceiling)
    assert (found is None) if problem is None else (problem in found)


def test_values_are_found_in_a_reply():
    ledger = Ledger(3)
    texts = [ledger.value(1, 12), ledger.value(1, 13), ledger.value(2, 5)]
    assert all(len(t) == 43 for t in texts)
    wire = b"\0\1head" + b"".join(b"\x2b" + t.encode() + b"\xc0\x0c" for t in texts) + b"\x2b" + b"x" * 43
    assert ledger.numbers(1, wire) == [12, 13, -1]


def test_growth_is_found():
    flat = [(5000 + i % 3, 10) for i in range(40)]
    steady.judge("keeper", flat)
    with pytest.raises(Violation, match="grows"):
        steady.judge("keeper", [(5000 + 100 * i, 10) for i in range(40)])
    with pytest.raises(Violation, match="descriptors"):
        steady.judge("keeper", [(5000, 10 + i) for i in range(40)])
