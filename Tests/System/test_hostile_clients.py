"""A crowd of wrong requests: each ends in a defined way, and together they leave nothing behind."""
import base64
import hashlib
import re
import socket
import struct
import threading
import time
from collections import Counter

from support import data, http
from support.server import ACCESS_KEY, SECRET_KEY

BEARER = ("Authorization", f"Bearer {ACCESS_KEY}:{SECRET_KEY}")
# What a process may hold when nobody talks to it, and what it may have grown by from one such rest
# to the next, in KiB: a leak of one buffer (64 KiB and more) for one request in ten would be more.
IDLE = 72 << 10
GROWTH = 12 << 10
ROUNDS = 12
# Connections to the metadata for reads, of which there is one for writes besides.
READERS = 2

HEADS = [
    b"\0" * 100, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500, b"GET\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", b"GET / HTTP/1.1\nHost: x\n\n",
    b"G(T / HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nA\0: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nNo colon\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n folded\r\n\r\n",
    b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 70_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"A%d: b\r\n" % n for n in range(200)) + b"\r\n",
    b"PUT /b/k HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"PUT /b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"PUT /b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
    b"PUT /b/k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\nabc",
    b"PUT /b/k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"]


def raw(port, sent, leaves=False):
    """Sends bytes and reads to the end; what came."""
    with http.connect(port, timeout=60) as connection:
        try:
            connection.sendall(sent)
            if not leaves:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        if leaves:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return b""
        received = b""
        try:
            while piece := connection.recv(65_536):
                received += piece
        except OSError:
            pass
        return received


def malformed_heads(server):
    for name in ("s3", "http", "admin"):
        for head in HEADS:
            answer = raw(server.ports[name], head)
            assert re.match(rb"HTTP/1\.1 [45]\d\d ", answer) or not answer, (name, head[:60], answer)


def refused(answer):
    assert 400 <= answer.status < 600 and answer.code, answer


def bad_bodies(server):
    for size in (100, 100_000, 1_500_000):
        body = data.content("bad", size)
        refused(server.s3("PUT", "/bucket/bad", body=body, payload_hash="0" * 64))
        wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()
        refused(server.s3("PUT", "/bucket/bad", [("Content-MD5", wrong)], body))
        refused(server.s3("PUT", "/bucket/bad", [("x-amz-checksum-crc32c", "AAAAAA==")], body))
        chunked = [("x-amz-decoded-content-length", str(size)), ("Content-Encoding", "aws-chunked")]
        refused(server.s3(
            "PUT", "/bucket/bad", chunked, b"%x;chunk-signature=%s\r\n" % (size, b"0" * 64) + body,
            payload_hash="STREAMING-AWS4-HMAC-SHA256-PAYLOAD"))
    for document in (b"", b"<", b"<a>" * 1000, b"<!DOCTYPE x [<!ENTITY e 'x'>]><Delete>&e;</Delete>",
                     b"<Delete><Object><Key>" + b"k" * 3000 + b"</Key></Object>", b"\xff\xfe" * 50):
        digest = base64.b64encode(hashlib.md5(document).digest()).decode()
        refused(server.s3("POST", "/bucket?delete", [("Content-MD5", digest)], document))
    for body, kind in ((b"", "multipart/form-data"), (b"x" * 9000, "multipart/form-data; boundary=b"),
                       (b"--b\r\n" + b"A: b\r\n" * 5000, "multipart/form-data; boundary=b")):
        head = http.head_bytes("POST", "/files", [
            ("Host", "x"), BEARER, ("Content-Type", kind), ("Content-Length", str(len(body)))])
        assert re.match(rb"HTTP/1\.1 4\d\d ", raw(server.ports["http"], head + body))
    for body in (b"", b"{", b"[" * 100_000, b'{"name": 1}', b"null"):
        refuses = server.signer.sign(
            "POST", "/admin/v1/users", [("Host", f"127.0.0.1:{server.ports['admin']}")],
            hashlib.sha256(body).hexdigest())[0]
        answer = http.request(server.ports["admin"], "POST", "/admin/v1/users", refuses, body)
        assert 400 <= answer.status < 500, answer


def put_head(server, path, length):
    signed, _ = server.signer.sign("PUT", path, [("Host", server.host)])
    return http.head_bytes("PUT", path, signed + [("Content-Length", str(length))])


