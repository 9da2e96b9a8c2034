"""What the chunk service does at its limits, as another implementation of gRPC sees it."""
import contextlib
import os
import queue
import subprocess

import grpc
import pytest

from support import chunk_service
from support.chunk_service import Service
from support.cluster_processes import Cluster
from support.proxy import Proxy
from test_grpc import code

# What no metadata name would be swept in the end: not while the tests run.
KEEPS = {"GC_DELAY_SECONDS": "3600", "CHANGE_LOG": "off", "SNAPSHOT_SECONDS": "0"}


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    return chunk_service.generated(tmp_path_factory.mktemp("generated"))


@pytest.fixture
def open_service(modules):
    with contextlib.ExitStack() as stack:
        def make(server, **options):
            service = Service(server, *modules, **options)
            stack.callback(service.channel.close)
            return service
        yield make


@pytest.fixture(scope="module")
def module_cluster(make_cluster):
    return make_cluster(KEEPS, servers=1, gateways=1).start()


@pytest.fixture
def cluster(module_cluster):
    """The cluster; its server runs again, as it did, behind the test."""
    yield module_cluster
    server = module_cluster.servers[0]
    server.resume() if server.alive else None
    if server.environment:
        server.environment = {}
        server.stop(timeout=60)
    if not server.alive:
        server.start(60)


@pytest.fixture
def server(cluster):
    return cluster.servers[0]


def restart(server, **environment):
    assert server.stop(timeout=60) == 0
    server.environment = environment
    server.start(60)


def code_or_none(call):
    try:
        call()
    except grpc.RpcError as error:
        return error.code()
    return None


def stored(service, length):
    name, data = service.name(), os.urandom(length)
    service.put(name, data)
    return name, data


def read(service, name, length):
    request = service.messages.GetChunkRequest(store=service.store, chunk=name, length=length)
    return b"".join(part.data for part in service.call("GetChunk", request))


def named(service, name):
    return service.messages.ChunkRequest(store=service.store, chunk=name)


# Statuses

def test_a_full_store_refuses_writes_and_nothing_else(server, open_service):
    service = open_service(server)
    small, large = stored(service, 5000), stored(service, 1 << 20)
    restart(server, STORE_RESERVE_BYTES=str(1 << 50))
    service = open_service(server)
    assert service.health.stores[0].state == service.messages.STORE_STATE_FULL
    for length in (5000, 1 << 20):
        name, data = service.name(), os.urandom(length)
        assert code(lambda: service.put(name, data)) == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert code(lambda: service.call(
            "StatChunk", named(service, name))) == grpc.StatusCode.NOT_FOUND
    for name, data in (small, large):
        assert read(service, name, len(data)) == data
        service.delete(name)
        assert code(lambda: service.call(
            "StatChunk", named(service, name))) == grpc.StatusCode.NOT_FOUND
    assert not {p for p in server.chunk_files() if "unfinished" in p}


@pytest.mark.parametrize("length", [5000, 1 << 20])
def test_a_store_whose_sync_failed_is_fenced(server, open_service, faults, tmp_path, length):
    trigger = tmp_path / "fail"
    restart(server, LD_PRELOAD=str(faults), FAULT_SYNC_FAIL="a:/store/", FAULT_WHILE=str(trigger))
    service = open_service(server)
    kept = stored(service, length)
    trigger.touch()
    name, data = service.name(), os.urandom(length)
    first = code(lambda: service.put(name, data))
    assert first in (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INTERNAL)
    trigger.unlink()
    # A sync that failed is not tried again: what the kernel dropped would seem to be there.
    name, data = service.name(), os.urandom(length)
    assert code(lambda: service.put(name, data)) == grpc.StatusCode.FAILED_PRECONDITION
    assert read(service, kept[0], length) == kept[1]
    Cluster.until(lambda: service.call(
        "HealthCheck", service.messages.HealthCheckRequest()).stores[0].state
        == service.messages.STORE_STATE_FENCED, 60)


