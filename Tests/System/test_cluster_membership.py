"""Servers that join, leave, drain, die, return and lose disks, while all is served."""
import random
import re
import shutil

import pytest

from support.clients import Crowd, Library, Shelf, send


@pytest.fixture
def cluster(make_cluster):
    # Chunks are counted here: the log of changes would add its own all the while.
    return make_cluster({"CHANGE_LOG": "off", "SNAPSHOT_SECONDS": "0"}).start()


@pytest.fixture
def bucket(cluster):
    return make_bucket(cluster)


def make_bucket(cluster):
    cluster.until(lambda: send(cluster.gateways[0], "PUT", "/bucket").status in (200, 409), 60)
    return "bucket"


def listed(cluster):
    return cluster.gateways[0].admin("servers", "list", "--json")["servers"]


def entry(cluster, server):
    """What the cluster says of a server."""
    found = [s for s in listed(cluster) if s["address"].endswith(f":{server.port}")]
    return found[0] if found else None


def command(cluster, name, server):
    return cluster.gateways[0].admin("servers", name, entry(cluster, server)["id"])


def chunks(server):
    return server.chunk_count()


def store(cluster, bucket, count=40):
    return Library(
        cluster.gateways, bucket, "members", count=count,
        sizes=[300_000, 600_000, 1_300_000]).store()


def await_repaired(cluster, timeout=120):
    """Waits until no extent waits for repair."""
    cluster.until(lambda: counts(cluster)["repairs"] == 0, timeout, lambda: f"{counts(cluster)}")


def await_made_again(cluster, timeout=120):
    """Waits until every chunk of servers that are lost or left was made again elsewhere."""
    # Only a walk that met no chunk of theirs ends balanced.
    cluster.until(
        lambda: cluster.gateways[0].admin("servers", "list", "--json")["balanced"], timeout,
        lambda: f"{counts(cluster)}")
    await_repaired(cluster, timeout)


def counts(cluster):
    return cluster.gateways[0].admin("status", "--json")["counts"]


def lose(cluster, server):
    """Kills a server, and waits until it counts as lost."""
    server.kill()
    cluster.until(lambda: entry(cluster, server)["health"] == "lost", 60)


def test_a_server_that_joins_gets_its_share_and_nothing_stops(cluster, bucket):
    library = store(cluster, bucket)
    shelf = Shelf(cluster.gateways, bucket, "joining")
    with Crowd(2, library.read_any), Crowd(1, lambda _: shelf.step()):
        added = cluster.add_server()
        added.start()
        cluster.await_active(7)
        fair = sum(chunks(s) for s in cluster.servers) / 7
        cluster.until(
            lambda: chunks(added) > 0.5 * fair, 60,
            lambda: f"{[chunks(s) for s in cluster.servers]}")
    library.read_all()
    shelf.check()


def test_a_drained_server_ends_empty_and_is_removed(cluster, bucket):
    library = store(cluster, bucket)
    cluster.add_server().start()
    cluster.await_active(7)
    leaving = cluster.servers[0]
    shelf = Shelf(cluster.gateways, bucket, "draining")
    with Crowd(2, library.read_any), Crowd(1, lambda _: shelf.step()):
        command(cluster, "drain", leaving)
        cluster.until(
            lambda: entry(cluster, leaving)["state"] == "drained", 180,
            lambda: f"{chunks(leaving)} are left")
        assert chunks(leaving) == 0
    command(cluster, "remove", leaving)
    leaving.stop()
    cluster.until(lambda: entry(cluster, leaving)["state"] == "left")
    library.read_all()
    shelf.check()
    # Nothing of it is missed: two more may go.
    await_repaired(cluster)
    for server in random.sample(cluster.servers[1:], 2):
        server.kill()
    library.read_all()


def test_a_drained_server_holds_neither_log_nor_snapshots_nor_keys(make_cluster):
    cluster = make_cluster({"SNAPSHOT_SECONDS": "0"}, servers=7).start()
    bucket = make_bucket(cluster)
    library = store(cluster, bucket, 12)
    leaving = cluster.servers[3]
    cluster.gateways[0].admin("snapshot", "--json")
    assert chunks(leaving)
    shelf = Shelf(cluster.gateways, bucket, "logging")
    with Crowd(2, library.read_any), Crowd(1, lambda _: shelf.step()):
        command(cluster, "drain", leaving)
        # What is said of it and what it says itself: nothing is left, and nothing comes again.
        cluster.until(
            lambda: entry(cluster, leaving)["state"] == "drained", 300,
            lambda: f"{chunks(leaving)} are left")
        assert chunks(leaving) == 0
        # More goes to the log and into a snapshot, and nothing of it there.
        cluster.gateways[0].admin("snapshot", "--json")
        assert chunks(leaving) == 0
        assert entry(cluster, leaving)["state"] == "drained"
    command(cluster, "remove", leaving)
    assert leaving.stop() == 0
    library.read_all()
    shelf.check()


