# SPDX-License-Identifier: Apache-2.0
"""Programs of Linux's own tests, and drivers, compiled unmodified from Debian's packages with the kernel's sources.

Debian 12 has no linux-source-7.2, so it comes from trixie-backports, by an apt of its own, which checks
signatures as always. Only the folders that the tests need are unpacked. Nothing of it is in the repository.
"""

import os
import pathlib
import shutil
import subprocess

from vm import cache, qemu  # pylint: disable=import-error

PACKAGE = "linux-source-7.2"
# Of the archive; the package has the sources as one compressed archive.
FOLDERS = ("tools/testing/selftests/iommu", "tools/testing/selftests/vfio", "tools/testing/selftests/kselftest.h",
           "tools/testing/selftests/kselftest_harness.h", "tools/testing/selftests/kselftest", "tools/include",
           "tools/arch/x86/include", "drivers/iommu/iommufd/iommufd_test.h", "drivers/dma/idxd/registers.h",
           "drivers/dma/ioat", "include/linux/pci_ids.h", "include/uapi/linux/iommufd.h", "include/uapi/linux/vfio.h",
           "include/uapi/linux/idxd.h")
VFIO_PROGRAMS = ("vfio_dma_mapping_test", "vfio_dma_mapping_mmio_test", "vfio_iommufd_setup_test",
                 "vfio_pci_device_test", "vfio_pci_device_init_perf_test")
# Linux's driver of the accelerators, in Debian 12's package for its kernel.
DRIVER_ARCHIVE = pathlib.Path("/usr/src/linux-source-6.1.tar.xz")
DRIVER_FOLDERS = ("drivers/crypto/hisilicon", "drivers/misc/uacce")
DRIVER_KBUILD = """# SPDX-License-Identifier: GPL-2.0-only
ccflags-y := -DCONFIG_UACCE_MODULE=1 -DCONFIG_CRYPTO_DEV_HISI_QM_MODULE=1
obj-m := uacce.o hisi_qm.o hisi_zip.o
uacce-y := drivers/misc/uacce/uacce.o
hisi_qm-y := drivers/crypto/hisilicon/qm.o drivers/crypto/hisilicon/sgl.o drivers/crypto/hisilicon/debugfs.o
hisi_zip-y := drivers/crypto/hisilicon/zip/zip_main.o drivers/crypto/hisilicon/zip/zip_crypto.o
"""
TIMEOUT_S = 1800


def run(argv, **options):
    """Runs a command. If it fails, the error has its output."""
    result = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, **options)
    if result.returncode:
        raise cache.VmError(f"{' '.join(map(str, argv))}:\n{result.stdout[-1000:]}{result.stderr[-2000:]}")


def apt(state):
    """An apt-get that sees only trixie-backports, with its state in the folder @state."""
    for name in ("lists/partial", "cache/archives/partial"):
        (state / name).mkdir(parents=True, exist_ok=True)
    sources = state / "sources.list"
    sources.write_text(f"deb {qemu.debian_mirror()} trixie-backports main\n", encoding="ascii")
    return ["apt-get", "-q", "-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=/dev/null",
            "-o", f"Dir::State::lists={state / 'lists'}", "-o", f"Dir::Cache={state / 'cache'}"]


def unpack_archive(partial, folders):
    """Downloads the package and unpacks @folders of the kernel's sources."""
    state = partial / "apt"
    command = apt(state)
    run([*command, "update"])
    # The user of apt may not write to this folder; root downloads.
    run([*command, "-o", "APT::Sandbox::User=root", "download", PACKAGE], cwd=partial)
    (package,) = partial.glob("*.deb")
    run(["dpkg-deb", "--extract", package, partial / "package"])
    (archive,) = (partial / "package/usr/src").glob("*.tar.xz")
    run(["tar", "-xf", archive, "-C", partial, "--strip-components=1", *folders])
    shutil.rmtree(partial / "package")
    shutil.rmtree(state)
    package.unlink()


def unpack(partial):
    """Unpacks the folders that the tests need."""
    unpack_archive(partial, [f"{PACKAGE}/{name}" for name in FOLDERS])


def unpack_all(partial):
    """Unpacks all of the kernel's sources to a folder in @partial."""
    folder = partial / "source"
    folder.mkdir(parents=True)
    unpack_archive(folder, [])
    return folder


def tree(build):
    """The folder with the sources."""
    return cache.made_once(cache.shared(build) / f"{PACKAGE}-tests", unpack)


def programs(build, target):
    """Compiles the tests of /dev/iommu to the folder @target, without libraries that the guest may lack."""
    top = tree(build)
    folder = top / "tools/testing/selftests/iommu"
    target.mkdir(parents=True, exist_ok=True)
    for name in ("iommufd", "iommufd_fail_nth"):
        # As their Makefile does.
        run([os.environ.get("CC", "gcc"), "-D_GNU_SOURCE=", "-D__user=", "-O2", "-static", "-w", f"-I{folder.parent}",
             f"-I{top / 'include/uapi'}", "-o", target / name, folder / f"{name}.c", "-lcap"])
    return target


def vfio_programs(build, target):
    """Compiles the tests of VFIO to the folder @target. Those for other hardware are not among them."""
    top = tree(build)
    folder = top / "tools/testing/selftests/vfio"
    library = sorted(folder.glob("lib/*.c")) + sorted(folder.glob("lib/drivers/*/*.c"))
    includes = (folder.parent, folder / "lib/include", top / "tools/include", top / "tools/arch/x86/include",
                top / "include/uapi")
    target.mkdir(parents=True, exist_ok=True)
    for name in VFIO_PROGRAMS:
        # As their Makefile does. 7.2.13 calls calloc_assert(), which only later versions define.
        run([os.environ.get("CC", "gcc"), "-D_GNU_SOURCE=", "-Dcalloc_assert=calloc", "-O2", "-static", "-w",
             *(f"-I{path}" for path in includes), "-o", target / name, folder / f"{name}.c", *library, "-luuid",
             "-lpthread"])
    return target


def driver_modules(kernel, target):
    """Compiles Linux's modules uacce, hisi_qm and hisi_zip for @kernel to the folder @target."""
    target.mkdir(parents=True, exist_ok=True)
    top = DRIVER_ARCHIVE.name.split(".tar", maxsplit=1)[0]
    run(["tar", "-xf", DRIVER_ARCHIVE, "-C", target, "--strip-components=1",
         *(f"{top}/{name}" for name in DRIVER_FOLDERS)])
    (target / "Kbuild").write_text(DRIVER_KBUILD, encoding="ascii")
    run(["make", "-C", kernel.headers, f"M={target}", f"-j{os.cpu_count()}", "modules"])
    return [target / f"{name}.ko" for name in ("uacce", "hisi_qm", "hisi_zip")]