def test_what_is_too_large_is_refused(server, open_service):
    service, status = open_service(server), grpc.StatusCode
    m = service.messages
    name = service.name()
    data = os.urandom((128 << 10) + 64)
    assert code(lambda: service.call(
        "PutChunk", iter([service.small(name, data)]))) == status.OUT_OF_RANGE
    put = m.PutChunkRequest
    first = put(store=service.store, header=service.header(name))
    # More data in a message than there may be, and than a message may have.
    for parts, expected in [
            ([first, put(data=bytes((1 << 20) + 4096))], status.INVALID_ARGUMENT),
            ([first, put(data=bytes(2 << 20))], status.RESOURCE_EXHAUSTED)]:
        assert code(lambda p=parts: service.call("PutChunk", iter(p))) == expected
    assert code(lambda: service.delete(*[name] * 16385)) == status.INVALID_ARGUMENT
    service.delete(*[name] * 16384)
    Cluster.until(lambda: not {p for p in server.chunk_files() if "unfinished" in p}, 60)


def chunk_file(server, length):
    found = [p for p in server.chunk_files() if "unfinished" not in p
             and (server.data_dir / p).stat().st_size >= length]
    assert len(found) == 1, found
    return server.data_dir / found[0]


def test_a_chunk_that_is_damaged_on_disk_is_told_as_such(server, open_service):
    service, status = open_service(server), grpc.StatusCode
    length = 3 << 20
    name, data = stored(service, length)
    path = chunk_file(server, length)
    whole = path.read_bytes()
    assert read(service, name, length) == data
    at = whole.index(data[1 << 20:(1 << 20) + 64])

    def damage(body):
        with open(path, "r+b") as file:
            file.write(body)
            file.truncate(len(body))

    damage(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
    assert code(lambda: service.call("VerifyChunk", named(service, name))) == status.DATA_LOSS
    # The reader may check: a server that hands out bad data hands out the checksums beside it.
    request = service.messages.GetChunkRequest(store=service.store, chunk=name, length=length)
    try:
        parts = list(service.call("GetChunk", request))
    except grpc.RpcError as error:
        assert error.code() == status.DATA_LOSS
    else:
        found = b"".join(part.data for part in parts)
        assert service.checksums(name, found) != [
            c for part in parts for c in part.block_checksums]
    damage(whole[:1 << 20])
    for method in ("VerifyChunk", "StatChunk"):
        assert code(lambda m=method: service.call(m, named(service, name))) == status.DATA_LOSS
    assert code(lambda: read(service, name, length)) == status.DATA_LOSS
    path.unlink()
    assert code(lambda: read(service, name, length)) == status.NOT_FOUND


# Streams that end early, or stand still

class Stalled:
    """A PutChunk that has sent this much and waits."""

    def __init__(self, service, length=256 << 10, timeout=600):
        self.messages = queue.SimpleQueue()
        self.service = service
        put = service.messages.PutChunkRequest
        self.name, self.sent = service.name(), bytes(length)
        self.messages.put(put(
            store=service.store, header=service.header(self.name),
            data=bytes(min(length, 256 << 10))))
        for _ in range(256 << 10, length, 256 << 10):
            self.messages.put(put(data=bytes(256 << 10)))
        self.call = service.stub.PutChunk.future(
            iter(self.messages.get, None), timeout=timeout, metadata=service.metadata)

    def finish(self):
        self.messages.put(self.service.messages.PutChunkRequest(
            trailer=self.service.trailer(self.name, self.sent)))
        self.messages.put(None)

    def end(self):
        self.call.cancel()
        self.messages.put(None)


def unfinished(server):
    return {p for p in server.chunk_files() if "unfinished" in p}


@pytest.mark.parametrize("way", ["cancelled", "deadline", "connection lost", "link dead"])
def test_a_write_that_ends_in_the_middle_leaves_nothing(server, open_service, way):
    link = Proxy(server.port)
    try:
        through = open_service(type("Through", (), {
            "port": link.port, "cluster": server.cluster}))
        stalled = Stalled(through, 1 << 20, timeout=3 if way == "deadline" else 600)
        if way != "deadline":
            Cluster.until(lambda: len(unfinished(server)) == 1, 60)
        if way == "cancelled":
            stalled.call.cancel()
        elif way == "connection lost":
            link.reset()
        elif way == "link dead":
            # Only a ping that is not answered tells the server.
            link.hole()
        if way in ("deadline", "connection lost"):
            assert stalled.call.exception().code() == (
                grpc.StatusCode.DEADLINE_EXCEEDED if way == "deadline"
                else grpc.StatusCode.UNAVAILABLE)
        Cluster.until(lambda: not unfinished(server), 90, lambda: f"{unfinished(server)}")
        stalled.end()
    finally:
        link.close()
    service = open_service(server)
    name, data = stored(service, 1 << 20)
    assert read(service, name, len(data)) == data
    service.delete(name)


def test_a_client_that_pings_often_and_idles_is_kept(server, open_service):
    """A connection without calls on which a gateway looks after its server."""
    service = open_service(server, options=[
        ("grpc.keepalive_time_ms", 10_000), ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1), ("grpc.http2.max_pings_without_data", 0)])
    states = []
    service.channel.subscribe(states.append)
    stalled = Stalled(service)
    # Four pings: after the third of too many a server ends the connection.
    with pytest.raises(grpc.FutureTimeoutError):
        stalled.call.exception(timeout=45)
    assert set(states) == {grpc.ChannelConnectivity.READY}, states
    stalled.end()


