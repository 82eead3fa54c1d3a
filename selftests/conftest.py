# SPDX-License-Identifier: Apache-2.0
"""Options and fixtures of every pytest suite."""

import os
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent


def pytest_addoption(parser):
    parser.addoption("--host", default="hosted", choices=["hosted"],
                     help="where the programs under test find /dev/iommu")


@pytest.fixture(scope="session")
def root():
    """The project's top folder."""
    return ROOT


@pytest.fixture(scope="session")
def build():
    """The Meson build folder under test (environment variable WD_BUILD, default build)."""
    path = pathlib.Path(os.environ.get("WD_BUILD") or ROOT / "build")
    if not (path / "build.ninja").exists():
        pytest.fail(f"{path} is no Meson build folder; set WD_BUILD")
    return path


@pytest.fixture(scope="session")
def host_env(request):
    """Environment in which programs use the host chosen by --host."""
    env = dict(os.environ)
    env["WD_HOST"] = request.config.getoption("--host")
    return env
