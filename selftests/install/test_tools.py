# SPDX-License-Identifier: Apache-2.0
"""Manual pages and completions have every verb and option of the tools; system files agree with the modules."""

import re
import shlex
import shutil
import subprocess
import sys

import pytest

from project import PROGRAMS, ROOT  # pylint: disable=import-error

sys.path.insert(0, str(ROOT / "install"))
import completions  # noqa: E402  pylint: disable=import-error,wrong-import-position

TOOLS = {name: path for name, path in PROGRAMS.items() if name != "vmm"}


@pytest.fixture(scope="module", name="tools")
def fixture_tools(build):
    return {name: completions.ask(build / path) for name, path in TOOLS.items()}


def test_the_parser_of_help_sees_everything(tools, build):
    """It finds every line of --help that begins with a hyphen. The other tests rely on that."""
    for name, path in TOOLS.items():
        for verb in (tools[name], *tools[name].verbs):
            words = [] if verb is tools[name] else [verb.name]
            text = subprocess.run([build / path, *words, "--help"], check=True, capture_output=True, text=True).stdout
            listed = {n for names in re.findall(r"^ +(-[\w,-]+)", text, re.M) for n in names.split(",")}
            assert listed == {n for o in verb.options for n in o.names}, verb.name
    assert [v.name for v in tools["wdctl"].verbs] == ["topology", "attach", "bench", "vfio"]
    assert [v.name for v in tools["wdmachine"].verbs] == ["serve", "qemu-args"]
    valued = {n for t in tools.values() for o in completions.all_options(t) if o.value for n in o.names}
    assert set(completions.VALUES) | completions.FILES | completions.FOLDERS <= valued


@pytest.mark.parametrize("name", TOOLS)
def test_manual_page_has_every_option(tools, name):
    """In the page's source each verb is a section, and each option is a term of its section or of the common one."""
    page = (ROOT / "Documentation/man" / f"{name}.1.rst").read_text()
    tool = tools[name]
    sections = re.split(r"\n([^\n]+)\n-+\n", page)
    texts = dict(zip(sections[1::2], sections[2::2]))
    general = sections[0] + "".join(text for title, text in texts.items() if title not in {v.name for v in tool.verbs})

    def terms(text):
        return set(re.findall(r"(?:^|, )``(-[\w-]+)", "\n".join(re.findall(r"^``-.*$", text, re.M)), re.M))
    assert {n for o in tool.options for n in o.names} <= terms(general)
    for verb in tool.verbs:
        assert verb.name in texts, f"no section {verb.name}"
        assert {n for o in verb.options for n in o.names} - terms(general) <= terms(texts[verb.name]), verb.name


def test_manual_pages_are_installed(destdir):
    if not shutil.which("sphinx-build"):
        pytest.fail("sphinx-build is not installed (scripts/packages test)")
    for name in TOOLS:
        (path,) = destdir.rglob(f"share/man/man1/{name}.1")
        page = path.read_text()
        assert page.count("\n.SH ") >= 4 and f".TH \"{name.upper()}\" \"1\"" in page


def in_bash(script, line):
    """The completions that bash offers at the end of @line."""
    words = line.split(" ")
    code = f"source {script}; COMP_WORDS=({' '.join(map(shlex.quote, words))}); COMP_CWORD={len(words) - 1}; " \
           f"_{words[0]}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    out = subprocess.run(["bash", "--norc", "-c", code], check=True, capture_output=True, text=True)
    assert out.stderr == ""
    return set(out.stdout.split())


def in_fish(script, line):
    run = subprocess.run(["fish", "--no-config", "-c", f"source {script}; complete -C {shlex.quote(line)}"], check=True,
                         capture_output=True, text=True)
    assert run.stderr == ""
    return {row.split("\t")[0] for row in run.stdout.splitlines()}


