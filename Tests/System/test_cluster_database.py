"""A database that restarts, loses connections, is restored from the past, or is gone."""
import json
import os
import random
import shutil
import subprocess
import time

import pytest

from support import data
from support.clients import Crowd, Library, Shelf, send
from support.proxy import Proxy

# The statement, and the tag that answers it, as they go over the wire.
COMMIT = b"COMMIT\0"


@pytest.fixture(scope="module")
def cluster(make_cluster):
    """A cluster with a PostgreSQL of its own, behind a proxy."""
    cluster = make_cluster(postgres=None)
    cluster.database_proxy = Proxy(cluster.postgres.port)
    cluster.start()
    yield cluster
    cluster.database_proxy.close()


@pytest.fixture
def bucket(cluster):
    cluster.await_spread(6)
    name = f"database-{random.randrange(1 << 40):x}"
    cluster.until(lambda: send(cluster.gateways[0], "PUT", f"/{name}").status in (200, 409))
    # A gateway that was without the database for longer than its lease takes writes a little later.
    for number, gateway in enumerate(cluster.gateways):
        cluster.until(
            lambda: send(gateway, "PUT", f"/{name}/first-{number}", body=b"x" * 40_000).status == 200)
        assert send(gateway, "DELETE", f"/{name}/first-{number}").status == 204
    return name


def test_a_database_that_restarts_in_mid_traffic_costs_time_and_no_write(cluster, bucket):
    shelves = [Shelf(cluster.gateways, bucket, f"{bucket}-{n}") for n in range(4)]
    with Crowd(4, lambda n: shelves[n].step()) as crowd:
        for end in (cluster.postgres.stop, cluster.postgres.kill):
            before = crowd.rounds
            cluster.until(lambda: crowd.rounds >= before + 8 or crowd.errors)
            end()
            time.sleep(0.5)
            cluster.postgres.start()
            before = crowd.rounds
            cluster.until(lambda: crowd.rounds >= before + 8 or crowd.errors)
    for shelf in shelves:
        shelf.check()
    assert len(cluster.active()) == 6


def test_without_the_database_requests_end_in_a_defined_error_and_soon(cluster, bucket):
    library = Library(cluster.gateways, bucket, "defined").store()
    cluster.postgres.stop()
    try:
        for method, body in (("GET", b""), ("PUT", b"x")):
            begin = time.monotonic()
            answer = send(
                cluster.gateways[0], method, f"/{bucket}/library/0", body=body, timeout=60)
            assert answer.status == 503 and answer.code, answer
            assert time.monotonic() - begin < 40
    finally:
        cluster.postgres.start()
    cluster.until(lambda: send(
        cluster.gateways[0], "GET", f"/{bucket}/library/1").status == 200)
    library.read_all()


def test_a_database_outage_longer_than_death_makes_nobody_dead(cluster, bucket):
    library = Library(cluster.gateways, bucket, "outage").store()
    cluster.database_proxy.cut()
    time.sleep(float(cluster.settings["DEAD_SECONDS"]) + 3)
    cluster.database_proxy.heal()
    seen = set()

    def is_seen_by_all():
        """Whether every gateway answers, and sees all servers; what it saw meanwhile is kept."""
        for gateway in cluster.gateways:
            done = gateway.admin("servers", "list", "--json", check=False)
            if done.returncode != 0:
                return False
            health = [s["health"] for s in json.loads(done.stdout)["servers"]]
            seen.update(health)
            if health.count("active") != 6:
                return False
        return True

    cluster.until(is_seen_by_all, 60)
    assert "lost" not in seen
    # Nor was anything made again for want of a server.
    assert cluster.gateways[0].admin("status", "--json")["counts"]["repairs"] == 0
    library.read_all()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_connection_cut_inside_commit_is_resolved_before_the_answer(cluster, bucket, after):
    """Whatever was answered is so: 200 is there, 412 and 503 can be told from what is read."""
    gateway = cluster.gateways[0]
    tripped = 0
    for turn in range(12):
        key = f"k{turn}"
        body = data.content(f"{after} {turn}", random.choice([40, 40_000, 300_000]))
        cluster.database_proxy.trip(COMMIT, COMMIT if after else None)
        answer = send(gateway, "PUT", f"/{bucket}/{key}", [("If-None-Match", "*")], body)
        tripped += cluster.database_proxy.tripped.is_set()
        cluster.database_proxy.trap = None
        read = send(cluster.gateways[1], "GET", f"/{bucket}/{key}")
        if answer.status == 200:
            assert read.body == body
        else:
            assert answer.status in (412, 500, 503), answer
            assert read.status in (200, 404)
            # Final: what it showed once it shows for good.
            time.sleep(0.3)
            again = send(gateway, "GET", f"/{bucket}/{key}")
            assert again.status == read.status
    assert tripped, "COMMIT never went over the wire in a form that the proxy knows"