def leavers(server):
    for size in (100, 100_000, 3_000_000):
        raw(server.ports["s3"], put_head(server, "/bucket/left", size) + b"x" * (size - 1), True)
    body = b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n" + b"x" * 200_000
    raw(server.ports["http"], http.head_bytes("POST", "/files", [
        ("Host", "x"), BEARER, ("Content-Type", "multipart/form-data; boundary=b"),
        ("Content-Length", "1000000")]) + body, True)
    for path in ("/bucket/large", "/bucket"):
        head = http.head_bytes("GET", path, server.signer.sign(
            "GET", path, [("Host", server.host)], hashlib.sha256(b"").hexdigest())[0])
        with http.connect(server.ports["s3"]) as connection:
            connection.sendall(head)
            connection.recv(100)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def aborted_uploads(server):
    upload = server.s3("POST", "/bucket/parts?uploads").xml.findtext("UploadId")
    target = f"/bucket/parts?partNumber=1&uploadId={upload}"
    raw(server.ports["s3"], put_head(server, target, 6_000_000) + b"x" * 3_000_000, True)
    assert server.s3("PUT", target, body=data.content("part", 700_000)).status == 200
    assert server.s3("DELETE", f"/bucket/parts?uploadId={upload}").status == 204
    refused(server.s3("PUT", target, body=b"x" * 100))


def drips(server):
    """Heads and bodies of which little comes before they are given up by the client."""
    connections = [http.connect(server.ports[name]) for name in ("s3", "http", "admin") * 4]
    for index, connection in enumerate(connections):
        for byte in b"GET / HTTP/1.1\r\nHo"[:3 + index]:
            connection.send(bytes([byte]))
    for index in range(4):
        connection = http.connect(server.ports["s3"])
        connection.sendall(put_head(server, f"/bucket/drip{index}", 400_000) + b"x" * index)
        connections.append(connection)
    for connection in connections:
        connection.close()


def slow_readers(server):
    target = server.presign("GET", "bucket", "large")
    connections = []
    for _ in range(6):
        connection = http.connect_lazy(server.ports["s3"])
        connection.sendall(http.head_bytes("GET", target, [("Host", server.host)]))
        connection.recv(10)
        connections.append(connection)
    for connection in connections:
        connection.close()


ALL = [malformed_heads, bad_bodies, leavers, aborted_uploads, drips, slow_readers]


def everything(server):
    for one in ALL:
        one(server)


def footprint(server):
    """What is open and what is stored; volumes grow by what was refused, and are compacted."""
    names = sorted(re.sub(r"\d+\]$", "]", name) for name in server.descriptors())
    stored = server.files(
        "stores/*/chunks/**/*", "stores/*/unfinished/**/*", "metadata/*", "keys/*")
    return names, server.status_field("Threads"), stored


def at_most(server, limit):
    """Waits until the process holds no more than so many KiB; how many."""
    deadline = time.monotonic() + 90
    while (held := server.status_field("VmRSS")) > limit:
        assert time.monotonic() < deadline, f"{held} KiB, allowed are {limit}"
        time.sleep(0.5)
    return held


def test_a_crowd_of_wrong_requests_leaves_nothing(make_server):
    server = make_server(environment={"GC_DELAY_SECONDS": "0"}).start()
    assert server.s3("PUT", "/bucket").status == 200
    large = data.content("large", 20_000_000)
    assert server.s3("PUT", "/bucket/large", body=large).status == 200
    # Pools and caches fill in the first rounds, several at a time as afterwards.

    def crowd():
        failures = []

        def run():
            try:
                everything(server)
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=run) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    def settled():
        """The footprint once nobody is served, the chunks of aborted uploads are gone, and volumes
        are not being compacted: when it stays as it is for a moment."""
        deadline = time.monotonic() + 90
        last = None
        while True:
            counts = server.admin("status", "--json")["counts"]
            sockets = sum(name.startswith("socket:") for name in server.descriptors())
            if counts["tombstones"] == 0 and counts["uploads"] == 0 and sockets == len(server.ports):
                if last == (last := footprint(server)):
                    return last
            assert time.monotonic() < deadline, (counts, sockets)
            time.sleep(0.5)

    for _ in range(3):
        crowd()
    # The second connection for reads is made when two reads meet, which may take longer.
    deadline = time.monotonic() + 90
    while sum(name.endswith("/s3storage.db") for name in server.descriptors()) < 1 + READERS:
        assert time.monotonic() < deadline, server.descriptors()
        crowd()
    before = settled()
    # Memory is given back some seconds after the last request.
    memory = at_most(server, IDLE)
    for _ in range(ROUNDS):
        crowd()
    deadline = time.monotonic() + 60
    while (after := settled()) != before:
        more, less = Counter(after[0]), Counter(before[0])
        assert time.monotonic() < deadline, (
            more - less, less - more, after[1] - before[1], set(after[2]) ^ set(before[2]))
    grown = at_most(server, memory + GROWTH) - memory
    print(f"memory: {memory} KiB before, {grown} KiB more behind {3 * ROUNDS} rounds")
    listed = server.s3("GET", "/bucket?list-type=2")
    assert [e.text for e in listed.xml.iter("Key")] == ["large"]
    assert server.s3("GET", "/bucket/large").body == large
    assert server.stop() == 0


