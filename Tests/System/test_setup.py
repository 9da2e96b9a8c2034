"""How the process is set up, what it says at its start, and what signals do to it."""
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import termios
import time

import pytest

from support import data, http
from support.cluster_processes import clean_environment
from support.server import ACCESS_KEY, PORT_NAMES, SECRET_KEY, Server, binary, free_ports
from support.signing import Signer


class PlainServer(Server):
    """A server that is given what a test gives it, and nothing else."""

    def __init__(self, directory, arguments=(), variables=None):
        super().__init__(directory, arguments=arguments)
        self.variables = variables or {}

    def spawn(self, **options):
        """Starts `s3storage serve` where there is nothing else."""
        return self.launch(
            [binary(), "serve", *self.arguments], clean_environment(self.variables),
            cwd=self.log_path.parent, **options)

    def option_ports(self):
        return [word for n in PORT_NAMES for word in (f"--{n}-port", str(self.ports[n]))]


@pytest.fixture
def plain(tmp_path):
    """Makes servers; what they say goes to a log in a directory of its own."""
    made = []

    def make(arguments=(), variables=None, ports=True):
        server = PlainServer(tmp_path / "data", arguments, variables)
        (tmp_path / "cwd").mkdir(exist_ok=True)
        server.log_path.unlink()
        server.log_path = tmp_path / "cwd" / f"log-{len(made)}"
        if ports:
            server.arguments = [*arguments, *server.option_ports()]
        made.append(server)
        return server

    yield make
    for one in made:
        one.discard()


def assert_serves(server, signer=None):
    """All four ports answer, and what is stored comes back."""
    body = data.content(str(server.data_dir), 3_000_000)
    signer = signer or Signer(ACCESS_KEY, SECRET_KEY)
    assert server.s3("PUT", "/set-up", signer=signer).status in (200, 409)
    assert server.s3("PUT", "/set-up/k", body=body, signer=signer).status == 200
    assert server.s3("GET", "/set-up/k", signer=signer).body == body
    assert server.healthy()
    assert server.metrics()
    status = server.admin(
        "status", "--json", access_key=signer.access_key, secret_key=signer.secret_key)
    assert len(status["stores"]) == 6
    return body


# What it is given

def test_the_environment_alone_sets_it_up(plain, tmp_path):
    server = plain(ports=False)
    server.variables = {
        "DATA_DIR": str(server.data_dir), "ROOT_ACCESS_KEY": ACCESS_KEY,
        "ROOT_SECRET_KEY": SECRET_KEY,
        **{f"{name.upper()}_PORT": str(server.ports[name]) for name in PORT_NAMES}}
    server.start()
    assert_serves(server)
    assert server.files(), "the chunks are elsewhere"
    assert set(os.listdir(tmp_path / "cwd")) == {server.log_path.name}
    assert server.stop() == 0


def test_options_win_over_the_environment(plain, tmp_path):
    server = plain(["--data-dir", str(tmp_path / "data")])
    server.variables = {
        "DATA_DIR": str(tmp_path / "other"), "ROOT_ACCESS_KEY": ACCESS_KEY,
        "ROOT_SECRET_KEY": SECRET_KEY,
        **{f"{n.upper()}_PORT": str(p) for n, p in zip(PORT_NAMES, free_ports(len(PORT_NAMES)))}}
    server.start()
    assert_serves(server)
    assert not (tmp_path / "other").exists()
    assert server.stop() == 0


