"""How many copies of each change are in the stores before it is acknowledged, and who is told."""
from support.clients import send

COPIES = 3


def told(gateway):
    return gateway.admin("status", "--json")["change_log"]


def metric(gateway, name):
    return gateway.metrics()[f"s3storage_change_log_{name}"]


def put(gateway, key, size=1000):
    answer = send(gateway, "PUT", f"/bucket/{key}", body=b"c" * size)
    assert answer.status == 200, answer


def test_changes_have_all_copies_while_there_are_servers_and_get_them_when_these_return(
        make_cluster):
    cluster = make_cluster({"DEAD_SECONDS": "3600"}, servers=6, gateways=1).start()
    gateway, = cluster.gateways
    assert send(gateway, "PUT", "/bucket").status == 200
    put(gateway, "all")
    assert (told(gateway)["wanted_copies"], told(gateway)["last_copies"]) == (COPIES, COPIES)
    assert told(gateway)["warning"] is None

    # Two of six: others take their part.
    for server in cluster.servers[:2]:
        server.kill()
    for number in range(5):
        put(gateway, f"four-{number}", 300_000 if number == 0 else 1000)
        assert told(gateway)["last_copies"] == COPIES
    log = told(gateway)
    assert (log["short_pieces"], log["warning"]) == (0, None), log
    assert "change log" not in gateway.admin("status")

    # Two are left: small objects are still taken, and what they lack is told.
    for server in cluster.servers[2:4]:
        server.kill()
    cluster.until(lambda: told(gateway)["available_copies"] == 2, 60, lambda: f"{told(gateway)}")
    for number in range(5):
        put(gateway, f"two-{number}")
    log = told(gateway)
    assert log["last_copies"] == 2 and log["short_pieces"] >= 5, log
    text = gateway.admin("status")
    assert "WARNING     change log: 2 of 3 copies" in text, text
    assert metric(gateway, "available_copies") == 2
    assert metric(gateway, "wanted_copies") == COPIES
    assert metric(gateway, "short_pieces") >= 5

    # One comes back: every change has its copies again.
    cluster.servers[0].start()
    cluster.until(lambda: told(gateway)["short_pieces"] == 0, 60, lambda: f"{told(gateway)}")
    cluster.until(lambda: told(gateway)["warning"] is None, 60, lambda: f"{told(gateway)}")
    put(gateway, "three")
    assert told(gateway)["last_copies"] == COPIES
    assert metric(gateway, "short_pieces") == 0
