# SPDX-License-Identifier: Apache-2.0
"""wd_crypt compared with openssl(1), both directions, good files and bad ones."""

import random
import subprocess

import pytest

from results import error_line  # pylint: disable=import-error

KEY, IV = bytes(range(32)), bytes([0xff] * 15 + [0xf0])
SIZES = (0, 1, 15, 16, 17, 4096, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (3 << 20) + 5)


def data_of(size):
    return random.Random(size).randbytes(size)


def keys(alg):
    """Options of wd_crypt for the key and IV, and those of openssl."""
    key = KEY[:int(alg.split("-")[1]) // 8].hex()
    if alg.endswith("ecb"):
        return ["--key", key], ["-K", key]
    return ["--key", key, "--iv", IV.hex()], ["-K", key, "-iv", IV.hex()]


def openssl(alg, *options, data):
    run = subprocess.run(["openssl", "enc", f"-{alg}", *options], input=data, capture_output=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture(name="wd_crypt")
def fixture_wd_crypt(tools, host):
    def run(*arguments, data=b""):
        return host.run([tools["wd_crypt"], *arguments], input=data, text=False, env={"WD_MACHINE": "with-sec"})
    if host.run([tools["wdctl"], "topology"], env={"WD_MACHINE": "with-sec"}).stdout.find("cipher") < 0:
        pytest.skip("this machine has no accelerator of ciphers")
    return run


def good(run):
    assert run.returncode == 0, run.stderr.decode()
    assert run.stderr == b""
    return run.stdout


@pytest.mark.parametrize("alg", ["aes-128-ecb", "aes-256-cbc", "aes-192-ctr", "aes-128-cbc"])
def test_agrees_with_openssl(wd_crypt, alg):
    ours, theirs = keys(alg)
    for size in SIZES:
        plain = data_of(size)
        cipher = good(wd_crypt("--alg", alg, *ours, data=plain))
        assert cipher == openssl(alg, "-e", *theirs, data=plain), size
        assert good(wd_crypt("-d", "--alg", alg, *ours, data=cipher)) == plain, size


def test_wrong_input_is_told(wd_crypt):
    ours, _ = keys("aes-256-cbc")
    cipher = good(wd_crypt(*ours, data=data_of(100)))
    other = ["--key", bytes(32).hex(), *ours[2:]]
    for options, data, text in ((ours, cipher[:-1], "blocks"), (ours, b"", "padding"), (ours, cipher[:-16], "padding"),
                                (other, cipher, "padding")):
        run = wd_crypt("-d", *options, data=data)
        assert run.returncode == 1
        error_line(run.stderr.decode(), text, program="wd_crypt")


def test_wrong_options(wd_crypt):
    ours, _ = keys("aes-256-cbc")
    for arguments in ((), ours[:2], ("--alg", "aes-256-ecb", *ours), ("--alg", "rot13", *ours), (*ours, "--more")):
        run = wd_crypt(*arguments)
        assert run.returncode == 2 and run.stderr.startswith(b"usage: ")
    for arguments in (["--key", "00", *ours[2:]], ["--key", "zz" * 32, *ours[2:]], [*ours[:2], "--iv", "ff"]):
        assert wd_crypt(*arguments).returncode == 1
