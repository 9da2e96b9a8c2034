"""A whole cluster as processes of this machine: PostgreSQL, Redis, storage servers and gateways."""
import json
import os
import pathlib
import secrets
import subprocess
import time
import urllib.request

from . import http as wire
from .databases import Postgres, Redis
from .process import Process, cpu_seconds
from .server import ACCESS_KEY, PORT_NAMES, SECRET_KEY, Server, binary, free_ports

# Times that make a test short; each is a setting of the product. A machine may hang for seconds,
# as one that syncs for others does, and nobody is to be taken for dead for that.
QUICK = {
    "LOG_LEVEL": "debug", "STORE_RESERVE_BYTES": "16777216", "STORE_RESERVE_PERCENT": "0",
    "HEARTBEAT_SECONDS": "1", "RING_REFRESH_SECONDS": "1", "INACTIVE_SECONDS": "5",
    "DEAD_SECONDS": "9", "LEASE_SECONDS": "8", "BREAKER_SECONDS": "1",
    "REPAIR_SECONDS": "1", "SWEEP_SECONDS": "1", "GC_DELAY_SECONDS": "1",
    "CLEANUP_SECONDS": "2", "UPLOAD_SESSION_SECONDS": "5"}


def clean_environment(more):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    return kept | {k: str(v) for k, v in more.items()}


class Gateway(Server):
    """One gateway; it speaks as `Server` does."""

    def __init__(self, cluster, number, ports=None):
        super().__init__(
            cluster.directory / f"gateway-{number}", executable=cluster.executable,
            log_path=cluster.log_path(f"gateway-{number}"))
        self.cluster, self.number = cluster, number
        if ports:
            self.ports = dict(zip(PORT_NAMES, ports))
        self.signer.access_key, self.signer.secret_key = cluster.root

    @property
    def title(self):
        return f"gateway {self.number}"

    def command(self):
        command = [
            self.executable, "gateway", "--data-dir", self.data_dir, "--database-url",
            self.cluster.gateway_database_url, "--master-key-file", self.cluster.master_key]
        if self.cluster.redis:
            command += ["--redis-url", self.cluster.redis.url]
        for name in PORT_NAMES:
            command += [f"--{name}-port", self.ports[name]]
        return command + self.arguments

    def spawn(self, options=None, **extra):
        environment = self.cluster.environment() | self.environment | extra
        return self.launch(self.command(), clean_environment(environment), **(options or {}))

    def workers(self):
        return self.admin("workers", "--json")


