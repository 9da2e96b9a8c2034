"""Clients that leave, drip or stall: they cost only themselves, and leave nothing behind."""
import socket
import struct
import time

import pytest

from support import data, http


def settle(look, wanted, timeout=20):
    """Waits until what `look` sees is what was wanted."""
    deadline = time.monotonic() + timeout
    while (seen := look()) != wanted:
        assert time.monotonic() < deadline, (seen, wanted)
        time.sleep(0.05)


@pytest.fixture
def still(private):
    """A private server and what it has open and stored when nobody talks to it."""
    private.s3("PUT", "/bucket")
    private.s3("PUT", "/bucket/warm", body=data.content("warm", 2_000_000))
    private.s3("GET", "/bucket/warm")
    # Its listeners alone: the connections of the requests above are gone.
    settle(lambda: open_sockets(private), len(private.ports))
    return private


def open_sockets(server):
    return sum(1 for name in server.descriptors() if name.startswith("socket:"))


def open_chunks(server):
    return sorted(n for n in server.descriptors() if "/stores/" in n)


def start_put(server, key, length, sent, extra=()):
    """A PUT whose body stops in the middle; the connection stays open."""
    path = f"/bucket/{key}"
    signed, _ = server.signer.sign("PUT", path, [("Host", server.host), *extra])
    connection = http.connect(server.ports["s3"])
    connection.sendall(
        http.head_bytes("PUT", path, signed + [("Content-Length", str(length))]) + sent)
    return connection


def vanish(connection):
    """Closes with a reset, as a crashed client's kernel does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize("size", [100, 100_000, 3_000_000, 9_000_000])
@pytest.mark.parametrize("leave", [socket.socket.close, vanish])
def test_a_client_that_leaves_in_mid_upload_leaves_nothing(still, size, leave):
    sockets, files, chunks = open_sockets(still), still.files(), open_chunks(still)
    for _ in range(4):
        leave(start_put(still, "gone", size, data.content("gone", size - 1)))
    settle(lambda: open_sockets(still), sockets)
    settle(lambda: open_chunks(still), chunks)
    settle(still.files, files)
    listed = still.s3("GET", "/bucket?list-type=2")
    assert [e.text for e in listed.xml.iter("Key")] == ["warm"]


def test_a_client_that_leaves_in_mid_part_leaves_no_part(still):
    upload = still.s3("POST", "/bucket/k?uploads").xml.findtext("UploadId")
    files = still.files()
    vanish(start_put(
        still, f"k?partNumber=1&uploadId={upload}", 6_000_000, data.content("part", 5_000_000)))
    settle(still.files, files)
    assert still.s3("GET", f"/bucket/k?uploadId={upload}").xml.find("Part") is None


def test_a_client_that_leaves_in_mid_download_costs_nothing(still):
    still.s3("PUT", "/bucket/large", body=data.content("large", 30_000_000))
    sockets, chunks = open_sockets(still), open_chunks(still)
    target = still.presign("GET", "bucket", "large")
    for _ in range(8):
        connection = http.connect(still.ports["s3"])
        connection.sendall(http.head_bytes("GET", target, [("Host", still.host)]))
        connection.recv(1000)
        vanish(connection)
    settle(lambda: open_sockets(still), sockets)
    settle(lambda: open_chunks(still), chunks)
    assert still.s3("GET", "/bucket/large").status == 200


def test_stalled_and_dripping_clients_do_not_hold_up_others(still):
    stalled = [start_put(still, f"s{i}", 3_000_000, b"x" * 70_000) for i in range(40)]
    heads = [http.connect(still.ports["s3"]) for _ in range(40)]
    for connection in heads:
        connection.sendall(b"GET / HTTP/1.1\r\nHo")
    body = data.content("other", 4_000_000)
    begin = time.monotonic()
    assert still.s3("PUT", "/bucket/other", body=body).status == 200
    assert still.s3("GET", "/bucket/other").body == body
    # They would wait for half a minute behind the stalled ones.
    assert time.monotonic() - begin < 15
    for connection in stalled + heads:
        connection.close()


def test_readers_that_do_not_read_do_not_hold_up_others(still):
    still.s3("PUT", "/bucket/large", body=data.content("large", 30_000_000))
    target = still.presign("GET", "bucket", "large")
    lazy = []
    for _ in range(40):
        connection = http.connect_lazy(still.ports["s3"])
        connection.sendall(http.head_bytes("GET", target, [("Host", still.host)]))
        lazy.append(connection)
    begin = time.monotonic()
    assert len(still.s3("GET", "/bucket/large").body) == 30_000_000
    assert time.monotonic() - begin < 15
    for connection in lazy:
        connection.close()


def test_a_head_that_drips_is_cut_off(private):
    with http.connect(private.ports["s3"], timeout=40) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        begin = time.monotonic()
        received = b""
        while time.monotonic() - begin < 30:
            try:
                connection.sendall(b"a")
            except (BrokenPipeError, ConnectionResetError):
                break
            connection.settimeout(0.5)
            try:
                received = connection.recv(1000)
                break
            except TimeoutError:
                continue
            except ConnectionResetError:
                break
        else:
            pytest.fail("the connection still stands after 30 s")
        assert received == b"" or b" 408 " in received or b" 400 " in received
