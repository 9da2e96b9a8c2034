"""A gateway and six storage servers, all on this machine, beside one process that does the same."""
import concurrent.futures
import contextlib
import os
import pathlib
import platform
import queue
import re
import resource
import shutil
import socket
import statistics
import subprocess
import threading
import time

from measure import RELEASE, ROOT, Bench, Presigner, compiled, curl, wrk
from services import certificates, moved
from support.cluster_processes import Cluster
from support.process import cpu_seconds
from transfers import GIB, make_file

SETTINGS = {
    "LOG_LEVEL": "warning", "STORE_RESERVE_BYTES": "1073741824", "STORE_RESERVE_PERCENT": "1",
    # What is overwritten makes room before the disk is full.
    "GC_DELAY_SECONDS": "5"}

# What is on the wire for a GiB of content: six chunks go out for four that come back.
CHUNKS = {"PUT": 1.5, "GET": 1}


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
                directory / "background", {"DEAD_SECONDS": "10", "INACTIVE_SECONDS": "5",
                                           "HEARTBEAT_SECONDS": "1"}, servers=7) as plain:
            Background(plain, scale, table).measure()
        with running(
                directory / "repairs", {"DEAD_SECONDS": "10", "INACTIVE_SECONDS": "5",
                                        "HEARTBEAT_SECONDS": "1"}, servers=9) as plain:
            Repairs(plain, scale, table).measure()
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
        wire = Wire(directory, scale["runs"])
        kinds = {"plain": "plain", "mutual TLS": "tls"}
        floors = {name: wire.alone(kind) for name, kind in kinds.items()}
        services = {name: wire.service(kind, "memory") for name, kind in kinds.items()}
        libraries = {name: wire.service(kind, "library") for name, kind in kinds.items()}
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
                goals[method, name], floor=CHUNKS[method] * floors[name],
                floor_name="the same bytes over bare sockets, where TLS is AES-256-GCM alone")
            table.note(
                f"cluster: {method} {text}, {name}, the chunk service alone, from memory to memory,"
                " CPU in s/GiB", CHUNKS[method] * services[name][method])
            table.note(
                f"cluster: {method} {text}, {name}, the RPC library alone, messages of 1 MiB, CPU in"
                " s/GiB", CHUNKS[method] * libraries[name][method])
            table.note(
                f"cluster: {method} {text}, {name}, one client, MiB/s",
                statistics.median(use["speed"] for use in runs[name]) / (1 << 20))
    table.add(f"cluster: first byte of a {text} GET", first, "ms", 20)


