"""Certificates and authorities that are replaced while everything runs."""
import re
import subprocess

import pytest

from support import data
from support.clients import Crowd, Library, Shelf, send

SETTINGS = {"TRUST_SECONDS": "1", "CHANGE_LOG": "off", "SNAPSHOT_SECONDS": "0"}


@pytest.fixture
def cluster(make_cluster):
    return make_cluster(SETTINGS, tls=True).start()


def retire(cluster, *options):
    """Runs `cluster rotate-ca --retire`; (exit status, what it said)."""
    done = cluster.run(
        "cluster", "rotate-ca", "--retire", *options, DATABASE_URL=cluster.database_url,
        MASTER_KEY_FILE=cluster.master_key, DATA_DIR=cluster.directory / "authority")
    return done.returncode, done.stdout + done.stderr


def files(process):
    directory = process.data_dir / "cluster"
    return (directory / "ca.pem").read_text(), (directory / "certificate.pem").read_text()


def fingerprint(certificate):
    """The digest of the first certificate of a PEM text."""
    return subprocess.run(
        ["openssl", "x509", "-noout", "-fingerprint", "-sha256"], input=certificate.encode(),
        capture_output=True, check=True).stdout


def presented(server):
    """The certificate that a storage server shows to who connects now."""
    said = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-alpn", "h2"],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=60).stdout.decode()
    return re.search(r"-----BEGIN.*?-----END CERTIFICATE-----", said, re.S).group(0)


def test_authorities_are_replaced_under_traffic_and_nobody_notices(cluster):
    assert send(cluster.gateways[0], "PUT", "/bucket").status == 200
    library = Library(cluster.gateways, "bucket", "rotation", count=12).store()
    shelf = Shelf(cluster.gateways, "bucket", "rotation")
    before = {p.title: files(p) for p in cluster.processes}
    with Crowd(2, library.read_any) as readers, Crowd(1, lambda _: shelf.step()) as writers:
        def go_on(count):
            rounds = (readers.rounds, writers.rounds)
            cluster.until(
                lambda: readers.errors or writers.errors or
                (readers.rounds >= rounds[0] + count and writers.rounds >= rounds[1] + count), 90)

        for turn in range(2):
            cluster.command("rotate-ca")
            go_on(5)
            cluster.until(lambda: retire(cluster)[0] == 0, 90, lambda: retire(cluster)[1])
            go_on(5)
            # All of them let go of the authority of before, without a restart.
            cluster.until(
                lambda: all(files(p)[0].count("BEGIN") == 1 for p in cluster.processes), 90)
            for server in cluster.servers:
                cluster.until(lambda s=server: fingerprint(presented(s)) == fingerprint(
                    files(s)[1]) != fingerprint(before[s.title][1]), 60)
            # New connections all around.
            restarted = [cluster.servers[turn], cluster.gateways[turn]]
            for process in restarted[:1]:
                assert process.stop(timeout=60) == 0
                process.start(60)
            cluster.await_active(6, 90)
            go_on(5)
    assert not readers.errors and not writers.errors and not shelf.failures, \
        (readers.errors, writers.errors, shelf.failures)
    shelf.check()
    library.read_all()
    assert all(files(p)[0] != before[p.title][0] for p in cluster.processes)


def test_an_authority_does_not_end_while_a_member_goes_by_it(cluster):
    away, gateway = cluster.servers[5], cluster.gateways[1]
    assert send(cluster.gateways[0], "PUT", "/bucket").status == 200
    body = data.content("kept", 2 << 20)
    assert send(cluster.gateways[0], "PUT", "/bucket/k", body=body).status == 200
    identity = next(
        s["id"] for s in cluster.gateways[0].admin("servers", "list", "--json")["servers"]
        if s["address"].endswith(f":{away.port}"))
    away.kill()
    cluster.command("rotate-ca")
    # The others renew; who is away is what is left in the way.
    said = cluster.until(
        lambda: (said := retire(cluster)[1]) and said.count("storage server") == 1
        and "gateway" not in said and said, 90, lambda: retire(cluster)[1])
    assert identity in said, said
    away.start(60)
    cluster.until(lambda: retire(cluster)[0] == 0, 90, lambda: retire(cluster)[1])
    away.kill()
    cluster.command("rotate-ca")
    cluster.until(
        lambda: retire(cluster)[1].count("storage server") == 1, 90, lambda: retire(cluster)[1])
    status, said = retire(cluster, "--force")
    assert status == 0 and "WARNING" in said and identity in said, said
    # It is cut off, and joins anew; the others do not notice.
    away.spawn()
    cluster.await_active(5, 90)
    assert send(cluster.gateways[1], "GET", "/bucket/k").body == body
    cluster.until(lambda: "certificate could not be looked at" in away.log()
                  or "registration" in away.log(), 60)
    away.kill()
    token = cluster.command("token", "--server", identity)["token"]
    done = cluster.run(
        "cluster", "join", "--gateway", gateway.url("admin"), "--data-dir", away.data_dir,
        "--advertise", away.address, JOIN_TOKEN=token)
    assert done.returncode == 0, done.stdout + done.stderr
    away.start(60)
    cluster.await_active(6, 90)
    assert send(cluster.gateways[1], "GET", "/bucket/k").body == body
    assert retire(cluster)[0] == 0
