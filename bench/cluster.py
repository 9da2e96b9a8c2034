"""A gateway and six storage servers, all on this machine, beside one process that does the same."""
import contextlib
import os
import pathlib
import queue
import re
import resource
import shutil
import socket
import statistics
import subprocess
import threading
import time

from measure import RELEASE, Bench, Presigner, curl, wrk
from support.cluster_processes import Cluster
from support.process import cpu_seconds
from transfers import GIB, make_file

SETTINGS = {
    "LOG_LEVEL": "warning", "STORE_RESERVE_BYTES": "1073741824", "STORE_RESERVE_PERCENT": "1",
    # What is overwritten makes room before the disk is full.
    "GC_DELAY_SECONDS": "5"}


class ClusterBench:
    """A cluster in release mode that is measured as `Bench` is: all its processes together."""

    def __init__(self, directory, settings=None, **options):
        self.directory = pathlib.Path(directory)
        self.cluster = Cluster(
            self.directory, gateways=1, executable=RELEASE / "s3storage",
            settings=SETTINGS | (settings or {}), **options)
        self.cluster.start(timeout=60)
        self.server = self.cluster.gateways[0]
        self.presigner = Presigner(self.server.signer, self.server.host)

    def bucket(self, name):
        answer = self.server.s3("PUT", f"/{name}")
        assert answer.status == 200, answer

    def target(self, method, path, query=()):
        return self.presigner.target(method, path, query)

    def cpu_seconds(self):
        """Gateway, storage servers and the database with its connections."""
        database = self.cluster.postgres.pid
        children = pathlib.Path(f"/proc/{database}/task/{database}/children").read_text().split()
        return self.cluster.cpu_seconds() + sum(map(cpu_seconds, [database, *children]))

    @contextlib.contextmanager
    def used(self):
        use = {}
        cpu, wall = self.cpu_seconds(), time.monotonic()
        yield use
        wall = time.monotonic() - wall
        time.sleep(0.05)
        use |= {"cpu": self.cpu_seconds() - cpu, "wall": wall}

    def stop(self):
        codes = self.cluster.stop()
        assert set(codes.values()) == {0}, codes

    def discard(self):
        self.cluster.discard()
        shutil.rmtree(self.directory, ignore_errors=True)


def measure(directory, scale, table):
    """All figures of the cluster."""
    directory.mkdir()
    try:
        transfers(directory, scale, table)
        with running(directory / "small") as plain:
            connections(plain, table)
        with running(
                directory / "background", {"DEAD_SECONDS": "3", "INACTIVE_SECONDS": "2",
                                           "HEARTBEAT_SECONDS": "1"}) as plain:
            background(plain, scale, table)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def running(directory, settings=None, **options):
    bench = ClusterBench(directory, settings, **options)
    try:
        yield bench
        bench.stop()
    finally:
        bench.discard()


def transfers(directory, scale, table):
    """One GiB each way: embedded, over plain loopback, with mutual TLS, in turn."""
    size = scale["large"]
    path = directory / "large"
    md5 = make_file(path, size)
    embedded = Bench(directory / "embedded", {"GC_DELAY_SECONDS": "5"})
    try:
        with running(directory / "plain") as plain, running(directory / "tls", tls=True) as tls:
            benches = {"embedded": embedded, "plain": plain, "mutual TLS": tls}
            puts = {name: [] for name in benches}
            gets = {name: [] for name in benches}
            for bench in benches.values():
                bench.bucket("large")
            for _ in range(scale["runs"]):
                for name, bench in benches.items():
                    url = bench.server.endpoint
                    with bench.used() as use:
                        use["speed"] = curl("-T", path, url + bench.target("PUT", "/large/one"))
                    puts[name].append(use)
                    head = bench.server.s3("HEAD", "/large/one")
                    assert head.headers["etag"] == f'"{md5}"', head
                for name, bench in benches.items():
                    url = bench.server.endpoint
                    with bench.used() as use:
                        use["speed"] = curl(url + bench.target("GET", "/large/one"))
                    gets[name].append(use)
            first = first_bytes(plain)
    finally:
        embedded.discard()
        path.unlink()
    text = f"{size >> 20} MiB"
    goals = {("PUT", "plain"): 0.8, ("PUT", "mutual TLS"): 1.6,
             ("GET", "plain"): 0.4, ("GET", "mutual TLS"): 1.0}
    for method, runs in (("PUT", puts), ("GET", gets)):
        base = [use["cpu"] * GIB / size for use in runs["embedded"]]
        table.note(f"cluster: {method} {text} embedded, CPU in s/GiB", statistics.median(base))
        for name in ("plain", "mutual TLS"):
            added = [use["cpu"] * GIB / size - b for use, b in zip(runs[name], base)]
            table.add(
                f"cluster: {method} {text}, {name}, CPU added", statistics.median(added), "s/GiB",
                goals[method, name])
            table.note(
                f"cluster: {method} {text}, {name}, one client, MiB/s",
                statistics.median(use["speed"] for use in runs[name]) / (1 << 20))
    table.add(f"cluster: first byte of a {text} GET", first, "ms", 20)


