"""What a cluster rests on, each by itself: statements of the database, the chunk service."""
import json
import shutil
import subprocess

from measure import RELEASE
from support.databases import Postgres
from support.server import free_ports

# What the bench's own server calls itself, see `s3storage-bench chunk-rpc`.
SERVER = "00000000000000020000000000000002.server.s3storage.internal"
GATEWAY = "gateway.s3storage.internal"
MIB = 1 << 20


def bench(*arguments):
    done = subprocess.run(
        [RELEASE / "s3storage-bench", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def database(directory, table):
    """Statements as the gateway sends them, against a PostgreSQL as Debian ships it, durable."""
    postgres = Postgres(directory, free_ports(1)[0])
    postgres.start()
    try:
        postgres.create("bench")
        figures = bench("sql", postgres.url("bench"))
    finally:
        postgres.stop()
        shutil.rmtree(directory, ignore_errors=True)
    for name, figure in figures.items():
        words = name.replace("_", " ")
        if name.startswith("commits_per_second"):
            table.add(
                f"SQL: {words.replace('commits per second ', 'commits on one bucket, ')}", figure,
                "/s", 1000, least=True)
        else:
            goal = 1 if name == "small_get" else None
            table.add(f"SQL: {words}, round trips", figure["round_trips"], "", goal)
            table.note(f"SQL: {words}, mean in µs", figure["microseconds"])


def certificates(directory):
    """An authority and certificates for both ends."""
    directory.mkdir(parents=True)

    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *key, "-days", 2, "-subj", "/CN=authority", "-keyout",
            directory / "ca.key", "-out", directory / "ca.pem")
    for end, name in (("server", SERVER), ("gateway", GATEWAY)):
        path = directory / end
        path.with_suffix(".ext").write_text(f"subjectAltName=DNS:{name}\nbasicConstraints=CA:FALSE\n")
        openssl("req", *key, "-subj", f"/CN={end}", "-keyout", path.with_suffix(".key"), "-out",
                path.with_suffix(".csr"))
        openssl("x509", "-req", "-in", path.with_suffix(".csr"), "-CA", directory / "ca.pem",
                "-CAkey", directory / "ca.key", "-CAcreateserial", "-days", 2, "-extfile",
                path.with_suffix(".ext"), "-out", path.with_suffix(".pem"))


def chunk_service(directory, scale, table):
    """Four streams between two ends of one process; the goal is of the transport, whose other end
    keeps nothing, and beside it stands the same with a store on the disk."""
    certificates(directory / "certificates")
    try:
        figures = bench(
            "chunk-rpc", directory, max(256, scale["large"] // MIB), directory / "certificates")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    for kind, title in (("plain", "plain"), ("tls", "mutual TLS")):
        for method in ("put", "get"):
            table.add(
                f"chunk service: {method.upper()}, {title}",
                figures[f"{kind}_memory_{method}_mib_per_second"] * MIB / 1e6, "MB/s", 1000,
                least=True)
            table.note(
                f"chunk service: {method.upper()}, {title}: CPU of both ends in s/GiB; with a disk:"
                " MB/s, CPU", (
                    figures[f"{kind}_memory_{method}_cpu_seconds_per_gib"],
                    figures[f"{kind}_disk_{method}_mib_per_second"] * MIB / 1e6,
                    figures[f"{kind}_disk_{method}_cpu_seconds_per_gib"]))
