"""The proxy does what its faults say, or the tests that use it show nothing."""
import socket
import threading
import time

import pytest

from support.proxy import Proxy


@pytest.fixture
def echo():
    """A server that answers each line with the same line."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection):
        with connection, connection.makefile("rwb", 0) as file:
            try:
                for line in file:
                    seen.append(line)
                    file.write(line)
            except OSError:
                pass

    def accept():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    seen = []
    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1], seen
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.fixture
def proxy(echo):
    made = Proxy(echo[0])
    yield made
    made.close()


def say(connection, text=b"hello\n", timeout=5):
    connection.settimeout(timeout)
    connection.sendall(text)
    found = b""
    while len(found) < len(text):
        data = connection.recv(1 << 16)
        if not data:
            raise ConnectionError("ended")
        found += data
    return found


def connect(proxy):
    return socket.create_connection(("127.0.0.1", proxy.port), 5)


def test_it_forwards_both_ways(proxy):
    with connect(proxy) as connection:
        assert say(connection) == b"hello\n"
        big = b"x" * 300_000 + b"\n"
        sender = threading.Thread(target=connection.sendall, args=(big,))
        sender.start()
        count = 0
        while count < len(big):
            count += len(connection.recv(1 << 16))
        sender.join()


def test_a_cut_resets_what_is_open_and_refuses_what_comes(proxy):
    with connect(proxy) as connection:
        say(connection)
        proxy.cut()
        with pytest.raises(OSError):
            say(connection)
    with pytest.raises(OSError):
        connect(proxy)
    proxy.heal()
    with connect(proxy) as connection:
        assert say(connection) == b"hello\n"


def test_a_hole_swallows_until_it_is_healed(proxy):
    with connect(proxy) as connection:
        say(connection)
        proxy.hole()
        with pytest.raises(TimeoutError):
            say(connection, timeout=0.3)
        proxy.heal()
        connection.settimeout(5)
        assert connection.recv(100) == b"hello\n"


def test_a_slow_link_is_slow(proxy):
    with connect(proxy) as connection:
        proxy.slow(delay=0.1)
        begin = time.monotonic()
        say(connection)
        assert time.monotonic() - begin >= 0.2
        proxy.slow(rate=50_000)
        begin = time.monotonic()
        say(connection, b"x" * 9_999 + b"\n")
        assert time.monotonic() - begin >= 0.4


@pytest.mark.parametrize("after", [False, True])
def test_a_trap_ends_the_connection_before_or_after_the_target_acted(proxy, echo, after):
    with connect(proxy) as connection:
        say(connection)
        proxy.trip(b"COMMIT", b"COMMIT" if after else None)
        with pytest.raises(OSError):
            say(connection, b"do COMMIT now\n")
    assert proxy.tripped.wait(5)
    assert (b"do COMMIT now\n" in echo[1]) == after
    with connect(proxy) as connection:
        assert say(connection, b"COMMIT\n") == b"COMMIT\n"