def first_bytes(bench):
    """Milliseconds to the first byte of the content, median of ten new connections."""
    times = []
    for _ in range(10):
        done = subprocess.run(
            ["curl", "-s", "--max-time", "0.3", "-o", "/dev/null", "-w",
             "%{time_starttransfer}", bench.server.endpoint + bench.target("GET", "/large/one")],
            capture_output=True, text=True)
        times.append(float(re.findall(r"[\d.]+", done.stdout)[-1]) * 1000)
    return statistics.median(times)


def connections(bench, table, count=10_000):
    """Resident memory of the gateway with idle connections that each had one answer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 1000), hard))
    port = bench.server.ports["s3"]
    head = b"GET /_/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    idle = bench.server.status_field("VmRSS")
    opened = []
    try:
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", port), 20)
            opened.append(connection)
            connection.sendall(head)
            assert connection.recv(4096).startswith(b"HTTP/1.1 200"), "refused"
        time.sleep(1)
        table.add(
            f"cluster: gateway with {count:,} idle connections, resident",
            bench.server.status_field("VmRSS") / 1024, "MiB", 120)
        table.note("cluster: gateway before these, MiB", idle / 1024)
    finally:
        for connection in opened:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Pace:
    """Requests at a fixed rate; each latency counts from when the request was due."""

    def __init__(self, port, targets, rate, connections=24):
        self.port, self.targets, self.rate = port, targets, rate
        self.due = queue.Queue()
        self.latencies, self.failures = [], []
        self.threads = [
            threading.Thread(target=self.work, daemon=True) for _ in range(connections)]

    def work(self):
        connection, file = None, None
        while (item := self.due.get()) is not None:
            due, target = item
            try:
                if connection is None:
                    connection = socket.create_connection(("127.0.0.1", self.port), 20)
                    file = connection.makefile("rb", 1 << 18)
                connection.sendall(
                    f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n".encode())
                status = file.readline()
                length = 0
                while (line := file.readline()) not in (b"\r\n", b""):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                body = file.read(length)
                if b" 200 " not in status or len(body) != length:
                    raise OSError(status.decode())
            except OSError as error:
                self.failures.append(repr(error))
                connection = None
            self.latencies.append(time.monotonic() - due)
        if connection:
            connection.close()

    def run(self, seconds):
        """Sends for so long; milliseconds of the 50th and the 99th hundredth."""
        for thread in self.threads:
            thread.start()
        begin, count = time.monotonic(), int(seconds * self.rate)
        for index in range(count):
            due = begin + index / self.rate
            time.sleep(max(0, due - time.monotonic()))
            self.due.put((due, self.targets[index % len(self.targets)]))
        for _ in self.threads:
            self.due.put(None)
        for thread in self.threads:
            thread.join(60)
        assert not self.failures, self.failures[:3]
        ranked = sorted(self.latencies)
        return ranked[len(ranked) // 2] * 1000, ranked[int(len(ranked) * 0.99)] * 1000


def background(bench, scale, table):
    """What clients feel of repair: a server dies for good while they read at half of full load."""
    bench.bucket("load")
    size, seconds = 256 << 10, 3 if scale["runs"] == 1 else 8
    keys = [f"/load/{n:04d}" for n in range(400)]
    for key in keys:
        assert bench.server.s3("PUT", key, body=os.urandom(size)).status == 200
    path = bench.directory / "ballast"
    make_file(path, 64 << 20)
    # What is to be repaired: a sixth of it and more for each server that dies.
    for index in range(4 if scale["runs"] == 1 else 24):
        curl("-T", path, bench.server.endpoint + bench.target("PUT", f"/load/ballast-{index}"))
    targets = [bench.target("GET", key) for key in keys]
    full = wrk(bench.server.endpoint, targets, "GET", 3, 8)
    rate = full["requests"] / full["microseconds"] * 1e6 / 2
    port = bench.server.ports["s3"]
    ratios, quiet_p99, loud_p99, repaired = [], [], [], 0
    for run in range(scale["runs"]):
        _, quiet = Pace(port, targets, rate).run(seconds)
        victim = bench.cluster.servers[run]
        victim.kill()
        Cluster.until(lambda: repairs(bench) > 0, 60)
        before = made_again(bench)
        _, loud = Pace(port, targets, rate).run(seconds)
        repaired += made_again(bench) - before
        Cluster.until(lambda: repairs(bench) == 0, 300)
        victim.start()
        bench.cluster.await_active(6)
        # What doubled up on the five spreads again, and is to be done before the next run.
        Cluster.until(lambda: repairs(bench, "repairs", "under_spread") == 0, 300)
        quiet_p99.append(quiet)
        loud_p99.append(loud)
        ratios.append(loud / quiet)
    table.add(
        "cluster: p99 of 256 KiB GETs at half load during repair", statistics.median(ratios),
        "× without", 2)
    table.note("cluster: their rate a second", rate)
    table.note("cluster: their p99 without and during repair, ms", (
        statistics.median(quiet_p99), statistics.median(loud_p99)))
    table.note("cluster: chunks repaired meanwhile", repaired)
    path.unlink()


def made_again(bench):
    """Chunks that the gateway has made again since it started."""
    return next(
        w["items_done"] for w in bench.server.admin("workers", "--json")["workers"]
        if w["name"] == "repair")


def repairs(bench, *names):
    counts = bench.server.admin("status", "--json")["counts"]
    return sum(counts[name] for name in names or ["repairs"])
