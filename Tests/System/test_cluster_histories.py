"""Histories of many clients under faults, each key of which must be a register; see the checker."""
import random
import time

import pytest

from support.clients import Crowd, Register, send
from support.cluster_processes import Cluster
from support.linearizability import History
from support.proxy import Proxy

# The statement, and the tag that answers it, as they go over the wire.
COMMIT = b"COMMIT\0"

KEYS = [f"k{n}" for n in range(4)]
CLIENTS = 8


@pytest.fixture(scope="module")
def cluster(make_cluster):
    """Two gateways with the cache, and proxies before all servers and the database."""
    cluster = make_cluster({"DEAD_SECONDS": "3600"}, postgres=None, redis=True)
    for server in cluster.servers:
        server.proxy = Proxy(server.port)
        server.advertise = server.proxy.address
    cluster.database_proxy = Proxy(cluster.postgres.port)
    cluster.start()
    yield cluster
    for proxy in [cluster.database_proxy, *(s.proxy for s in cluster.servers)]:
        proxy.close()


def calm(cluster, source):
    return lambda: None


def servers_killed(cluster, source):
    pair = source.sample(cluster.servers, 2)
    for server in pair:
        server.kill()

    def undo():
        for server in pair:
            server.start()

    return undo


def servers_hung(cluster, source):
    pair = source.sample(cluster.servers, 2)
    for server in pair:
        server.pause()
    return lambda: [server.resume() for server in pair]


def servers_cut_off(cluster, source):
    pair = source.sample(cluster.servers, 2)
    for server in pair:
        source.choice([server.proxy.cut, server.proxy.hole, server.proxy.reset])()
    return lambda: [server.proxy.heal() for server in pair]


def gateway_killed(cluster, source):
    gateway = source.choice(cluster.gateways)
    gateway.kill()
    return gateway.start


def gateway_hung(cluster, source):
    """Longer than its lease: it wakes up fenced, and must not answer from the past."""
    gateway = source.choice(cluster.gateways)
    gateway.pause()
    time.sleep(float(cluster.settings["LEASE_SECONDS"]) + 1.5)
    return gateway.resume


def database_connections_reset(cluster, source):
    for _ in range(8):
        cluster.database_proxy.reset()
        time.sleep(0.1)
    return lambda: None


def commits_cut(cluster, source):
    """The connection ends inside COMMIT, before or after the database did it."""
    for _ in range(8):
        cluster.database_proxy.trip(COMMIT, source.choice([None, COMMIT]))
        cluster.database_proxy.tripped.wait(0.5)
    return lambda: None


def database_slow(cluster, source):
    cluster.database_proxy.slow(delay=0.02)
    return cluster.database_proxy.heal


def database_killed(cluster, source):
    cluster.postgres.kill()
    return cluster.postgres.start


def cache_killed(cluster, source):
    cluster.redis.kill()
    return cluster.redis.start


FAULTS = [
    calm, servers_killed, servers_hung, servers_cut_off, gateway_killed, gateway_hung,
    database_connections_reset, commits_cut, database_slow, database_killed, cache_killed]


def test_one_process_that_is_killed_shows_a_register_too(private):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    assert send(private, "PUT", "/bucket").status == 200
    history = History()
    clients = [Register(private, "bucket", history, f"{seed:x}-{n}") for n in range(CLIENTS)]
    with Crowd(CLIENTS, lambda n: clients[n].step(KEYS)) as crowd:
        for _ in range(2):
            time.sleep(0.7)
            private.kill()
            private.start()
        Cluster.until(lambda: len(history.operations) > 100 or crowd.errors, 60)
    assert history.check() > 100


def writes(history):
    """The writes that were done."""
    with history.lock:
        return [o for o in history.operations if o.outcome == "done" and o.kind == "write"]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.__name__)
def test_what_clients_saw_is_what_a_register_shows(cluster, fault, tmp_path):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    source = random.Random(seed)
    bucket = f"history-{seed:x}"
    assert send(cluster.gateways[0], "PUT", f"/{bucket}").status == 200
    history = History()
    clients = [
        Register(cluster.gateways[n % 2], bucket, history, f"{seed:x}-{n}",
                 sizes=[40, 5_000, 40_000, 300_000]) for n in range(CLIENTS)]
    with Crowd(CLIENTS, lambda n: clients[n].step(KEYS)) as crowd:
        time.sleep(0.7)
        undo = fault(cluster, source)
        time.sleep(1.0)
        undo()
        after = crowd.rounds
        # A busy machine takes longer until there is something to show.
        cluster.until(
            lambda: crowd.rounds >= after + 40 and len(writes(history)) > 20 or crowd.errors, 60)
    cluster.await_active(6)
    # What is left is what both gateways show, in the end.
    for gateway in cluster.gateways:
        last = Register(gateway, bucket, history, f"last-{gateway.number}")
        for key in KEYS:
            assert last.read(key) != "unknown"
        assert last.list(KEYS) is not None
    history.save(tmp_path / "history.json")
    count = history.check()
    answers = {}
    for client in clients:
        for answer, times in client.answers.items():
            answers[answer] = answers.get(answer, 0) + times
    print(count, "operations;", {f"{m} {s}": n for (m, s), n in sorted(answers.items(), key=str)})
    assert len(writes(history)) > 20, "too little happened to show anything"
