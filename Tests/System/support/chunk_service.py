"""The chunk service as grpcio generates it."""
import hashlib
import importlib
import os
import sys

import grpc

from .server import ROOT


SPAN = 64 * 1024
CRC32C_TABLE = []
for value in range(256):
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    CRC32C_TABLE.append(value)


def crc32c(data, previous=0):
    state = previous ^ 0xFFFFFFFF
    for byte in data:
        state = state >> 8 ^ CRC32C_TABLE[(state ^ byte) & 0xFF]
    return state ^ 0xFFFFFFFF


class Service:
    """A server, the generated modules, and the ids that requests need."""

    def __init__(self, server, messages, services, credentials=None, options=()):
        self.messages, self.services, self.server = messages, services, server
        target = f"127.0.0.1:{server.port}"
        options = [("grpc.max_receive_message_length", 8 << 20), *options]
        self.channel = grpc.secure_channel(target, credentials, options) if credentials \
            else grpc.insecure_channel(target, options)
        self.stub = services.StorageServiceStub(self.channel)
        self.metadata = [] if credentials else [("s3storage-secret", server.cluster.secret)]
        health = self.call("HealthCheck", messages.HealthCheckRequest())
        self.health = health
        self.cluster = health.cluster
        self.store = health.stores[0].store

    def call(self, method, request, metadata=None):
        return getattr(self.stub, method)(
            request, timeout=60, metadata=self.metadata if metadata is None else metadata)

    def delete(self, *names, stamp="5.0"):
        """Deletes chunks as a gateway does that leads; the clusters of the tests have had few leads."""
        request = self.messages.DeleteChunksRequest(store=self.store, chunks=names)
        self.call("DeleteChunks", request, self.metadata + [("s3storage-stamp", stamp)])

    def name(self, index=0):
        return self.messages.ChunkName(extent=bytes(6) + os.urandom(10), index=index)

    def header(self, name):
        return self.messages.ChunkHeader(
            chunk=name, data_chunks=4, parity_chunks=2, cluster=self.cluster)

    def checksums(self, name, data):
        found = []
        for position, start in enumerate(range(0, len(data), SPAN)):
            seed = crc32c(name.extent + bytes([name.index]) + position.to_bytes(4, "little"))
            found.append(crc32c(data[start:start + SPAN], seed))
        return found

    def trailer(self, name, data):
        return self.messages.ChunkTrailer(
            extent_length=len(data), stored_length=len(data), data_length=len(data),
            sha256=hashlib.sha256(data).digest(), wrapped_key=b"key", descriptor=b"descriptor",
            block_checksums=self.checksums(name, data))

    def small(self, name, data, trailer=None):
        """The one message that makes a record of a volume."""
        return self.messages.PutChunkRequest(
            store=self.store, header=self.header(name), data=data,
            trailer=trailer or self.trailer(name, data), small=True)

    def put(self, name, data, trailer=None, stamp=None):
        put = self.messages.PutChunkRequest
        trailer = trailer or self.trailer(name, data)
        if len(data) <= 128 * 1024:
            parts = [self.small(name, data, trailer)]
        else:
            parts = [put(store=self.store, header=self.header(name))]
            parts += [put(data=data[at:at + (1 << 20)]) for at in range(0, len(data), 1 << 20)]
            parts.append(put(trailer=trailer))
        metadata = self.metadata + ([("s3storage-stamp", stamp)] if stamp else [])
        return self.call("PutChunk", iter(parts), metadata)


def generated(directory):
    """The modules that grpcio generates from `proto/storage.proto`: messages and service."""
    from grpc_tools import protoc

    proto = ROOT / "proto"
    status = protoc.main([
        "protoc", f"-I{proto}", f"--python_out={directory}", f"--grpc_python_out={directory}",
        str(proto / "storage.proto")])
    assert status == 0
    sys.path.insert(0, str(directory))
    try:
        return importlib.import_module("storage_pb2"), importlib.import_module("storage_pb2_grpc")
    finally:
        sys.path.remove(str(directory))
