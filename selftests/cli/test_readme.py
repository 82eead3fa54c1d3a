# SPDX-License-Identifier: Apache-2.0
"""The commands of README.md, one after the other, as a new user types them.

Nothing is built here. In the place of ninja there is a program that checks that the targets exist in the
configured folder, and puts the programs of the build under test there.
"""

import json
import os
import shutil
import stat
import subprocess
import sys

import pytest

TIMEOUT_S = 900
# Commands of the README that are tested elsewhere, or need a virtual machine or packages.
ELSEWHERE = ("scripts/test", "make -C kernel", "scripts/packages test", "selftests/vm/shell")

NINJA = '''#!{python}
import json, os, pathlib, subprocess, sys
folder = pathlib.Path(sys.argv[sys.argv.index("-C") + 1])
rest = [a for a in sys.argv[1:] if a not in ("-C", str(folder))]
subprocess.run([{ninja!r}, "-C", folder, "-n", *rest], check=True, stdout=subprocess.DEVNULL)
targets = json.loads(subprocess.run(["meson", "introspect", "--targets", folder], check=True,
                                    capture_output=True, text=True).stdout)
for target in targets:
    name = pathlib.Path(target["filename"][0])
    wanted = str(name.relative_to(folder.resolve())) in rest if rest else target["build_by_default"]
    built = pathlib.Path({build!r}) / name.relative_to(folder.resolve())
    if target["type"] == "executable" and wanted and not name.exists():
        name.parent.mkdir(parents=True, exist_ok=True)
        if built.exists():
            name.symlink_to(built)
        else:
            name.touch()  # it only has to exist
'''


def blocks(text):
    """The indented blocks of a text, each as a list of lines."""
    block = []
    for line in [*text.splitlines(), "end"]:
        if line.startswith("    "):
            block.append(line[4:])
        elif line and block:
            yield block
            block = []


def commands(readme):
    """Commands for this machine, not for the guest, without comments."""
    for lines in blocks(readme.read_text()):
        if lines[0].startswith("$ "):  # a dialogue
            lines = [line[2:] for line in lines if line.startswith("$ ")]
        for line in lines:
            words = line.split("#")[0].replace("[FILE]", "").strip()
            if words.split("/")[0].split(" ")[0] in ("scripts", "meson", "make", "selftests", "build",
                                                    "build-tests"):
                yield words


@pytest.fixture(name="tree")
def fixture_tree(root, build, tmp_path):
    """The sources, in a folder where nothing has been built."""
    tree = tmp_path / "tree"
    tree.mkdir()
    for entry in root.iterdir():
        if not entry.name.startswith(("build", ".")):
            (tree / entry.name).symlink_to(entry)
    tools = tmp_path / "bin"
    tools.mkdir()
    real = shutil.which("ninja")
    (tools / "ninja").write_text(NINJA.format(python=sys.executable, ninja=real, build=str(build)))
    (tools / "ninja").chmod(0o755)
    return tree, {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "NINJA": real,
                  "WD_BUILD": "build", "WD_HOST": "hosted"}


@pytest.mark.only_on("hosted", reason="it is about the machine where one builds")
def test_commands_work_in_sequence(tree, root):
    tree, env = tree
    lines = list(commands(root / "README.md"))
    assert lines[0] == "scripts/quickstart" and len(lines) > 8, lines
    done = set()
    for line in lines:
        if line in done or line.startswith(ELSEWHERE):
            if line == "selftests/vm/shell":
                for needed in ("selftests/vm/wd-agent", "tools/wdmachine/wdmachine",
                               "tools/wdctl/wdctl"):
                    assert (tree / "build" / needed).exists(), f"{line} needs {needed}"
            assert (tree / line.split(" ")[0]).exists() or line.startswith("make ")
            continue
        done.add(line)
        run = subprocess.run(["sh", "-c", line], cwd=tree, env=env, capture_output=True, text=True,
                             timeout=TIMEOUT_S, check=False)
        assert run.returncode == 0, (line, run.stdout[-2000:], run.stderr[-2000:])
    assert "build-tests/selftests/ktap/vsva/topology_example" in done


@pytest.mark.only_on("hosted", reason="it is about the machine where one builds")
def test_quickstart_builds_no_tests(tree):
    """It builds only what a user needs. Later commands of the README work nevertheless."""
    tree, env = tree
    run = subprocess.run(["scripts/quickstart"], cwd=tree, env=env, capture_output=True, text=True,
                         timeout=TIMEOUT_S, check=False)
    assert run.returncode == 0, (run.stdout, run.stderr)
    assert "== wdctl bench" in run.stdout and "RATIO" in run.stdout
    options = json.loads(subprocess.run(
        ["meson", "introspect", "--buildoptions", "build"], cwd=tree, capture_output=True, text=True,
        check=True).stdout)
    assert {o["name"]: o["value"] for o in options}["tests"] is False
    assert stat.S_ISREG(os.stat(tree / "build/selftests/vm/wd-agent").st_mode)
