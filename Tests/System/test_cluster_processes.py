"""How the processes start, end, refuse and clean up behind each other."""
import random
import signal
import subprocess
import time

import pytest

from conftest import boto_client
from support import data, http as wire, tools
from support.clients import Library, send
from support.cluster_processes import clean_environment
from support.half_sent import Upload
from support.process import Process
from support.server import free_ports


@pytest.fixture(scope="module")
def module_cluster(make_cluster):
    return make_cluster().start()


@pytest.fixture
def cluster(module_cluster):
    """The cluster, whole again behind the test."""
    yield module_cluster
    for process in module_cluster.processes:
        if process.alive:
            process.resume()
        else:
            process.start()
    module_cluster.await_active(6)


@pytest.fixture
def bucket(cluster):
    name = f"processes-{random.randrange(1 << 40):x}"
    assert send(cluster.gateways[0], "PUT", f"/{name}").status == 200
    return name


def all_chunks(cluster):
    return {(s.number, path) for s in cluster.servers for path in s.chunk_files()}


# Starts

def test_gateways_that_start_at_once_on_a_new_database_all_serve(make_cluster):
    cluster = make_cluster(servers=0, gateways=3)
    cluster.postgres.create(cluster.database)
    cluster.migrate()
    cluster.initialise()
    for gateway in cluster.gateways:
        gateway.spawn()
    for gateway in cluster.gateways:
        gateway.await_start(gateway.healthy)
        assert send(gateway, "GET", "/").status == 200
    cluster.initialise()
    assert set(cluster.stop().values()) <= {0}


# Ends

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_every_process_ends_with_0_when_told_to(cluster, number):
    for process in [*cluster.gateways, *cluster.servers]:
        assert process.stop(number=number) == 0, process.log()[-2000:]


def test_a_gateway_that_is_told_to_stop_finishes_what_runs(cluster, bucket):
    gateway = cluster.gateways[0]
    body = data.content(bucket, 3 << 20)
    with wire.connect(gateway.ports["s3"]) as connection:
        connection.sendall(wire.head_bytes(
            "PUT", gateway.presign("PUT", bucket, "k"),
            [("Host", gateway.host), ("Content-Length", str(len(body)))]) + body[:1 << 20])
        time.sleep(0.3)
        gateway.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        connection.sendall(body[1 << 20:])
        assert wire.read_response(connection, "PUT").status == 200
    assert gateway.process.wait(30) == 0
    assert send(cluster.gateways[1], "GET", f"/{bucket}/k").body == body


# Gateways that die or sleep in mid-upload

def half_sent(gateway, bucket, key, body, sent):
    return Upload.put(gateway, gateway.presign("PUT", bucket, key), body, sent)


def test_what_a_killed_gateway_left_is_cleaned_and_nothing_else(cluster, bucket):
    victim, other = cluster.gateways
    library = Library([other], bucket, "others").store()
    body = data.content("under way", 12 << 20)
    earlier = all_chunks(cluster)
    stays = half_sent(other, bucket, "stays", body, 6 << 20)
    cluster.until(lambda: len(all_chunks(cluster) - earlier) >= 6, 20)
    before = all_chunks(cluster)
    lost = [half_sent(victim, bucket, f"lost-{n}", body, 9 << 20) for n in range(3)]
    cluster.until(lambda: len(all_chunks(cluster) - before) >= 18, 20,
                  lambda: f"{len(all_chunks(cluster) - before)} new chunks")
    left = all_chunks(cluster) - before
    victim.kill()
    for upload in lost:
        upload.connection.close()

    def is_clean():
        stays.trickle()
        return not left & all_chunks(cluster)

    cluster.until(is_clean, 60, lambda: f"{len(left & all_chunks(cluster))} of {len(left)} are left")
    answer = stays.finish()
    assert answer.status == 200, answer
    assert send(other, "GET", f"/{bucket}/stays").body == body
    library.read_all()
    for n in range(3):
        assert send(other, "GET", f"/{bucket}/lost-{n}").status == 404


