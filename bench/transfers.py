"""Bodies of one GiB by curl, small ones by wrk."""
import hashlib
import os
import subprocess

from measure import curl, median, wrk

GIB = 1 << 30


def make_file(path, size):
    """A file of random bytes, in the page cache afterwards; its MD5."""
    digest = hashlib.md5()
    with open(path, "wb") as file:
        for _ in range(size >> 20):
            piece = os.urandom(1 << 20)
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def large(bench, scale, table, floors):
    size = scale["large"]
    path = bench.directory / "large"
    md5 = make_file(path, size)
    bench.bucket("large")
    url = bench.server.endpoint
    puts, gets = [], []
    for run in range(scale["runs"]):
        with bench.used() as use:
            use["speed"] = curl("-T", path, url + bench.target("PUT", f"/large/{run}"))
        puts.append(use)
        head = bench.server.s3("HEAD", f"/large/{run}")
        assert head.headers["etag"] == f'"{md5}"', head
    for run in range(scale["runs"]):
        with bench.used() as use:
            use["speed"] = curl(url + bench.target("GET", f"/large/{run}"))
        gets.append(use)
    again = subprocess.run(
        ["curl", "-sSf", url + bench.target("GET", "/large/0")], stdout=subprocess.PIPE, check=True)
    assert hashlib.md5(again.stdout).hexdigest() == md5
    name = f"{size >> 20} MiB"
    work = floors["md5"]["cpu_seconds_per_gib"] + 1.5 * (
        floors["sha256"]["cpu_seconds_per_gib"] + floors["disk_write_direct"]["cpu_seconds_per_gib"]
    ) + floors["aes_256_gcm"]["cpu_seconds_per_gib"] + floors["reed_solomon_4_2"][
        "cpu_seconds_per_gib"]
    table.add(
        f"PUT {name}, CPU", median(puts, "cpu") * GIB / size, "s/GiB", 2.8,
        floor=work, floor_name="MD5 + 6 × SHA-256 + AES-GCM + RS + direct write")
    table.add(
        f"PUT {name}, one client", median(puts, "speed") / (1 << 20), "MiB/s", 500, least=True,
        floor=floors["disk_write_direct"]["mib_per_second"] / 1.5, floor_name="disk / 1.5")
    work = floors["aes_256_gcm"]["cpu_seconds_per_gib"] + floors["disk_read_direct"][
        "cpu_seconds_per_gib"] + floors["crc32c"]["cpu_seconds_per_gib"]
    table.add(
        f"GET {name}, CPU", median(gets, "cpu") * GIB / size, "s/GiB", 0.8, floor=work,
        floor_name="AES-GCM + CRC32C + direct read")
    table.add(
        f"GET {name}, one client", median(gets, "speed") / (1 << 20), "MiB/s", 1024, least=True,
        floor=floors["disk_read_direct"]["mib_per_second"], floor_name="disk, one thread")
    table.note(f"sync calls of a {name} PUT", median(puts, "syncs"))
    path.unlink()


def small(bench, scale, table):
    cases = [
        # name, body, connections, goal in µs of CPU, targets a second to have ready
        ("4 KiB", 4096, 32, 100, 24_000), ("64 KiB", 65_536, 32, 600, 8_000),
        ("1 MiB", 1 << 20, 8, 4000, 1_400)]
    seconds = scale["seconds"]
    for name, size, connections, goal, rate in cases:
        bucket = "put-" + name.split()[0] + name.split()[1].lower()
        bench.bucket(bucket)
        runs = []
        for run in range(scale["runs"]):
            targets = [
                bench.target("PUT", f"/{bucket}/{run}/{i:06d}") for i in range(rate * seconds)]
            stored = bench.stored_bytes()
            with bench.used() as use:
                use |= wrk(bench.server.endpoint, targets, "PUT", seconds, connections, size)
            assert use["requests"] < len(targets), "keys were written twice: raise the rate"
            count = use["requests"]
            runs.append(use | {
                "each": use["cpu"] / count * 1e6, "rate": count / use["microseconds"] * 1e6,
                "sync": use["syncs"] / count,
                "space": (bench.stored_bytes() - stored) / (count * size)})
        label = f"PUT {name}, {connections} connections"
        table.add(label + ", CPU each", median(runs, "each"), "µs", goal)
        table.note(label + ", requests a second", median(runs, "rate"))
        table.note(label + ", p50 and p99 in ms", (
            median(runs, "p50") / 1000, median(runs, "p99") / 1000))
        goals = (1, 2) if name == "64 KiB" else (None, None)
        table.add(label + ", sync calls each", median(runs, "sync"), "", goals[0])
        table.add(label + ", bytes on disk", median(runs, "space"), "× content", goals[1])
    read(bench, scale, table, "4 KiB", 4096, 32)


def read(bench, scale, table, name, size, connections):
    bench.bucket("get")
    targets = []
    for index in range(2000):
        assert bench.server.s3("PUT", f"/get/{index:06d}", body=os.urandom(size)).status == 200
        targets.append(bench.target("GET", f"/get/{index:06d}"))
    runs = []
    for _ in range(scale["runs"]):
        with bench.used() as use:
            use |= wrk(bench.server.endpoint, targets, "GET", scale["seconds"], connections)
        runs.append(use | {
            "each": use["cpu"] / use["requests"] * 1e6,
            "rate": use["requests"] / use["microseconds"] * 1e6})
    label = f"GET {name}, {connections} connections"
    table.add(label + ", CPU each", median(runs, "each"), "µs", 50)
    table.note(label + ", requests a second", median(runs, "rate"))
    table.note(label + ", p50 and p99 in ms", (
        median(runs, "p50") / 1000, median(runs, "p99") / 1000))
