# SPDX-License-Identifier: Apache-2.0
"""Mutants of a small program: each is there, does what its name says, and is off unless it is chosen."""

import os
import subprocess

import pytest

from mutation.schemata import Schemata  # pylint: disable=import-error

SOURCE = """\
#include <stdio.h>
static int calls;
#define CHECK(x) do { if (x) puts("macro"); if (!(x)) calls = 0; } while (0)
static void count(void) { calls++; }
static int choose(int a, int b)
{
	static const int table[2] = {10, 20};
	CHECK(a == 100);
	if (a < b && b)
		count();
	else
		calls = 7;
	return table[0] + (a | 4);
}
int main(void)
{
	const int value = choose(1, 2);
	printf("%d %d\\n", value, calls);
	return 0;
}
"""
PLAIN = "15 1"


@pytest.fixture(scope="module", name="made")
def fixture_made(tmp_path_factory):
    """The mutants, and a program that contains them."""
    folder = tmp_path_factory.mktemp("mutants")
    path = folder / "sample.c"
    path.write_text(SOURCE)
    schemata = Schemata(path, "sample.c", [], 1)
    path.write_text(schemata.render())
    subprocess.run(["gcc", "-Wall", "-Werror", "-o", folder / "sample", path], check=True)
    return schemata, folder / "sample"


def output(program, number, **options):
    run = subprocess.run([program], check=True, capture_output=True, text=True,
                         env={**os.environ, "WD_MUTANT": str(number)}, **options)
    return run.stdout.strip()


def number_of(schemata, kind, text=""):
    found = [m for m in schemata.mutants() if m.kind == kind and text in m.text]
    assert len(found) == 1, schemata.mutants()
    return found[0].number


def test_nothing_changes_without_a_mutant(made):
    assert output(made[1], 0) == PLAIN


@pytest.mark.parametrize("kind, text, expected", [
    ("condition never true", "a < b", "15 7"),
    ("condition always true", "a < b", PLAIN),
    ("operand of && ignored", "a < b", PLAIN),
    ("< off by one", "a < b", PLAIN),
    ("statement not run", "count", "15 0"),
    ("statement not run", "calls++", "15 0"),
    ("statement not run", "calls = 7", PLAIN),
    ("bits not set", "a | 4", "11 1"),
    ("+ with the other sign", "table", "5 1"),
])
def test_a_mutant_does_what_its_name_says(made, kind, text, expected):
    schemata, program = made
    assert output(program, number_of(schemata, kind, text)) == expected


def test_constants_are_one_more(made):
    schemata, program = made
    numbers = [m.number for m in schemata.mutants() if m.kind == "constant plus one" and "table[0]" in m.text]
    assert sorted(output(program, number) for number in numbers) == [PLAIN, "25 1"]


def test_nothing_inside_macros_and_static_tables_changes(made):
    assert not [m for m in made[0].mutants() if "puts" in m.text or "{10" in m.text]
    assert [m.kind for m in made[0].mutants() if "CHECK" in m.text] == ["statement not run"]


def test_lines_keep_their_numbers(made):
    switch, source = made[0].render().split("#line 1\n")
    assert "wd_mutant" in switch
    assert source.count("\n") == SOURCE.count("\n")


def test_a_run_tells_which_mutants_it_reaches(made):
    schemata, program = made
    reader, writer = os.pipe()
    run = subprocess.run([program], check=True, capture_output=True, pass_fds=[writer],
                         env={**os.environ, "WD_MUTANT_FD": str(writer)})
    assert run.stdout.decode().strip() == PLAIN
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    reached = {int.from_bytes(data[i:i + 4], "little") for i in range(0, len(data), 4)}
    assert number_of(schemata, "statement not run", "count") in reached
    assert number_of(schemata, "statement not run", "calls = 7") not in reached


def test_mutants_that_do_not_compile_can_be_left_out(made):
    schemata, _ = made
    line = next(m.line for m in schemata.mutants() if m.kind == "bits not set")
    before = len(schemata.mutants())
    assert schemata.drop_line(line)
    assert len(schemata.mutants()) < before
    assert not [m for m in schemata.mutants() if m.line == line]