def test_streams_that_stand_still_hold_little_and_starve_nobody(server, open_service):
    restart(server, BUFFER_BUDGET=str(32 << 20))
    service = open_service(server)
    name, data = stored(service, 8 << 20)
    before = server.status_field("VmRSS")
    # Writers: more than there are buffers for, all of which are let in.
    writers = [Stalled(service) for _ in range(300)]
    Cluster.until(
        lambda: len(unfinished(server)) == 300, 120, lambda: f"{len(unfinished(server))}")
    for _ in range(20):
        assert read(service, name, len(data)) == data
    other = service.name()
    service.put(other, data)
    assert read(service, other, len(data)) == data
    with_writers = server.status_field("VmRSS") - before
    # Readers that ask for all and take nothing, each by a connection with a window of its own.
    request = service.messages.GetChunkRequest(store=service.store, chunk=name, length=len(data))
    readers = [service.stub.GetChunk(request, timeout=600, metadata=service.metadata)
               for _ in range(20)]
    service.call("StatChunk", named(service, name))
    small = open_service(server)
    assert small.call("HealthCheck", small.messages.HealthCheckRequest()).stores
    with_readers = server.status_field("VmRSS") - before
    assert max(with_writers, with_readers) < 160 << 10, (with_writers, with_readers)
    for reader in readers:
        reader.cancel()
    for writer in writers:
        writer.end()
    Cluster.until(lambda: not unfinished(server), 120)
    service.put(service.name(), data)
    assert read(service, name, len(data)) == data


