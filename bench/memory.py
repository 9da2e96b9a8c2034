"""Resident memory: idle, with many transfers in flight, and its growth."""
import os
import subprocess
import time

from measure import wrk


def idle(bench, table):
    time.sleep(1)
    table.add("memory, idle", bench.server.status_field("VmRSS") / 1024, "MiB", 40)


def in_flight(bench, scale, table):
    """Uploads and downloads at once, each held to a rate so that all of them are in flight."""
    count, size = 64, scale["flight"]
    path = bench.directory / "flight"
    path.write_bytes(os.urandom(size))
    bench.bucket("flight")
    url = bench.server.endpoint
    subprocess.run(
        ["curl", "-sSf", "-T", path, url + bench.target("PUT", "/flight/source")], check=True,
        stdout=subprocess.DEVNULL)
    rate = str(size // 5)
    clients = []
    for index in range(count):
        clients.append(subprocess.Popen(
            ["curl", "-sSf", "--limit-rate", rate, "-T", path,
             url + bench.target("PUT", f"/flight/{index}")],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE))
        clients.append(subprocess.Popen(
            ["curl", "-sSf", "--limit-rate", rate, "-o", "/dev/null",
             url + bench.target("GET", "/flight/source")], stderr=subprocess.PIPE))
    most, running, deadline = 0, 0, time.monotonic() + 60
    while any(client.poll() is None for client in clients):
        if time.monotonic() > deadline:
            stuck = sum(client.poll() is None for client in clients)
            for client in clients:
                client.kill()
            raise AssertionError(f"{stuck} transfers stand still")
        most = max(most, bench.server.status_field("VmRSS"))
        running = max(running, sum(client.poll() is None for client in clients))
        time.sleep(0.1)
    for client in clients:
        assert client.returncode == 0, client.stderr.read()
    table.add(
        f"memory, {count} uploads and {count} downloads of {size >> 20} MiB in flight",
        most / 1024, "MiB", 400)
    table.note("of these at most at once", running)
    path.unlink()


def growth(bench, scale, table):
    """RSS after 110,000 requests minus RSS after 10,000, half of them PUTs."""
    bench.bucket("growth")
    keys = [f"/growth/{i:05d}" for i in range(1000)]
    for key in keys:
        assert bench.server.s3("PUT", key, body=b"x" * 4096).status == 200
    targets = {
        method: [bench.target(method, key) for key in keys] for method in ("PUT", "GET")}

    def requests(wanted):
        done = 0
        while done < wanted:
            for method, body in (("PUT", 4096), ("GET", 0)):
                done += wrk(
                    bench.server.endpoint, targets[method], method, 1, 32, body)["requests"]
        return done

    first = requests(10_000)
    before = bench.server.status_field("VmRSS")
    second = requests(scale["growth"])
    time.sleep(1)
    table.add(
        f"memory, growth from {first:,} to {first + second:,} requests",
        (bench.server.status_field("VmRSS") - before) / 1024, "MiB", 4)
