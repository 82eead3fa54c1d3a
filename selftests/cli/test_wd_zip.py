# SPDX-License-Identifier: Apache-2.0
"""wd_zip compared with gzip(1) and zlib, both directions, good files and bad ones."""

import gzip
import random
import subprocess
import zlib

import pytest

from results import error_line  # pylint: disable=import-error

class WdZip:
    """Runs wd_zip; the result has returncode, stdout and stderr, as bytes."""

    def __init__(self, host, program):
        self.host, self.program = host, program

    def __call__(self, *arguments, data=b"", env=None):
        return self.host.run([self.program, *arguments], input=data, text=False, env=env)

    def good(self, *arguments, data=b""):
        """Standard output of a run that must succeed, with nothing on stderr."""
        result = self(*arguments, data=data)
        assert result.returncode == 0, result.stderr.decode()
        assert result.stderr == b""
        return result.stdout

    def refused(self, *arguments, data=b"", text=""):
        """Exit status 1 and one line with the error, nothing else on stderr."""
        result = self(*arguments, data=data)
        assert result.returncode == 1, (result.returncode, result.stderr)
        error_line(result.stderr.decode(), text, program="wd_zip")
        return result


@pytest.fixture(name="wd_zip")
def fixture_wd_zip(tools, host):
    return WdZip(host, tools["wd_zip"])


def words(size):
    chooser = random.Random(size)
    vocabulary = [b"queue", b"doorbell", b"address", b"space", b"process", b"table", b"\n"]
    parts = []
    length = 0
    while length < size:
        parts.append(chooser.choice(vocabulary))
        length += len(parts[-1]) + 1
    return b" ".join(parts)[:size]


def noise(size):
    return random.Random(1).randbytes(size)


FILES = {
    "empty": b"",
    "one byte": b"x",
    "a block less one": words((1 << 20) - 1),
    "1 MiB text": words(1 << 20),
    "a block and one": words((1 << 20) + 1),
    "10 MiB random": noise(10 << 20),
    "3 MiB zeros": bytes(3 << 20),
}


@pytest.fixture(params=FILES, name="content")
def content_fixture(request):
    return FILES[request.param]