def test_parts_of_an_upload_outlive_the_gateway_that_took_them(cluster, bucket):
    first, second = map(boto_client, cluster.gateways)
    upload = first.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    bodies = [data.content(n, 5 << 20) for n in range(2)]
    tags = [first.upload_part(
        Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=bodies[0])["ETag"]]
    cluster.gateways[0].kill()
    time.sleep(float(cluster.settings["LEASE_SECONDS"]) + 3)
    tags.append(second.upload_part(
        Bucket=bucket, Key="k", UploadId=upload, PartNumber=2, Body=bodies[1])["ETag"])
    second.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={
        "Parts": [{"PartNumber": n, "ETag": tag} for n, tag in enumerate(tags, 1)]})
    assert second.get_object(Bucket=bucket, Key="k")["Body"].read() == b"".join(bodies)


def test_a_gateway_that_wakes_after_its_lease_commits_nothing_stale(cluster, bucket):
    sleeper, other = cluster.gateways
    body = data.content("stale", 12 << 20)
    before = all_chunks(cluster)
    upload = half_sent(sleeper, bucket, "k", body, 9 << 20)
    cluster.until(lambda: len(all_chunks(cluster) - before) >= 6, 20)
    left = all_chunks(cluster) - before
    sleeper.pause()
    # Its lease runs out, it is fenced, and what it had written is taken away.
    cluster.until(lambda: not left & all_chunks(cluster), 60, lambda: f"{left} stay")
    assert send(other, "PUT", f"/{bucket}/k", body=b"newer").status == 200
    sleeper.resume()
    try:
        answer = upload.finish()
        assert answer.status >= 500, f"a fenced gateway acknowledged a write: {answer}"
    except OSError:
        pass
    assert send(other, "GET", f"/{bucket}/k").body == b"newer"
    # It comes to itself, by itself or by a restart of the service manager.
    if not sleeper.alive:
        sleeper.start()
    cluster.until(
        lambda: send(sleeper, "PUT", f"/{bucket}/after", body=body).status == 200, 30)
    assert send(other, "GET", f"/{bucket}/after").body == body
    assert send(other, "GET", f"/{bucket}/k").body == b"newer"


# Refusals

def storage_server(cluster, *arguments, **variables):
    """Runs a storage server that should not start; (exit code, what it said)."""
    ports = free_ports(2)
    directory = cluster.directory / f"refused-{ports[0]}"
    environment = clean_environment(cluster.settings | variables)
    try:
        done = subprocess.run(
            [cluster.executable, "storage-server", "--data-dir", directory, "--grpc-port",
             str(ports[0]), "--metrics-port", str(ports[1]), *arguments],
            capture_output=True, text=True, timeout=20, env=environment)
    except subprocess.TimeoutExpired as error:
        return None, f"it runs: {error.stdout} {error.stderr}"
    return done.returncode, done.stdout + done.stderr


def test_a_storage_server_without_certificates_and_secret_does_not_start(cluster):
    code, said = storage_server(cluster, "--gateways", cluster.gateways[0].url("admin"))
    assert code not in (0, None), said
    assert "CLUSTER_SECRET" in said or "cluster join" in said, said


def test_a_storage_server_off_loopback_without_certificates_does_not_start(cluster):
    code, said = storage_server(
        cluster, "--gateways", cluster.gateways[0].url("admin"), CLUSTER_SECRET=cluster.secret,
        GRPC_BIND_ADDRESS="0.0.0.0")
    assert code not in (0, None), said


def test_a_storage_server_with_the_wrong_secret_never_becomes_a_member(cluster):
    ports = free_ports(2)
    intruder = Process()
    intruder.launch(
        [cluster.executable, "storage-server", "--data-dir", cluster.directory / "intruder",
         "--grpc-port", ports[0], "--metrics-port", ports[1], "--gateways",
         cluster.gateways[0].url("admin")],
        clean_environment(cluster.settings | {"CLUSTER_SECRET": "f" * 64}))
    try:
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline and intruder.alive:
            time.sleep(0.2)
        listed = cluster.gateways[0].admin("servers", "list", "--json")["servers"]
        assert len(listed) == len(cluster.servers), listed
    finally:
        intruder.discard()


