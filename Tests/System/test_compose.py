"""What is deployed by Compose: the file itself, and what it starts, as plain processes."""
import graphlib
import os
import re
import secrets
import subprocess

import pytest
import yaml

from support import http as wire
from support.cluster_processes import Cluster
from support.databases import Postgres, Redis
from support.process import Process
from support.server import ROOT, binary, free_ports
from support.signing import Signer

# What each command listens on unless it is told otherwise.
PORTS = {
    "gateway": {"S3_PORT": 9000, "HTTP_PORT": 8080, "ADMIN_PORT": 9001, "METRICS_PORT": 9090},
    "storage-server": {"GRPC_PORT": 50051, "METRICS_PORT": 9090}}
OTHERS = ("network", "postgres", "redis")


def compose():
    return yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())


def test_compose_says_the_same_as_make_cluster():
    services = compose()["services"]
    storage = [n for n in services if n.startswith("storage-")]
    gateways = [n for n in services if n.startswith("gateway-")]
    assert len(storage) == 6 and len(gateways) == 2
    assert {"postgres", "redis", "migrate"} <= services.keys()
    for name, service in services.items():
        assert service.get("image") or service.get("build"), name
        for other in service.get("depends_on", {}):
            assert other in services, (name, other)
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in compose()["volumes"], (name, source)
    # On one loopback no two may want the same port.
    ports = [
        str(value) for service in services.values() if "GATEWAYS" in service.get("environment", {})
        or service.get("command") == ["gateway"]
        for name, value in service["environment"].items() if name.endswith("_PORT")]
    assert len(ports) == len(set(ports)) == 16, ports


def test_secrets_of_compose_come_from_outside():
    text = (ROOT / "deploy/compose.yaml").read_text()
    example = (ROOT / "deploy/compose.env.example").read_text()
    wanted = set(re.findall(r"\$\{(\w+):\?", text))
    assert wanted == set(re.findall(r"^(\w+)=$", example, re.M))
    assert not re.search(r"(PASSWORD|SECRET\w*): [^$\s]", text)


def test_compose_uses_only_settings_and_commands_that_there_are():
    said = subprocess.run([binary(), "config"], capture_output=True, text=True).stdout
    known = set(re.findall(r"\b[A-Z][A-Z0-9_]{2,}\b", said))
    text = subprocess.run([binary(), "help"], capture_output=True, text=True).stdout
    for name, service in compose()["services"].items():
        if name in OTHERS:
            continue
        for variable in service.get("environment", {}):
            assert variable in known, (name, variable)
        command = service["command"]
        assert command[0] in text, (name, command)


def ports_of(service):
    """The ports that a service listens on, by the variables that name them."""
    defaults = PORTS.get(service["command"][0], {})
    return {name: int(service["environment"].get(name, port)) for name, port in defaults.items()}


