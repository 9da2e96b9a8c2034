"""What operators see of a cluster: members, leader, workers and their progress; zones and weights."""
import random

from support.clients import Library, send

LED = {
    "writer-reclaim", "tombstones", "sweep", "losses", "repair", "spread", "rebalance",
    "reconcile", "strays", "scrub", "upload-cleanup", "usage", "snapshots"}
EACH = {"membership", "leadership", "writer-lease", "discards", "idle-memory", "change-log"}
AWAY = "another gateway leads"


def status(gateway):
    return gateway.admin("status", "--json")


def workers(gateway):
    return {w["name"]: w for w in gateway.workers()["workers"]}


def leader(cluster):
    """The gateway that leads, and the others; each says the same of itself wherever it is asked."""
    def found():
        leading = [g for g in cluster.gateways if g.alive and status(g)["members"]["leads"]]
        return leading[0] if len(leading) == 1 else None

    lead = cluster.until(found, 60)
    return lead, [g for g in cluster.gateways if g.alive and g is not lead]


def member(gateway, server):
    return next(s for s in status(gateway)["members"]["servers"]
                if s["address"].endswith(f":{server.port}"))


def test_status_and_workers_say_who_does_what_and_how_the_members_are(make_cluster):
    cluster = make_cluster({"DEAD_SECONDS": "15"}, servers=7).start()
    assert send(cluster.gateways[0], "PUT", "/bucket").status == 200
    library = Library(
        cluster.gateways, "bucket", "status", count=12, sizes=[300_000, 1_300_000]).store()
    lead, (other,) = leader(cluster)
    # Of the moment before it led nothing is left to be seen.
    cluster.until(lambda: all(w["detail"] != AWAY for w in workers(lead).values()), 60)
    for gateway in cluster.gateways:
        found = workers(gateway)
        assert found.keys() == LED | EACH, found.keys() ^ (LED | EACH)
        for name, worker in found.items():
            assert worker["state"] in ("waiting", "working", "failing"), worker
            assert worker["runs"] > 0 and worker["last_run_at"], worker
            assert (worker["detail"] == AWAY) == (
                gateway is other and name in LED | {"leadership"}), worker
        assert found["membership"]["detail"] == "7 of 7 storage servers answer"
        text = gateway.admin("status")
        assert "7 of 7 answer; ring" in text, text
        assert ("this gateway leads" in text) == (gateway is lead)
        told = status(gateway)
        assert len(told["stores"]) == 7 and told["counts"]["objects"] == 12
        assert told["members"]["answering"] == 7
        assert {s["health"] for s in told["members"]["servers"]} == {"active"}
        assert {s["id"] for s in told["members"]["servers"]} == {
            s["device"].removeprefix("server ") for s in told["stores"]}
    # One hangs: each gateway says so, and which.
    hung, drained = cluster.servers[0], cluster.servers[1]
    hung.pause()
    for gateway in cluster.gateways:
        # Where the machine is slow it may count as lost before this looks.
        cluster.until(lambda g=gateway: (m := member(g, hung))["health"] == "lost" or (
            m["health"] == "inactive" and m["reason"]), 60)
        cluster.until(lambda g=gateway: workers(g)["membership"]["detail"]
                      == "6 of 7 storage servers answer", 60)
        assert f"WARNING     server {member(gateway, hung)['id']}" in gateway.admin("status")
    # It is lost in the end; what it held is made again, and the work is counted.
    before = workers(lead)["repair"]["items_done"]
    cluster.until(lambda: member(other, hung)["health"] == "lost", 60)
    cluster.until(lambda: workers(leader(cluster)[0])["repair"]["items_done"] > before, 120)
    cluster.until(lambda: status(other)["counts"]["repairs"] == 0
                  and status(other)["members"]["balanced"], 120,
                  lambda: f"{status(other)['counts']}")
    hung.resume()
    cluster.await_active(7, 120)
    assert status(other)["members"]["answering"] == 7
    cluster.gateways[0].admin("servers", "drain", member(other, drained)["id"])
    cluster.until(lambda: member(other, drained)["state"] == "drained", 300)
    rebalanced = sum(
        workers(g)["rebalance"]["items_done"] for g in cluster.gateways)
    assert rebalanced > 0
    # The leader goes: the other one takes over, and says so.
    lead, (other,) = leader(cluster)
    lead.kill()
    assert leader(cluster)[0] is other
    cluster.until(lambda: all(
        w["detail"] != AWAY for n, w in workers(other).items()), 60, lambda: f"{workers(other)}")
    lead.start()
    cluster.until(lambda: workers(lead)["repair"]["detail"] == AWAY, 60)
    library.read_all()