class Wire:
    """Seconds of CPU, of both ends, for a GiB from one process to another, as a median."""

    def __init__(self, directory, runs):
        self.directory, self.runs = directory, runs

    def alone(self, kind):
        """With nothing above the kernel's sockets; the same both ways."""
        cipher = ROOT / "Sources/C/CCipherProvider"
        library = ["-lIPSec_MB"] if platform.machine() == "x86_64" else []
        program = compiled(
            "wirefloor.c", self.directory / "wirefloor", *cipher.glob("*.c"), "-I",
            cipher / "include", "-lcrypto", *library)

        def cost():
            done = subprocess.run([program, "1024", kind], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            return sum(map(float, done.stdout.split()))

        return statistics.median(cost() for _ in range(self.runs))

    def service(self, kind, store):
        """By the chunk service, whose far end keeps nothing, or by the RPC library alone."""
        wire = self.directory / "wire"
        certificates(wire / "certificates")
        runs = [moved(wire, kind, store, 1024) for _ in range(self.runs)]
        shutil.rmtree(wire)
        return {
            method: statistics.median(
                run[f"{method.lower()}_cpu_seconds_per_gib"] + run["server_cpu_seconds_per_gib"]
                for run in runs)
            for method in CHUNKS}


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
    """Requests at a fixed rate, by turns; each latency counts from when the request was due."""

    def __init__(self, port, requests, rate, connections=24):
        """`requests` are of (method, target, body)."""
        self.port, self.requests, self.rate = port, requests, rate
        self.due = queue.Queue()
        self.latencies, self.failures = [], []
        self.threads = [
            threading.Thread(target=self.work, daemon=True) for _ in range(connections)]

    def work(self):
        connection, file = None, None
        while (item := self.due.get()) is not None:
            due, (method, target, body) = item
            try:
                if connection is None:
                    connection = socket.create_connection(("127.0.0.1", self.port), 20)
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    file = connection.makefile("rb", 1 << 18)
                connection.sendall(
                    f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
                status = file.readline()
                length = 0
                while (line := file.readline()) not in (b"\r\n", b""):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                answer = file.read(length)
                if b" 200 " not in status or len(answer) != length:
                    raise OSError(status.decode())
            except OSError as error:
                self.failures.append(repr(error))
                connection = None
            self.latencies.append((method, time.monotonic() - due))
        if connection:
            connection.close()

    def run(self, seconds):
        """Sends for so long; the milliseconds of the 99th hundredth by method."""
        for thread in self.threads:
            thread.start()
        begin, count = time.monotonic(), int(seconds * self.rate)
        for index in range(count):
            due = begin + index / self.rate
            time.sleep(max(0, due - time.monotonic()))
            self.due.put((due, self.requests[index % len(self.requests)]))
        for _ in self.threads:
            self.due.put(None)
        for thread in self.threads:
            thread.join(60)
        assert not self.failures, self.failures[:3]
        return {method: self.hundredth(method) for method in ("GET", "PUT")}

    def hundredth(self, method):
        ranked = sorted(latency for m, latency in self.latencies if m == method)
        return ranked[int(len(ranked) * 0.99)] * 1000


class Background:
    """What clients feel of work in the background: they read and write, by turns, at half of the
    rate that the cluster can do, while a server that died is repaired and while an empty one gets
    its share."""

    SIZE = 256 << 10

    def __init__(self, bench, scale, table):
        self.bench, self.table = bench, table
        self.runs = scale["runs"]
        self.seconds = 3 if self.runs == 1 else 16
        self.ballast = 4 if self.runs == 1 else 8

    def measure(self):
        self.age()
        self.fill()
        pairs, done = {"repair": [], "rebalance": []}, {"repair": 0, "rebalance": 0}
        for _ in range(self.runs):
            for worker, begin in (("repair", self.lose), ("rebalance", self.grow)):
                quiet = self.pace()
                begin()
                loud, chunks = self.during(worker)
                pairs[worker].append((quiet, loud))
                done[worker] += chunks
                Cluster.until(self.is_settled, 300, self.state)
            self.bury()
        self.tell(pairs, done)

    def age(self):
        """Gives the database's log its files, as one has them that has run for days: whoever makes a
        new one holds up all commits for longer than what is measured here takes."""
        postgres, segments = self.bench.cluster.postgres, 32
        postgres.sql(f"ALTER SYSTEM SET min_wal_size = '{segments * 16}MB'", "postgres")
        postgres.sql("SELECT pg_reload_conf()", "postgres")
        for _ in range(segments):
            postgres.sql("SELECT txid_current(); SELECT pg_switch_wal()", "postgres")
        for _ in range(2):
            postgres.sql("CHECKPOINT", "postgres")
        files = int(postgres.sql("SELECT count(*) FROM pg_ls_waldir()", "postgres"))
        assert files > segments / 2, f"{files} files"

    def fill(self):
        bench = self.bench
        bench.bucket("load")
        body = os.urandom(self.SIZE)
        read, written = ([f"/load/{kind}-{n:04d}" for n in range(400)] for kind in "rw")
        for key in read:
            assert bench.server.s3("PUT", key, body=body).status == 200
        # A seventh of it and more is moved when a server dies, and when one comes.
        path = bench.directory / "ballast"
        make_file(path, 64 << 20)
        for index in range(self.ballast):
            curl("-T", path, bench.server.endpoint + bench.target("PUT", f"/load/ballast-{index}"))
        path.unlink()
        gets = [("GET", bench.target("GET", key), b"") for key in read]
        puts = [("PUT", bench.target("PUT", key), body) for key in written]
        self.requests = [request for pair in zip(gets, puts) for request in pair]

        # One of each takes as long as the two do on their own.
        def seconds_each(requests):
            full = wrk(
                bench.server.endpoint, [target for _, target, _ in requests], requests[0][0], 3, 8,
                len(requests[0][2]))
            return full["microseconds"] / 1e6 / full["requests"]

        self.rate = 2 / (seconds_each(gets) + seconds_each(puts)) / 2
        self.table.note("cluster: GETs and PUTs of 256 KiB a second at half load", self.rate)

    def pace(self):
        return Pace(self.bench.server.ports["s3"], self.requests, self.rate).run(self.seconds)

    def lose(self):
        """A server dies for good."""
        self.dead = self.bench.cluster.servers.pop(0)
        self.dead.kill()

    def bury(self):
        """The dead one leaves: more than two are not taken for lost without an operator."""
        servers = self.bench.server.admin("servers", "list", "--json")["servers"]
        dead = next(s["id"] for s in servers if s["address"].endswith(f":{self.dead.port}"))
        self.bench.server.admin("servers", "remove", dead, "--force")

    def grow(self):
        """An empty server joins."""
        self.bench.cluster.add_server().start()

    def during(self, worker):
        """The latencies while `worker` works, and how many chunks it made or moved meanwhile."""
        idle = self.items(worker)
        Cluster.until(lambda: self.items(worker) > idle, 60, self.state)
        before = self.items(worker)
        latencies = self.pace()
        chunks = self.items(worker) - before
        assert chunks > 0, f"no {worker} while latencies were measured: {self.state()}"
        return latencies, chunks

    def items(self, worker):
        """Chunks that the worker has made or moved since the gateway started."""
        return next(
            w["items_done"] for w in self.bench.server.admin("workers", "--json")["workers"]
            if w["name"] == worker)

    def is_settled(self):
        return self.bench.server.admin("servers", "list", "--json")["balanced"] and sum(
            self.counts()[name] for name in ("repairs", "under_spread")) == 0

    def counts(self):
        return self.bench.server.admin("status", "--json")["counts"]

    def state(self):
        return f"{self.counts()}, {self.bench.server.admin('workers', '--json')['workers']}"

    def tell(self, pairs, done):
        for worker, runs in pairs.items():
            for method in ("GET", "PUT"):
                name = f"cluster: p99 of {method}s at half load during {worker}"
                self.table.add(name, statistics.median(
                    loud[method] / quiet[method] for quiet, loud in runs), "× without", 2)
                self.table.note(name + ", without it and with it, ms", tuple(
                    statistics.median(pair[side][method] for pair in runs) for side in (0, 1)))
            self.table.note(f"cluster: chunks by {worker} while that was measured", done[worker])


class Repairs(Background):
    """How fast the chunks of small objects are made again that servers held which are lost, with
    nobody else about."""

    SIZE = 64 << 10

    def measure(self):
        count = 200 if self.runs == 1 else 1500
        self.age()
        self.bench.bucket("small")
        body = os.urandom(self.SIZE)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for answer in pool.map(
                    lambda n: self.bench.server.s3("PUT", f"/small/{n}", body=body), range(count)):
                assert answer.status == 200, answer
        self.lose()
        self.note("one server is lost", self.speed(lambda: self.counts()["repairs"] > 0))
        self.bury()
        self.lose()
        self.lose()
        self.note("content bears no further loss", self.speed(self.bears_no_loss))

    def bears_no_loss(self):
        cluster = self.bench.cluster
        return cluster.postgres.sql(
            "SELECT count(*) FROM repair_queue WHERE survivors <= 4", cluster.database) != "0"

    def note(self, text, speed):
        self.table.note(
            f"cluster: chunks of objects of 64 KiB made again a second while {text}", speed)

    def speed(self, goes_on):
        """While there is work, from the first chunk that is made again then."""
        Cluster.until(goes_on, 60, self.state)
        idle = self.items("repair")
        Cluster.until(lambda: self.items("repair") > idle, 60, self.state)
        first, begin = self.items("repair"), time.monotonic()
        Cluster.until(lambda: not goes_on(), 300, self.state)
        seconds = time.monotonic() - begin
        return (self.items("repair") - first) / seconds
