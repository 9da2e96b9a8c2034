"""Storage servers that are lost, hung, cut off or slow while clients read and write."""
import http.client
import itertools
import random
import time

import pytest

from support import data, http as wire
from support.clients import Crowd, Library, Shelf, send
from support.proxy import behind_proxies, make_whole

# None counts as dead here: what is shown is that reads and writes go on before anything is repaired.
SETTINGS = {"DEAD_SECONDS": "3600"}


@pytest.fixture(scope="module")
def module_cluster(make_cluster):
    """Six servers behind proxies and two gateways."""
    with behind_proxies(make_cluster(SETTINGS)) as cluster:
        yield cluster.start()


@pytest.fixture
def cluster(module_cluster):
    """The cluster, whole before the test and made whole behind it."""
    yield module_cluster
    make_whole(module_cluster)


@pytest.fixture
def bucket(cluster, request):
    name = f"loss-{random.randrange(1 << 40):x}"
    assert send(cluster.gateways[0], "PUT", f"/{name}").status == 200
    return name


class Traffic:
    """Readers of what stays and writers of what changes, through both gateways."""

    def __init__(self, cluster, bucket):
        self.library = Library(cluster.gateways, bucket, bucket).store()
        self.shelves = [Shelf(cluster.gateways, bucket, f"{bucket}-{n}") for n in range(3)]
        self.readers = Crowd(3, self.library.read_any)
        self.writers = Crowd(3, lambda n: self.shelves[n].step())

    def __enter__(self):
        self.readers.__enter__()
        self.writers.__enter__()
        return self

    def __exit__(self, *error):
        try:
            self.writers.__exit__(*error)
        finally:
            self.readers.__exit__(*error)

    def go_on(self, seconds=0.0, writes=6):
        """Waits for so much time and so many more writes that were acknowledged."""
        begin, before = time.monotonic(), self.writers.rounds
        while time.monotonic() < begin + seconds or self.writers.rounds < before + writes:
            for crowd in (self.readers, self.writers):
                if crowd.errors:
                    raise crowd.errors[0]
            assert time.monotonic() < begin + 60, "writes stand still"
            time.sleep(0.02)

    def check(self):
        self.library.read_all()
        for shelf in self.shelves:
            shelf.check()
        assert self.readers.rounds > 10 and self.writers.rounds > 10


def test_any_two_of_six_killed_lose_no_write_and_fail_no_read(cluster, bucket):
    pairs = list(itertools.combinations(cluster.servers, 2))
    random.shuffle(pairs)
    with Traffic(cluster, bucket) as traffic:
        for pair in pairs:
            for server in pair:
                server.kill()
            traffic.go_on(writes=4)
            for server in pair:
                server.spawn()
            for server in pair:
                server.await_start(server.healthy)
            cluster.await_spread(6)
    traffic.check()


def test_what_was_written_while_two_were_gone_outlives_one_more(cluster, bucket):
    first, second, third = random.sample(cluster.servers, 3)
    first.kill()
    second.kill()
    cluster.await_spread(4)
    library = Library(cluster.gateways, bucket, "written without two").store()
    library.read_all()
    third.kill()
    library.read_all()


def test_a_download_under_way_is_whole_though_two_servers_die_in_it(cluster, bucket):
    library = Library(cluster.gateways, bucket, "large", sizes=[40 << 20], count=1).store()
    (key, body), = library.bodies.items()
    gateway = cluster.gateways[0]
    target = gateway.presign("GET", bucket, key)
    with wire.connect(gateway.ports["s3"], 60) as connection:
        connection.sendall(wire.head_bytes("GET", target, [("Host", gateway.host)]))
        raw = http.client.HTTPResponse(connection)
        raw.begin()
        found = raw.read(1 << 20)
        for server in random.sample(cluster.servers, 2):
            server.kill()
        found += raw.read()
    assert found == body


