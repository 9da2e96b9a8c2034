"""Large transfers while the link to a storage server is slow, cut, or swallows everything."""
import http.client
import random
import threading

import pytest

from support import data, http as wire
from support.clients import send
from support.proxy import behind_proxies, make_whole

LENGTH = 40 << 20
HALF = LENGTH // 2


@pytest.fixture(scope="module")
def module_cluster(make_cluster):
    """Six servers behind proxies, none of which counts as dead here."""
    with behind_proxies(make_cluster({"DEAD_SECONDS": "3600"})) as cluster:
        yield cluster.start()


@pytest.fixture
def cluster(module_cluster):
    """The cluster, whole before the test and made whole behind it."""
    yield module_cluster
    make_whole(module_cluster)
    await_repaired(module_cluster)


@pytest.fixture
def bucket(cluster):
    name = f"links-{random.randrange(1 << 40):x}"
    assert send(cluster.gateways[0], "PUT", f"/{name}").status == 200
    return name


def await_repaired(cluster):
    def repairs():
        return cluster.gateways[0].admin("status", "--json")["counts"]["repairs"]

    cluster.until(lambda: repairs() == 0, 180, lambda: f"{repairs()} to repair")


def disturb(server, way):
    """What becomes of the link to a server from now on."""
    if way == "cut":
        server.proxy.cut()
    elif way == "reset":
        server.proxy.reset()
    elif way == "hole":
        server.proxy.hole()
    elif way == "paused":
        server.pause()
    elif way == "slow":
        server.proxy.slow(delay=0.1, rate=400_000)


WAYS = ["cut", "reset", "hole", "paused", "slow"]


class Download:
    """A GET, of which a part is read at a time."""

    def __init__(self, gateway, bucket, key):
        self.connection = wire.connect(gateway.ports["s3"], 120)
        self.connection.sendall(wire.head_bytes(
            "GET", gateway.presign("GET", bucket, key), [("Host", gateway.host)]))
        self.raw = http.client.HTTPResponse(self.connection)
        self.raw.begin()
        assert self.raw.status == 200, self.raw.status

    def read(self, *count):
        found = self.raw.read(*count)
        if not count:
            self.connection.close()
        return found


def upload(gateway, bucket, key, body, in_the_middle=lambda: None):
    """A PUT that calls `in_the_middle` when a half was sent; the answer."""
    with wire.connect(gateway.ports["s3"], 180) as connection:
        connection.sendall(wire.head_bytes(
            "PUT", gateway.presign("PUT", bucket, key),
            [("Host", gateway.host), ("Content-Length", str(len(body)))]))
        connection.sendall(body[:len(body) // 2])
        in_the_middle()
        connection.sendall(body[len(body) // 2:])
        return wire.read_response(connection, "PUT")


@pytest.mark.parametrize("way", WAYS)
def test_downloads_under_way_are_whole(cluster, bucket, way):
    """Two of the six links fail in the middle of several downloads at once."""
    body = data.content(bucket, LENGTH)
    assert upload(cluster.gateways[0], bucket, "k", body).status == 200
    running = [Download(g, bucket, "k") for g in cluster.gateways for _ in range(2)]
    found = [download.read(HALF) for download in running]
    for server in random.sample(cluster.servers, 2):
        disturb(server, way)
    rests = [None] * len(running)

    def finish(number):
        rests[number] = running[number].read()

    threads = [threading.Thread(target=finish, args=(n,)) for n in range(len(running))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for first, rest in zip(found, rests):
        assert first + rest == body
    # One that begins now.
    assert Download(cluster.gateways[1], bucket, "k").read() == body


@pytest.mark.parametrize("way", WAYS)
def test_uploads_under_way_succeed(cluster, bucket, way):
    """One link fails in the middle; what was acknowledged outlives the loss of another server."""
    body = data.content(bucket, LENGTH)
    hurt, *others = random.sample(cluster.servers, 6)
    answer = upload(cluster.gateways[1], bucket, "k", body, lambda: disturb(hurt, way))
    assert answer.status == 200, answer
    assert Download(cluster.gateways[0], bucket, "k").read() == body
    disturb(others[0], "cut")
    assert Download(cluster.gateways[1], bucket, "k").read() == body
    hurt.proxy.heal()
    hurt.resume()
    others[0].proxy.heal()
    cluster.await_spread(6)
    await_repaired(cluster)
    # All six chunks are there again: any two may go.
    for server in random.sample(cluster.servers, 2):
        disturb(server, "cut")
    for gateway in cluster.gateways:
        assert Download(gateway, bucket, "k").read() == body


def test_all_links_slow_is_slow_and_right(cluster, bucket):
    body = data.content(bucket, 8 << 20)
    for server in cluster.servers:
        server.proxy.slow(delay=0.02, rate=2_000_000)
    assert upload(cluster.gateways[0], bucket, "k", body).status == 200
    assert Download(cluster.gateways[1], bucket, "k").read() == body


@pytest.mark.parametrize("way", ["hole", "paused"])
def test_an_upload_that_two_servers_hang_in_is_answered(cluster, bucket, way):
    """Acknowledged and readable, or refused and not there: never in between, and never for good."""
    body = data.content(bucket, LENGTH)
    pair = random.sample(cluster.servers, 2)
    answer = upload(
        cluster.gateways[0], bucket, "k", body, lambda: [disturb(s, way) for s in pair])
    assert answer.status in (200, 503), answer
    found = send(cluster.gateways[1], "GET", f"/{bucket}/k", timeout=120)
    assert (found.status, found.body == body) == (
        (200, True) if answer.status == 200 else (404, False))
    # The next one goes to those that are there.
    assert upload(cluster.gateways[0], bucket, "after", body).status == 200
    assert Download(cluster.gateways[1], bucket, "after").read() == body