def test_a_gateway_does_not_change_the_schema_itself(cluster, make_cluster):
    other = make_cluster(servers=0, gateways=1, postgres=cluster.postgres)
    other.postgres.create(other.database)
    gateway = other.gateways[0].spawn()
    assert gateway.process.wait(30) != 0
    assert "migrate" in gateway.log()
    assert other.postgres.sql(
        "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'",
        other.database) == "0"


def test_a_database_that_does_not_sync_is_refused(cluster):
    """Durability is on, or the gateway says what is off and ends."""
    cluster.postgres.sql("ALTER SYSTEM SET synchronous_commit = off", "postgres")
    cluster.postgres.sql("SELECT pg_reload_conf()", "postgres")
    gateway = cluster.gateways[1]
    try:
        assert gateway.stop() == 0
        gateway.spawn()
        assert gateway.process.wait(30) != 0
        assert "synchronous_commit" in gateway.log()[-4000:]
    finally:
        cluster.postgres.sql("ALTER SYSTEM RESET synchronous_commit", "postgres")
        cluster.postgres.sql("SELECT pg_reload_conf()", "postgres")
        time.sleep(0.5)
        gateway.start()


def stop_gateways(cluster):
    for gateway in cluster.gateways:
        assert gateway.stop() == 0


def test_metadata_come_back_after_the_database_is_dropped(cluster, bucket):
    first = cluster.gateways[0]
    library = Library(cluster.gateways, bucket, "rebuilt").store()
    signer = first.add_user(f"kept{random.randrange(1 << 30):x}")
    gone = [f"gone/{n}" for n in range(4)]
    for key in gone:
        body = data.content(key, 30_000)
        assert send(first, "PUT", f"/{bucket}/{key}", body=body).status == 200
        assert send(first, "DELETE", f"/{bucket}/{key}").status == 204
    refused = send(
        first, "PUT", f"/{bucket}/library/2", [("If-None-Match", "*")],
        data.content("loser", 40_000))
    assert refused.status == 412, refused
    lose_and_rebuild(cluster)
    library.read_all()
    for key in gone:
        assert send(first, "GET", f"/{bucket}/{key}").status == 404, f"{key} is back"
    answer = send(first, "GET", f"/{bucket}?list-type=2")
    assert {e.text for e in answer.xml.iter("Key")} == set(library.bodies)
    original, first.signer = first.signer, signer
    try:
        assert send(first, "GET", "/").status == 200
    finally:
        first.signer = original


def lose_and_rebuild(cluster):
    """Has a cluster lose its database and make it again out of what the stores keep."""
    stop_gateways(cluster)
    cluster.postgres.drop(cluster.database)
    cluster.postgres.create(cluster.database)
    cluster.migrate()
    rebuild(cluster)
    for gateway in cluster.gateways:
        gateway.start()
    cluster.await_spread(6)


def rebuild(cluster):
    done = cluster.run(
        "admin", "rebuild-metadata", "--database-url", cluster.database_url, "--master-key-file",
        cluster.master_key, "--data-dir", cluster.gateways[0].data_dir)
    assert done.returncode == 0, f"rebuild-metadata: {done.stdout}{done.stderr}"
    return done.stdout