def test_an_upload_under_way_succeeds_or_fails_as_a_whole(cluster, bucket):
    body = data.content(bucket, 24 << 20)
    gateway = cluster.gateways[1]
    with wire.connect(gateway.ports["s3"], 60) as connection:
        connection.sendall(wire.head_bytes(
            "PUT", gateway.presign("PUT", bucket, "k"),
            [("Host", gateway.host), ("Content-Length", str(len(body)))]) + body[:8 << 20])
        # One may die in it: five of six chunks are enough.
        random.choice(cluster.servers).kill()
        connection.sendall(body[8 << 20:])
        answer = wire.read_response(connection, "PUT")
    assert answer.status == 200, answer
    assert send(cluster.gateways[0], "GET", f"/{bucket}/k").body == body


def test_two_hung_servers_delay_and_nothing_more(cluster, bucket):
    with Traffic(cluster, bucket) as traffic:
        pair = random.sample(cluster.servers, 2)
        for server in pair:
            server.pause()
        traffic.go_on(seconds=6)
        for server in pair:
            server.resume()
        cluster.await_spread(6)
        traffic.go_on()
    traffic.check()


def test_two_cut_off_servers_are_as_good_as_gone_and_come_back(cluster, bucket):
    with Traffic(cluster, bucket) as traffic:
        pair = random.sample(cluster.servers, 2)
        for server in pair:
            server.proxy.cut()
        cluster.await_spread(4)
        traffic.go_on()
        for server in pair:
            server.proxy.heal()
        cluster.await_spread(6)
        traffic.go_on()
    traffic.check()


def test_a_network_that_swallows_everything_to_two_servers(cluster, bucket):
    with Traffic(cluster, bucket) as traffic:
        pair = random.sample(cluster.servers, 2)
        for server in pair:
            server.proxy.hole()
        traffic.go_on(seconds=6)
        for server in pair:
            server.proxy.heal()
        cluster.await_spread(6)
        traffic.go_on()
    traffic.check()


def test_connections_that_are_reset_again_and_again_fail_no_read(cluster, bucket):
    with Traffic(cluster, bucket) as traffic:
        for _ in range(10):
            for server in random.sample(cluster.servers, 2):
                server.proxy.reset()
            traffic.go_on(seconds=0.2, writes=1)
    traffic.check()


def test_a_slow_link_to_one_server_does_not_slow_reads_for_good(cluster, bucket):
    library = Library(
        cluster.gateways, bucket, "slow", sizes=[1_300_000], count=6).store()
    server = random.choice(cluster.servers)
    server.proxy.slow(delay=0.5, rate=200_000)
    # Some wait for it until it is known to be slow; a parity chunk stands in from then on.
    for _ in range(3):
        library.read_all()
    begin = time.monotonic()
    library.read_all()
    each = (time.monotonic() - begin) / 12
    assert each < 1.0, f"{each} s for each read: as slow as the slowest"


def test_a_server_that_restarts_in_order_is_missed_by_nobody(cluster, bucket):
    with Traffic(cluster, bucket) as traffic:
        for server in random.sample(cluster.servers, 2):
            assert server.stop() == 0
            traffic.go_on(writes=3)
            server.start()
            cluster.await_spread(6)
    traffic.check()


def test_more_than_two_gone_is_a_clean_error_and_no_loss(cluster, bucket):
    library = Library(cluster.gateways, bucket, "three").store()
    big = [k for k, b in library.bodies.items() if len(b) > 16_384]
    for server in random.sample(cluster.servers, 3):
        server.kill()
    for key in big:
        answer = send(cluster.gateways[0], "GET", f"/{bucket}/{key}", timeout=60)
        assert answer.status == 503 and answer.code, answer
    for key in library.bodies.keys() - set(big):
        library.read(key)
    for server in cluster.servers:
        if not server.alive:
            server.start()
    cluster.await_spread(6)
    library.read_all()
