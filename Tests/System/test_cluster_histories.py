"""Histories of many clients under faults, each key of which must be a register; see the checker."""
import random
import time

import pytest

from support import cluster_faults as faults
from support.clients import Crowd, Register, send
from support.cluster_processes import Cluster
from support.linearizability import History
from support.proxy import behind_proxies

KEYS = [f"k{n}" for n in range(4)]
CLIENTS = 8
FAULTS = [faults.calm, *faults.OF_SERVERS, *faults.OF_OTHERS]


@pytest.fixture(scope="module")
def cluster(make_cluster):
    """Two gateways with the cache, and proxies before all servers and the database."""
    made = make_cluster({"DEAD_SECONDS": "3600"}, postgres=None, redis=True)
    with behind_proxies(made, database=True) as cluster:
        yield cluster.start()


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