def test_a_zone_is_lost_and_everything_reads(make_cluster):
    """Nine servers in three zones: two chunks of an extent in each, as many as may be lost."""
    cluster = make_cluster(
        {"CHANGE_LOG": "off", "SNAPSHOT_SECONDS": "0", "DEAD_SECONDS": "3600"}, servers=0)
    for number in range(9):
        cluster.add_server(zone=f"zone-{number % 3}")
    cluster.start()
    zones = {z: [s for s in cluster.servers if s.zone == z] for z in ("zone-0", "zone-1", "zone-2")}
    assert send(cluster.gateways[0], "PUT", "/bucket").status == 200
    assert ", in 3 zones; " in cluster.gateways[0].admin("status")
    # Once the gateway that leads has seen that all lies where the ring wants it.
    cluster.until(lambda: "9 servers, three zones: survives the loss of any one zone"
                  in cluster.gateways[0].admin("status"), 60,
                  lambda: cluster.gateways[0].admin("status"))
    assert {s["zone"] for s in status(cluster.gateways[1])["members"]["servers"]} == set(zones)
    library = Library(
        cluster.gateways, "bucket", "zones", count=30, sizes=[300_000, 1_300_000]).store()
    for zone, servers in zones.items():
        for server in servers:
            server.kill()
        library.read_all()
        cluster.await_active(6)
        domain = status(cluster.gateways[0])["failure_domain"]
        assert domain["tolerable_zone_losses"] == 0, domain
        assert "survives the loss of any one zone" not in domain["summary"], domain
        # What is written without it survives a further loss.
        written = Library(
            cluster.gateways, "bucket", f"without {zone}", count=6, prefix=zone,
            sizes=[300_000]).store()
        victim = random.choice([s for s in cluster.servers if s.alive])
        victim.kill()
        written.read_all()
        for server in (*servers, victim):
            server.spawn()
        for server in (*servers, victim):
            server.await_start(server.healthy, 60)
        cluster.await_active(9, 90)
        library.bodies.update(written.bodies)
        # Spread over the zones again before the next one goes.
        cluster.until(lambda: status(cluster.gateways[0])["counts"]["repairs"] == 0
                      and status(cluster.gateways[0])["counts"]["under_spread"] == 0, 400,
                      lambda: f"{status(cluster.gateways[0])['counts']}")


def test_weights_change_the_shares_of_what_is_there(make_cluster):
    cluster = make_cluster({"CHANGE_LOG": "off", "SNAPSHOT_SECONDS": "0"}, servers=0)
    for number in range(9):
        cluster.add_server(weight=200 if number < 3 else 100)
    cluster.start()
    assert send(cluster.gateways[0], "PUT", "/bucket").status == 200
    library = Library(
        cluster.gateways, "bucket", "weights", count=100, sizes=[200_000]).store()

    def share(servers):
        return sum(s.chunk_count() for s in servers) / len(servers)

    heavy, light = cluster.servers[:3], cluster.servers[3:]
    assert 1.3 < share(heavy) / share(light) < 2.1, [s.chunk_count() for s in cluster.servers]
    # The weights change sides, and chunks move.
    for server in cluster.servers:
        cluster.gateways[0].admin(
            "servers", "weight", member(cluster.gateways[0], server)["id"],
            "50" if server in heavy else "150")
    cluster.until(
        lambda: status(cluster.gateways[1])["members"]["balanced"]
        and share(light) / max(share(heavy), 0.1) > 1.3, 400,
        lambda: f"{[s.chunk_count() for s in cluster.servers]}")
    library.read_all()
