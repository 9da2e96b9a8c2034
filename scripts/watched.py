#!/usr/bin/env python3
"""Runs a command whose output tells of tests, and ends it when nothing happens any more.

`watched.py LOG COMMAND…` shows what matters of the output and keeps all of it in LOG. A command
that writes nothing for fifteen minutes, or whose children hold its output for a minute after its
end, is hung: which tests had begun and not ended is told, and where their threads stand, and all
of it is killed. `--self-test` shows that each rule can fail.
"""
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SILENCE = 900.0
HELD = 60.0
BEGUN = re.compile(r"◇ (Test(?! (?:case|run) )|Suite) (.+) started\.$")
ENDED = re.compile(
    r". (Test|Suite) (.+?)(?: with \d+ test cases?)? (?:(?:passed|failed) after [\d.]+ seconds|skipped(?!\"))")
EVENT = re.compile(r"^[◇✔✘➜] ")
NOISE = re.compile(r"^◇ |^\s*$")
ISSUE = re.compile(r"✘ .* recorded an issue|error:")
DETAILS = 12


def members(group):
    """The processes of a session, by id."""
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == group and fields[0] != "Z":
            yield int(entry.name)


def stacks(group, write):
    """Where the threads of the test processes stand, as far as a debugger is there to tell."""
    for process in members(group):
        try:
            name = pathlib.Path(f"/proc/{process}/comm").read_text().strip()
        except OSError:
            continue
        write(f"still there: {process} {name}\n")
        if "s3storage" in name and shutil.which("gdb"):
            shown = subprocess.run(
                ["gdb", "-p", str(process), "-batch", "-ex", "thread apply all -s -q bt 12"],
                capture_output=True, text=True, errors="replace", timeout=300)
            write(shown.stdout[-200_000:])


def end(group, patience=20.0):
    """Ends all of a session; servers of tests are stopped by shells that outlive these a little."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in members(group):
            try:
                os.kill(process, number)
            except ProcessLookupError:
                pass
        limit = time.monotonic() + patience
        while any(members(group)) and time.monotonic() < limit:
            time.sleep(0.05)


class Watch:
    """What is known of the tests of a run."""

    def __init__(self, log, write):
        self.log, self.write = log, write
        self.open, self.failures, self.rest = {}, [], b""
        self.details = 0

    def take(self, data):
        self.log.write(data)
        lines = (self.rest + data).split(b"\n")
        self.rest = lines.pop()
        for line in lines:
            self.line(line.decode(errors="replace"))

    def line(self, line):
        if begun := BEGUN.match(line):
            self.open[begun.groups()] = None
        elif ended := ENDED.match(line):
            self.open.pop(ended.groups(), None)
        if ISSUE.search(line):
            self.details = DETAILS
        elif EVENT.match(line):
            self.details = 0
        if self.details > 0:
            self.failures.append(line)
            self.details -= 1
        if not NOISE.match(line):
            self.write(line + "\n")

    def hung(self, why, group):
        self.write(f"hung: {why}\n")
        for kind, name in self.open:
            self.write(f"begun and not ended: {kind} {name}\n")
        stacks(group, self.write)


def run(command, log, write, silence=SILENCE, held=HELD):
    """The command's status; 1 when it hung."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    output = process.stdout.fileno()
    watch = Watch(log, write)
    heard, ended, why = time.monotonic(), None, None
    try:
        while why is None:
            if select.select([output], [], [], 0.2)[0]:
                data = os.read(output, 1 << 16)
                if not data:
                    break
                heard = time.monotonic()
                watch.take(data)
            elif time.monotonic() - heard > silence:
                why = f"nothing was written for {silence:.0f} s"
            if ended is None and process.poll() is not None:
                ended = time.monotonic()
            if ended is not None and time.monotonic() - ended > held:
                why = "it has ended, and children of it hold its output"
        if why is not None:
            watch.hung(why, process.pid)
            return 1
        status = process.wait()
    finally:
        end(process.pid)
    if status != 0:
        write("what failed:\n" + "".join(line + "\n" for line in watch.failures[-60:]))
    return 1 if status else 0


def self_test():
    """Each rule trips on a case made for it, and none on a good one."""
    def shown(script, **limits):
        text = []
        with tempfile.TemporaryFile() as log:
            status = run(["/bin/sh", "-c", script], log, text.append, **limits)
        return status, "".join(text)

    lines = (
        "◇ Test run started.", '◇ Test "what failed is done" started.', "◇ Test b() started.",
        "◇ Test case passing 1 argument x → 1 to b() started.", "✔ Test b() passed after 1.5 seconds.")
    begun = "".join(f"echo '{line}'; " for line in lines)
    ended = "✔ Test \"what failed is done\" with 2 test cases passed after 1.0 seconds."
    status, text = shown(f"{begun} echo '{ended}'")
    assert status == 0 and "◇" not in text and text.count("✔") == 2, text
    status, text = shown(f"{begun} sleep 1000", silence=0.5)
    assert status == 1 and text.count("begun and not ended") == 1, text
    assert 'begun and not ended: Test "what failed is done"' in text, text
    status, text = shown(f"{begun} echo '{ended}'; sleep 1000", silence=0.5)
    assert status == 1 and "begun and not ended" not in text, text
    status, text = shown("sleep 1000 & echo done", held=0.5)
    assert status == 1 and "children of it hold" in text and "sleep" in text, text
    issue = "✘ Test c() recorded an issue at C.swift:1:2: Expectation failed"
    noise = "echo '◇ Test case passing 1 argument seed → 1 to c() started.'; " * 100
    status, text = shown(f"echo '{issue}'; echo '↳ why'; {noise} echo 'seed 1'; exit 3")
    assert status == 1 and text.endswith(f"what failed:\n{issue}\n↳ why\n"), text
    sys.stdout.write("watched: each rule can fail\n")
    return 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()

    def stop(number, _):
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)

    def write(text):
        sys.stdout.write(text)
        sys.stdout.flush()

    with open(sys.argv[1], "wb") as log:
        return run(sys.argv[2:], log, write)


if __name__ == "__main__":
    sys.exit(main())
