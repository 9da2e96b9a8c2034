"""What a cluster rests on, each by itself: statements of the database, the chunk service."""
import json
import shutil
import subprocess

from measure import RELEASE, median
from support.databases import Postgres
from support.process import cpu_seconds
from support.server import free_ports

# What the bench's own server calls itself, see `s3storage-bench chunk-server`.
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
        words = name.replace("_", " ").replace("logged", "with the change log,")
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


def moved(directory, kind, store, mebibytes):
    """What a client process sees of a server process, whose CPU counts too; `store` is `memory`,
    `disk`, or `library`: what the RPC library does by itself."""
    tls = [directory / "certificates"] if kind == "tls" else []
    program = RELEASE / "s3storage-bench"
    name = "library" if store == "library" else "chunk"
    place = {"memory": ["memory"], "disk": [directory], "library": []}[store]
    server = subprocess.Popen(
        [program, f"{name}-server", *place, *tls], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True)
    try:
        port = int(server.stdout.readline())
        before = cpu_seconds(server.pid)
        figures = bench(f"{name}-client", port, mebibytes, *tls)
        # Both ways moved the same.
        used = (cpu_seconds(server.pid) - before) * 1024 / mebibytes / 2
        return figures | {"server_cpu_seconds_per_gib": used}
    finally:
        server.stdin.close()
        assert server.wait(60) == 0


def chunk_service(directory, scale, table):
    """Four streams from one process to another; the goal is of the transport, whose far end keeps
    nothing, and beside it stands the same with a store on the disk."""
    certificates(directory / "certificates")
    mebibytes = max(256, scale["large"] // MIB)
    try:
        for kind, title in (("plain", "plain"), ("tls", "mutual TLS")):
            runs = {store: [moved(directory, kind, store, mebibytes) for _ in range(scale["runs"])]
                    for store in ("memory", "disk")}
            for method in ("put", "get"):
                def figure(store, name):
                    return median(runs[store], name)
                rate, own = f"{method}_mib_per_second", f"{method}_cpu_seconds_per_gib"
                table.add(
                    f"chunk service: {method.upper()}, {title}",
                    figure("memory", rate) * MIB / 1e6, "MB/s", 1000, least=True)
                table.note(
                    f"chunk service: {method.upper()}, {title}: the client's CPU in s/GiB; with a"
                    " disk: MB/s, the client's CPU", (
                        figure("memory", own), figure("disk", rate) * MIB / 1e6,
                        figure("disk", own)))
            table.note(
                f"chunk service: {title}: the server's CPU in s/GiB, mean of both ways; with a disk",
                tuple(figure(store, "server_cpu_seconds_per_gib") for store in ("memory", "disk")))
    finally:
        shutil.rmtree(directory, ignore_errors=True)
