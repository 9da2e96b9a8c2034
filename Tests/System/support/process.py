"""A child process with a log of its own, and what /proc tells of it."""
import os
import pathlib
import signal
import subprocess
import tempfile
import time


class Process:
    """One process; `launch` again after it has ended appends to the same log."""

    def __init__(self, log_path=None):
        self.process = None
        self.log_path = pathlib.Path(log_path or tempfile.mkstemp(prefix="s3storage-log-")[1])

    # Life

    def launch(self, command, environment=None, **options):
        """Starts `command` and returns at once."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                list(map(str, command)), env=environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, **options)
        return self

    def await_start(self, ready, timeout=30):
        """Waits until `ready()`; an end before it is an error that shows the log."""
        deadline = time.monotonic() + timeout
        while not ready():
            if self.process.poll() is not None:
                raise AssertionError(
                    f"{self.title} ended with {self.process.returncode}:\n{self.log()[-4000:]}")
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError(
                    f"{self.title} is not ready within {timeout} s:\n{self.log()[-4000:]}")
            time.sleep(0.05)
        return self

    @property
    def title(self):
        return type(self).__name__

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, timeout=30, number=signal.SIGTERM):
        """Ends the process as a service manager does, and returns its exit code."""
        if not self.alive:
            return None if self.process is None else self.process.returncode
        self.process.send_signal(number)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"no end of {self.title} {timeout} s after {signal.Signals(number).name}:\n"
                f"{self.log()[-4000:]}") from None

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def pause(self):
        """Holds the process: it neither works nor ends its connections."""
        self.process.send_signal(signal.SIGSTOP)
        while self.state() != "T":
            time.sleep(0.002)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def discard(self):
        """Ends the process whatever its state, and forgets its log."""
        self.kill()
        self.log_path.unlink(missing_ok=True)

    # Looking at it

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.log_path.read_text(errors="replace")

    def descriptors(self):
        """What the process has open, as a list of names."""
        names = []
        for entry in os.scandir(f"/proc/{self.pid}/fd"):
            try:
                names.append(os.readlink(entry.path))
            except FileNotFoundError:
                pass
        return names

    def status_field(self, name):
        """A field of /proc/PID/status in KiB (VmRSS, VmHWM) or as a number (Threads)."""
        with open(f"/proc/{self.pid}/status") as file:
            for line in file:
                if line.startswith(name + ":"):
                    return int(line.split()[1])
        raise KeyError(name)

    def state(self):
        """The letter of the process state: R, S, D, T (stopped) or Z."""
        return stat_fields(self.pid)[0]

    def cpu_seconds(self):
        """User and system time that the process has used."""
        return cpu_seconds(self.pid)


def stat_fields(pid):
    """The fields of /proc/PID/stat behind the name; the first is the state."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()


def cpu_seconds(pid):
    """User and system time of a process."""
    fields = stat_fields(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start_time(pid):
    """When a process began, in ticks since boot, or None: with the id it names a process for good."""
    try:
        fields = stat_fields(pid)
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])
