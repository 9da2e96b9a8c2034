"""A cluster whose gateways start before any storage server is there."""
import json
import os
import signal
import socket

import pytest
from botocore.exceptions import ClientError

from conftest import boto_client
from support.cluster_processes import Cluster, clean_environment
from support.process import Process
from support.server import ACCESS_KEY, SECRET_KEY, binary, free_ports


@pytest.mark.parametrize("tls", [False, True], ids=["secret", "certificates"])
def test_gateways_wait_for_the_first_servers_with_a_change_log(make_cluster, tls):
    cluster = make_cluster({"CHANGE_LOG": "on"}, gateways=2, tls=tls)
    cluster.postgres.create(cluster.database)
    cluster.migrate()
    cluster.initialise()
    for gateway in cluster.gateways:
        gateway.spawn().await_start(gateway.healthy, 60)
    s3 = boto_client(cluster.gateways[0])
    with pytest.raises(ClientError) as caught:
        s3.create_bucket(Bucket="bucket")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    # Nothing of it was done.
    assert s3.list_buckets()["Buckets"] == []
    assert all(gateway.alive for gateway in cluster.gateways)
    cluster.start()
    # Each gateway learns of the stores in its own time.
    cluster.await_spread(6)
    cluster.until(lambda: status(cluster)["pending_changes"] == 0, 90,
                  lambda: json.dumps(status(cluster)))
    s3.create_bucket(Bucket="bucket")
    body = os.urandom(100_000)
    s3.put_object(Bucket="bucket", Key="key", Body=body)
    read = boto_client(cluster.gateways[1]).get_object(Bucket="bucket", Key="key")
    assert read["Body"].read() == body


def status(cluster):
    return cluster.gateways[0].admin("recovery", "--json")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
@pytest.mark.parametrize("gateway", ["nobody", "hangs"])
def test_a_server_that_waits_for_its_first_registration_ends_when_told_to(
        tmp_path, number, gateway):
    """Whether its gateway is not there, or takes the connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        if gateway == "nobody":
            listener.close()
        ports = free_ports(2)
        server = Process(tmp_path / "log").launch(
            [binary(), "storage-server", "--data-dir", tmp_path / "data", "--grpc-port", ports[0],
             "--metrics-port", ports[1], "--gateways", f"http://127.0.0.1:{port}"],
            clean_environment({"CLUSTER_SECRET": "f" * 64, "LOG_LEVEL": "debug"}))
        try:
            if gateway == "nobody":
                Cluster.until(lambda: "no gateway has taken" in server.log(), 60, server.log)
            else:
                listener.settimeout(60)
                held, _ = listener.accept()
            assert server.stop(timeout=60, number=number) == 0, server.log()
        finally:
            server.discard()


def test_a_command_that_waits_is_interrupted(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        command = Process(tmp_path / "log").launch(
            [binary(), "admin", "--endpoint", f"http://127.0.0.1:{listener.getsockname()[1]}",
             "--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY, "status"],
            clean_environment({}))
        try:
            held, _ = listener.accept()
            assert command.stop(timeout=30, number=signal.SIGINT) == 130, command.log()
            held.close()
        finally:
            command.discard()
