# SPDX-License-Identifier: Apache-2.0
"""A running wdmachine for each test."""

import pytest

from machine_server import Server  # pylint: disable=import-error
from project import PROGRAMS  # pylint: disable=import-error


@pytest.fixture(name="wdmachine")
def fixture_wdmachine(build):
    """Path of the program."""
    return build / PROGRAMS["wdmachine"]


@pytest.fixture(name="start")
def fixture_start(wdmachine, tmp_path):
    """Starts servers. The test fails if one does not end with status 0, by itself or after SIGTERM."""
    servers = []

    def run(*options, folder=None):
        server = Server(wdmachine, folder or tmp_path, *options)
        servers.append(server)
        return server
    yield run
    for server in servers:
        if server.process.returncode is None:
            assert server.process.poll() is None, server.log.read_text()
            assert server.stop() == 0, server.log.read_text()


@pytest.fixture(name="server")
def fixture_server(start):
    """The default machine."""
    return start().wait_ready()
