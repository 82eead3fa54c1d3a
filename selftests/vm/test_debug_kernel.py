# SPDX-License-Identifier: Apache-2.0
"""The debug kernel's build script: its arguments and its reports. Nothing is built."""

import importlib.machinery
import importlib.util
import json
import pathlib
import re
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parent / "debug_kernel"


@pytest.fixture(name="script")
def fixture_script():
    loader = importlib.machinery.SourceFileLoader("debug_kernel", str(SCRIPT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("debug_kernel", loader))
    loader.exec_module(module)
    return module


FRAGMENT = """# comment
CONFIG_ONE=y
CONFIG_TWO=m
CONFIG_TEXT="-x"
# CONFIG_OFF is not set
"""


def test_a_configuration_that_has_everything(script):
    config = FRAGMENT + "CONFIG_MORE=y\n"
    assert not script.differences(FRAGMENT, config)
    assert not script.differences(FRAGMENT, config.replace("# CONFIG_OFF is not set\n", ""))


@pytest.mark.parametrize("old, new, name", [
    ("CONFIG_ONE=y\n", "", "CONFIG_ONE: wanted y, is off"),
    ("CONFIG_TWO=m", "CONFIG_TWO=y", "CONFIG_TWO: wanted m, is y"),
    ("CONFIG_TEXT=\"-x\"", "CONFIG_TEXT=\"\"", "CONFIG_TEXT: wanted \"-x\", is \"\""),
    ("# CONFIG_OFF is not set", "CONFIG_OFF=y", "CONFIG_OFF: wanted off, is y"),
])
def test_an_option_that_was_not_accepted_is_named(script, old, new, name):
    assert script.differences(FRAGMENT, FRAGMENT.replace(old, new)) == [name]


def test_the_fragment_names_each_option_once(script):
    names = re.findall(r"^(?:# )?(CONFIG_\w+)(?:=| is not set)", script.FRAGMENT.read_text(), re.M)
    assert len(names) == len(set(names)) == len(script.wanted_options(script.FRAGMENT.read_text()))
    assert {"CONFIG_PROVE_LOCKING", "CONFIG_KASAN", "CONFIG_DEBUG_KMEMLEAK",
            "CONFIG_FAULT_INJECTION"} <= set(names)


def test_missing_packages_are_listed(script, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(script, "package_version",
                        lambda name: None if name in ("flex", "linux-source-6.1") else "1")
    monkeypatch.setattr("sys.argv", [str(SCRIPT), "-o", str(tmp_path)])
    assert script.main() == 3
    assert "apt-get install flex linux-source-6.1\n" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_a_result_of_something_else_is_not_up_to_date(script, tmp_path):
    for name in ("result/bzImage", "objects/Module.symvers"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    assert script.up_to_date(tmp_path) is None
    (tmp_path / "result/report.json").write_text(json.dumps({"identity": script.identity()}))
    assert script.up_to_date(tmp_path)
    (tmp_path / "result/report.json").write_text(json.dumps({"identity": "0"}))
    assert script.up_to_date(tmp_path) is None


def test_bad_usage():
    run = subprocess.run([SCRIPT, "--no-such-option"], capture_output=True, check=False)
    assert run.returncode == 2
