"""Two gateways that serve the same objects, with and without the cache between them."""
import concurrent.futures
import hashlib
import multiprocessing
import random
import subprocess
import time

import pytest

import test_races
from conftest import boto_client
from support import data, http as wire
from support.clients import Crowd, Library, Shelf, send, tag_of
from test_races import count, exactly_one_wins, in_processes


@pytest.fixture(scope="module", params=["cache", "no cache"])
def cluster(request, make_cluster):
    cluster = make_cluster(redis=request.param == "cache").start()
    yield cluster
    assert set(cluster.stop().values()) == {0}


@pytest.fixture
def bucket(cluster):
    name = f"both-{random.randrange(1 << 40):x}"
    assert send(cluster.gateways[0], "PUT", f"/{name}").status == 200
    return name


@pytest.fixture
def both(cluster, monkeypatch):
    """Clients of a race speak to one gateway or the other, by the number of their process."""
    def client(server, *arguments, **options):
        number = int(multiprocessing.current_process().name.rpartition("-")[2])
        return boto_client(cluster.gateways[number % 2], *arguments, **options)

    monkeypatch.setattr(test_races, "boto_client", client)
    return cluster.gateways[0]


def test_what_one_acknowledged_the_other_reads_at_once(cluster, bucket):
    """Write through one; read, head and list through the other: always the last one."""
    def race(number):
        source = random.Random(f"{bucket} {number}")
        key = f"k{number}"
        for turn in range(40):
            writer, reader = source.sample(cluster.gateways, 2)
            body = data.content(f"{number} {turn}", source.choice([30, 5000, 40_000, 300_000]))
            if turn % 5 == 4:
                assert send(writer, "DELETE", f"/{bucket}/{key}").status == 204
                assert send(reader, "GET", f"/{bucket}/{key}").status == 404
                assert send(reader, "HEAD", f"/{bucket}/{key}").status == 404
                assert key not in listed(reader, bucket, key)
            else:
                assert send(writer, "PUT", f"/{bucket}/{key}", body=body).status == 200
                assert send(reader, "GET", f"/{bucket}/{key}").body == body
                head = send(reader, "HEAD", f"/{bucket}/{key}")
                assert head.headers["etag"] == f'"{tag_of(body)}"', (number, turn)
                assert listed(reader, bucket, key).get(key) == tag_of(body)

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(race, range(6)))


def listed(gateway, bucket, prefix):
    answer = send(gateway, "GET", f"/{bucket}?list-type=2&prefix={prefix}")
    assert answer.status == 200, answer
    return {
        e.findtext("Key"): e.findtext("ETag").strip('"') for e in answer.xml.iter("Contents")}


def test_buckets_and_their_settings_are_the_same_through_both(cluster):
    first, second = cluster.gateways
    for turn in range(10):
        name = f"same-{random.randrange(1 << 40):x}"
        assert send(second, "HEAD", f"/{name}").status == 404
        assert send(first, "PUT", f"/{name}").status == 200
        assert send(second, "HEAD", f"/{name}").status == 200
        document = (b'<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
                    b"<Status>Enabled</Status></VersioningConfiguration>")
        answer = send(second, "PUT", f"/{name}?versioning", body=document)
        if answer.status == 200:
            made = send(first, "PUT", f"/{name}/k", body=b"x")
            assert made.headers.get("x-amz-version-id"), "versioning is on, and not for this gateway"
            version = made.headers["x-amz-version-id"]
            assert send(second, "DELETE", f"/{name}/k?versionId={version}").status == 204
        assert send(first, "DELETE", f"/{name}").status == 204
        assert send(second, "PUT", f"/{name}/k", body=b"x").status == 404


def test_a_user_who_is_shut_out_at_one_is_out_at_the_other_within_two_seconds(cluster, bucket):
    first, second = cluster.gateways
    name = f"user{random.randrange(1 << 40):x}"
    signer = first.add_user(name)

    def status():
        signed, _ = signer.sign(
            "GET", "/", [("Host", second.host)], hashlib.sha256(b"").hexdigest())
        return wire.request(second.ports["s3"], "GET", "/", signed).status

    cluster.until(lambda: status() == 200, 5)
    first.admin("users", "disable", name)
    time.sleep(2.2)
    assert status() == 403


def test_of_many_inline_creates_through_both_exactly_one_wins(cluster, both, bucket):
    exactly_one_wins(both, boto_client(cluster.gateways[0]), bucket, rounds=25, size=16)