class Backup:
    """A dump of the cluster's database, and how it is put back."""

    def __init__(self, cluster, path):
        self.cluster, self.path = cluster, path
        self.run("pg_dump", "-f", path, cluster.database_url)

    def restore(self):
        """Fills a database of its own, which then takes the other's place: whoever is connected sees
        the one or the other, and nothing half restored."""
        postgres, name = self.cluster.postgres, self.cluster.database
        fresh = f"{name}_restored"
        postgres.create(fresh)
        self.run("psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-f", self.path, postgres.url(fresh))
        # Until the name is taken again, nobody finds a database.
        postgres.drop(name)
        postgres.sql(f'ALTER DATABASE "{fresh}" RENAME TO "{name}"', "postgres")

    def run(self, program, *arguments):
        subprocess.run(
            [self.cluster.postgres.programs / program, *arguments], check=True, env=os.environ,
            stdout=subprocess.DEVNULL)


@pytest.fixture
def short_lived(make_cluster):
    """A cluster that finds writers dead, and sweeps what they left, within seconds."""
    cluster = make_cluster({"SNAPSHOT_SECONDS": "3600"}).start()
    cluster.await_spread(6)
    assert send(cluster.gateways[0], "PUT", "/bucket").status == 200
    return cluster


def restored(cluster):
    return cluster.run("cluster", "restored", "--database-url", cluster.database_url)


def go_back_to(backup, cluster):
    """Restores the database, tells the cluster so, and starts the gateways again."""
    stop_gateways(cluster)
    backup.restore()
    cluster.until(lambda: restored(cluster).returncode == 0, 60)
    for gateway in cluster.gateways:
        gateway.start()
    cluster.await_spread(6)


def sweep_all(cluster):
    """Waits until all writers of up to now are fenced, and what they left unnamed is swept."""
    # Gone without an end, as by a crash: their leases run out, and all that is unnamed of fenced
    # writers is swept. Where nothing may be swept, workers say so.
    for gateway in cluster.gateways:
        gateway.kill()
    for gateway in cluster.gateways:
        gateway.start()
    cluster.await_spread(6)
    url = cluster.database
    cluster.until(
        lambda: cluster.postgres.sql(
            "SELECT count(*) FROM writers WHERE state < 2", url).strip() == "2", 90,
        lambda: cluster.postgres.sql("SELECT epoch, state, lease_ms FROM writers", url))


@pytest.mark.parametrize("told", ["by the command", "by what a gateway remembers", "while it ran"])
def test_what_is_newer_than_a_restored_backup_goes_to_quarantine(short_lived, tmp_path, told):
    cluster = short_lived
    first, second = cluster.gateways
    library = Library(cluster.gateways, "bucket", "before").store()
    # A writer of after the backup, that it does not know; and those that it takes for live.
    backup = Backup(cluster, tmp_path / "dump.sql")
    assert second.stop() == 0
    second.start()
    cluster.await_spread(6)
    earlier = {s.number: s.chunk_files() for s in cluster.servers}
    newer = Library(
        cluster.gateways, "bucket", "after", count=4, prefix="newer", sizes=[3_000_000]).store()
    unknown = {s.number: s.chunk_files() - earlier[s.number] for s in cluster.servers}
    assert sum(map(len, unknown.values())) >= 24
    # A renewal that is newer than the backup.
    cluster.until(lambda: (first.data_dir / "cluster" / "writer.json").exists())
    seen = (first.data_dir / "cluster" / "writer.json").read_text()
    cluster.until(
        lambda: (first.data_dir / "cluster" / "writer.json").read_text() != seen, 60)
    if told == "while it ran":
        backup.restore()
        # Nothing is written on this timeline any more, nor cleaned up.
        cluster.until(
            lambda: all(
                send(g, "PUT", "/bucket/lost", body=b"x").status == 503 for g in cluster.gateways),
            60)
    stop_gateways(cluster)
    if told != "while it ran":
        backup.restore()
    if told == "by the command":
        for gateway in cluster.gateways:
            shutil.rmtree(gateway.data_dir / "cluster")
        # Writers of the backup may be alive, for all that it knows: their leases end first.
        cluster.until(lambda: restored(cluster).returncode == 0, 60)
    for gateway in cluster.gateways:
        gateway.start()
    cluster.await_spread(6)
    for server in cluster.servers:
        assert unknown[server.number] <= server.chunk_files()
    assert first.admin("status", "--json")["sweep_held"]
    first.admin("reconcile")
    assert not first.admin("status", "--json")["sweep_held"]
    items = first.admin("quarantine", "list", "--json")["extents"]
    listed = {item["key"]: item["extent"] for item in items}
    assert set(newer.bodies) <= set(listed), items
    sweep_all(cluster)
    for server in cluster.servers:
        assert unknown[server.number] <= server.chunk_files()
    library.read_all()
    for key, body in newer.bodies.items():
        assert send(first, "GET", f"/bucket/{key}").status == 404
        first.admin("quarantine", "adopt", listed[key])
        answer = send(second, "GET", f"/bucket/{key}")
        assert answer.status == 200 and answer.body == body


