"""Descriptors and memory of processes: a crowd takes what it is given, ends nobody, and leaves no trace."""
import concurrent.futures
import contextlib
import functools
import hashlib
import resource
import socket
import ssl

import grpc
import pytest

from support import chunk_service, data, http
from support.chunk_service import Service
from support.cluster_processes import Cluster

KEEPS = {"GC_DELAY_SECONDS": "3600", "CHANGE_LOG": "off", "SNAPSHOT_SECONDS": "0"}

LIMIT = 256
# What a process lets clients have of them.
CONNECTIONS = LIMIT * 3 // 4


def limited(soft, hard):
    """Options that start a process with these limits."""
    return {"preexec_fn": functools.partial(
        resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))}


def is_full(process, count):
    """Waits until the process has so many descriptors open."""
    Cluster.until(
        lambda: len(process.descriptors()) >= count, 60, lambda: f"{len(process.descriptors())}")


@contextlib.contextmanager
def crowd(port, count, says=b""):
    """So many clients that connect, say this and wait."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in made:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
            with contextlib.suppress(OSError):
                one.sendall(says)
        yield made


def is_refused(one):
    """Whether the server closes the connection without a word."""
    one.settimeout(60)
    with contextlib.suppress(ConnectionResetError):
        return not one.recv(1)
    return True


def client_hello():
    """What a client says first in TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["h2"])
    outgoing = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


def started(server, soft, hard):
    return server.spawn(options=limited(soft, hard)).await_start(server.healthy, 60)


def put_and_get(server, key, length=3_000_000):
    body = data.content(key, length)
    assert server.s3("PUT", f"/bucket/{key}", body=body).status == 200
    assert server.s3("GET", f"/bucket/{key}").body == body


def test_a_server_takes_all_descriptors_that_it_may_have(make_server):
    server = started(make_server(), 128, 1024)
    soft, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    assert (soft, hard) == (1024, 1024)
    server.s3("PUT", "/bucket")
    with crowd(server.ports["s3"], 300):
        is_full(server, 300)
        put_and_get(server, "among-many")


def test_clients_leave_a_server_the_descriptors_that_its_files_need(make_server):
    server = started(make_server(), LIMIT, LIMIT)
    assert "fewer connections are possible than MAX_CONNECTIONS" in server.log()
    server.s3("PUT", "/bucket")
    body = data.content("in the crowd", 3_000_000)
    with http.connect(server.ports["s3"]) as kept, crowd(server.ports["s3"], 400):
        is_full(server, CONNECTIONS)
        for method, sent in (("PUT", body), ("GET", b"")):
            signed, _ = server.signer.sign(
                method, "/bucket/key", [("Host", server.host)], hashlib.sha256(sent).hexdigest())
            kept.sendall(http.head_bytes(
                method, "/bucket/key", [*signed, ("Content-Length", str(len(sent)))]) + sent)
            answer = http.read_response(kept, method)
            assert answer.status == 200
        assert answer.body == body
    put_and_get(server, "behind-the-crowd")


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    return chunk_service.generated(tmp_path_factory.mktemp("generated"))


@pytest.fixture(scope="module")
def server(make_cluster):
    cluster = make_cluster(KEEPS, servers=1, gateways=1).start()
    assert cluster.servers[0].stop(timeout=60) == 0
    return started(cluster.servers[0], LIMIT, LIMIT)


def works(service):
    name, body = service.name(), data.content("chunk", 3 << 20)
    service.put(name, body)
    request = service.messages.GetChunkRequest(store=service.store, chunk=name, length=len(body))
    assert b"".join(part.data for part in service.call("GetChunk", request)) == body


def newcomer_works(server, modules):
    late = Service(server, *modules, options=[("grpc.use_local_subchannel_pool", 1)])
    works(late)
    late.channel.close()


def test_a_crowd_of_strangers_does_not_end_the_listener_of_a_storage_server(server, modules):
    service = Service(server, *modules)
    works(service)
    with crowd(server.port, 400):
        is_full(server, CONNECTIONS)
        # Who is connected goes on: there are descriptors for its files.
        works(service)
    newcomer_works(server, modules)
    service.channel.close()


def test_a_storage_server_that_was_out_of_descriptors_goes_on(server, modules):
    service = Service(server, *modules)
    works(service)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (8, LIMIT))
    with crowd(server.port, 20), pytest.raises(grpc.RpcError, match="too many open files"):
        works(service)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
    works(service)
    newcomer_works(server, modules)
    service.channel.close()


def test_strangers_that_begin_tls_take_a_bounded_amount_of_memory_and_not_for_long(make_cluster):
    cluster = make_cluster(KEEPS, servers=1, gateways=1, tls=True).start()
    server = cluster.servers[0]
    before = server.status_field("VmRSS")
    with crowd(server.port, 3000, client_hello()) as strangers:
        is_full(server, 2048)
        Cluster.until(lambda: server.status_field("VmRSS") > before + (64 << 10), 60)
        assert any([is_refused(stranger) for stranger in strangers])
        assert len(server.descriptors()) < 2048 + 100
    Cluster.until(
        lambda: server.status_field("VmRSS") < before + (32 << 10), 90,
        lambda: f"{before} KiB before, {server.status_field('VmRSS')} KiB now")


def test_a_burst_of_transfers_leaves_no_process_large(make_cluster):
    cluster = make_cluster(KEEPS, servers=6, gateways=1).start()
    gateway = cluster.gateways[0]
    gateway.s3("PUT", "/bucket")
    processes = [gateway, *cluster.servers]

    def memory():
        return [process.status_field("VmRSS") for process in processes]

    before = memory()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: put_and_get(gateway, f"burst-{n}", 20_000_000), range(16)))
    Cluster.until(
        lambda: all(now < then + (32 << 10) for then, now in zip(before, memory())), 90,
        lambda: f"{before} KiB before, {memory()} KiB now")
