# SPDX-License-Identifier: Apache-2.0
"""Runs the tests of one build directory and counts them; used by scripts/test.

--static       structure and style checks that need no build (selftests/structure)
--build DIR    GoogleTest programs of DIR, then the pytest suites against DIR
--vm           with --build: the pytest suites in a virtual machine instead
--fuzz         each libFuzzer target of DIR for FUZZ_SECONDS
--summary      prints failures and the closing line; exit status 1 if anything failed or
               nothing ran
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET

ROOT = pathlib.Path(__file__).resolve().parent.parent
TIMEOUT_S = 1800
VM_TIMEOUT_S = 5400
FUZZ_SECONDS = 15


def environment(build):
    env = dict(os.environ)
    env["WD_BUILD"] = str(build)
    env["WD_WARN"] = "abort"
    env["WD_LEAK"] = "1"
    env["ASAN_OPTIONS"] = "detect_leaks=1:abort_on_error=0:detect_stack_use_after_return=0"
    env["UBSAN_OPTIONS"] = "halt_on_error=1:print_stacktrace=1"
    env["TSAN_OPTIONS"] = "halt_on_error=1:second_deadlock_stack=1:exitcode=66"
    return env


class Results:
    """Appends `passed N` and one line per failure to files that the summary adds up."""

    def __init__(self, folder, name):
        self.folder, self.name = pathlib.Path(folder), name
        self.passed, self.failed, self.skipped = 0, [], 0

    def save(self):
        with open(self.folder / "passed", "a", encoding="utf-8") as f:
            f.write(f"{self.passed}\n")
        with open(self.folder / "skipped", "a", encoding="utf-8") as f:
            f.write(f"{self.skipped}\n")
        with open(self.folder / "failed", "a", encoding="utf-8") as f:
            for what in self.failed:
                f.write(f"1 {self.name}:{what}\n")
        print(f"       {self.name}: {self.passed} passed, {len(self.failed)} failed", flush=True)


def gtest_programs(build):
    out = subprocess.run(["meson", "introspect", "--tests", str(build)], check=True,
                         capture_output=True, text=True).stdout
    return [(t["name"], t["cmd"], t["timeout"]) for t in json.loads(out) if "unit" in t["suite"][0]]


def run_gtest(name, cmd, limit, env, results):
    with tempfile.TemporaryDirectory() as tmp:
        report = pathlib.Path(tmp) / "report.json"
        try:
            run = subprocess.run(cmd + [f"--gtest_output=json:{report}", "--gtest_brief=1"],
                                 env=env, capture_output=True, timeout=max(limit, 60) * 3,
                                 check=False)
            output, status = run.stdout + run.stderr, run.returncode
        except subprocess.TimeoutExpired as late:
            output, status = (late.stdout or b"") + (late.stderr or b""), -1
        failed = []
        if report.exists():
            for suite in json.loads(report.read_text())["testsuites"]:
                for case in suite["testsuite"]:
                    if case.get("failures"):
                        failed.append(f"{name}.{suite['name']}.{case['name']}")
                    elif case.get("result") == "SKIPPED":
                        results.skipped += 1
                    else:
                        results.passed += 1
        if status != 0 and not failed:
            failed.append(f"{name} (exit status {status})")
        if failed:
            sys.stdout.write(output.decode(errors="replace")[-6000:] + "\n")
        results.failed += failed


def run_pytest(folders, env, results, extra=(), timeout=TIMEOUT_S):
    with tempfile.TemporaryDirectory() as tmp:
        report = pathlib.Path(tmp) / "report.xml"
        run = subprocess.run(
            ["/usr/bin/python3", "-m", "pytest", "-q", "-rf", "-p",
             "no:cacheprovider", f"--junitxml={report}", *extra, *folders],
            cwd=ROOT, env=env, timeout=timeout, check=False, capture_output=True)
        found = 0
        failed = []
        if report.exists():
            for case in ET.parse(report).iter("testcase"):
                found += 1
                if case.find("failure") is not None or case.find("error") is not None:
                    failed.append(f"{case.get('classname')}.{case.get('name')}")
                elif case.find("skipped") is not None:
                    results.skipped += 1
                else:
                    results.passed += 1
        if not found or (run.returncode != 0 and not failed):
            failed.append(f"pytest (exit status {run.returncode})")
        if failed:
            sys.stdout.write(run.stdout.decode(errors="replace")[-8000:] +
                             run.stderr.decode(errors="replace")[-2000:] + "\n")
        results.failed += failed


def run_fuzzers(build, env, results):
    """Short runs that catch what a change broke; long ones are for people (testing.rst)."""
    targets = sorted(p for p in (build / "selftests/fuzz").glob("fuzz_*") if p.is_file())
    if not targets:
        results.failed.append("no fuzz target was built")
    for target in targets:
        with tempfile.TemporaryDirectory() as tmp:
            run = subprocess.run([target, f"-max_total_time={FUZZ_SECONDS}", "-max_len=4096",
                                  "-seed=1",
                                  "-timeout=60", f"-artifact_prefix={tmp}/"], env=env, cwd=tmp,
                                 capture_output=True, timeout=TIMEOUT_S, check=False)
        if run.returncode == 0 and b"Done " in run.stderr:
            results.passed += 1
        else:
            results.failed.append(target.name)
            sys.stdout.write(run.stderr.decode(errors="replace")[-4000:] + "\n")


def summary(folder):
    folder = pathlib.Path(folder)

    def read(name):
        path = folder / name
        return path.read_text().splitlines() if path.exists() else []

    passed = sum(int(x) for x in read("passed"))
    skipped = sum(int(x) for x in read("skipped"))
    failed = read("failed")
    for line in failed:
        print("FAILED " + line.split(" ", 1)[1])
    tail = f", {skipped} skipped" if skipped else ""
    print(f"{passed} passed, {len(failed)} failed{tail}")
    return 1 if failed or not passed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path)
    parser.add_argument("--static", action="store_true")
    parser.add_argument("--fuzz", action="store_true")
    parser.add_argument("--vm", action="store_true")
    parser.add_argument("--summary", action="store_true")
    parser.add_argument("--name", default="")
    parser.add_argument("--results", required=True)
    args = parser.parse_args()
    if args.summary:
        return summary(args.results)
    results = Results(args.results, args.name)
    if args.static:
        run_pytest(["selftests/structure"], environment(""), results)
    elif args.fuzz:
        run_fuzzers(args.build.resolve(), environment(args.build.resolve()), results)
    elif args.vm:
        run_pytest(["selftests/kselftest", "selftests/cli", "selftests/vm"],
                   environment(args.build.resolve()), results, ["--host", "vm"], VM_TIMEOUT_S)
    else:
        build = args.build.resolve()
        env = environment(build)
        for name, cmd, limit in gtest_programs(build):
            run_gtest(name, cmd, limit, env, results)
        run_pytest(["selftests/kselftest", "selftests/cli", "selftests/server"], env, results,
                   ["--host", "hosted"])
    results.save()
    return 1 if results.failed else 0


if __name__ == "__main__":
    sys.exit(main())