def test_a_drain_takes_along_what_is_in_quarantine(short_lived, tmp_path):
    cluster = short_lived
    first, second = cluster.gateways
    library = Library(cluster.gateways, "bucket", "kept").store()
    backup = Backup(cluster, tmp_path / "dump.sql")
    newer = Library(
        cluster.gateways, "bucket", "after", count=4, prefix="newer",
        sizes=[40_000, 3_000_000]).store()
    go_back_to(backup, cluster)
    first.admin("reconcile")
    items = first.admin("quarantine", "list", "--json")["extents"]
    extents = {item["key"]: item["extent"] for item in items}
    assert set(newer.bodies) <= set(extents), items

    def in_quarantine():
        return second.admin("status", "--json")["counts"]["quarantined"]

    assert in_quarantine() == len(items)
    assert f"{len(items)} extents in quarantine" in first.admin("status")
    cluster.add_server().start()
    cluster.await_active(7)
    leaving = cluster.servers[0]

    def entry():
        servers = first.admin("servers", "list", "--json")["servers"]
        return next(s for s in servers if s["address"].endswith(f":{leaving.port}"))

    assert leaving.chunk_count()
    first.admin("servers", "drain", entry()["id"])
    # Whoever leads dies in the middle, at whatever step.
    second.kill()
    second.start()
    cluster.until(
        lambda: entry()["state"] == "drained", 300,
        lambda: f"{leaving.chunk_count()} are left: {entry()}")
    assert leaving.chunk_count() == 0
    first.admin("servers", "remove", entry()["id"])
    leaving.kill()
    for key, body in newer.bodies.items():
        first.admin("quarantine", "adopt", extents[key])
        answer = send(second, "GET", f"/bucket/{key}")
        assert answer.status == 200 and answer.body == body
    assert in_quarantine() == len(items) - len(newer.bodies)
    library.read_all()


def test_a_rebuild_after_a_restore_brings_back_the_restored_timeline(short_lived, tmp_path):
    cluster = short_lived
    first = cluster.gateways[0]
    kept = Library(cluster.gateways, "bucket", "kept").store()
    cluster.until(lambda: first.admin("snapshot", check=False).returncode == 0)
    backup = Backup(cluster, tmp_path / "dump.sql")
    lost = Library(
        cluster.gateways, "bucket", "lost", count=12, prefix="lost", sizes=[20_000]).store()
    for key in list(kept.bodies)[:4]:
        assert send(first, "DELETE", f"/bucket/{key}").status == 204
    go_back_to(backup, cluster)
    first.admin("reconcile")
    # The log of the new timeline begins with a snapshot of its own.
    cluster.until(
        lambda: first.admin("recovery", "--json")["log_in_force"], 60,
        lambda: first.admin("recovery", "--json"))
    newer = Library(
        cluster.gateways, "bucket", "newer", count=6, prefix="newer", sizes=[30_000]).store()
    lose_and_rebuild(cluster)
    newer.read_all()
    answer = send(first, "GET", "/bucket?list-type=2")
    assert {e.text for e in answer.xml.iter("Key")} == set(newer.bodies) | set(kept.bodies)
    # Their content was there no more when the database went back: only what it was is known.
    for key in list(kept.bodies)[:4]:
        kept.bodies.pop(key)
    kept.read_all()
    for key in lost.bodies:
        assert send(first, "GET", f"/bucket/{key}").status == 404