@pytest.mark.parametrize("by", ["option", "environment"])
def test_six_drives_hold_the_chunks(plain, tmp_path, by):
    drives = [tmp_path / f"drive {index}" for index in range(6)]
    text = ",".join(map(str, drives))
    arguments = ["--data-dir", str(tmp_path / "data")]
    variables = {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
    if by == "option":
        arguments += ["--drives", text]
    else:
        variables["DRIVES"] = text
    server = plain(arguments, variables).start()
    body = assert_serves(server)
    for drive in drives:
        assert any(p.is_file() for p in drive.glob("chunks/**/*")), drive
    assert not server.files(), "chunks lie in the data directory"
    assert server.stop() == 0
    # In another order they are the same stores, and so is one that was moved.
    drives[5].rename(tmp_path / "moved")
    shuffled = ",".join(map(str, [tmp_path / "moved", *drives[4::-1]]))
    if by == "option":
        server.arguments[server.arguments.index("--drives") + 1] = shuffled
    else:
        server.variables["DRIVES"] = shuffled
    server.start()
    assert {s["state"] for s in server.admin("status", "--json")["stores"]} == {"active"}
    assert server.s3("GET", "/set-up/k").body == body
    assert server.stop() == 0


def test_a_drive_that_is_a_copy_of_another_or_empty_is_no_store(plain, tmp_path):
    drives = [tmp_path / f"drive {index}" for index in range(6)]
    server = plain(
        ["--data-dir", str(tmp_path / "data"), "--drives", ",".join(map(str, drives))],
        {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}).start()
    body = assert_serves(server)
    assert server.stop() == 0
    shutil.copytree(drives[0], tmp_path / "copy")
    drives[1].rename(tmp_path / "away")
    drives[1].mkdir()
    drives[2] = tmp_path / "copy"
    server.arguments[server.arguments.index("--drives") + 1] = ",".join(map(str, drives))
    server.start()
    states = [s["state"] for s in server.admin("status", "--json")["stores"]]
    assert states.count("active") == 4 and len(states) == 6, states
    assert server.s3("GET", "/set-up/k").body == body
    assert list(drives[1].iterdir()) == [], "a store was made anew"
    assert server.stop() == 0


# What it says

def test_root_credentials_are_shown_at_the_first_start_and_never_again(plain, tmp_path):
    server = plain(["--data-dir", str(tmp_path / "data")], {"LOG_LEVEL": "debug"})
    logs = tmp_path / "logs"
    logs.mkdir()

    def run(name, work):
        """What one run says on standard output and standard error."""
        with open(logs / f"{name}.out", "wb") as out, open(logs / f"{name}.err", "wb") as err:
            server.process = subprocess.Popen(
                [binary(), "serve", *server.arguments], stdout=out, stderr=err,
                stdin=subprocess.DEVNULL, cwd=tmp_path / "cwd",
                env=clean_environment(server.variables))
        server.log_path.write_text("")
        server.await_start(server.healthy)
        work()
        assert server.stop() == 0
        return [(logs / f"{name}.{kind}").read_text() for kind in ("out", "err")]

    first, first_log = run("first", lambda: None)
    access_key = re.search(r"AWS_ACCESS_KEY_ID=(\S+)", first)[1]
    secret = re.search(r"AWS_SECRET_ACCESS_KEY=(\S+)", first)[1]
    assert len(secret) >= 32 and first.count(secret) == 1
    signer = Signer(access_key, secret)
    later = [first_log]
    for name in ("second", "third"):
        later += run(name, lambda: assert_serves(server, signer))
    for text in later:
        assert secret not in text
        assert "AWS_SECRET_ACCESS_KEY" not in text and "Root credentials" not in text
    assert all(str(server.ports[n]) in later[1] for n in ("s3", "http", "admin"))
    # Nor does it lie anywhere on the disk.
    for path in (tmp_path / "data").rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path


def test_preset_credentials_are_never_shown(plain, tmp_path):
    server = plain(["--data-dir", str(tmp_path / "data")], {
        "ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY, "LOG_LEVEL": "debug"})
    for _ in range(2):
        server.start()
        assert_serves(server)
        assert server.stop() == 0
    assert SECRET_KEY not in server.log()
    assert "is serving" in server.log()


# Signals

def send_half(server, key, body):
    """A connection with a PUT that the server asked to go on, and that has sent half of its body."""
    target = server.presign("PUT", "bucket", key)
    connection = http.connect(server.ports["s3"], 60)
    connection.sendall(http.head_bytes("PUT", target, [
        ("Host", server.host), ("Content-Length", str(len(body))), ("Expect", "100-continue")]))
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += connection.recv(1)
    assert answer.startswith(b"HTTP/1.1 100 "), answer
    connection.sendall(body[:len(body) // 2])
    return connection


def begin_get(server, key, room=None):
    """A connection with a GET of which the first bytes have come, and those bytes."""
    connection = socket.socket()
    if room:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    connection.settimeout(60)
    connection.connect(("127.0.0.1", server.ports["s3"]))
    connection.sendall(http.head_bytes(
        "GET", server.presign("GET", "bucket", key), [("Host", server.host)]))
    return connection, connection.recv(1000)


def read_rest(connection, first):
    pieces = [first.partition(b"\r\n\r\n")[2]]
    while piece := connection.recv(1 << 20):
        pieces.append(piece)
    return b"".join(pieces)


def await_condition(condition, timeout=60):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def filled(make_server):
    """A server with a large object, and its content."""
    # Tests run on busy machines: none of them ends because it took too long.
    server = make_server(environment={"SHUTDOWN_SECONDS": "600"}).start()
    body = data.content("signals", 30_000_000)
    server.s3("PUT", "/bucket")
    assert server.s3("PUT", "/bucket/large", body=body).status == 200
    return server, body


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_running_transfers_end_well_and_then_the_process(filled, number):
    server, body = filled
    upload = send_half(server, "sent", body[:3_000_000])
    download, first = begin_get(server, "large", room=65536)
    idle = http.connect(server.ports["s3"])
    server.process.send_signal(number)
    await_condition(lambda: not server.healthy())
    assert server.alive
    upload.sendall(body[1_500_000:3_000_000])
    assert http.read_response(upload).status == 200
    assert server.alive, "it did not wait for the download"
    assert read_rest(download, first) == body
    assert server.process.wait(120) == 0
    for connection in (upload, download, idle):
        connection.close()
    assert "stopped" in server.log()
    server.start()
    assert server.s3("GET", "/bucket/sent").body == body[:3_000_000]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_stalled_clients_hold_up_the_end_no_longer_than_they_may(filled, number):
    server, body = filled
    assert server.stop() == 0
    server.start(SHUTDOWN_SECONDS="2")
    before = server.files()
    upload = send_half(server, "never", body[:3_000_000])
    download, _ = begin_get(server, "large", room=65536)
    head = http.connect(server.ports["s3"])
    head.sendall(b"GET / HTTP/1.1\r\nHost:")
    assert server.stop(60, number) == 0
    for connection in (upload, download, head):
        connection.close()
    server.start()
    assert server.s3("GET", "/bucket/never").status == 404
    assert server.s3("GET", "/bucket/large").body == body
    await_condition(lambda: server.files() == before)


def test_idle_connections_hold_up_nothing(make_server):
    server = make_server().start(SHUTDOWN_SECONDS="3600")
    idle = [http.connect(server.ports[name]) for name in PORT_NAMES for _ in range(3)]
    kept = http.connect(server.ports["s3"])
    kept.sendall(http.head_bytes("GET", "/", [("Host", server.host)]))
    assert http.read_response(kept).status == 403
    assert server.stop(60) == 0
    for connection in (*idle, kept):
        connection.close()


def test_a_second_signal_changes_nothing(filled):
    server, body = filled
    upload = send_half(server, "sent", body[:3_000_000])
    for _ in range(5):
        server.process.send_signal(signal.SIGINT)
        server.process.send_signal(signal.SIGTERM)
    await_condition(lambda: not server.healthy())
    upload.sendall(body[1_500_000:3_000_000])
    assert http.read_response(upload).status == 200
    assert server.process.wait(120) == 0
    upload.close()


def test_hanging_up_stops_nothing(filled):
    """It reads TLS certificates again; without any, it does nothing."""
    server, body = filled
    upload = send_half(server, "sent", body[:3_000_000])
    for _ in range(3):
        server.process.send_signal(signal.SIGHUP)
    assert server.s3("GET", "/bucket/large").body == body
    upload.sendall(body[1_500_000:3_000_000])
    assert http.read_response(upload).status == 200
    upload.close()
    assert server.healthy()
    assert server.stop() == 0


def test_it_outlives_its_terminal(plain, tmp_path):
    """A terminal that is closed hangs up, and what is written to it from then on is an error."""
    terminal, inside = pty.openpty()
    server = plain(["--data-dir", str(tmp_path / "data")], {
        "ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY, "LOG_LEVEL": "debug"})
    server.process = subprocess.Popen(
        [binary(), "serve", *server.arguments], stdin=inside, stdout=inside, stderr=inside,
        env=clean_environment(server.variables), cwd=tmp_path / "cwd", start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    os.close(inside)
    said = b""
    while b"is serving" not in said:
        assert select.select([terminal], [], [], 60)[0], said
        said += os.read(terminal, 65536)
    assert os.tcgetpgrp(terminal) == server.pid
    os.close(terminal)
    server.log_path.write_text("")
    assert_serves(server)
    for _ in range(20):
        server.s3("GET", "/nothing")
    assert server.alive
    assert server.stop() == 0
