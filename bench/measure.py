"""The server under measurement, what it uses, and the clients that drive it."""
import contextlib
import json
import os
import pathlib
import shutil
import statistics
import struct
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "Tests/System"))

from support import signing  # noqa: E402
from support.server import Server  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
RELEASE = ROOT / ".build/release"


class Presigner(signing.Signer):
    """Presigns many targets of one moment: the signing key is derived once."""

    def __init__(self, signer, host):
        super().__init__(signer.access_key, signer.secret_key)
        self.host, self.moment = host, signing.now()
        self.key = super().signing_key(self.moment)

    def signing_key(self, moment):
        return self.key

    def target(self, method, path, query=()):
        return self.presign(
            method, self.host, path, expires=86_400, query=query, moment=self.moment)


def compiled(source, product, *options):
    """Makes `product` of a C source that lies beside this file; returns its path."""
    compiler = next(c for c in ("clang", "cc", "gcc") if shutil.which(c))
    subprocess.run([compiler, "-O2", "-o", product, HERE / source, *options], check=True)
    return product


class Bench:
    """A server in release mode on a fresh directory, with its sync calls counted."""

    def __init__(self, directory, environment=None):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True)
        self.counter = self.directory / "syncs"
        self.counter.write_bytes(b"\0" * 4096)
        library = compiled("synccount.c", self.directory / "synccount.so", "-shared", "-fPIC", "-ldl")
        self.server = Server(
            self.directory / "data", executable=str(RELEASE / "s3storage"), environment={
                "LD_PRELOAD": str(library), "SYNC_COUNT_FILE": str(self.counter),
                "LOG_LEVEL": "warning", "STORE_RESERVE_BYTES": "1073741824",
                "STORE_RESERVE_PERCENT": "1", **(environment or {})})
        self.start()

    def start(self):
        self.server.start(timeout=60)
        self.presigner = Presigner(self.server.signer, self.server.host)

    def bucket(self, name):
        answer = self.server.s3("PUT", f"/{name}")
        assert answer.status == 200, answer

    def target(self, method, path, query=()):
        return self.presigner.target(method, path, query)

    def syncs(self):
        return struct.unpack("l", self.counter.read_bytes()[:8])[0]

    def stored_bytes(self):
        """Blocks on the disk, of data and metadata."""
        return sum(
            p.stat().st_blocks * 512 for p in self.server.data_dir.rglob("*") if p.is_file())

    @contextlib.contextmanager
    def used(self):
        """What the server used within the block: `cpu`, `wall`, `syncs`, `rss` (KiB)."""
        use = {}
        syncs, cpu, wall = self.syncs(), self.server.cpu_seconds(), time.monotonic()
        yield use
        # Work that the answer did not wait for belongs to it: a moment for it to come in.
        wall = time.monotonic() - wall
        time.sleep(0.05)
        use |= {
            "cpu": self.server.cpu_seconds() - cpu, "wall": wall, "syncs": self.syncs() - syncs,
            "rss": self.server.status_field("VmRSS")}

    def discard(self):
        self.server.discard()
        shutil.rmtree(self.directory, ignore_errors=True)


def median(runs, name):
    return statistics.median(run[name] for run in runs)


def curl(*arguments):
    """Runs curl; its own idea of speed in bytes a second."""
    done = subprocess.run(
        ["curl", "-sS", "-f", "-o", "/dev/null", "-w", "%{speed_upload} %{speed_download}",
         *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, f"curl {arguments[-1]}: {done.stderr}"
    return max(map(float, done.stdout.split()))


def wrk(url, targets, method, seconds, connections=32, body_bytes=0, timeout=120):
    """Drives `targets` in turn; requests, seconds, and latencies in microseconds."""
    assert connections % 2 == 0 and len(targets) >= 2
    path = pathlib.Path(f"/tmp/s3storage-targets-{os.getpid()}")
    path.write_text("\n".join(targets) + "\n")
    try:
        done = subprocess.run(
            ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s",
             str(HERE / "requests.lua"), url],
            capture_output=True, text=True, timeout=timeout,
            env=os.environ | {
                "TARGETS": str(path), "METHOD": method, "BODY_BYTES": str(body_bytes)})
    finally:
        path.unlink()
    lines = [line for line in done.stdout.splitlines() if line.startswith("JSON ")]
    assert lines, f"wrk: {done.stdout}{done.stderr}"
    result = json.loads(lines[0][5:])
    assert result["failed"] == 0, f"wrk {method}: {result}"
    return result
