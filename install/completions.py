#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Completions of a command line tool for bash, zsh and fish, made from the output of its --help.

usage: completions.py PROGRAM DIRECTORY
"""

import pathlib
import re
import subprocess
import sys
from dataclasses import dataclass, field

# Values of options (words, files or folders), because --help does not tell them.
VALUES = {
    "--alg": ["zlib", "gzip", "deflate",
              *(f"aes-{bits}-{mode}" for bits in (128, 192, 256) for mode in ("ecb", "cbc", "ctr"))],
    "--host": ["auto", "native", "hosted"],
    "--pasid": ["auto"],
    "--progress": ["auto", "always", "never"],
}
FILES = {"--input", "--machine"}
FOLDERS = {"--sockets"}

OPTION = re.compile(r"^  (-[\w,-]+)(?: (\S.*?))?(?:\s{2,}(.*))?$")
VALUE = re.compile(r"(TEXT|INT|UINT|FLOAT|ENUM)\b")
VERB = re.compile(r"^  ([a-z][\w-]*)\s{2,}(.*)$")
WORDS = re.compile(r"^  [A-Z]+ TEXT:\{([\w,-]+)\}")  # an argument that is one of some words


@dataclass
class Option:
    """An option: its names, whether a value follows, and a few words about it."""
    names: list
    value: bool
    text: str

    @property
    def words(self):
        known = next((VALUES[n] for n in self.names if n in VALUES), [])
        return [w for w in known if w in self.text] or known

    @property
    def files(self):
        return bool(FILES & set(self.names))

    @property
    def folders(self):
        return bool(FOLDERS & set(self.names))


@dataclass
class Verb:
    """A tool or one of its subcommands."""
    name: str
    text: str
    options: list = field(default_factory=list)
    verbs: list = field(default_factory=list)
    words: list = field(default_factory=list)


def parse(name, text, help_text):
    """Parse the output of `NAME --help`."""
    verb = Verb(name, text)
    in_verbs = False
    last = None
    for line in help_text.splitlines():
        if re.match(r"^\S.*:$", line):
            in_verbs = line.startswith("Subcommands")
        elif in_verbs and (match := VERB.match(line)):
            last = Verb(*match.groups())
            verb.verbs.append(last)
        elif match := WORDS.match(line):
            verb.words, last = match[1].split(","), None
        elif not in_verbs and (match := OPTION.match(line)):
            last = Option(match[1].split(","), bool(VALUE.match(match[2] or "")), (match[3] or "").strip())
            verb.options.append(last)
        elif last and not last.text and line.startswith("     "):
            last.text = line.strip()
    return verb


def ask(program):
    """Ask the tool and its subcommands for their --help."""
    def say_help(*words):
        return subprocess.run([program, *words, "--help"], check=True, capture_output=True, text=True,
                              timeout=60).stdout
    tool = parse(pathlib.Path(program).name, "", say_help())
    tool.verbs = [parse(v.name, v.text, say_help(v.name)) for v in tool.verbs]
    return tool


def reachable(tool, verb):
    """Options that are valid after @verb: its own, and the tool's."""
    known = {n for o in verb.options for n in o.names}
    return verb.options + [o for o in tool.options if not known & set(o.names) and "--version" not in o.names]


def all_options(tool):
    return tool.options + [o for v in tool.verbs for o in v.options]


def bash(tool):
    valued = sorted({n for o in all_options(tool) if o.value for n in o.names})
    function = "_" + tool.name
    out = [f"# bash completion of {tool.name}", f"{function}()", "{",
           "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb= words= i",
           "\tfor ((i = 1; i < COMP_CWORD; i++)); do", "\t\tcase ${COMP_WORDS[i]} in"]
    if valued:
        out.append(f"\t\t{' | '.join(valued)}) ((i++)) ;;")
    if tool.verbs:
        out += [f"\t\t{' | '.join(v.name for v in tool.verbs)})", "\t\t\tverb=${COMP_WORDS[i]}", "\t\t\tbreak",
                "\t\t\t;;"]
    out += ["\t\tesac", "\tdone", "\tcase $prev in"]
    done = set()
    for option in all_options(tool):
        names = [n for n in option.names if n not in done]
        done.update(names)
        if not option.value or not names:
            continue
        generate = "-W '" + " ".join(option.words) + "'" if option.words else ""
        if option.files or option.folders:
            files = ["\t\tcompopt -o filenames 2>/dev/null"]
            generate = "-f" if option.files else "-d"
        else:
            files = []
        reply = f"mapfile -t COMPREPLY < <(compgen {generate} -- \"$cur\")" if generate else "COMPREPLY=()"
        out += [f"\t{' | '.join(names)})", *files, f"\t\t{reply}", "\t\treturn", "\t\t;;"]
    out += ["\tesac", "\tcase $verb in"]
    for verb in [tool, *tool.verbs]:
        options = tool.options if verb is tool else reachable(tool, verb)
        words = [n for o in options for n in o.names] + [v.name for v in verb.verbs] + verb.words
        label = "''" if verb is tool else verb.name
        out.append(f"\t{label}) words='{' '.join(words)}' ;;")
    out += ["\tesac", "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")", "}",
            f"complete -F {function} {tool.name}"]
    return "\n".join(out) + "\n"


