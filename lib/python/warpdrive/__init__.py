# SPDX-License-Identifier: Apache-2.0
"""Queues of accelerators behind /dev/iommu: topology, queues, compression (Documentation/guide/python.rst)."""

from ._warpdrive import (
    Accelerator,
    Compressor,
    DataError,
    Decompressor,
    Error,
    Node,
    Queue,
    Result,
    Topology,
    __version__,
    compress,
    decompress,
    topology,
)

__all__ = [
    "Accelerator",
    "Compressor",
    "DataError",
    "Decompressor",
    "Error",
    "Node",
    "Queue",
    "Result",
    "Topology",
    "compress",
    "decompress",
    "topology",
]
