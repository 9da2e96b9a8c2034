"""The chunk service as another implementation of gRPC and protobuf sees it."""
import os

import grpc
import pytest

from support import chunk_service
from support.chunk_service import SPAN, Service

@pytest.fixture(scope="module")
def service(tmp_path_factory, make_cluster):
    directory = tmp_path_factory.mktemp("grpc")
    (directory / "generated").mkdir()
    messages, services = chunk_service.generated(directory / "generated")
    # What no metadata name would be swept in the end: not while the tests run.
    cluster = make_cluster({"GC_DELAY_SECONDS": "3600"}, servers=1, gateways=1).start()
    server = cluster.servers[0]
    found = Service(server, messages, services)
    yield found
    found.channel.close()
    assert server.stop() == 0


def code(body):
    with pytest.raises(grpc.RpcError) as error:
        body()
    assert "/" not in error.value.details(), "a message that may name a path"
    return error.value.code()


def test_health(service):
    assert len(service.health.server) == 16 and len(service.cluster) == 16
    assert service.health.version
    for store in service.health.stores:
        assert store.state == service.messages.STORE_STATE_ACTIVE
        assert 0 < store.free <= store.capacity


@pytest.mark.parametrize("length", [64, 4096, 65536, 65600, 131072, 131136, 1 << 20, 3 << 20])
def test_round_trip(service, length):
    name, data = service.name(3), os.urandom(length)
    service.put(name, data)
    request = service.messages.GetChunkRequest(
        store=service.store, chunk=name, length=length, message_length=256 * 1024)
    parts = list(service.call("GetChunk", request))
    assert b"".join(part.data for part in parts) == data
    assert [c for part in parts for c in part.block_checksums] == service.checksums(name, data)
    assert parts[0].trailer == service.trailer(name, data)
    named = service.messages.ChunkRequest(store=service.store, chunk=name)
    assert service.call("StatChunk", named).header == service.header(name)
    service.call("VerifyChunk", named)
    listing = service.messages.ListChunksRequest(store=service.store)
    names = [found for part in service.call("ListChunks", listing) for found in part.chunks]
    assert names.count(name) == 1
    service.delete(name, name)
    service.delete(name, name)
    assert code(lambda: service.call("StatChunk", named)) == grpc.StatusCode.NOT_FOUND


def test_ranges(service):
    name, data = service.name(), os.urandom(1 << 20)
    service.put(name, data)

    def get(offset, length, **rest):
        request = service.messages.GetChunkRequest(
            store=service.store, chunk=name, offset=offset, length=length, **rest)
        return b"".join(part.data for part in service.call("GetChunk", request))

    assert get(SPAN, 3 * SPAN, message_length=SPAN) == data[SPAN:4 * SPAN]
    assert get(SPAN, 3 * SPAN, whole_up_to=1 << 20) == data
    for offset, length in [(1, SPAN), (0, 1), (0, 2 << 20), (2 << 20, 0), (1 << 63, 1 << 63)]:
        assert code(lambda o=offset, n=length: get(o, n)) == grpc.StatusCode.INVALID_ARGUMENT


def test_refusals(service):
    m, status = service.messages, grpc.StatusCode
    name = service.name()
    named = m.ChunkRequest(store=service.store, chunk=name)
    for metadata in ([], [("s3storage-secret", "x" * len(service.metadata[0][1]))]):
        assert code(lambda c=metadata: service.call("StatChunk", named, c)) == status.UNAUTHENTICATED
    other = service.metadata + [("s3storage-server", "0" * 32)]
    assert code(lambda: service.call("StatChunk", named, other)) == status.UNAVAILABLE
    wrong = m.ChunkRequest(store=bytes(16), chunk=name)
    assert code(lambda: service.call("StatChunk", wrong)) == status.UNAVAILABLE
    short = m.ChunkRequest(store=service.store, chunk=m.ChunkName(extent=b"short"))
    assert code(lambda: service.call("StatChunk", short)) == status.INVALID_ARGUMENT
    data = os.urandom(1 << 20)
    bad = service.trailer(name, data)
    bad.block_checksums[0] ^= 1
    assert code(lambda: service.put(name, data, bad)) == status.DATA_LOSS
    bad = service.trailer(name, data[:-64])
    assert code(lambda: service.put(name, data, bad)) == status.INVALID_ARGUMENT
    unfinished = [m.PutChunkRequest(store=service.store, header=service.header(name))]
    assert code(lambda: service.call("PutChunk", iter(unfinished))) == status.INVALID_ARGUMENT
    assert code(lambda: service.call("StatChunk", named)) == status.NOT_FOUND


