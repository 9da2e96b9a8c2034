"""One storage server process on a directory and a port of its own, and how to call it."""
import importlib
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

from .server import ROOT, binary

SECRET = "secret-of-the-system-tests"


class StorageServer:
    """A running `s3storage storage-server`."""

    def __init__(self, process, port, secret, log_path):
        self.process = process
        self.port = port
        self.secret = secret
        self.log_path = pathlib.Path(log_path)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def stop(self, timeout=30):
        """Ends the process as a service manager does, and returns its exit code."""
        self.process.terminate()
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.log_path.unlink(missing_ok=True)


def start_storage_server(directory, port, secret=SECRET, arguments=(), timeout=30):
    """Starts a storage server on loopback and waits until its port is open."""
    log_path = tempfile.mkstemp(prefix="s3storage-log-")[1]
    command = [
        binary(), "storage-server", "--data-dir", str(directory), "--grpc-port", str(port),
        "--cluster-secret", secret, *arguments]
    with open(log_path, "ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    server = StorageServer(process, port, secret, log_path)
    deadline = time.monotonic() + timeout
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return server
        if process.poll() is not None:
            raise AssertionError(
                f"the storage server ended with {process.returncode}:\n{server.log()[-4000:]}")
        if time.monotonic() > deadline:
            server.stop()
            raise AssertionError(f"no open port within {timeout} s")
        time.sleep(0.05)


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
