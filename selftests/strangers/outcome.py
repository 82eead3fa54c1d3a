# SPDX-License-Identifier: Apache-2.0
"""What programs of Linux's kselftest harness print."""

import re


def results(output):
    """Cases by what became of them: "ok", "not ok" or "skip"."""
    found = {}
    for line in output.splitlines():
        match = re.match(r"(ok|not ok) \d+ (\S+)(.*)", line)
        if match:
            found[match[2]] = "skip" if "# SKIP" in match[3] else match[1]
    return found