def test_of_many_chunked_creates_through_both_exactly_one_wins(cluster, both, bucket):
    exactly_one_wins(both, boto_client(cluster.gateways[0]), bucket, rounds=8, size=200_000)


def test_a_counter_by_compare_and_swap_through_both_loses_no_update(cluster, both, bucket):
    first = cluster.gateways[0]
    send(first, "PUT", f"/{bucket}/counter", body=b"0")
    in_processes(count, both, bucket, 8)
    assert int(send(first, "GET", f"/{bucket}/counter").body) == 8 * test_races.PROCESSES


def test_fifty_uploads_and_a_hundred_downloads_beside_deletes_and_overwrites(cluster, bucket):
    library = Library(cluster.gateways, bucket, "hundred", count=25).store()
    shelves = [Shelf(cluster.gateways, bucket, f"shelf-{n}") for n in range(10)]
    uploads = Library(
        cluster.gateways, bucket, "uploads", count=50, prefix="up",
        sizes=[20_000, 300_000, 2_500_000])
    keys = list(library.bodies) * 4

    def upload(item):
        index, (key, body) = item
        gateway = cluster.gateways[index % 2]
        answer = send(gateway, "PUT", f"/{bucket}/{key}", body=body, timeout=90)
        assert answer.status == 200, answer
        uploads.read(key, cluster.gateways[1 - index % 2], timeout=90)

    with concurrent.futures.ThreadPoolExecutor(160) as pool:
        work = [pool.submit(upload, item) for item in enumerate(uploads.bodies.items())]
        work += [
            pool.submit(library.read, key, cluster.gateways[n % 2], 90)
            for n, key in enumerate(keys)]
        work += [pool.submit(lambda s=s: [s.step() for _ in range(6)]) for s in shelves]
        for one in work:
            one.result(120)
    library.read_all()
    uploads.read_all()
    for shelf in shelves:
        shelf.check()
        assert not shelf.failures, shelf.failures


def test_the_cache_gone_in_mid_traffic_is_slower_and_never_wrong(cluster, bucket):
    if not cluster.redis:
        pytest.skip("there is no cache")
    library = Library(cluster.gateways, bucket, "cached").store()
    shelves = [Shelf(cluster.gateways, bucket, f"cached-{n}") for n in range(3)]
    with Crowd(3, lambda n: shelves[n].step()) as writers, Crowd(3, library.read_any) as readers:
        def go_on(count):
            before = writers.rounds
            cluster.until(
                lambda: writers.rounds >= before + count or writers.errors or readers.errors, 60)

        go_on(6)
        cluster.redis.kill()
        go_on(6)
        cluster.redis.start()
        go_on(6)
        cluster.redis.pause()
        go_on(6)
        cluster.redis.resume()
        go_on(6)
    assert not [f for s in shelves for f in s.failures], "the cache is not needed for a write"
    for shelf in shelves:
        shelf.check()
    library.read_all()


def test_the_cache_answers_most_questions_and_keeps_nothing_for_more_than_five_minutes(
        cluster, bucket):
    if not cluster.redis:
        pytest.skip("there is no cache")

    def counted(what, gateways=cluster.gateways):
        return sum(g.metrics()[f"s3storage_cache_{what}_total"] for g in gateways)

    library = Library(cluster.gateways, bucket, "useful", count=5, sizes=[300_000]).store()

    def is_asked(gateway):
        before = counted("hits", [gateway])
        library.read(next(iter(library.bodies)), gateway)
        return counted("hits", [gateway]) > before

    # A gateway that has missed it of late does not ask it for a while.
    for gateway in cluster.gateways:
        cluster.until(lambda: is_asked(gateway), 60)
    hits, misses = counted("hits"), counted("misses")
    for _ in range(10):
        library.read_all()
    hits, misses = counted("hits") - hits, counted("misses") - misses
    assert hits / (hits + misses) > 0.8, (hits, misses)

    def ask(*words):
        done = subprocess.run(
            ["redis-cli", "-p", str(cluster.redis.port), "--raw", *words], capture_output=True,
            text=True, check=True)
        return done.stdout.split()

    names = ask("KEYS", "*")
    assert names
    lives = [int(ask("TTL", name)[0]) for name in names]
    # One that has ended meanwhile is -2.
    assert all(life == -2 or 0 <= life <= 300 for life in lives) and max(lives) > 0, lives