def test_gzip_reads_ours(wd_zip, content):
    packed = wd_zip.good(data=content)
    result = subprocess.run(["gzip", "-dc"], input=packed, capture_output=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout == content


@pytest.mark.parametrize("level", ["-1", "-9"])
def test_we_read_gzips(wd_zip, content, level):
    packed = subprocess.run(["gzip", "-c", level], input=content, capture_output=True,
                            check=True).stdout
    assert wd_zip.good("-d", data=packed) == content


def test_zlib_both_ways(wd_zip, content):
    assert zlib.decompress(wd_zip.good("--alg", "zlib", data=content)) == content
    assert wd_zip.good("-d", "--alg", "zlib", data=zlib.compress(content)) == content


def test_text_gets_smaller(wd_zip):
    assert len(wd_zip.good(data=FILES["1 MiB text"])) < (1 << 20) // 2


def test_optional_header_fields(wd_zip, tmp_path):
    """gzip(1) writes FNAME for a named file; the test adds the other fields."""
    file = tmp_path / "a file with a name.txt"
    file.write_bytes(b"contents")
    packed = subprocess.run(["gzip", "-c", "-N", file], capture_output=True, check=True).stdout
    assert packed[3] & 8
    assert wd_zip.good("-d", data=packed) == b"contents"
    body = gzip.compress(b"contents", mtime=0)[10:]
    header = b"\x1f\x8b\x08\x1f\0\0\0\0\0\x03" + b"\x04\0abcd" + b"name\0" + b"comment\0"
    crc = (zlib.crc32(header) & 0xffff).to_bytes(2, "little")
    assert wd_zip.good("-d", data=header + crc + body) == b"contents"
    wd_zip.refused("-d", data=header + b"\0\0" + body, text="not in this format")


def test_members_one_after_the_other(wd_zip):
    parts = [words(10), b"", noise(3000), words(100000), b"end"]
    packed = b"".join(gzip.compress(part) for part in parts)
    assert wd_zip.good("-d", data=packed) == b"".join(parts)


def test_many_tiny_members(wd_zip):
    assert wd_zip.good("-d", data=gzip.compress(b"ab") * 2000) == b"ab" * 2000


@pytest.mark.parametrize("cut", range(-12, 13))
def test_member_boundary_near_a_block_boundary(wd_zip, cut):
    """The second member's header falls around the end of the first block that is read."""
    size = (1 << 20) + cut
    first = gzip.compress(noise(size), compresslevel=0)
    while len(first) > (1 << 20) + cut:
        size -= len(first) - (1 << 20) - cut
        first = gzip.compress(noise(size), compresslevel=0)
    assert wd_zip.good("-d", data=first + gzip.compress(b"second")) == noise(size) + b"second"


def test_zero_padding_is_ignored(wd_zip):
    assert wd_zip.good("-d", data=gzip.compress(b"tape") + bytes(5000)) == b"tape"


@pytest.mark.parametrize("algorithm,pack", [("gzip", gzip.compress), ("zlib", zlib.compress)])
def test_truncated(wd_zip, algorithm, pack):
    content = words(200000)
    packed = pack(content)
    for length in [0, 1, 2, 5, 10, 11, 1000, len(packed) - 9, len(packed) - 1]:
        result = wd_zip("-d", "--alg", algorithm, data=packed[:length])
        assert result.returncode == 1, length
        error_line(result.stderr.decode(), program="wd_zip: standard input")
        assert content.startswith(result.stdout)


def test_corrupt_checksum(wd_zip):
    packed = bytearray(gzip.compress(words(50000)))
    packed[-6] ^= 1
    wd_zip.refused("-d", data=bytes(packed), text="checksum")
    packed = bytearray(gzip.compress(words(50000)))
    packed[-1] ^= 1
    wd_zip.refused("-d", data=bytes(packed))
    packed = bytearray(zlib.compress(words(50000)))
    packed[-1] ^= 1
    wd_zip.refused("-d", "--alg", "zlib", data=bytes(packed), text="checksum")


def test_corrupt_body(wd_zip):
    """wd_zip notices any changed byte, at least by the checksum."""
    packed = gzip.compress(words(20000))
    chooser = random.Random(5)
    for _ in range(12):
        bad = bytearray(packed)
        bad[chooser.randrange(10, len(bad))] ^= 1 << chooser.randrange(8)
        wd_zip.refused("-d", data=bytes(bad), text="standard input")


@pytest.mark.parametrize("data", [b"plain text", b"\x1f\x8b\x07" + bytes(30),
                                  b"\x1f\x8b\x08\xe0" + bytes(30), b"x"])
def test_not_gzip(wd_zip, data):
    wd_zip.refused("-d", data=data, text="standard input")


def test_not_zlib(wd_zip):
    wd_zip.refused("-d", "--alg", "zlib", data=gzip.compress(b"x"), text="not in this format")
    dictionary = zlib.compressobj(zdict=b"words").compress(b"") + bytes(10)
    wd_zip.refused("-d", "--alg", "zlib", data=b"\x78\xbb" + dictionary, text="not in this format")


def test_garbage_behind_the_end(wd_zip):
    wd_zip.refused("-d", data=gzip.compress(b"x") + b"garbage")
    wd_zip.refused("-d", data=gzip.compress(b"x") + bytes(10) + b"g", text="after the end")
    wd_zip.refused("-d", "--alg", "zlib", data=zlib.compress(b"x") + b"y", text="after the end")


@pytest.mark.parametrize("arguments", [["-x"], ["--alg"], ["--alg", "lz4"], ["file"]])
def test_usage(wd_zip, arguments):
    result = wd_zip(*arguments)
    assert result.returncode == 2
    assert result.stderr.startswith(b"usage:")


@pytest.mark.only_on("hosted", reason="elsewhere the machine is what it is")
def test_no_such_machine(wd_zip):
    result = wd_zip(data=b"x", env={"WD_MACHINE": "no-such"})
    assert result.returncode == 1
    error_line(result.stderr.decode(), "no-such", "two-socket", program="wd_zip")


def test_output_that_cannot_be_written(wd_zip, host):
    result = host.run(["sh", "-c", f"exec '{wd_zip.program}' >/dev/full"], input=b"x", text=False)
    assert result.returncode == 1
    assert b"standard output" in result.stderr