def test_bodies_that_drip_and_readers_that_stop_are_ended_and_hurt_nobody(private):
    """In time as documented: 30 s without a byte, and less than 1 KiB/s over 30 s of waiting."""
    private.s3("PUT", "/bucket")
    large = data.content("large", 20_000_000)
    assert private.s3("PUT", "/bucket/large", body=large).status == 200
    outcomes, served = {}, []
    over = threading.Event()

    def stalled(name, sent):
        with http.connect(private.ports["s3"], timeout=120) as connection:
            connection.sendall(put_head(private, f"/bucket/{name}", 400_000) + sent)
            begun = time.monotonic()
            answer = http.read_response(connection)
            outcomes[name] = ((answer.status, answer.code), time.monotonic() - begun)

    def dripping():
        with http.connect(private.ports["s3"], timeout=2) as connection:
            connection.sendall(put_head(private, "/bucket/dripping", 400_000))
            begun = time.monotonic()
            while time.monotonic() - begun < 150:
                try:
                    connection.sendall(b"x")
                    answer = connection.recv(1000)
                except TimeoutError:
                    continue
                except OSError:
                    answer = b""
                outcomes["dripping"] = (answer[:12], time.monotonic() - begun)
                return

    def lazy():
        connection = http.connect_lazy(private.ports["s3"])
        target = private.presign("GET", "bucket", "large")
        connection.sendall(http.head_bytes("GET", target, [("Host", private.host)]))
        begun = time.monotonic()
        port = connection.getsockname()[1]
        # The server's side is gone when the kernel has no more of it.
        while time.monotonic() - begun < 150 and has_peer(port):
            time.sleep(0.2)
        outcomes["lazy"] = (has_peer(port), time.monotonic() - begun)
        connection.close()

    def has_peer(port):
        wanted = f":{port:04X}"
        with open(f"/proc/{private.pid}/net/tcp") as table:
            return any(
                fields[2].endswith(wanted) and fields[3] == "01"
                for fields in (line.split() for line in table) if len(fields) > 3)

    def others():
        while not over.is_set():
            begun = time.monotonic()
            answer = private.s3("GET", "/bucket/large")
            served.append((answer.status, len(answer.body), time.monotonic() - begun))

    threads = [
        threading.Thread(target=stalled, args=("stalled", b"x" * 1000)),
        threading.Thread(target=dripping), threading.Thread(target=lazy)]
    other = threading.Thread(target=others)
    for thread in [*threads, other]:
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    other.join()
    assert set(outcomes) == {"stalled", "dripping", "lazy"}, outcomes
    assert outcomes["stalled"][0] == (400, "RequestTimeout"), outcomes
    assert outcomes["dripping"][0] in (b"HTTP/1.1 400", b""), outcomes
    assert outcomes["lazy"][0] is False, outcomes
    # Not before their time, and well before the end of this test's patience.
    assert all(25 < seconds < 120 for _, seconds in outcomes.values()), outcomes
    assert served and all(one[:2] == (200, len(large)) for one in served)
    # Each of the others waited for its own work alone.
    assert max(seconds for _, _, seconds in served) < 15, served
    assert [e.text for e in private.s3("GET", "/bucket?list-type=2").xml.iter("Key")] == ["large"]