def zsh_text(text):
    return text.replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")


def zsh_specs(options):
    for option in options:
        action = ""
        if option.value:
            action = ":value:"
            if option.words:
                action += "(" + " ".join(option.words) + ")"
            elif option.files:
                action += "_files"
            elif option.folders:
                action += "_files -/"
        for name in option.names:
            yield f"'{name}[{zsh_text(option.text)}]{action}'"


def zsh(tool):
    function = "_" + tool.name
    out = [f"#compdef {tool.name}", f"{function}() {{", "\tlocal curcontext=$curcontext state line", "\tlocal -a verbs"]
    specs = list(zsh_specs(tool.options))
    if tool.verbs:
        out.append("\tverbs=(" + " ".join(f"'{v.name}:{zsh_text(v.text)}'" for v in tool.verbs) + ")")
        specs += ["'1:verb:->verb'", "'*::argument:->rest'"]
    out += ["\t_arguments -C \\", "\t\t" + " \\\n\t\t".join(specs)]
    if tool.verbs:
        out += ["\tcase $state in", "\tverb) _describe verb verbs ;;", "\trest)", "\t\tcase $words[1] in"]
        for verb in tool.verbs:
            specs = [*zsh_specs(reachable(tool, verb))]
            if verb.words:
                specs.append(f"'1:action:({' '.join(verb.words)})'")
            out += [f"\t\t{verb.name})", "\t\t\t_arguments \\", "\t\t\t\t" + " \\\n\t\t\t\t".join(specs),
                    "\t\t\t;;"]
        out += ["\t\tesac", "\t\t;;", "\tesac"]
    out += ["}", f"{function} \"$@\""]
    return "\n".join(out) + "\n"


def fish_quote(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def fish_options(tool, options, condition):
    for option in options:
        parts = [f"complete -c {tool.name}"]
        if condition:
            parts.append(f"-n {fish_quote(condition)}")
        parts += [f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names]
        if option.value:
            parts.append("-r -F" if option.files else
                         "-x -a '(__fish_complete_directories)'" if option.folders else
                         "-x -a " + fish_quote(" ".join(option.words)) if option.words else "-x")
        yield " ".join(parts + [f"-d {fish_quote(option.text)}"])


def fish(tool):
    out = [f"# fish completion of {tool.name}", f"complete -c {tool.name} -f"]
    for verb in tool.verbs:
        out.append(f"complete -c {tool.name} -n __fish_use_subcommand -a {verb.name} -d {fish_quote(verb.text)}")
    out += fish_options(tool, tool.options, "__fish_use_subcommand" if tool.verbs else "")
    for verb in tool.verbs:
        seen = f"__fish_seen_subcommand_from {verb.name}"
        if verb.words:
            out.append(f"complete -c {tool.name} -n {fish_quote(seen)} -a {fish_quote(' '.join(verb.words))}")
        out += fish_options(tool, reachable(tool, verb), seen)
    return "\n".join(out) + "\n"


# For each shell: the name of the file that it looks for, and the function that makes the content.
SHELLS = {"bash": ("{}", bash), "zsh": ("_{}", zsh), "fish": ("{}.fish", fish)}


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    tool, folder = ask(sys.argv[1]), pathlib.Path(sys.argv[2])
    for form, write in SHELLS.values():
        (folder / form.format(tool.name)).write_text(write(tool))


if __name__ == "__main__":
    main()
