#!/usr/bin/env python3
"""A cluster on this machine: PostgreSQL, Redis, storage servers and gateways.

    cluster.py run [DIR]                 in the foreground, until Ctrl-C
    cluster.py start DIR [BASE_PORT]     in the background; writes DIR/cluster.env
    cluster.py stop DIR                  ends what `start` started; data stay

DIR/cluster.env is for a shell to source; what it names several of is separated by blanks, and
directories with blanks in them are quoted (eval "set -- $STORAGE_DIRS").

Data outlive a stop; the next start serves them again. CLUSTER_SERVERS (6), CLUSTER_GATEWAYS (2),
CLUSTER_REDIS=0 and CLUSTER_TLS=1 (certificates between the processes) change what is started; settings
of the product pass through. Logs are in DIR/logs.
"""
import fcntl
import json
import os
import pathlib
import secrets
import shlex
import shutil
import signal
import socket
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "Tests/System"))

from support.cluster_processes import Cluster  # noqa: E402
from support.process import start_time  # noqa: E402

BASE_PORT = 19000
LAST_PORT = 32767  # Those above belong to outgoing connections.


class Refusal(Exception):
    """A reason not to start, for the one who asked."""


def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def number(name, standard, least=0):
    text = os.environ.get(name, "") or str(standard)
    if not text.isdigit() or not least <= int(text) <= 100:
        raise Refusal(f"{name} is a number from {least} to 100, not {text}")
    return int(text)


def executable():
    path = pathlib.Path(
        os.environ.get("S3STORAGE_BINARY") or ROOT / ".build/release/s3storage").resolve()
    if not os.access(path, os.X_OK):
        raise Refusal(f"{path} is not there: make build, or set S3STORAGE_BINARY")
    return path


def root_keys(directory):
    """The keys of the root user: as the environment says, or made at the first start."""
    path = directory / "root.json"
    given = os.environ.get("ROOT_ACCESS_KEY"), os.environ.get("ROOT_SECRET_KEY")
    if all(given):
        keys = given
    elif path.exists():
        return tuple(json.loads(path.read_text()))
    else:
        keys = "AKIA" + secrets.token_hex(8).upper(), secrets.token_hex(20)
    write(path, json.dumps(keys))
    return keys


