# SPDX-License-Identifier: Apache-2.0
"""Remembers the inputs with which a slow check has passed, so that the check runs only after a change.

It keeps empty files whose names are a hash of all that the check reads, in the user's cache folder. So a fresh clone
on the same machine profits, too. WD_CHECK_ALL=1 ignores them.

A cache that is empty does not make the checks run over everything: they also leave out what does not differ from the
commit before, or from the commit WD_CHECK_SINCE, unless WD_CHECK_ALL is set.
"""

import hashlib
import os
import pathlib
import subprocess

KEEP = 2000


def folder():
    top = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(top) / "warpdrive-checks"


def everything():
    """True if also those files are to be checked that have not changed."""
    return bool(os.environ.get("WD_CHECK_ALL"))


def git(root, *command):
    return subprocess.run(["git", *command], cwd=root, check=False, capture_output=True, text=True).stdout


def changed(root, *patterns):
    """Files that differ from the commit before (or WD_CHECK_SINCE) or are new, and match a pattern of git's."""
    since = os.environ.get("WD_CHECK_SINCE", "HEAD~1")
    names = git(root, "diff", "--name-only", since, "--", *patterns)
    names += git(root, "ls-files", "-o", "--exclude-standard", "--", *patterns)
    return {(root / name).resolve() for name in names.splitlines()}


class Inputs:
    """The inputs of one check: files (name and content) and texts (versions of tools, options)."""

    def __init__(self, root, files, *texts):
        key = hashlib.sha256()
        for path in sorted(files):
            key.update(f"{path.relative_to(root)} ".encode())
            key.update(hashlib.sha256(path.read_bytes()).digest())
        key.update("\0".join(texts).encode())
        self.stamp = folder() / key.hexdigest()

    def passed(self):
        """True if the check has passed with exactly these inputs before."""
        return not everything() and self.stamp.exists()

    def remember(self):
        """Call it after the check has passed. If the cache cannot be written, that is no error."""
        try:
            self.stamp.parent.mkdir(parents=True, exist_ok=True)
            self.stamp.touch()
            for old in sorted(self.stamp.parent.iterdir(), key=lambda p: p.stat().st_mtime)[:-KEEP]:
                old.unlink(missing_ok=True)
        except OSError:
            pass
