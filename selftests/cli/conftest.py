# SPDX-License-Identifier: Apache-2.0
"""The programs, and a text for them."""

import pytest

from project import PROGRAMS  # pylint: disable=import-error

TIMEOUT_S = 300


@pytest.fixture(name="tools")
def fixture_tools(build):
    """Paths of the programs."""
    return {name: build / path for name, path in PROGRAMS.items()}


@pytest.fixture(name="wdctl")
def fixture_wdctl(tools, host):
    """Runs wdctl, on a processor of node @node if given; the result has returncode, stdout and
    stderr."""
    def run(*arguments, env=None, timeout=TIMEOUT_S, node=None):
        before, place = ([], {}) if node is None else host.at_node(node)
        return host.run([*before, tools["wdctl"], *map(str, arguments)],
                        env={**place, **(env or {})}, timeout=timeout)
    return run


@pytest.fixture(name="text_file")
def fixture_text_file(tmp_path):
    """A file that compresses well."""
    path = tmp_path / "text"
    path.write_bytes(b"".join(b"%d bottles of beer on the wall\n" % i for i in range(20000)))
    return path