def test_a_gateway_with_another_master_key_does_not_start(cluster, tmp_path):
    gateway = cluster.gateways[1]
    assert gateway.stop() == 0
    key = tmp_path / "other.key"
    text = cluster.master_key.read_text()
    # Another key of the same form: its last hexadecimal digit or letter differs.
    key.write_text(text)
    gateway.arguments = ["--master-key-file", tmp_path / "none.key"]
    try:
        gateway.spawn()
        assert gateway.process.wait(20) != 0
    finally:
        gateway.arguments = []


def test_a_data_directory_serves_one_process(cluster):
    server = cluster.servers[0]
    ports = free_ports(2)
    done = subprocess.run(
        [cluster.executable, "storage-server", "--data-dir", server.data_dir, "--grpc-port",
         str(ports[0]), "--metrics-port", str(ports[1]), "--gateways",
         cluster.gateways[0].url("admin")],
        capture_output=True, text=True, timeout=20, env=clean_environment(cluster.environment()))
    assert done.returncode != 0, done


# Clients as they come

def test_awscli_and_boto3_work_against_a_gateway(cluster, bucket, tmp_path):
    first, second = cluster.gateways
    tree = tools.make_tree(tmp_path / "out")
    large = data.content("multipart", 20 << 20)
    (tmp_path / "out/large").write_bytes(large)
    tools.run(first, "aws", "s3", "sync", tmp_path / "out", f"s3://{bucket}/tree")
    tools.run(second, "aws", "s3", "sync", f"s3://{bucket}/tree", tmp_path / "in")
    assert tools.read_tree(tmp_path / "in") == tree | {"large": large}
    client = boto_client(second)
    page = client.list_objects_v2(Bucket=bucket, Prefix="tree/")
    assert page["KeyCount"] == len(tree) + 1
    got = client.get_object(Bucket=bucket, Key="tree/large", Range="bytes=6000000-6000099")
    assert got["Body"].read() == large[6_000_000:6_000_100]


def test_metrics_of_every_process_are_served(cluster):
    assert cluster.gateways[0].metrics()
    for server in cluster.servers:
        answer = wire.request(server.metrics_port, "GET", "/metrics")
        assert answer.status == 200 and answer.body


def test_metrics_tell_what_a_gateway_asks_of_storage_servers(cluster, bucket):
    gateway = cluster.gateways[0]
    before = gateway.metrics()
    body = data.content("asked", 24 << 20)
    assert send(gateway, "PUT", f"/{bucket}/asked", body=body).status == 200
    assert send(gateway, "GET", f"/{bucket}/asked").body == body
    after = gateway.metrics()

    def more(name):
        return after[name] - before.get(name, 0)

    # Six chunks there, at least four of them back, in messages of 1 MiB at most.
    assert more('grpc_request_total{method="PutChunk",status="ok"}') >= 6
    assert more('grpc_request_total{method="GetChunk",status="ok"}') >= 4
    assert more("grpc_stream_messages_sent") >= 36
    assert more("grpc_stream_messages_received") >= 24
    assert more("s3storage_block_read_total") >= 4 * 24
    assert 0 <= more("s3storage_hedged_read_total") < more("s3storage_block_read_total")


def test_no_secret_is_logged(cluster):
    for process in cluster.processes:
        for secret in (cluster.secret, cluster.root[1], cluster.postgres.password):
            assert secret not in process.log(), process.title


# Certificates

def test_a_cluster_with_certificates_serves_and_takes_none_without(make_cluster):
    cluster = make_cluster(tls=True, gateways=1).start()
    gateway = cluster.gateways[0]
    assert send(gateway, "PUT", "/bucket").status == 200
    Library([gateway], "bucket", "tls").store().read_all()
    port = cluster.servers[0].port
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-alpn", "h2", "-quiet"],
        input=b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0", capture_output=True,
        timeout=20)
    assert done.returncode != 0 or not done.stdout, "a client without a certificate was heard"
    assert set(cluster.stop().values()) == {0}