@pytest.mark.parametrize("servers", [7, 6])
def test_chunks_of_a_dead_server_are_made_again_elsewhere(cluster, bucket, servers):
    for _ in range(servers - len(cluster.servers)):
        cluster.add_server().start()
    cluster.await_spread(servers)
    library = store(cluster, bucket, 20)
    dead, *others = cluster.servers
    lose(cluster, dead)
    # A repair that asked the dead server first would take seconds for each extent.
    cluster.until(
        lambda: sum(chunks(s) for s in others) >= 6 * 20, 60,
        lambda: f"{[chunks(s) for s in others]}, {counts(cluster)}")
    await_repaired(cluster)
    # Where chunks double up, two on one server are the most.
    for server in random.sample(others, 2 if servers == 7 else 1):
        server.kill()
    library.read_all()


def test_a_new_server_takes_the_place_of_a_dead_one(cluster, bucket):
    library = store(cluster, bucket, 20)
    dead = cluster.servers[1]
    lose(cluster, dead)
    new = cluster.add_server()
    new.start()
    cluster.await_active(6)
    cluster.gateways[0].admin(
        "servers", "replace", entry(cluster, dead)["id"], entry(cluster, new)["id"])
    assert entry(cluster, dead)["state"] == "left"
    await_made_again(cluster)
    extents = counts(cluster)["extents"]
    cluster.until(
        lambda: chunks(new) >= extents, 60, lambda: f"{chunks(new)} of {extents}")
    library.read_all()
    # It is as good as the one before it: any two more may go.
    for server in random.sample([s for s in cluster.servers if s not in (dead, new)], 2):
        server.kill()
    library.read_all()


def test_a_server_that_returns_is_reconciled_and_serves_no_deleted_data(cluster, bucket):
    before = sum(chunks(s) for s in cluster.servers)
    library = store(cluster, bucket, 20)
    away = cluster.servers[3]
    away.kill()
    cluster.await_active(5)
    gone = Library(cluster.gateways, bucket, "members", count=6, sizes=[300_000, 600_000])
    for key in gone.bodies:
        library.bodies.pop(key)
        assert send(cluster.gateways[0], "DELETE", f"/{bucket}/{key}").status == 204
    cluster.until(lambda: entry(cluster, away)["health"] == "lost", 30)
    away.start()
    cluster.await_active(6)
    library.read_all()
    for key in gone.bodies:
        assert send(cluster.gateways[1], "GET", f"/{bucket}/{key}").status == 404
    # Its copies of what was deleted while it was away are cleaned in the end.
    for key in list(library.bodies):
        assert send(cluster.gateways[0], "DELETE", f"/{bucket}/{key}").status == 204
    cluster.until(
        lambda: sum(chunks(s) for s in cluster.servers) <= before, 60,
        lambda: f"{[chunks(s) for s in cluster.servers]}")


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_a_disk_that_was_replaced_is_filled_again_by_one_command(cluster, bucket, running):
    library = store(cluster, bucket, 20)
    server = cluster.servers[4]
    before = chunks(server)
    assert before
    drive = server.data_dir / "store"
    replace = ("storage-server", "replace-disk", drive, "--data-dir", server.data_dir)
    refused = cluster.run(*replace)
    assert refused.returncode == 1 and "not empty" in refused.stderr, refused
    # The disk dies, and another is mounted in its place.
    if not running:
        assert server.stop() == 0
    shutil.rmtree(drive)
    shelf = Shelf(cluster.gateways, bucket, "disk")
    with Crowd(2, library.read_any) as readers, Crowd(1, lambda _: shelf.step()):
        told = cluster.run(*replace)
        assert told.returncode == 0, told.stderr
        old, new = re.search(
            r"Store ([0-9a-f]{32}) takes the place of ([0-9a-f]{32})", told.stdout).groups()[::-1]
        pid = server.pid
        if not running:
            server.start()
        cluster.until(
            lambda: [s["id"] for s in entry(cluster, server)["stores"]] == [new], 60,
            lambda: f"{entry(cluster, server)}")
        cluster.await_active(6)
        assert server.alive and (server.pid == pid) == running
        await_made_again(cluster)
        cluster.until(
            lambda: chunks(server) >= before, 120, lambda: f"{chunks(server)} of {before}")
    assert not readers.errors
    library.read_all()
    shelf.check()
    # It stays so, whoever starts again.
    assert server.stop() == 0
    server.start()
    cluster.await_active(6)
    assert [s["id"] for s in entry(cluster, server)["stores"]] == [new]
    for other in random.sample([s for s in cluster.servers if s is not server], 2):
        other.kill()
    library.read_all()