# Servers that hang

STAMP = "s3storage-stamp"


def stamped(service, text):
    return service.metadata + [(STAMP, text)]


def test_a_deletion_that_is_late_is_refused(service):
    m, status = service.messages, grpc.StatusCode
    name, data = service.name(), os.urandom(1000)
    service.put(name, data, stamp="7.1")
    deletion = m.DeleteChunksRequest(store=service.store, chunks=[name])
    for late in ("7.0", "6.9"):
        assert code(lambda s=late: service.call(
            "DeleteChunks", deletion, stamped(service, s))) == status.ABORTED
    # Without a stamp nobody could tell that it is late.
    assert code(lambda: service.call("DeleteChunks", deletion)) == status.INVALID_ARGUMENT
    for wrong in ("x", "7", "7.", "-1.0", "7.1.1", "99999999999999999999.0"):
        assert code(lambda s=wrong: service.call(
            "DeleteChunks", deletion, stamped(service, s))) == status.INVALID_ARGUMENT
    named = m.ChunkRequest(store=service.store, chunk=name)
    service.call("VerifyChunk", named)
    service.call("DeleteChunks", deletion, stamped(service, "7.1"))
    assert code(lambda: service.call("StatChunk", named)) == status.NOT_FOUND


def test_a_deletion_that_a_hung_server_held_does_not_undo_what_came_after(service):
    """What the leader of before had sent lies in the socket; the present one writes the chunk again."""
    m, process = service.messages, service.server
    target = f"127.0.0.1:{process.port}"
    # Connections of their own, in an order of their own when the server wakes.
    options = [("grpc.use_local_subchannel_pool", 1)]
    refused = 0
    with grpc.insecure_channel(target, options) as before, \
            grpc.insecure_channel(target, options) as after:
        former, present = service.services.StorageServiceStub(before), \
            service.services.StorageServiceStub(after)
        for turn in range(20):
            old, new = f"{100 + turn}.0", f"{101 + turn}.0"
            chunks = [(service.name(n % 6), os.urandom(3000)) for n in range(30)]
            for name, data in chunks:
                service.put(name, data, stamp=old)
            for stub in (former, present):
                stub.HealthCheck(m.HealthCheckRequest(), timeout=60, metadata=service.metadata)
            names = [name for name, _ in chunks]
            process.pause()
            try:
                deletions = [former.DeleteChunks.future(
                    m.DeleteChunksRequest(store=service.store, chunks=[name]), timeout=60,
                    metadata=stamped(service, old)) for name in names]
                puts = [present.PutChunk.future(
                    iter([service.small(name, data)]), timeout=60, metadata=stamped(service, new))
                    for name, data in chunks]
            finally:
                process.resume()
            for put in puts:
                put.result()
            for deletion in deletions:
                if error := deletion.exception():
                    assert error.code() == grpc.StatusCode.ABORTED, error
                    refused += 1
            for name in names:
                service.call("VerifyChunk", m.ChunkRequest(store=service.store, chunk=name))
            service.call("DeleteChunks", m.DeleteChunksRequest(
                store=service.store, chunks=names), stamped(service, new))
    assert refused, "no deletion came late: nothing was shown"
