# SPDX-License-Identifier: Apache-2.0
"""Programs need only what `meson install` installs: they compile, link and run without the source tree."""

import gzip
import os
import pathlib
import re
import shutil
import subprocess

import pytest

TEXT = b"a stranger installs it and links with it\n" * 500
CC, CXX = ["gcc", "-std=gnu11"], ["g++", "-std=c++20"]
WARN = ["-Wall", "-Wextra", "-Werror"]

# This source is C and C++. It sends one block through a queue; a child must not be able to use the queue.
BOTH_C = r'''
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wd/zip.h>

#define PAGE 4096
static unsigned char memory[16 * PAGE] __attribute__((aligned(PAGE)));

int main(void)
{
	struct wd_queue q;
	struct wd_zip_req r;
	int status = 0;
	pid_t child;

	memset(&q, 0, sizeof(q));
	memset(&r, 0, sizeof(r));
	q.capa.alg = "gzip";
	if (wd_request_queue(&q) || wd_mem_share(&q, memory, sizeof(memory), 0)) {
		fprintf(stderr, "%s\n", wd_last_error());
		return 1;
	}
	r.src = memory;
	r.src_len = fread(memory, 1, 6 * PAGE, stdin);
	r.dst = memory + 8 * PAGE;
	r.dst_len = 8 * PAGE;
	if (wd_zip_run(&q, &r, 60000) || r.status != WD_ZIP_OK)
		return 2;
	if (fwrite(r.dst, 1, r.produced, stdout) != r.produced || fflush(stdout))
		return 3;
	child = fork();
	if (!child)
		_exit(wd_send(&q, &r) == -ESTALE ? 0 : 1);
	if (waitpid(child, &status, 0) != child || status)
		return 4;
	wd_release_queue(&q);
	return 0;
}
'''

VMM_CPP = r'''
#include <cstdio>
#include <vmm/virtual_iommu.h>
#include <wd/queue.h>

int main()
try {
	const auto host = wd::Host::shared();
	const auto topology = wd::Topology::discover(*host);
	wd::Iommufd iommufd(*host);
	wd::Queue queue(*host, topology.require("", topology.here()));
	wd::vmm::GuestMemory memory(iommufd);
	wd::vmm::QueueDevice device(queue, iommufd);
	wd::vmm::VirtualIommu unit(memory, device.id());
	unit.addQueue(8, 5, device);
	try {
		unit.addQueue(8, 5, device);
	} catch (const wd::Error &error) { /* thrown in one library, caught here */
		std::puts(error.code() == std::errc::file_exists ? "refused" : "?");
	}
	unit.removeDevice(device);
	return 0;
} catch (const wd::Error &error) {
	std::fprintf(stderr, "%s\n", error.line().c_str());
	return 1;
}
'''

HOST_C = r'''
#include <stdio.h>
#include <unistd.h>
#include <wd/host.h>

/* host [KIND [FOLDER]]: opens a host, in a working directory */
int main(int argc, char **argv)
{
	struct wd_host *host;
	int error;

	if (argc > 2 && chdir(argv[2]))
		return 2;
	error = wd_host_open(argc > 1 ? argv[1] : NULL, NULL, &host);
	if (error) {
		printf("%d %s\n", error, wd_host_error());
		return 1;
	}
	printf("%s\n", wd_host_kind(host));
	wd_host_close(host);
	return 0;
}
'''

MESON = '''project('stranger', 'c', 'cpp', default_options : ['cpp_std=c++20'])
executable('from_c', 'both.c', dependencies : dependency('warpdrive'))
executable('from_cpp', 'vmm.cpp', dependencies : dependency('warpdrive-vmm'))
'''

CMAKE = '''cmake_minimum_required(VERSION 3.18)
project(stranger C)
find_package(PkgConfig REQUIRED)
pkg_check_modules(WARPDRIVE REQUIRED IMPORTED_TARGET warpdrive)
add_executable(from_c both.c)
target_link_libraries(from_c PkgConfig::WARPDRIVE)
'''


