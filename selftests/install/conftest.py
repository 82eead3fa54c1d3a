# SPDX-License-Identifier: Apache-2.0
"""One `meson install` for all tests of this folder."""

import subprocess

import pytest


@pytest.fixture(scope="session", name="destdir")
def fixture_destdir(build, tmp_path_factory):
    folder = tmp_path_factory.mktemp("destdir")
    subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", folder], check=True,
                   capture_output=True, timeout=300)
    return folder
