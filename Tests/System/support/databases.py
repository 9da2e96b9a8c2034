"""PostgreSQL and Redis as Debian packages them, each on a directory and a port of its own."""
import os
import pathlib
import pwd
import re
import secrets
import shutil
import signal
import socket
import stat
import subprocess

from .process import Process

USER = "s3storage"
# Bits of the capability sets in /proc/self/status.
DAC_OVERRIDE, DAC_READ_SEARCH = 1, 2


def listens(port):
    """Whether something accepts connections on this port of the machine."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


class Redis(Process):
    """A Redis that keeps nothing on disk."""

    def __init__(self, port, log_path=None):
        super().__init__(log_path)
        self.port = port

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def start(self, timeout=30, **options):
        self.launch(
            ["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--save", "",
             "--appendonly", "no", "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru",
             "--dir", "/tmp"], **options)
        return self.await_start(lambda: listens(self.port), timeout)


def postgres_programs():
    """The directory of initdb and postgres, of the newest version that is installed."""
    def version(path):
        return [int(n) for n in re.findall(r"\d+", str(path))]

    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=version)
    if found:
        return found[-1].parent
    path = shutil.which("initdb")
    if path is None:
        raise AssertionError("PostgreSQL is not installed: apt-get install postgresql")
    return pathlib.Path(path).resolve().parent


def closed_parent(directory, account):
    """The first directory on the way to `directory` that `account` may not enter, or None."""
    for parent in reversed(pathlib.Path(directory).resolve().parents):
        mode = parent.stat()
        if mode.st_uid == account.pw_uid:
            open_to = stat.S_IXUSR
        elif mode.st_gid == account.pw_gid:
            open_to = stat.S_IXGRP
        else:
            open_to = stat.S_IXOTH
        if not mode.st_mode & open_to:
            return parent
    return None


def become(account, directory):
    """The command in front of another that runs it as `account`, able to reach `directory`.

    Where a directory above is closed to others, the process keeps one capability to pass it.
    """
    command = [
        "setpriv", "--reuid", account.pw_name, "--regid", str(account.pw_gid), "--clear-groups"]
    closed = closed_parent(directory, account)
    if closed is None:
        return command
    status = pathlib.Path("/proc/self/status").read_text()
    bounds = int(re.search(r"CapBnd:\s*([0-9a-f]+)", status).group(1), 16)
    for bit, name in ((DAC_READ_SEARCH, "dac_read_search"), (DAC_OVERRIDE, "dac_override")):
        if bounds >> bit & 1:
            return command + ["--inh-caps", f"+{name}", "--ambient-caps", f"+{name}"]
    raise AssertionError(
        f"PostgreSQL does not run as root, and {account.pw_name} may not enter {closed}")


class Postgres(Process):
    """A PostgreSQL server on loopback with a password, durable as it comes; data outlive it."""

    def __init__(self, directory, port, log_path=None):
        super().__init__(log_path)
        self.directory = pathlib.Path(directory)
        self.port = port
        self.programs = postgres_programs()
        self.prefix = []

    @property
    def password(self):
        return (self.directory / "password").read_text()

    def url(self, database, port=None):
        return f"postgres://{USER}:{self.password}@127.0.0.1:{port or self.port}/{database}"

    def initialise(self):
        """Makes the database files where there are none; a start that was cut short is redone."""
        data = self.directory / "data"
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        if os.getuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self.directory, account.pw_uid, account.pw_gid)
            self.prefix = become(account, data)
        if (self.directory / "ready").exists():
            return
        shutil.rmtree(data, ignore_errors=True)
        password = self.directory / "password"
        password.write_text(secrets.token_hex(16))
        password.chmod(0o600)
        if os.getuid() == 0:
            os.chown(password, account.pw_uid, account.pw_gid)
        done = subprocess.run(
            [*self.prefix, self.programs / "initdb", "--pgdata", data, "--username", USER,
             "--pwfile", password, "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale"],
            capture_output=True, text=True, cwd="/")
        assert done.returncode == 0, f"initdb: {done.stdout}{done.stderr}"
        (self.directory / "ready").touch()

    def start(self, timeout=60, **options):
        self.initialise()
        settings = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "",
            "max_connections": 600, "shared_buffers": "64MB"}
        command = [*self.prefix, self.programs / "postgres", "-D", self.directory / "data"]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        self.launch(command, cwd="/", **options)
        return self.await_start(self.ready, timeout)

    def ready(self):
        return listens(self.port) and self.sql("SELECT 1", "postgres", check=False) == "1"

    def stop(self, timeout=30, number=signal.SIGINT):
        """Ends it and all its connections at once, in order; returns its exit code."""
        return super().stop(timeout, number)

    def kill(self):
        """Ends the server and its connections with SIGKILL, as a crash does."""
        if not self.alive:
            return
        children = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        super().kill()
        for child in map(int, children):
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                pass
        (self.directory / "data" / "postmaster.pid").unlink(missing_ok=True)

    # Looking into it

    def sql(self, text, database, check=True):
        """Runs SQL; rows as lines, columns split by a bar."""
        done = subprocess.run(
            [self.programs / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p",
             str(self.port), "-U", USER, "-d", database, "-c", text],
            capture_output=True, text=True, env=os.environ | {"PGPASSWORD": self.password})
        if check:
            assert done.returncode == 0, f"{text}: {done.stderr}"
        return done.stdout.strip()

    def create(self, database):
        """Makes a database, unless it is there."""
        if self.sql(f"SELECT 1 FROM pg_database WHERE datname = '{database}'", "postgres") != "1":
            self.sql(f'CREATE DATABASE "{database}"', "postgres")

    def drop(self, database):
        """Removes a database and ends whatever is connected to it."""
        self.sql(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)', "postgres")
