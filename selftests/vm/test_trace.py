# SPDX-License-Identifier: Apache-2.0
"""The modules' events are tracepoints of the kernel, and agree with the table of the documentation."""

import re

import pytest

from trace_table import documented  # pylint: disable=import-error
from vm import tracefs
from vm.tracefs import TRACING

pytestmark = pytest.mark.only_on("vm", reason="about the guest's kernel")
SYSTEMS = ("wd_iommu", "iommufd", "hisi_qm", "wd_vfio")


def events_of(system):
    """The names of the events in the documentation."""
    names = (name.split(":") for name in documented())
    return {event for of, event in names if of == system}


@pytest.fixture(name="tracing")
def fixture_tracing(host):
    """Mounts tracefs and empties the buffer. At the end it switches all events off."""
    tracefs.mount(host)
    tracefs.clear(host)
    yield
    host.sh("".join(f"echo 0 >{TRACING}/events/{s}/enable\n" for s in SYSTEMS))


@pytest.mark.usefixtures("tracing")
def test_every_event_is_a_tracepoint(host):
    for system in SYSTEMS:
        events = events_of(system)
        there = host.sh(f"cd {TRACING}/events/{system} && ls -d */").split()
        assert events and {name.rstrip("/") for name in there} == events


@pytest.mark.usefixtures("tracing")
def test_an_attachment_leaves_its_events(host):
    host.sh("".join(f"echo 1 >{TRACING}/events/{s}/enable\n" for s in SYSTEMS))
    host.sh("wdctl attach --device hisi_zip-0 --pasid auto")
    text = host.sh(f"cat {TRACING}/trace")
    pasid = re.search(r"iommufd_attach: dev=(\S+) pasid=(\d+) pt=\d+ ret=0", text)
    assert pasid, text[-4000:]
    address, pasid = pasid.groups()
    entry = rf"sid={address.split(':', 1)[1]} pasid={pasid} did=\d+ pgtt=second"
    for line in (rf"vtd_attach: {entry}", rf"vtd_detach: {entry}",
                 rf"vtd_invalidate_submit: unit=\S+ type=pasid-cache q0=0x[0-9a-f]{{16}}",
                 r"vtd_invalidate_done: unit=\S+ iqt=\d+ ret=0",
                 rf"vtd_fault: unit=\S+ sid=\S+ pp=1 pasid={pasid} addr=0x[0-9a-f]+ fr=0x79 type=read",
                 r"iommufd_map: ioas=\d+ iova=0x[0-9a-f]+ length=0x[0-9a-f]+ .* ret=0",
                 rf"hisi_qm_queue_start: dev={address} qp=\d+ type=\d pasid={pasid} ret=0",
                 rf"hisi_qm_mailbox: dev={address} cmd=SQC queue=\d+"):
        assert re.search(line, text), f"no {line!r} in {text[-8000:]}"
