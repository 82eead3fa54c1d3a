# SPDX-License-Identifier: Apache-2.0
"""Waits for conditions that have no descriptor for poll()."""

import time

LIMIT_S = 120  # even a slow machine is faster


def until(condition, what="condition"):
    """Polls @condition. The test fails if it does not become true."""
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)
