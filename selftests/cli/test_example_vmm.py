# SPDX-License-Identifier: Apache-2.0
"""The example for VMM authors works as its text says."""

import re


def test_example(tools, host):
    run = host.run([tools["vmm"]])
    assert run.returncode == 0, run.stdout + run.stderr
    lines = run.stdout.splitlines()
    assert len(lines) == 4, run.stdout
    assert re.match(r"hisi_zip-\d, guest PASID 1 = host PASID \d+, nested", lines[0])
    found = re.match(r"compressed (\d+) bytes to (\d+): success; (\d+) groups of page faults "
                     r"resolved by the guest, (\d+) output pages came", lines[1])
    assert found, lines[1]
    size, packed, groups, pages = map(int, found.groups())
    assert size == 262144 and 0 < packed < size / 2 and groups > 0
    assert pages * 4096 >= packed  # the engine may ask for more pages than it uses
    assert re.match(r"address outside the process: request failed, [1-9]\d* refused", lines[2])
    assert lines[3] == "after munmap() in the guest: request failed"