class Composed:
    """The services of the product on this loopback: commands and variables are those of the
    file, but for ports, which are free ones, and for mounts, which are directories."""

    def __init__(self, directory):
        self.directory = directory
        self.services = {n: s for n, s in compose()["services"].items() if n not in OTHERS}
        self.secrets = {
            name: secrets.token_hex(32)
            for name in re.findall(r"\$\{(\w+):\?", (ROOT / "deploy/compose.yaml").read_text())}
        said = sorted({p for s in self.services.values() for p in ports_of(s).values()})
        own, redis, *free = free_ports(2 + len(said))
        self.ports = dict(zip(said, free)) | {5432: own, 6379: redis}
        self.postgres = Postgres(directory / "postgres", own)
        self.redis = Redis(redis)
        self.processes = {}

    def value(self, text):
        """A value of the file, interpolated, with the ports of this machine."""
        text = re.sub(r"\$\{(\w+):\?[^}]*\}", lambda m: self.secrets[m[1]], str(text))
        assert "$" not in text, text
        return re.sub(
            r"(?<=127\.0\.0\.1:)\d+", lambda m: str(self.ports[int(m[0])]), text)

    def environment(self, name):
        service = self.services[name]
        mounts = dict(v.split(":")[1::-1] for v in service.get("volumes", []))
        mounts = {path: self.directory / volume for path, volume in mounts.items()}
        mounts |= {path: self.directory / f"{name}-tmpfs" for path in service.get("tmpfs", [])}
        found = {"DATA_DIR": "/data"}  # The image says so.
        found |= {k: self.value(v) for k, v in service.get("environment", {}).items()}
        found |= {k: str(self.ports[port]) for k, port in ports_of(service).items()}
        for variable, text in found.items():
            for path, directory in mounts.items():
                if text == path or text.startswith(path + "/"):
                    directory.mkdir(exist_ok=True, mode=0o700)
                    found[variable] = str(directory) + text[len(path):]
        assert not found["DATA_DIR"].startswith("/data"), f"{name} writes where nothing is mounted"
        if "DATABASE_URL" in found:
            # The role of the file, with the password that the server here was given.
            role = re.match(r"postgres://(\w+):[^@]*@[^/]*/(\w+)$", found["DATABASE_URL"])
            found["DATABASE_URL"] = self.postgres.url(role[2])
        # Addresses of loopback suffice here.
        return found | {"ADMIN_BIND_ADDRESS": "127.0.0.1", "PATH": os.environ["PATH"]}

    def start(self):
        if not self.postgres.alive:
            self.postgres.start()
            self.redis.start()
        self.postgres.create(compose()["services"]["postgres"]["environment"]["POSTGRES_DB"])
        order = graphlib.TopologicalSorter({
            n: [d for d in s.get("depends_on", {}) if d in self.services]
            for n, s in self.services.items()})
        for name in order.static_order():
            self.start_service(name)
        return self

    def start_service(self, name):
        service = self.services[name]
        process = self.processes[name] = Process().launch(
            [binary(), *service["command"]], self.environment(name))
        if service.get("restart") == "no":
            assert process.process.wait(60) == 0, f"{name}: {process.log()}"
        elif name.startswith("gateway-"):
            port = self.ports[ports_of(service)["HTTP_PORT"]]
            process.await_start(lambda: healthy(port), 60)

    def s3(self, gateway, method, path, body=b""):
        port = self.ports[ports_of(self.services[gateway])["S3_PORT"]]
        signer = Signer(self.secrets["ROOT_ACCESS_KEY"], self.secrets["ROOT_SECRET_KEY"])
        headers, _ = signer.sign(
            method, path, [("Host", f"127.0.0.1:{port}")], "UNSIGNED-PAYLOAD")
        return wire.request(port, method, path, headers, body, 30)

    def stop(self):
        """Ends the processes in the opposite order, and returns their exit codes."""
        return {n: p.stop(45) for n, p in reversed(self.processes.items())}

    def discard(self):
        for process in self.processes.values():
            process.kill()
            process.log_path.unlink(missing_ok=True)
        self.redis.discard()
        self.postgres.discard()


def healthy(port):
    try:
        return wire.request(port, "GET", "/health", [("Host", "localhost")], b"", 5).status == 200
    except OSError:
        return False


@pytest.fixture
def composed(tmp_path):
    made = Composed(tmp_path)
    yield made
    made.discard()


def test_what_compose_starts_serves_objects_stops_cleanly_and_starts_again(composed):
    body = os.urandom(3_000_000)

    def until_each_gateway_serves():
        for gateway in ("gateway-1", "gateway-2"):
            Cluster.until(
                lambda: composed.s3(gateway, "GET", "/bucket/k").body == body, 90,
                lambda: composed.processes[gateway].log()[-2000:])

    composed.start()
    assert composed.s3("gateway-1", "PUT", "/bucket").status == 200
    # Storage servers have no order among them and the gateways.
    Cluster.until(lambda: composed.s3("gateway-1", "PUT", "/bucket/k", body).status == 200, 90)
    until_each_gateway_serves()
    codes = composed.stop()
    assert set(codes.values()) == {0}, codes
    composed.start()
    until_each_gateway_serves()
