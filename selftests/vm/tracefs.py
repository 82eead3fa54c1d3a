# SPDX-License-Identifier: Apache-2.0
"""The guest's trace buffer. @guest is an object with sh(): a Machine, or the host of a test."""

TRACING = "/sys/kernel/tracing"


def mount(guest):
    """Mounts tracefs, unless it is."""
    guest.sh(f"[ -d {TRACING}/events ] || mount -t tracefs nodev {TRACING}")


def clear(guest):
    """Empties the buffer."""
    guest.sh(f"echo >{TRACING}/trace")