class Installed:
    """The folder of `meson install --destdir`, and programs that use nothing else."""

    def __init__(self, build, folder):
        self.build, self.destdir = build, folder
        (header,) = folder.rglob("include/warpdrive/wd/wd.h")
        self.include = header.parents[1]
        self.prefix = header.parents[3]
        (pc,) = folder.rglob("pkgconfig/warpdrive.pc")
        self.pkgconfig, self.lib = pc.parent, pc.parents[1]
        self.plugin = self.lib / "warpdrive" / "libwd-hosted.so"
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("WD_", "PKG_CONFIG", "C_INCLUDE", "CPATH"))}
        self.env = {**keep, "PKG_CONFIG_PATH": str(self.pkgconfig), "PKG_CONFIG_SYSROOT_DIR": str(folder),
                    "LD_LIBRARY_PATH": str(self.lib), "WD_HOST": "hosted"}

    def flags(self, package, *options):
        run = subprocess.run(["pkg-config", *options, package], env=self.env, check=True, capture_output=True,
                             text=True)
        return run.stdout.split()

    def compile(self, source, output, compiler, package="warpdrive"):
        """As in the README: COMPILER SOURCE $(pkg-config --cflags --libs PACKAGE)."""
        command = [*compiler, *WARN, source, "-o", output, *self.flags(package, "--cflags", "--libs")]
        assert not [word for word in map(str, command) if str(self.build) in word]
        run = subprocess.run(command, env=self.env, cwd=output.parent, check=False, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr[-3000:]
        return output

    def run(self, *argv, **options):
        env = {**self.env, **options.pop("env", {})}
        return subprocess.run(argv, env=env, check=False, capture_output=True, timeout=300, **options)

    def compress(self, program):
        run = self.run(program, input=TEXT[:6 * 4096])
        assert run.returncode == 0, run.stderr
        assert gzip.decompress(run.stdout) == TEXT[:6 * 4096]


@pytest.fixture(scope="module", name="installed")
def fixture_installed(build, destdir):
    return Installed(build, destdir)


def exported(library):
    """The strong names that a library exports, demangled and without versions, and its versions."""
    out = subprocess.run(["nm", "-D", "-C", "--defined-only", library], check=True, capture_output=True,
                         text=True).stdout
    names, versions = set(), set()
    for line in out.splitlines():
        kind, name = line[16:].strip().split(" ", 1)
        name, _, version = name.partition("@@")
        if kind == "A":
            continue
        versions.add(version)
        # Ignore weak names: inline functions, which the compiler may or may not put there.
        if kind != "W":
            names.add(name)
    return names, versions


def test_the_same_source_in_c_and_cpp(installed, tmp_path):
    source = tmp_path / "both.c"
    source.write_text(BOTH_C)
    installed.compress(installed.compile(source, tmp_path / "as_c", ["gcc"]))
    # The C interface needs no recent C++.
    installed.compress(installed.compile(source, tmp_path / "as_cpp", ["g++", "-xc++", "-std=c++11"]))


def test_samples(installed, root, tmp_path):
    for name in ("wd_zip.c", "compress_block.cpp"):
        shutil.copy(root / "lib/wd/samples" / name, tmp_path)
    program = installed.compile(tmp_path / "wd_zip.c", tmp_path / "wd_zip", CC)
    run = installed.run(program, input=TEXT)
    assert run.returncode == 0 and gzip.decompress(run.stdout) == TEXT
    run = installed.run(program, "-d", input=run.stdout)
    assert run.returncode == 0 and run.stdout == TEXT
    run = installed.run(installed.compile(tmp_path / "compress_block.cpp", tmp_path / "block", CXX))
    assert run.returncode == 0 and b"65536 bytes became" in run.stdout, run.stderr


def test_vmm_library(installed, tmp_path):
    source = tmp_path / "vmm.cpp"
    source.write_text(VMM_CPP)
    run = installed.run(installed.compile(source, tmp_path / "vmm", CXX, "warpdrive-vmm"))
    assert run.returncode == 0 and run.stdout == b"refused\n", run.stderr


def test_meson_project(installed, tmp_path):
    (tmp_path / "meson.build").write_text(MESON)
    (tmp_path / "both.c").write_text(BOTH_C)
    (tmp_path / "vmm.cpp").write_text(VMM_CPP)
    for command in (["meson", "setup", "out"], ["ninja", "-C", "out"]):
        run = installed.run(*command, cwd=tmp_path)
        assert run.returncode == 0, run.stdout + run.stderr
    installed.compress(tmp_path / "out" / "from_c")
    assert installed.run(tmp_path / "out" / "from_cpp").returncode == 0


def test_cmake_project(installed, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(CMAKE)
    (tmp_path / "both.c").write_text(BOTH_C)
    for command in (["cmake", "-S", ".", "-B", "out", "-G", "Ninja"], ["cmake", "--build", "out"]):
        run = installed.run(*command, cwd=tmp_path)
        assert run.returncode == 0, run.stdout + run.stderr
    installed.compress(tmp_path / "out" / "from_c")


def check_alone(installed, header, include, compiler):
    run = subprocess.run([*compiler, *WARN, "-fsyntax-only", f"-I{include}", "-"],
                         input=f'#include "{header.relative_to(include)}"\n', env=installed.env, check=False,
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]


def test_headers_are_self_contained(installed):
    uapi = installed.include / "uapi"
    headers = sorted(p for p in installed.include.rglob("*") if p.is_file())
    names = {str(p.relative_to(installed.include)) for p in headers}
    assert {"wd/wd.h", "wd/zip.h", "wd/host.h", "wd/queue.h", "vmm/virtual_iommu.h",
            "uapi/linux/iommufd.h"} <= names
    assert not names & {"wd/hosted_host.h", "wd/native_host.h"}
    for header in headers:
        include = uapi if uapi in header.parents else installed.include
        if uapi in header.parents or 'extern "C"' in header.read_text():
            check_alone(installed, header, include, ["gcc", "-std=c99", "-xc"])
            check_alone(installed, header, include, ["g++", "-std=c++11", "-xc++"])
        elif header.parent.name == "vmm":  # selftests/unit/lib/wd compiles each header of lib/wd alone
            check_alone(installed, header, include, ["g++", "-std=c++20", "-xc++"])
        for name in re.findall(r'#include "(.*)"', header.read_text()):
            assert (include / name).is_file(), f"{header} includes {name}, which is not installed"


def test_an_older_cpp_is_told(installed):
    run = subprocess.run(["g++", "-std=c++17", "-fsyntax-only", "-xc++", f"-I{installed.include}", "-"],
                         input='#include "wd/queue.h"\n', check=False, capture_output=True, text=True)
    assert run.returncode != 0 and "compile with -std=c++20" in run.stderr


@pytest.mark.parametrize("name,soname,version", [("wd", "libwd.so.1", "WD_1"),
                                                 ("wd-vmm", "libwd-vmm.so.1", "WD_VMM_1")])
def test_exported_names(installed, name, soname, version):
    """The exported names are those of the list. WD_UPDATE_SYMBOLS=1 adds new names to it."""
    library = installed.lib / f"lib{name}.so"
    dynamic = subprocess.run(["readelf", "-d", library], check=True, capture_output=True, text=True).stdout
    assert re.search(r"SONAME.*\[(.*)\]", dynamic).group(1) == soname
    assert "RPATH" not in dynamic and "RUNPATH" not in dynamic
    names, versions = exported(library)
    assert versions == {version}
    listed = pathlib.Path(__file__).parent / f"lib{name}.symbols"
    wanted = set(listed.read_text().splitlines()[1:])
    if os.environ.get("WD_UPDATE_SYMBOLS"):
        wanted |= names
        listed.write_text("# SPDX-License-Identifier: Apache-2.0\n" + "\n".join(sorted(wanted)) + "\n")
    assert names - wanted == set(), "new names: WD_UPDATE_SYMBOLS=1"
    assert wanted - names == set(), "names went away: programs that were linked before do not start"


def test_the_plugin_exports_one_name(installed):
    assert exported(installed.plugin)[0] == {"wd_hosted_entry"}


def test_the_library_has_no_kernel_in_it(installed):
    """libwd.so is Apache-2.0, so it has nothing of kernel/, of lib/hostkernel, or of libraries that these use."""
    symbols = subprocess.run(["nm", "-C", installed.build / "lib/wd/libwd.so"], check=True, capture_output=True,
                             text=True).stdout
    assert " wd::Queue::start(" in symbols
    assert not re.search(r"hostkernel|wd::machine|iommufd_fops| qm_|vtd_", symbols)
    dynamic = subprocess.run(["readelf", "-d", installed.lib / "libwd.so"], check=True, capture_output=True,
                             text=True).stdout
    assert not re.search(r"isal|urcu|libz", dynamic)


@pytest.fixture(name="asks")
def fixture_asks(installed, tmp_path):
    """A copy of the library without the plug-in, and a program that asks for a host."""
    source = tmp_path / "host.c"
    source.write_text(HOST_C)
    program = installed.compile(source, tmp_path / "host", ["gcc"])
    lib = tmp_path / "lib"
    lib.mkdir()
    shutil.copy(installed.lib / "libwd.so.1", lib)

    def ask(*words, folder=lib, **options):
        env = {"LD_LIBRARY_PATH": str(folder), "WD_HOST": ""}
        return installed.run(program, *words, env=env, text=True, **options)
    return lib, ask


def test_without_the_plugin(asks, installed):
    lib, ask = asks
    run = ask("hosted")
    assert run.returncode == 1 and run.stdout.startswith("-95 "), run.stdout
    assert str(lib / "warpdrive/libwd-hosted.so") in run.stdout
    assert "install the hosted part of this library" in run.stdout
    assert "/dev/iommu" in ask("native").stdout or ask("native").stdout == "native\n"
    if not os.path.exists("/dev/iommu"):
        assert ask().stdout == run.stdout
        assert ask(folder=installed.lib).stdout == "hosted\n"


def test_the_plugin_in_the_build_folder(asks, installed):
    """Tools that are linked to libwd.so (shared_tools) also run in the build folder."""
    _, ask = asks
    run = ask("hosted", folder=installed.build / "lib/wd")
    assert run.returncode == 0 and run.stdout == "hosted\n", run.stdout


def test_a_plugin_of_another_version(asks, tmp_path):
    lib, ask = asks
    (lib / "warpdrive").mkdir()
    for code, words in (('struct { const char *v; void *f; } wd_hosted_entry = { "0.0.1", 0 };', "version 0.0.1, the"),
                        ("int other;", "it is no plug-in")):
        source = tmp_path / "plugin.c"
        source.write_text(code)
        subprocess.run(["gcc", "-shared", "-fPIC", source, "-o", lib / "warpdrive/libwd-hosted.so"], check=True)
        run = ask("hosted")
        assert run.returncode == 1 and words in run.stdout, run.stdout


def test_the_plugin_is_beside_the_library_after_chdir(installed, asks, tmp_path):
    """The library was found by a relative path. Then the program goes to a folder where that path is another file."""
    lib, ask = asks
    other = tmp_path / "other" / lib.name / "warpdrive"
    other.mkdir(parents=True)
    source = tmp_path / "false.c"
    source.write_text('#include <stdio.h>\n'
                      '__attribute__((constructor)) static void taken(void) { puts("taken"); fflush(stdout); }\n')
    subprocess.run(["gcc", "-shared", "-fPIC", source, "-o", other / "libwd-hosted.so"], check=True)
    (lib / "warpdrive").symlink_to(installed.plugin.parent)
    run = ask("hosted", str(tmp_path / "other"), folder=lib.name, cwd=tmp_path)
    assert run.returncode == 0 and run.stdout == "hosted\n", run.stdout
    (lib / "warpdrive").unlink()
    run = ask("hosted", str(tmp_path / "other"), folder=lib.name, cwd=tmp_path)
    assert run.returncode == 1 and "taken" not in run.stdout and str(lib / "warpdrive/libwd-hosted.so") in run.stdout


def test_programs(installed):
    tools = installed.prefix / "bin"
    run = installed.run(tools / "wdctl", "topology", "--nearest")
    assert run.returncode == 0 and run.stdout == b"hisi_zip-0\n", run.stderr
    run = installed.run(tools / "wd_zip", input=TEXT)
    assert run.returncode == 0 and gzip.decompress(run.stdout) == TEXT
    assert installed.run(tools / "wdmachine", "--version").returncode == 0


def test_machine_presets(installed):
    presets = sorted((installed.prefix / "share/warpdrive/machines").glob("*.json"))
    assert [preset.stem for preset in presets] == ["two-socket", "with-sec"]
    for preset in presets:
        run = installed.run(installed.prefix / "bin/wdctl", "--machine", preset, "topology", "--nearest", "--alg",
                            "gzip")
        assert run.returncode == 0 and run.stdout == b"hisi_zip-0\n", run.stderr


def test_no_path_of_the_build(installed, root):
    """Installed files do not contain the path of the sources or of the build folder, except as debug information."""
    seen = set()
    for path in filter(pathlib.Path.is_file, installed.destdir.rglob("*")):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:  # programs and libraries
            continue
        seen.add(path.suffix or "completion")
        for folder in (root, installed.build):
            assert str(folder) not in text, path
    assert seen == {".pc", ".h", ".json", ".conf", ".rules", ".1", ".fish", "completion", ".py", ".pyi", ".typed"}