def write(path, text):
    """Writes a file that is whole or absent, for its owner alone."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(text)
    new.rename(path)


def running(directory):
    """(name, pid) of what an earlier start left running; a reused pid is not among them.

    PostgreSQL is, too, if somebody else started it again in the meantime.
    """
    try:
        entries = json.loads((directory / "processes.json").read_text())
    except FileNotFoundError:
        entries = []
    found = [(e["name"], e["pid"]) for e in entries if start_time(e["pid"]) == e["start"]]
    postmaster = postmaster_of(directory / "postgres/data")
    if postmaster and postmaster not in (pid for _, pid in found):
        found.append(("postgres", postmaster))
    return found


def postmaster_of(data):
    """The pid of the PostgreSQL that runs on this directory, by its own file; None for none."""
    try:
        pid = int((data / "postmaster.pid").read_text().splitlines()[0])
        return pid if os.path.samefile(f"/proc/{pid}/cwd", data) else None
    except (OSError, ValueError, IndexError):
        return None


def prepare(directory, base_port):
    directory.mkdir(parents=True, exist_ok=True)
    servers, gateways = number("CLUSTER_SERVERS", 6, 1), number("CLUSTER_GATEWAYS", 2, 1)
    count = 2 + 4 * gateways + 2 * servers
    if not base_port.isdecimal() or not 1024 <= int(base_port) <= LAST_PORT - count + 1:
        raise Refusal(f"BASE_PORT is a number from 1024 to {LAST_PORT - count + 1}")
    base_port = int(base_port)
    left = running(directory)
    if left:
        names = ", ".join(f"{name} ({pid})" for name, pid in left)
        raise Refusal(
            f"{names} of {directory} run: make cluster-stop DIR={shlex.quote(str(directory))}")
    for port in range(base_port, base_port + count):
        with socket.socket() as candidate:
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                raise Refusal(
                    f"port {port} is taken; {count} from BASE_PORT on are needed") from None
    for program in ("psql", "setpriv"):
        if shutil.which(program) is None:
            raise Refusal(f"{program} is not installed")
    return Cluster(
        directory, servers, gateways, redis=number("CLUSTER_REDIS", 1) != 0,
        tls=number("CLUSTER_TLS", 0) != 0, executable=executable(), base_port=base_port,
        root=root_keys(directory), keep_logs=True)


def parts(cluster):
    """(name, process) of everything, in the order of a stop."""
    found = [(p.title, p) for p in [*cluster.gateways, *cluster.servers]]
    if cluster.redis:
        found.append(("redis", cluster.redis))
    return found + [("postgres", cluster.postgres)]


def start(cluster):
    """Starts all, or says why not and leaves nothing running."""
    try:
        # Sessions of their own: Ctrl-C reaches this script alone, which ends them in order.
        cluster.start(launching={"start_new_session": True})
    except BaseException:
        for _, process in parts(cluster):
            process.kill()
        raise
    write(cluster.directory / "processes.json", json.dumps([
        {"name": name, "pid": p.pid, "start": start_time(p.pid)} for name, p in parts(cluster)]))
    write(cluster.directory / "cluster.env", "".join(
        f"{name}={shlex.quote(value)}\n" for name, value in facts(cluster).items()))


def facts(cluster):
    def of(name):
        return " ".join(g.url(name) for g in cluster.gateways)

    return {
        "S3_ENDPOINTS": of("s3"), "HTTP_ENDPOINTS": of("http"), "ADMIN_ENDPOINTS": of("admin"),
        "METRICS_ENDPOINTS": of("metrics"),
        "GATEWAY_PIDS": " ".join(str(g.pid) for g in cluster.gateways),
        "STORAGE_PIDS": " ".join(str(s.pid) for s in cluster.servers),
        "STORAGE_DIRS": shlex.join(str(s.data_dir) for s in cluster.servers),
        "ROOT_ACCESS_KEY": cluster.root[0], "ROOT_SECRET_KEY": cluster.root[1],
        "DATABASE_URL": cluster.database_url,
        "REDIS_URL": cluster.redis.url if cluster.redis else ""}


def show(cluster):
    for name, value in facts(cluster).items():
        say(f"{name}={shlex.quote(value)}")


def run(directory, base_port):
    cluster = prepare(directory, base_port)
    say(f"starting in {directory} …")
    start(cluster)
    ended = set()
    try:
        show(cluster)
        say("Ctrl-C stops all.")
        while True:
            time.sleep(0.5)
            for name, process in parts(cluster):
                if not process.alive and name not in ended:
                    ended.add(name)
                    say(f"{name} ended with {process.process.returncode}: {process.log_path}")
    except KeyboardInterrupt:
        pass
    say("stopping …")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return stop(directory)


def stop(directory, patience=40):
    """Ends in order: gateways, storage servers, then what they rest on."""
    failed = False
    groups = [("gateway",), ("storage",), ("redis",), ("postgres",)]
    for group in groups:
        members = [(n, p) for n, p in running(directory) if n.startswith(group)]
        for name, pid in members:
            # A fast shutdown of PostgreSQL is SIGINT; the others take SIGTERM.
            signal_process(pid, signal.SIGINT if name == "postgres" else signal.SIGTERM)
            signal_process(pid, signal.SIGCONT)
        deadline = time.monotonic() + patience
        for name, pid in members:
            while (name, pid) in running(directory):
                if time.monotonic() > deadline:
                    say(f"{name} ({pid}) does not end: killed")
                    signal_process(pid, signal.SIGKILL)
                    failed = True
                    deadline = time.monotonic() + 5
                reap()
                time.sleep(0.05)
    for name in ("cluster.env", "processes.json"):
        (directory / name).unlink(missing_ok=True)
    return 1 if failed else 0


def signal_process(pid, number_):
    try:
        os.kill(pid, number_)
    except ProcessLookupError:
        pass


def reap():
    """Takes the exit codes of own children, which are zombies until then."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def interrupt(*_):
    raise KeyboardInterrupt


def main(arguments):
    if not arguments or arguments[0] not in ("run", "start", "stop") or len(arguments) > 3 or (
            arguments[0] != "run" and len(arguments) < 2):
        sys.stderr.write(__doc__)
        return 2
    for number_ in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number_, interrupt)
    directory = pathlib.Path(arguments[1] if len(arguments) > 1 else "cluster-data").resolve()
    try:
        port = arguments[2] if len(arguments) > 2 and arguments[2] else str(BASE_PORT)
        if arguments[0] == "stop":
            if not running(directory):
                say(f"nothing of {directory} runs")
            return stop(directory)
        directory.mkdir(parents=True, exist_ok=True)
        with open(directory / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if arguments[0] == "run":
                return run(directory, port)
            cluster = prepare(directory, port)
            start(cluster)
            show(cluster)
            return 0
    except KeyboardInterrupt:
        sys.stderr.write("cluster: interrupted; nothing is left running\n")
    except BlockingIOError:
        sys.stderr.write(f"cluster: another start works on {directory}\n")
    except (Refusal, AssertionError, OSError, ValueError) as error:
        sys.stderr.write(f"cluster: {error}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
