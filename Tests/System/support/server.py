"""One s3storage process on a data directory and ports of its own."""
import json
import os
import pathlib
import random
import socket
import subprocess
import threading
import urllib.request

from . import http
from .process import Process
from .signing import Signer, encode_path

ROOT = pathlib.Path(__file__).resolve().parents[3]
ACCESS_KEY = "AKIASYSTEMTESTS00000"
SECRET_KEY = "rootSecretOfTheSystemTests/+0123456789ab"
PORT_NAMES = ("s3", "http", "admin", "metrics")


def binary():
    """The executable under test."""
    return os.environ.get("S3STORAGE_BINARY", str(ROOT / ".build/debug/s3storage"))


_given = set()
_giving = threading.Lock()


def _port_range():
    """A range of this worker's own: ports of a stopped server are free, and still taken."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if not worker:
        return 12000, 32000
    first = 12000 + int(worker.removeprefix("gw")) % 10 * 2000
    return first, first + 2000


def free_ports(count):
    """Ports that are free now, below the range that outgoing connections take theirs from.

    None is given twice, so that a server that is stopped can have its ports again.
    """
    found = []
    with _giving:
        while len(found) < count:
            port = random.SystemRandom().randrange(*_port_range())
            with socket.socket() as candidate:
                try:
                    candidate.bind(("0.0.0.0", port))
                except OSError:
                    continue
            if port not in _given:
                _given.add(port)
                found.append(port)
    return found


class Server(Process):
    """A running server; `start` again after it has ended keeps data and ports."""

    def __init__(self, data_dir, environment=None, arguments=(), executable=None, log_path=None):
        super().__init__(log_path)
        self.data_dir = pathlib.Path(data_dir)
        self.environment = dict(environment or {})
        self.arguments = list(arguments)
        self.executable = executable or binary()
        self.ports = dict(zip(PORT_NAMES, free_ports(4)))
        self.signer = Signer(ACCESS_KEY, SECRET_KEY)

    # Life

    def command(self):
        """The command line but for the ports."""
        return [self.executable, "serve", "--data-dir", str(self.data_dir)]

    def spawn(self, options=None, **extra):
        """Starts the process and returns at once."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        environment |= {
            "ROOT_ACCESS_KEY": self.signer.access_key, "ROOT_SECRET_KEY": self.signer.secret_key,
            "LOG_LEVEL": "debug", "STORE_RESERVE_BYTES": "16777216", "STORE_RESERVE_PERCENT": "0",
            # Tests that count chunks want none but their own; those of recovery ask for them.
            "SNAPSHOT_SECONDS": "0"}
        environment |= self.environment | extra
        command = self.command()
        for name in PORT_NAMES:
            command += [f"--{name}-port", str(self.ports[name])]
        return self.launch(command + self.arguments, environment, **(options or {}))

    def start(self, timeout=30, **extra):
        """Starts the process and waits until it serves."""
        return self.spawn(**extra).await_start(self.healthy, timeout)

    def healthy(self):
        try:
            with urllib.request.urlopen(self.url("http", "/health"), timeout=2) as response:
                return response.status == 200
        except OSError:
            return False

    # Looking at it

    def url(self, name, path=""):
        return f"http://127.0.0.1:{self.ports[name]}{path}"

    @property
    def host(self):
        return f"127.0.0.1:{self.ports['s3']}"

    @property
    def endpoint(self):
        return self.url("s3")

    def files(self, *patterns):
        """Files of the data directory as a set of paths relative to it; chunk files by default."""
        patterns = patterns or ("stores/*/chunks/**/*", "stores/*/unfinished/**/*")
        return {
            str(p.relative_to(self.data_dir)) for pattern in patterns
            for p in self.data_dir.glob(pattern) if p.is_file()}

    def metrics(self):
        """The samples of /metrics: name with labels → value."""
        with urllib.request.urlopen(self.url("metrics", "/metrics"), timeout=10) as response:
            text = response.read().decode()
        samples = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                samples[name] = float(value)
        return samples

    def add_user(self, name):
        """Makes a user with a key; a signer for it."""
        access_key, secret_key = f"KEYOF.{name}", f"secretOf.{name}.{random.randrange(1 << 60):x}"
        self.admin("users", "create", name)
        self.admin(
            "keys", "create", name, "--access-key", access_key, "--secret-key", secret_key)
        return Signer(access_key, secret_key)

    # Talking to it

    def s3(self, method, path, headers=(), body=b"", signer=None, payload_hash=None, **options):
        """A header-signed S3 request; `path` is the encoded target."""
        import hashlib
        if payload_hash is None:
            payload_hash = hashlib.sha256(body).hexdigest()
        signed, _ = (signer or self.signer).sign(
            method, path, [("Host", self.host), *headers], payload_hash, **options)
        return http.request(self.ports["s3"], method, path, signed, body)

    def presign(self, method, bucket, key, signer=None, **options):
        """The target of a presigned request."""
        return (signer or self.signer).presign(
            method, self.host, "/" + encode_path(f"{bucket}/{key}"), **options)

    def admin(self, *arguments, check=True, input=None, access_key=None,
              secret_key=None):
        """Runs `s3storage admin …` against this server; the output parsed where it is JSON."""
        done = subprocess.run(
            [self.executable, "admin", "--endpoint", self.url("admin"), "--access-key",
             access_key or self.signer.access_key, "--secret-key",
             secret_key or self.signer.secret_key, *arguments],
            capture_output=True, text=True, input=input, timeout=120)
        if not check:
            return done
        assert done.returncode == 0, f"admin {arguments}: {done.stdout}{done.stderr}"
        if "--json" in arguments:
            return json.loads(done.stdout)
        return done.stdout
