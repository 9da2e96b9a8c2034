"""The chunk service as grpcio generates it."""
import importlib
import sys

from .server import ROOT


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
