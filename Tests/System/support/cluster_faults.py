"""What goes wrong in a cluster: each fault is done by a call, and undone by what that returns.

All servers are behind a `proxy`, and the database is behind `database_proxy`.
"""
import time

# The statement, and the tag that answers it, as they go over the wire.
COMMIT = b"COMMIT\0"


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


def servers_slow(cluster, source):
    pair = source.sample(cluster.servers, 2)
    for server in pair:
        server.proxy.slow(delay=0.05, rate=300_000)
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


# No more than two servers at once, which a read bears.
OF_SERVERS = [servers_killed, servers_hung, servers_cut_off, servers_slow]
OF_OTHERS = [
    gateway_killed, gateway_hung, database_connections_reset, commits_cut, database_slow,
    database_killed, cache_killed]