def test_a_hung_peer_slows_only_itself(server, open_service):
    """Its streams hold all memory there is for writes and for reads; others wait for seconds."""
    restart(server, BUFFER_BUDGET=str(32 << 20))
    hung, other = open_service(server), open_service(server)
    name, data = stored(other, 8 << 20)
    writers = [Stalled(hung) for _ in range(200)]
    request = hung.messages.GetChunkRequest(store=hung.store, chunk=name, length=len(data))
    # Each by a connection of its own: the window of one would hold them back.
    peers = [open_service(server, options=[("grpc.use_local_subchannel_pool", 1)])
             for _ in range(20)]
    readers = [peer.stub.GetChunk(request, timeout=600, metadata=peer.metadata) for peer in peers]
    Cluster.until(lambda: len(unfinished(server)) == 200, 60, lambda: f"{len(unfinished(server))}")
    for length in (5000, 3 << 20):
        kept = stored(other, length)
        assert read(other, kept[0], length) == kept[1]
    # A write that stood still goes on: nothing of it was given up.
    writers[0].finish()
    assert writers[0].call.result(timeout=60) is not None
    assert read(other, writers[0].name, len(writers[0].sent)) == writers[0].sent
    # A read that stood still was ended, and its client knows why.
    assert grpc.StatusCode.RESOURCE_EXHAUSTED in {
        code_or_none(lambda r=reader: list(r)) for reader in readers}
    for writer in writers[1:]:
        writer.end()
    Cluster.until(lambda: not unfinished(server), 120)


# Certificates

def authority(directory, name):
    """A certificate authority and a gateway's certificate of it, as PEM: (ca, key, certificate)."""
    def run(*command):
        subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True)

    ca, key = directory / f"{name}-ca", directory / f"{name}-leaf"
    run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
        "2", "-subj", "/CN=foreign", "-keyout", f"{ca}.key", "-out", f"{ca}.pem")
    run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
        "/CN=gateway.s3storage.internal", "-keyout", f"{key}.key", "-out", f"{key}.csr")
    (directory / "extensions").write_text(
        "subjectAltName=DNS:gateway.s3storage.internal\n"
        "extendedKeyUsage=clientAuth,serverAuth\nkeyUsage=digitalSignature\n")
    run("x509", "-req", "-in", f"{key}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-days",
        "2", "-extfile", directory / "extensions", "-out", f"{key}.pem")
    with open(f"{key}.key", "rb") as leaf_key, open(f"{key}.pem", "rb") as leaf:
        return leaf_key.read(), leaf.read()


def test_certificates_of_the_cluster_are_asked_for(make_cluster, open_service, tmp_path):
    cluster = make_cluster(KEEPS, servers=2, gateways=1, tls=True).start()
    server, other = cluster.servers

    def files(directory):
        found = directory / "cluster"
        return [(found / n).read_bytes() for n in ("ca.pem", "key.pem", "certificate.pem")]

    ca, key, certificate = files(cluster.gateways[0].data_dir)
    status = grpc.StatusCode
    identity = next(
        s["id"] for s in cluster.gateways[0].admin("servers", "list", "--json")["servers"]
        if s["address"].endswith(f":{server.port}"))
    target = [("grpc.ssl_target_name_override", f"{identity}.server.s3storage.internal")]

    def attempt(credentials):
        return code(lambda: open_service(server, credentials=credentials, options=target))

    service = open_service(
        server, credentials=grpc.ssl_channel_credentials(ca, key, certificate), options=target)
    name, data = stored(service, 1 << 20)
    assert read(service, name, len(data)) == data
    assert service.health.server.hex() == identity
    assert attempt(grpc.ssl_channel_credentials(ca)) == status.UNAVAILABLE
    foreign = authority(tmp_path, "foreign")
    assert attempt(grpc.ssl_channel_credentials(ca, *foreign)) == status.UNAVAILABLE
    # Another storage server is a member; its certificate is still none to call with.
    assert attempt(grpc.ssl_channel_credentials(*files(other.data_dir))) == status.UNAVAILABLE
    # A server proves who it is: a client that means the other one ends the handshake.
    wrong = [("grpc.ssl_target_name_override", f"{'0' * 32}.server.s3storage.internal")]
    assert code(lambda: open_service(
        server, credentials=grpc.ssl_channel_credentials(ca, key, certificate),
        options=wrong)) == status.UNAVAILABLE
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as plain:
        stub = service.services.StorageServiceStub(plain)
        assert code(lambda: stub.HealthCheck(
            service.messages.HealthCheckRequest(), timeout=60)) == status.UNAVAILABLE
    assert read(service, name, len(data)) == data
