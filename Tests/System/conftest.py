"""Servers and clients for the tests."""
import itertools
import os
import pathlib
import shutil
import subprocess
import tempfile

import boto3
import botocore.config
import pytest

from support import data, tools
from support.cluster_processes import QUICK, Cluster
from support.databases import Postgres
from support.server import ROOT, Server, binary, free_ports

names = itertools.count()

# Files that take longest, most of it waiting: they begin first, so that none is left over when the
# other workers have nothing to do any more.
LONGEST = [f"test_{name}.py" for name in (
    "cluster_membership", "store_gone", "cluster_database", "crash", "cluster_loss",
    "cluster_status", "strict_disk", "cluster_links", "grpc_limits", "client_awscli")]

# Clients must see these tests' credentials only.
for variable in [v for v in os.environ if v.startswith("AWS_")]:
    del os.environ[variable]
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = "/dev/null"


def pytest_configure(config):
    if not pathlib.Path(binary()).exists():
        pytest.exit(f"{binary()} is not there: swift build --product s3storage", 2)


def pytest_collection_modifyitems(items):
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(LONGEST)))


def client_versions():
    shown = (f"{name} {number or 'is missing'}" for name, number in tools.versions().items())
    return "clients: " + ", ".join(shown)


def pytest_report_header():
    return client_versions()


def pytest_terminal_summary(terminalreporter, config):
    """A quiet run has no header."""
    if config.option.verbose < 0:
        terminalreporter.write_line(client_versions())


def boto_client(server, access_key=None, secret_key=None, endpoint=None, **config):
    """A boto3 client with its defaults but for retries, which would hide errors."""
    config.setdefault("s3", {"addressing_style": "path"})
    config.setdefault("retries", {"max_attempts": 1, "mode": "standard"})
    config.setdefault("max_pool_connections", 64)
    return boto3.client(
        "s3", endpoint_url=endpoint or server.endpoint,
        aws_access_key_id=access_key or server.signer.access_key,
        aws_secret_access_key=secret_key or server.signer.secret_key, region_name="us-east-1",
        config=botocore.config.Config(**config))


@pytest.fixture(scope="session")
def server():
    """The server that tests share which leave others' buckets alone."""
    directory = tempfile.mkdtemp(prefix="s3storage-")
    running = Server(directory, {"S3_DOMAIN": "localhost"}).start()
    yield running
    try:
        assert running.stop() == 0
    finally:
        running.discard()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def make_server(tmp_path):
    """Makes private servers, for tests that kill or starve them."""
    made = []

    def make(directory=None, **options):
        made.append(Server(directory or tmp_path / f"data-{len(made)}", **options))
        return made[-1]

    yield make
    for one in made:
        one.discard()


@pytest.fixture
def private(make_server):
    """A private server that runs."""
    return make_server().start()


@pytest.fixture(scope="session")
def s3(server):
    return boto_client(server)


@pytest.fixture
def bucket(s3):
    """A bucket of this test's own."""
    name = f"bucket-{os.getpid()}-{next(names)}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="session")
def large_file():
    """200 MB that no client sends in one piece, made once for each worker."""
    directory = tempfile.mkdtemp(prefix="s3storage-large-")
    yield data.LargeFile(pathlib.Path(directory) / "large")
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def assert_large(s3, bucket, large_file):
    """Checks what a client sent and fetched of the large file, and lets go of the room it takes.

    The server counts the parts in the ETag.
    """
    def check(key, fetched, parts):
        head = s3.head_object(Bucket=bucket, Key=key)
        assert head["ContentLength"] == large_file.SIZE
        tag = head["ETag"].strip('"')
        assert tag.endswith(f"-{parts}"), tag
        assert data.file_digest(fetched) == large_file.digest
        pathlib.Path(fetched).unlink()
        s3.delete_object(Bucket=bucket, Key=key)

    return check


@pytest.fixture(scope="session")
def postgres():
    """The PostgreSQL of this worker; each cluster has a database of its own on it."""
    directory = tempfile.mkdtemp(prefix="s3storage-postgres-")
    running = Postgres(f"{directory}/postgres", free_ports(1)[0])
    try:
        yield running.start()
    finally:
        running.discard()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def make_cluster(postgres):
    """Makes clusters on the worker's PostgreSQL (or `postgres=None` for one of their own)."""
    directory = tempfile.mkdtemp(prefix="s3storage-cluster-")
    made = []

    def make(settings=None, **options):
        options.setdefault("postgres", postgres)
        made.append(Cluster(
            f"{directory}/{len(made)}", settings=QUICK | (settings or {}), **options))
        return made[-1]

    make.clusters = made
    yield make
    for one in made:
        one.discard()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Where a test with a cluster fails, what its processes said is part of the report."""
    report = (yield).get_result()
    if report.when == "call" and report.failed:
        values = getattr(item, "funcargs", {}).values()
        clusters = [value for value in values if isinstance(value, Cluster)]
        # One that the test made by itself.
        clusters = clusters or [c for value in values for c in getattr(value, "clusters", [])[-1:]]
        for cluster in clusters:
            report.sections.append(("logs of the cluster", cluster.failure_logs()))


@pytest.fixture(scope="session")
def faults(tmp_path_factory):
    """The library that fails or drops syncs."""
    library = tmp_path_factory.mktemp("faults") / "faults.so"
    compiler = next(c for c in ("clang", "cc", "gcc") if shutil.which(c))
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", library,
         ROOT / "Tests/System/support/faults.c", "-ldl"], check=True)
    return library
