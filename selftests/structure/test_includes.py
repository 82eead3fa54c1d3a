# SPDX-License-Identifier: Apache-2.0
"""The rules of inclusion (Documentation/design/architecture.rst), enforced on every source file."""

import re
import subprocess

import pytest

import include_rules
from include_rules import ALLOWED, ONLY, PUBLIC, ROOT, violations


@pytest.fixture(name="files", scope="module")
def files_fixture():
    return include_rules.files()


def test_every_folder_has_a_rule(files):
    assert None not in files, files[None]
    assert not {part for part in ALLOWED if part not in files}, "a rule without files checks nothing"
    known = {*ALLOWED, *PUBLIC, include_rules.KERNEL_HEADERS, "kernel/selftest"}
    assert not {name for allowed in ALLOWED.values() for name in allowed} - known


@pytest.mark.parametrize("part", sorted(ALLOWED))
def test_include_directions(files, part):
    bad = {str(f.relative_to(ROOT)): v for f in files[part] if (v := violations(part, f))}
    assert not bad


def test_no_rule_allows_what_nobody_does(files):
    """The picture of the layers is drawn from the rules, so an unused rule would make it wrong."""
    needed = set()
    for part in ALLOWED:
        for path in files[part]:
            for _, name in include_rules.INCLUDE.findall(path.read_text(encoding="utf-8")):
                needed.add((part, include_rules.owner_of(name)))
                target = (path.parent / name).resolve()
                if target.exists() and target.is_relative_to(ROOT):
                    needed.add((part, include_rules.longest(target.relative_to(ROOT).as_posix(),
                                                            [*ALLOWED, *ALLOWED[part]])))
    assert not [(part, other) for part, allowed in ALLOWED.items() for other in allowed
                if (part, other) not in needed]


def test_the_check_sees_a_violation(tmp_path):
    path = tmp_path / "x.cpp"

    def seen(part, *names):
        path.write_text("".join(f'#include {n}\n' if n[0] == "<" else f'#include "{n}"\n' for n in names))
        return violations(part, path)

    assert seen("lib/machine", "<linux/iommufd.h>", "hostkernel/kernel.h", "base/error.h") == [
        "linux/iommufd.h", "hostkernel/kernel.h"]
    assert seen("tools/wdctl", "hostkernel/kernel.h", "machine/machine.h") == [
        "hostkernel/kernel.h", "machine/machine.h"]
    assert seen("tools/wdmachine", "hostkernel/kernel.h") == ["hostkernel/kernel.h"]
    assert seen("lib/vfio_user", "wd/queue.h", "<linux/types.h>") == ["wd/queue.h", "linux/types.h"]
    assert seen("tools/wdctl", "vfio_user/server.h") == ["vfio_user/server.h"]
    assert seen("lib/hostkernel", "machine/machine.h") == ["machine/machine.h"]
    assert seen("bench", "<linux/list.h>", "hostkernel/kernel.h") == ["linux/list.h", "hostkernel/kernel.h"]
    assert seen("selftests", "<linux/list.h>", "wd/host.h") == ["linux/list.h"]
    assert seen("selftests/unit", "<linux/list.h>", "hostkernel/kernel.h") == []
    assert seen("examples/vmm", "machine/machine.h", "../../lib/vmm/src/x.hpp") == [
        "machine/machine.h", "../../lib/vmm/src/x.hpp"]
    assert ("tools/wdctl", "lib/machine") in ONLY


def test_the_picture_is_drawn_from_the_rules():
    run = subprocess.run([str(ROOT / "scripts/layers"), "--check"], check=False, capture_output=True,
                         text=True)
    assert run.returncode == 0, run.stdout + run.stderr


# Sources that read a header of the machine's model, also through others. A change of it compiles all of them, so a
# header of tests declares a class (class PciFunction;) where that is enough. Lower a number when it can be lower.
READERS_MAX = {"types.h": 171, "pci_function.h": 166, "iommu_unit.h": 85}
# Where names in #include "..." and <...> are looked for, after the folder of the file.
FOLDERS = [ROOT / name for name in (
    "lib/base/include", "lib/machine/include", "lib/machine", "lib/hostkernel/api", "lib/hostkernel/src",
    "lib/vfio_user/include", "lib/wd/include", "lib/wd/src", "lib/wd/hosted/include", "lib/vmm/include", "examples/vmm",
    "selftests/unit")]


def read_by(path, known):
    """Our headers, without the kernel's, that @path reads. @known: {file: headers that it includes itself}"""
    seen, new = set(), [path]
    while new:
        file = new.pop()
        if file not in known:
            names = include_rules.INCLUDE.findall(file.read_text(encoding="utf-8"))
            found = [next((f / name for f in [file.parent, *FOLDERS] if (f / name).is_file()), None) for _, name in names]
            known[file] = {header.resolve() for header in found if header}
        new += known[file] - seen
        seen |= known[file]
    return seen


@pytest.fixture(name="readers", scope="module")
def readers_fixture(files):
    """{header: number of sources that read it}"""
    known, count = {}, {}
    for path in {p for paths in files.values() for p in paths if p.suffix in (".c", ".cpp")}:
        for header in read_by(path, known):
            count[header] = count.get(header, 0) + 1
    return count


@pytest.mark.parametrize("name", READERS_MAX)
def test_headers_of_the_machine_have_few_readers(readers, name):
    number = readers[ROOT / "lib/machine/include/machine" / name]
    assert READERS_MAX[name] - 5 <= number <= READERS_MAX[name]


# Files of a part that its other files use: {file: headers of those which it must not need}.
BOTTOM = {"kernel/iommu/vtd/qi.c": {"vtd.h", "iommu_pasid.h"}, "kernel/iommu/vtd/command.c": {"vtd.h", "iommu_pasid.h"}}


@pytest.mark.parametrize("name", BOTTOM)
def test_the_bottom_of_a_part_knows_nobody_above(name):
    """With all that its headers of the same folder include."""
    seen, new = set(), {name}
    while new:
        path = ROOT / new.pop()
        for _, include in include_rules.INCLUDE.findall(path.read_text(encoding="utf-8")):
            if include not in seen:
                seen.add(include)
                if (path.parent / include).exists():
                    new.add(str((path.parent / include).relative_to(ROOT)))
    assert seen > {"unit.h", "qi.h"}
    assert not seen & BOTTOM[name]


def test_no_hosted_conditionals_in_kernel(files):
    """kernel/ is the same source on every host; versions are tested in one header only."""
    bad = []
    for path in files["kernel"]:
        text = path.read_text(encoding="utf-8")
        if re.search(r"^\s*#\s*(if|ifdef|ifndef|elif).*HOSTED", text, re.M):
            bad.append(str(path))
        if path.name != "compat.h" and "LINUX_VERSION_CODE" in text:
            bad.append(str(path))
    assert not bad
