"""Why a process does not start is said in sentences, not in the names of the program's own types."""
import re
import socket
import subprocess

import pytest

from support.cluster_processes import clean_environment
from support.server import ACCESS_KEY, PORT_NAMES, SECRET_KEY, binary, free_ports

# `alreadyExists("…")`, `invalidInput(…)`, `MetadataError.fenced`, `Optional(…)`: Swift's own words.
SWIFT = re.compile(r"\b[a-z]+[A-Z]\w*\b|\b\w+\(\"|Error\b|Optional\(")


def fails(*arguments, **variables):
    """The sentence with which a command ends that cannot start."""
    environment = {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY} | variables
    done = subprocess.run(
        [binary(), *map(str, arguments)], capture_output=True, text=True, timeout=120,
        env=clean_environment(environment))
    assert done.returncode == 1, done.stdout + done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("s3storage: ")
    text = last.removeprefix("s3storage: ")
    assert not SWIFT.search(text), text
    return text


def ports(taken=None):
    options = []
    for name, port in zip(PORT_NAMES, free_ports(len(PORT_NAMES))):
        options += [f"--{name}-port", taken if taken and name == "http" else port]
    return options


@pytest.fixture
def taken():
    """A port that somebody listens on."""
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", free_ports(1)[0]))
        listener.listen()
        yield listener.getsockname()[1]


def test_embedded(private, tmp_path, taken):
    assert fails("serve", "--data-dir", private.data_dir, *ports()) == (
        "another s3storage uses this data directory")
    text = fails("serve", "--data-dir", tmp_path / "new", *ports(taken))
    assert text == f"cannot listen on 0.0.0.0 port {taken}: Address already in use"
    private.stop()
    text = fails("serve", "--data-dir", private.data_dir, *ports(), ROOT_SECRET_KEY="x" * 40)
    assert text == "the preset root access key exists with another secret or user, or was revoked"
    text = fails("serve", "--data-dir", tmp_path / "other", *ports(), ROOT_SECRET_KEY="x")
    assert text == "a secret key has 8 to 128 printable ASCII characters"
    database = next(p for p in private.data_dir.rglob("*") if p.name.endswith((".sqlite", ".db")))
    database.write_bytes(b"no database at all" * 1000)
    text = fails("serve", "--data-dir", private.data_dir, *ports())
    assert text.startswith("the metadata: "), text


def test_gateway(tmp_path, postgres):
    def gateway(url):
        return fails("gateway", "--data-dir", tmp_path / "gateway", *ports(), DATABASE_URL=url)

    away = free_ports(1)[0]
    text = gateway(f"postgres://user:secret@127.0.0.1:{away}/database")
    assert text.startswith("the metadata: no connection to the database: "), text
    assert str(away) in text and "secret" not in text
    assert "the database's URL is not one" in gateway("nonsense")
    postgres.create("s3storage_start")
    try:
        assert "run `s3storage migrate`" in gateway(postgres.url("s3storage_start"))
    finally:
        postgres.drop("s3storage_start")


def test_cluster(make_cluster, taken):
    cluster = make_cluster(servers=1, gateways=1).start()
    gateway, server = cluster.gateways[0], cluster.servers[0]
    command = server.command()[1:]
    assert fails(*command, **cluster.environment()) == "another s3storage uses this data directory"
    server.stop()
    command[command.index("--grpc-port") + 1] = taken
    text = fails(*command, **cluster.environment())
    assert "cannot listen on" in text and str(taken) in text, text
    gateway.stop()
    command = gateway.command()[1:]
    command[command.index("--http-port") + 1] = taken
    text = fails(*command, **cluster.environment())
    assert text == f"cannot listen on 0.0.0.0 port {taken}: Address already in use"
