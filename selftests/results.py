# SPDX-License-Identifier: Apache-2.0
"""Checks of error messages: a program of the project prints one line, and nothing else."""


def error_line(text, *words, program="wdctl"):
    """@text is one line of @program, with all @words."""
    lines = text.splitlines()
    assert len(lines) == 1 and lines[0].startswith(program + ": "), text
    for word in words:
        assert word in lines[0], lines[0]


def refused(run, *words, status=1):
    """wdctl has failed: nothing on stdout, one line on stderr."""
    assert run.returncode == status, (run.returncode, run.stdout, run.stderr)
    assert run.stdout == "", run.stdout
    error_line(run.stderr, *words)