def test_one_of_several_disks_is_replaced_while_the_others_serve(cluster, bucket):
    added = cluster.add_server()
    drives = [added.data_dir.parent / f"drive-{n}" for n in range(3)]
    added.arguments = ["--drives", ",".join(map(str, drives))]
    added.start()
    cluster.await_active(7)
    library = store(cluster, bucket, 30)
    await_made_again(cluster)
    stores = [s["id"] for s in entry(cluster, added)["stores"]]
    shutil.rmtree(drives[1])
    # Directories say themselves which store they are, in whatever order they are given.
    shuffled = ["--drives", ",".join(map(str, drives[1:] + drives[:1]))]
    told = cluster.run("storage-server", "replace-disk", drives[1], "--data-dir", added.data_dir,
                       *shuffled)
    assert told.returncode == 0, told.stderr
    cluster.until(lambda: [s["id"] for s in entry(cluster, added)["stores"]] != stores, 60)
    await_made_again(cluster)
    found = entry(cluster, added)["stores"]
    assert [s["id"] for s in found][::2] == stores[::2] and found[1]["id"] != stores[1]
    cluster.until(lambda: entry(cluster, added)["stores"][1]["chunks"] > 0, 120)
    assert added.stop() == 0
    added.arguments = shuffled
    added.start()
    cluster.await_active(7)
    cluster.until(
        lambda: all(s["health"] == "active" and s["chunks"] for s in entry(cluster, added)["stores"]),
        60, lambda: f"{entry(cluster, added)}")
    library.read_all()
    for other in random.sample(cluster.servers[:6], 2):
        other.kill()
    library.read_all()


def test_a_server_is_replaced_by_starting_another(cluster, bucket):
    library = store(cluster, bucket, 20)
    dead = cluster.servers[2]
    cluster.gateways[0].admin("servers", "weight", entry(cluster, dead)["id"], "250")
    identity = entry(cluster, dead)["id"]
    new = cluster.add_server()
    new.arguments = ["--replaces", identity]
    # Nobody is pushed out who is there.
    new.spawn()
    cluster.until(lambda: "no gateway has taken the registration" in new.log(), 60, new.log)
    assert entry(cluster, new) is None and entry(cluster, dead)["state"] == "active"
    dead.kill()
    # It goes on to ask.
    new.await_start(new.healthy, 90)
    cluster.until(lambda: entry(cluster, new) and entry(cluster, dead)["state"] == "left", 60,
                  lambda: f"{listed(cluster)}")
    assert [s["weight"] for s in entry(cluster, new)["stores"]] == [250]
    cluster.await_active(6)
    await_made_again(cluster)
    extents = counts(cluster)["extents"]
    cluster.until(
        lambda: chunks(new) >= extents, 120, lambda: f"{chunks(new)} of {extents}")
    library.read_all()
    # What stands in the unit file does no harm later.
    assert new.stop() == 0
    new.start()
    cluster.await_active(6)
    for server in random.sample([s for s in cluster.servers if s not in (dead, new)], 2):
        server.kill()
    library.read_all()


def test_weights_decide_the_shares(cluster, bucket):
    heavy = cluster.add_server(weight=300)
    heavy.start()
    cluster.await_active(7)
    store(cluster, bucket, 60)
    mean = sum(chunks(s) for s in cluster.servers if s is not heavy) / 6
    assert chunks(heavy) > mean, (chunks(heavy), mean)


def test_a_corrupt_chunk_is_found_and_made_again(cluster, bucket):
    library = store(cluster, bucket, 6)
    server = cluster.servers[1]
    path = server.data_dir / sorted(server.chunk_files())[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    library.read_all()
    cluster.gateways[0].admin("scrub", check=False)
    library.read_all()
    await_repaired(cluster)


def test_status_and_workers_tell_what_goes_on(cluster, bucket):
    store(cluster, bucket, 3)
    status = cluster.gateways[0].admin("status", "--json")
    assert len(status["stores"]) == 6, status
    for gateway in cluster.gateways:
        names = {w["name"] for w in gateway.workers()["workers"]}
        assert {"repair"} <= {n.split()[0].lower() for n in names}, names