def in_zsh(script, line):
    """The specifications that the function gives to zsh's _arguments and _describe."""
    words = line.split(" ")
    verb = words[1] if len(words) > 2 else ""
    code = f'''_arguments() {{ print -rl -- "$@"; state={'rest' if verb else 'verb'}; }}
        _describe() {{ print -rl -- "${{(@P)2}}"; }}
        words=({shlex.quote(verb)} ''); source {script}'''
    run = subprocess.run(["zsh", "-f", "-c", code], check=True, capture_output=True, text=True)
    assert run.stderr == ""
    return {re.split(r"[\[:]", row)[0] for row in run.stdout.splitlines()}


SHELLS = {"bash": in_bash, "zsh": in_zsh, "fish": in_fish}
FOLDERS = {"bash": "bash-completion/completions", "zsh": "zsh/site-functions", "fish": "fish/vendor_completions.d"}


@pytest.mark.parametrize("name", TOOLS)
@pytest.mark.parametrize("shell", SHELLS)
def test_completions_are_complete(tools, destdir, shell, name):
    if not shutil.which(shell):
        pytest.fail(f"{shell} is not installed (scripts/packages test)")
    complete = SHELLS[shell]
    (script,) = destdir.rglob(f"share/{FOLDERS[shell]}/{completions.SHELLS[shell][0].format(name)}")
    tool = tools[name]
    offered = complete(script, f"{name} ")
    if shell == "fish":  # it offers options only after a hyphen
        offered |= complete(script, f"{name} -")
    assert {v.name for v in tool.verbs} | {n for o in tool.options for n in o.names} <= offered
    for verb in tool.verbs:
        offered = complete(script, f"{name} {verb.name} -")
        assert {n for o in completions.reachable(tool, verb) for n in o.names} <= offered, verb.name


def test_completion_of_values(build):
    script = build / "install" / "wdctl"
    assert in_bash(script, "wdctl --host ") == {"auto", "native", "hosted"}
    assert in_bash(script, "wdctl --host h") == {"hosted"}
    assert in_bash(script, "wdctl bench --progress ") == {"auto", "always", "never"}
    # A value with the name of a verb must not count as that verb.
    assert "--hold" in in_bash(script, "wdctl --machine bench attach --h")
    assert in_bash(script, "wdctl vfio un") == {"unbind"}
    assert {"list", "bind", "unbind"} <= in_fish(build / "install" / "wdctl.fish", "wdctl vfio ")
    assert "(list bind unbind)" in (build / "install" / "_wdctl").read_text()
    assert in_bash(build / "install" / "wd_zip", "wd_zip --alg ") == {"gzip", "zlib"}
    assert len(in_bash(build / "install" / "wd_crypt", "wd_crypt --alg aes-")) == 9
    assert in_fish(build / "install" / "wdctl.fish", "wdctl --host ") == {"auto", "native", "hosted"}


def test_systems_files_fit_the_modules():
    folder = ROOT / "install"
    modules = [line for line in (folder / "modules-load.conf").read_text().splitlines() if not line.startswith("#")]
    built = re.findall(r"BUILT_MODULE_NAME\[\d\]=\"(\w+)\"", (ROOT / "kernel/dkms.conf").read_text())
    assert modules and set(modules) <= set(built)
    rules = [line for line in (folder / "70-warpdrive.rules").read_text().splitlines() if not line.startswith("#")]
    (group,) = re.findall(r"^g (\w+) -$", (folder / "sysusers.conf").read_text(), re.M)
    for rule in rules:
        assert re.fullmatch(r'(\w+=="\w+", )+GROUP="' + group + r'", MODE="0660"', rule), rule
    sources = "".join(p.read_text() for p in (ROOT / "kernel").rglob("*.c"))
    for subsystem in ("misc", "uacce"):
        assert any(f'SUBSYSTEM=="{subsystem}"' in rule for rule in rules)
    assert '.nodename = "iommu"' in sources and '.name = "uacce"' in sources


def test_sysusers_makes_the_group(tmp_path):
    program = shutil.which("systemd-sysusers")
    if not program:
        pytest.fail("systemd-sysusers is not installed (scripts/packages test)")
    (tmp_path / "etc").mkdir()
    run = subprocess.run([program, f"--root={tmp_path}", ROOT / "install/sysusers.conf"], check=False,
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert re.search(r"^warpdrive:", (tmp_path / "etc/group").read_text(), re.M)
