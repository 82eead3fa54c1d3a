# SPDX-License-Identifier: Apache-2.0
"""Options and fixtures of every pytest suite."""

import os
import pathlib

import pytest

from project import ROOT  # pylint: disable=import-error


def pytest_addoption(parser):
    parser.addoption("--host", default="hosted", choices=["hosted", "vm"],
                     help="where the programs under test find /dev/iommu")


def pytest_configure(config):
    config.addinivalue_line("markers", "only_on(host, reason): the test makes sense on one host")


def pytest_runtest_setup(item):
    mark = item.get_closest_marker("only_on")
    if mark and mark.args[0] != item.config.getoption("--host"):
        pytest.skip(f"only on the {mark.args[0]} host: {mark.kwargs['reason']}")


@pytest.fixture(scope="session")
def root():
    """The project's top folder."""
    return ROOT


@pytest.fixture(scope="session")
def build():
    """The Meson build folder under test (environment variable WD_BUILD, default build)."""
    path = pathlib.Path(os.environ.get("WD_BUILD") or ROOT / "build").resolve()
    if not (path / "build.ninja").exists():
        pytest.fail(f"{path} is no Meson build folder; set WD_BUILD")
    return path


@pytest.fixture(scope="session", name="host_of_session")
def fixture_host_of_session(request, build, tmp_path_factory):
    """One host for all tests; the virtual machine boots when the first test uses it."""
    from hosts import HostedHost, VmHost  # pylint: disable=import-outside-toplevel
    if request.config.getoption("--host") == "hosted":
        host = HostedHost()
    else:
        host = VmHost(build, tmp_path_factory.getbasetemp())
    yield host
    trouble = host.close()
    if trouble:
        pytest.fail("the host complained at its end:\n" + "\n".join(trouble), pytrace=False)


@pytest.fixture(name="host")
def fixture_host(host_of_session):
    """The place where programs under test run (--host). If the kernel complains, the test fails."""
    yield host_of_session
    trouble = host_of_session.trouble()
    if trouble:
        pytest.fail("the kernel complained during this test:\n" + trouble, pytrace=False)
