"""nginx from Debian with the same bytes: what a server costs that neither encrypts, codes nor syncs."""
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

from measure import curl, wrk
from support.server import free_ports
from transfers import GIB, make_file

CONFIGURATION = """
daemon off; worker_processes 2; pid {d}/pid; error_log {d}/error.log; user root;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
  client_max_body_size 0; client_body_temp_path {d}/temp;
  server {{
    listen 127.0.0.1:{port};
    location / {{ root {d}/files; dav_methods PUT DELETE; create_full_put_path on; }}
  }}
}}
"""
STATE = ("nginx, 2 workers, sendfile, PUT by WebDAV through the page cache: no sync, no encryption, "
         "no redundancy, no digest, no signature")


class Nginx:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        (self.directory / "files").mkdir(parents=True)
        self.port = free_ports(1)[0]
        configuration = self.directory / "nginx.conf"
        text = CONFIGURATION.format(d=self.directory, port=self.port)
        configuration.write_text(text if os.getuid() == 0 else text.replace("user root;", ""))
        self.process = subprocess.Popen(
            ["/usr/sbin/nginx", "-c", str(configuration), "-e", str(self.directory / "error.log")],
            stderr=subprocess.DEVNULL)
        self.url = f"http://127.0.0.1:{self.port}"
        for _ in range(100):
            if subprocess.run(["curl", "-s", "-o", "/dev/null", self.url]).returncode == 0:
                return
            time.sleep(0.05)
        raise AssertionError("nginx does not start")

    def cpu(self):
        """User and system time of the master and its workers."""
        ticks = 0
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                fields = open(f"/proc/{entry}/stat").read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(entry) == self.process.pid or int(fields[1]) == self.process.pid:
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.terminate()
        self.process.wait()


def measure(scale, table, runs):
    directory = tempfile.mkdtemp(prefix="s3storage-nginx-", dir=scale["directory"])
    nginx = Nginx(directory)
    try:
        size = scale["large"]
        path = pathlib.Path(directory) / "large"
        make_file(path, size)

        def each(name, unit, factor, work):
            values = []
            for run in range(runs):
                before = nginx.cpu()
                count = work(run)
                values.append((nginx.cpu() - before) / count * factor)
            table.peer(name, statistics.median(values), unit)

        name = f"{size >> 20} MiB"
        each(f"PUT {name}, CPU", "s/GiB", GIB / size,
             lambda run: curl("-T", path, f"{nginx.url}/large{run}") and 1)
        each(f"GET {name}, CPU", "s/GiB", GIB / size,
             lambda run: curl(f"{nginx.url}/large{run}") and 1)
        for label, size, connections, keys in (
                ("4 KiB", 4096, 32, 40_000), ("64 KiB", 65_536, 32, 20_000), ("1 MiB", 1 << 20, 8, 400)):
            stem = label.replace(" ", "")
            targets = [f"/{stem}/{i:06d}" for i in range(keys)]
            each(f"PUT {label}, {connections} connections, CPU each", "µs", 1e6, lambda run: wrk(
                nginx.url, targets, "PUT", 1, connections, size)["requests"])
        targets = [f"/get/{i:06d}" for i in range(2000)]
        (nginx.directory / "files/get").mkdir()
        for target in targets:
            (nginx.directory / "files" / target[1:]).write_bytes(os.urandom(4096))
        each("GET 4 KiB, 32 connections, CPU each", "µs", 1e6, lambda run: wrk(
            nginx.url, targets, "GET", 1, 32)["requests"])
    finally:
        nginx.stop()
        shutil.rmtree(directory, ignore_errors=True)
