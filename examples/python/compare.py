#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compress a file on the nearest accelerator, as a whole and block by block, and compare with zlib.

usage: compare.py FILE
"""

import gzip
import sys
import time
import zlib

import warpdrive

BLOCK = 64 << 10


def as_a_whole(data):
    start = time.perf_counter()
    packed = warpdrive.compress(data)
    taken = time.perf_counter() - start
    assert gzip.decompress(packed) == data
    print(f"one stream: {len(data)} bytes became {len(packed)} in {taken:.3f} s (zlib: {len(zlib.compress(data))})")


def block_by_block(data):
    blocks = [data[at:at + BLOCK] for at in range(0, len(data), BLOCK)]
    packed = {}
    with warpdrive.Queue("zlib", depth=8, input=BLOCK) as queue:
        sent = 0
        while len(packed) < len(blocks):
            while sent < len(blocks) and queue.submit(blocks[sent], user=sent):
                sent += 1
            queue.wait()
            for result in queue.poll():
                assert result.ok, result.status
                packed[result.user] = result.data
        print(f"{len(blocks)} blocks through {queue.device}, PASID {queue.pasid}: "
              f"{sum(map(len, packed.values()))} bytes")
    assert all(zlib.decompress(packed[i]) == block for i, block in enumerate(blocks))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    topology = warpdrive.topology()
    print("accelerators:", ", ".join(f"{a.name} on node {a.node}" for a in topology.accelerators))
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    as_a_whole(data)
    block_by_block(data)


if __name__ == "__main__":
    main()
