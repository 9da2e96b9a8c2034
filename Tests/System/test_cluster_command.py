"""`make cluster` as a developer and a script use it."""
import hashlib
import os
import pathlib
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import pytest

from support.clients import tag_of
from support.cluster_processes import Cluster
from support.databases import Postgres
from support.process import start_time
from support.server import ROOT, _port_range, binary
from support.signing import Signer
from support import http as wire

SCRIPT = ROOT / "scripts/cluster.py"
QUICK = {"HEARTBEAT_SECONDS": "1", "RING_REFRESH_SECONDS": "1", "CLUSTER_SERVERS": "6"}


@pytest.fixture
def directory():
    """A directory that only this user may enter, as mktemp makes it, with a blank in its name."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="s3storage make-"))
    yield path
    run("stop", path)
    shutil.rmtree(path, ignore_errors=True)


def environment(more):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    return kept | {"S3STORAGE_BINARY": binary()} | QUICK | more


def run(*arguments, **variables):
    return subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True,
        timeout=120, env=environment(variables))


def make(target, *variables):
    """A target of the Makefile; the binary of the tests spares it a build."""
    return subprocess.run(
        ["make", "--silent", "-C", ROOT, target, *variables], capture_output=True, text=True,
        timeout=300, env=environment({}))


def base_port(count=24):
    """The first of so many free ports."""
    first, last = _port_range()
    while True:
        base = random.randrange(first, last - count)
        try:
            for port in range(base, base + count):
                with socket.socket() as candidate:
                    candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    candidate.bind(("127.0.0.1", port))
        except OSError:
            continue
        return base


def facts(directory):
    found = {}
    for line in (directory / "cluster.env").read_text().splitlines():
        name, _, value = line.partition("=")
        (found[name],) = shlex.split(value)
    return found


def sourced(directory, name):
    """The words of a variable, as a script gets them that sources cluster.env."""
    script = f'. "$0/cluster.env"; eval "set -- ${name}"; printf "%s\\n" "$@"'
    done = subprocess.run(
        ["sh", "-eu", "-c", script, directory], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def s3(found, index, method, path, body=b""):
    port = int(found["S3_ENDPOINTS"].split()[index].rpartition(":")[2])
    signer = Signer(found["ROOT_ACCESS_KEY"], found["ROOT_SECRET_KEY"])

    headers, _ = signer.sign(
        method, path, [("Host", f"127.0.0.1:{port}")], hashlib.sha256(body).hexdigest())
    return wire.request(port, method, path, headers, body)


def test_a_cluster_in_the_background_keeps_data_from_start_to_start(directory):
    base = base_port()
    started = make("cluster", f"DIR={directory}", f"BASE_PORT={base}")
    assert started.returncode == 0, started.stderr
    found = facts(directory)
    assert len(found["S3_ENDPOINTS"].split()) == len(found["HTTP_ENDPOINTS"].split()) == 2
    pids = [int(p) for n in ("GATEWAY_PIDS", "STORAGE_PIDS") for p in found[n].split()]
    assert len(pids) == 8 and all(start_time(p) for p in pids)
    assert found["DATABASE_URL"].startswith("postgres://")
    assert sourced(directory, "STORAGE_DIRS") == [str(directory / f"storage-{n}") for n in range(6)]
    assert sourced(directory, "STORAGE_PIDS") == found["STORAGE_PIDS"].split()
    assert all(int(p) < 32768 for p in re.findall(r":(\d{4,5})\b", str(found)))
    assert s3(found, 0, "PUT", "/bucket").status == 200
    body = os.urandom(500_000)
    assert s3(found, 1, "PUT", "/bucket/k", body).status == 200
    again = run("start", directory, base)
    assert again.returncode == 1 and f"cluster-stop DIR='{directory}'" in again.stderr
    assert s3(found, 0, "GET", "/bucket/k").body == body
    stopped = make("cluster-stop", f"DIR={directory}")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    assert not any(start_time(p) for p in pids)
    assert not (directory / "cluster.env").exists()
    assert run("start", directory, base).returncode == 0
    again = facts(directory)
    assert again["ROOT_SECRET_KEY"] == found["ROOT_SECRET_KEY"]
    assert tag_of(s3(again, 1, "GET", "/bucket/k").body) == tag_of(body)


def test_members_that_died_or_came_back_by_other_hands_do_not_hinder_a_stop(directory):
    base = base_port()
    assert run("start", directory, base).returncode == 0
    found = facts(directory)
    storage, gateway = (
        [int(p) for p in found[n].split()] for n in ("STORAGE_PIDS", "GATEWAY_PIDS"))
    for pid in (storage[0], storage[3], gateway[0]):
        os.kill(pid, signal.SIGKILL)
    os.kill(storage[4], signal.SIGSTOP)
    postmaster = int((directory / "postgres/data/postmaster.pid").read_text().splitlines()[0])
    os.kill(postmaster, signal.SIGINT)
    Cluster.until(lambda: start_time(postmaster) is None, 60)
    again = Postgres(directory / "postgres", base)
    again.start(start_new_session=True)
    stopped = run("stop", directory)
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    assert again.process.wait(60) == 0
    assert not any(start_time(pid) for pid in [*storage, *gateway])
    assert run("start", directory, base).returncode == 0


def test_ctrl_c_in_the_foreground_stops_all(directory):
    process = subprocess.Popen(
        [sys.executable, SCRIPT, "run", directory, str(base_port())], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, env=environment({"CLUSTER_REDIS": "0"}))
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C" in line:
            break
    assert "Ctrl-C" in lines[-1], "".join(lines)
    pids = [int(p) for line in lines if "_PIDS" in line for p in re.findall(r"\d+", line)]
    assert len(pids) == 8
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0, process.stdout.read()
    assert not any(start_time(p) for p in pids)


def test_a_start_that_fails_says_why_and_leaves_nothing_running(directory):
    base = base_port()
    with socket.create_server(("127.0.0.1", base + 5)):
        failed = run("start", directory, base)
    assert failed.returncode == 1 and f"port {base + 5}" in failed.stderr
    failed = run("start", directory, base, ERASURE_SCHEME="nonsense")
    assert failed.returncode == 1 and "erasure scheme" in failed.stderr, failed.stderr
    assert not (directory / "cluster.env").exists()
    time.sleep(0.2)
    for port in range(base, base + 22):
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", port), 1)


def test_numbers_out_of_range_are_refused(directory):
    for port in ("40000", "80", "abc", "-1", "2²"):
        refused = run("start", directory, port)
        assert refused.returncode == 1 and "BASE_PORT is a number" in refused.stderr, refused.stderr
    assert "CLUSTER_SERVERS" in run("start", directory, 20000, CLUSTER_SERVERS="x").stderr
    assert run("nonsense").returncode == 2