class StorageServer(Process):
    """One storage server, reached by its own port or by the one that it advertises."""

    def __init__(self, cluster, number, ports=None, advertise=None, zone=None, weight=None):
        super().__init__(cluster.log_path(f"storage-{number}"))
        self.cluster, self.number = cluster, number
        self.data_dir = cluster.directory / f"storage-{number}"
        self.port, self.metrics_port = ports or free_ports(2)
        self.advertise, self.zone, self.weight = advertise, zone, weight
        self.environment, self.arguments = {}, []

    @property
    def title(self):
        return f"storage server {self.number}"

    @property
    def address(self):
        return self.advertise or f"127.0.0.1:{self.port}"

    def command(self):
        command = [
            self.cluster.executable, "storage-server", "--data-dir", self.data_dir, "--grpc-port",
            self.port, "--metrics-port", self.metrics_port, "--gateways",
            ",".join(g.url("admin") for g in self.cluster.gateways)]
        for name in ("zone", "weight", "advertise"):
            value = getattr(self, name)
            if value is not None:
                command += [f"--{name}", value]
        return command + self.arguments

    def spawn(self, options=None, **extra):
        environment = self.cluster.environment() | self.environment | extra
        return self.launch(self.command(), clean_environment(environment), **(options or {}))

    def start(self, timeout=30, **extra):
        return self.spawn(**extra).await_start(self.healthy, timeout)

    def healthy(self):
        try:
            url = f"http://127.0.0.1:{self.metrics_port}/health"
            with urllib.request.urlopen(url, timeout=2) as response:
                return response.status == 200
        except OSError:
            return False

    def chunk_files(self):
        """Files of large chunks, whole and unfinished, as paths relative to the data directory."""
        return {
            str(p.relative_to(self.data_dir)) for kind in ("chunks", "unfinished")
            for p in self.data_dir.rglob(f"{kind}/**/*") if p.is_file()}

    def chunk_count(self):
        """How many chunks its stores keep, small ones in volumes among them, as it says."""
        with urllib.request.urlopen(
                f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as response:
            lines = response.read().decode().splitlines()
        return int(sum(
            float(line.rpartition(" ")[2]) for line in lines
            if line.startswith("storage_chunk_count")))


class Cluster:
    """Storage servers and gateways on one database; `start` again keeps data and ports.

    `postgres` and `redis` are running servers, or None for ones of its own; `redis=False` goes
    without. `tls` runs `cluster init` and `cluster join` for certificates.
    """

    def __init__(self, directory, servers=6, gateways=2, postgres=None, redis=False, tls=False,
                 settings=None, executable=None, base_port=None, root=None, keep_logs=False):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.executable = str(executable or binary())
        self.keep_logs = keep_logs
        self.settings = dict(settings or {})
        self.tls = tls
        self.root = root or (ACCESS_KEY, SECRET_KEY)
        self.owns_postgres = postgres is None
        self.postgres = postgres or Postgres(
            self.directory / "postgres", base_port or free_ports(1)[0], self.log_path("postgres"))
        self.database = "s3storage" if self.owns_postgres else f"s3storage_{secrets.token_hex(6)}"
        self.redis = redis or None
        if redis is True:
            self.redis = Redis(
                base_port + 1 if base_port else free_ports(1)[0], self.log_path("redis"))
        self.owns_redis = redis is True
        self.database_proxy = None
        self.gateways = [
            Gateway(self, n, base_port and range(base_port + 4 * n + 2, base_port + 4 * n + 6))
            for n in range(gateways)]
        first = base_port and base_port + 4 * gateways + 2
        self.servers = [
            StorageServer(self, n, base_port and (first + 2 * n, first + 2 * n + 1))
            for n in range(servers)]

    # Parts

    def log_path(self, name):
        if not self.keep_logs:
            return None
        (self.directory / "logs").mkdir(exist_ok=True)
        return self.directory / "logs" / f"{name}.log"

    @property
    def master_key(self):
        return self.directory / "master.key"

    @property
    def secret(self):
        """What the processes of a loopback cluster without certificates share."""
        path = self.directory / "cluster.secret"
        if not path.exists():
            path.touch(0o600)
            path.write_text(secrets.token_hex(32))
        return path.read_text()

    @property
    def database_url(self):
        return self.postgres.url(self.database)

    @property
    def gateway_database_url(self):
        port = self.database_proxy.port if self.database_proxy else None
        return self.postgres.url(self.database, port)

    @property
    def processes(self):
        return [*self.servers, *self.gateways]

    def environment(self):
        """The variables of every process."""
        own = {
            "ROOT_ACCESS_KEY": self.root[0], "ROOT_SECRET_KEY": self.root[1]} | self.settings
        if not self.tls:
            own["CLUSTER_SECRET"] = self.secret
        return own

    def add_server(self, **options):
        """One more storage server, not started."""
        number = max((s.number for s in self.servers), default=-1) + 1
        self.servers.append(StorageServer(self, number, **options))
        return self.servers[-1]

    # Life

    def run(self, *arguments, timeout=120, **variables):
        """Runs one command of the product."""
        return subprocess.run(
            [self.executable, *map(str, arguments)], capture_output=True, text=True,
            timeout=timeout, env=clean_environment(self.environment() | variables))

    def migrate(self):
        done = self.run("migrate", "--database-url", self.database_url)
        assert done.returncode == 0, f"migrate: {done.stdout}{done.stderr}"

    def command(self, *arguments):
        """Runs `s3storage cluster …`; what it answered."""
        done = self.run(
            "cluster", *arguments, "--json", DATABASE_URL=self.database_url,
            MASTER_KEY_FILE=self.master_key, DATA_DIR=self.directory / "authority")
        assert done.returncode == 0, f"cluster {arguments}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    def initialise(self):
        """Gives the database a cluster, and the cluster its keys; what is there stays."""
        return self.command("init")

    def join(self, *servers):
        """Gives these servers certificates, each by one use of a token."""
        if not servers:
            return
        token = self.command("token", "--uses", str(len(servers)))["token"]
        for server in servers:
            done = self.run(
                "cluster", "join", "--gateway", self.gateways[0].url("admin"), "--data-dir",
                server.data_dir, "--advertise", server.address, JOIN_TOKEN=token)
            assert done.returncode == 0, f"cluster join: {done.stdout}{done.stderr}"
            (server.data_dir / "joined").touch()

    def start(self, timeout=60, launching=None):
        """Starts all that does not run, and waits until every server is in the ring."""
        options = dict(options=launching or {})
        if not self.postgres.alive:
            self.postgres.start(**(launching or {}))
        if self.redis and not self.redis.alive:
            self.redis.start(**(launching or {}))
        self.postgres.create(self.database)
        self.migrate()
        self.initialise()
        # The first gateway makes the root user.
        self.gateways[0].alive or self.gateways[0].spawn(**options).await_start(
            self.gateways[0].healthy, timeout)
        if self.tls:
            self.join(*[s for s in self.servers if not (s.data_dir / "joined").exists()])
        for process in self.processes:
            if not process.alive:
                process.spawn(**options)
        for process in self.processes:
            process.await_start(process.healthy, timeout)
        self.await_active(len(self.servers), timeout)
        return self

    def active(self, gateway=None):
        """The servers that the gateway writes to now, by address: its circuit breakers are closed."""
        gateway = gateway or self.gateways[0]
        listed = gateway.admin("servers", "list", "--json")
        samples = gateway.metrics()
        return {
            s["address"]: s for s in listed["servers"]
            if s["state"] == "active" and s["health"] == "active"
            and samples.get(f's3storage_circuit_breaker_closed{{server="{s["id"]}"}}') == 1}

    def await_active(self, count, timeout=60):
        """Waits until each gateway writes to `count` servers."""
        for gateway in self.gateways:
            if gateway.alive:
                self.until(
                    lambda: len(self.active(gateway)) == count, timeout,
                    lambda: f"{gateway.title}: {self.active(gateway)} instead of {count}")

    def await_spread(self, count, timeout=60):
        """Waits until what any gateway writes now lands on `count` servers, six at most.

        A server that was away and is active again may still be unreachable for a moment for the one
        gateway or the other: what it wrote then would be spread less."""
        self.await_active(count, timeout)
        for gateway in self.gateways:
            if gateway.alive:
                self.until(
                    lambda: len(self.probe(gateway)) == min(count, 6), timeout,
                    lambda: f"{gateway.title} writes to {self.probe(gateway)}")

    @staticmethod
    def probe(gateway):
        """The stores that hold what the gateway was given just now."""
        form = (b"--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"probe\"\r\n\r\n"
                + b"p" * 50_000 + b"\r\n--edge--\r\n")

        def call(method, path, headers=(), body=b""):
            return wire.request(gateway.ports["http"], method, path, [
                ("Host", gateway.host), ("Authorization", f"Bearer {ACCESS_KEY}:{SECRET_KEY}"),
                *headers], body, 30)

        made = call("POST", "/files", [
            ("Content-Type", "multipart/form-data; boundary=edge")], form)
        if made.status != 201:
            return set()
        file = f"/files/{json.loads(made.body)['id']}"
        chunks = json.loads(call("GET", f"{file}/metadata").body)["chunks"]
        assert call("DELETE", file).status == 204
        return {c["server"] for c in chunks if c["status"] == "present"}

    @staticmethod
    def until(condition, timeout=30, state=lambda: "", step=0.1):
        """Waits until `condition()` is true; its value."""
        deadline = time.monotonic() + timeout
        while True:
            value = condition()
            if value:
                return value
            assert time.monotonic() < deadline, f"not within {timeout} s: {state()}"
            time.sleep(step)

    def stop(self):
        """Ends gateways, then servers, then what they rest on; the exit codes of all."""
        codes = {}
        for process in [*self.gateways, *self.servers]:
            if process.process is not None:
                codes[process.title] = process.stop()
        if self.owns_redis and self.redis.process:
            codes["redis"] = self.redis.stop()
        if self.owns_postgres and self.postgres.process:
            codes["postgres"] = self.postgres.stop()
        return codes

    def discard(self):
        """Ends everything whatever its state; a database on a shared server is dropped."""
        for process in self.processes:
            process.kill()
            if not self.keep_logs:
                process.log_path.unlink(missing_ok=True)
        if self.owns_redis:
            self.redis.discard()
        if self.owns_postgres:
            self.postgres.discard()
        elif self.postgres.alive:
            self.postgres.drop(self.database)

    # Looking at it

    def cpu_seconds(self):
        """User and system time of all gateways and storage servers."""
        return sum(cpu_seconds(p.pid) for p in self.processes if p.alive)

    def failure_logs(self, lines=12):
        """The last of what each process said, but for what is said all the time."""
        return "\n".join(
            "\n".join([f"--- {p.title}", *(
                line[:400] for line in [
                    text for text in p.log().splitlines()
                    if '"level":"debug"' not in text and '"level":"info"' not in text][-lines:])])
            for p in self.processes)
