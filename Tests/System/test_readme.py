"""The README's five minutes, as they stand there."""
import os
import pathlib
import subprocess

import pytest

from support.server import ACCESS_KEY, SECRET_KEY

ROOT = pathlib.Path(__file__).resolve().parents[2]
CREDENTIALS = "    export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… AWS_DEFAULT_REGION=us-east-1"


def tour():
    """The commands from awscli's on, up to the cluster."""
    text = (ROOT / "README.md").read_text()
    chapter = text.split("## Five minutes with awscli")[1].split("\n## ")[0]
    commands = [line for line in chapter.splitlines() if line.startswith("    ")]
    # What differs in a test: awscli is there, and the credentials are known.
    assert "pip install awscli" in commands[0] and "PATH" in commands[1]
    assert commands[2] == CREDENTIALS
    return [line.strip() for line in commands[3:]]


@pytest.fixture
def shell(private, tmp_path):
    """Runs commands as a newcomer would, where a clone lies."""
    build = tmp_path / ".build" / "release"
    build.mkdir(parents=True)
    (build / "s3storage").symlink_to(private.executable)
    (tmp_path / "README.md").write_text((ROOT / "README.md").read_text())
    environment = {
        "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}", "HOME": str(tmp_path),
        "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
        "S3STORAGE_ENDPOINT": private.url("admin")}

    def run(commands):
        text = "shopt -s expand_aliases\nset -euo pipefail\n" + "\n".join(commands)
        for name, port in (("s3", 9000), ("http", 8080)):
            text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{private.ports[name]}")
        return subprocess.run(
            ["bash", "-c", text], cwd=tmp_path, env=environment, capture_output=True, text=True,
            timeout=300)

    return run


def test_every_command_of_the_tour_works(shell, tmp_path):
    commands = tour()
    assert any(c.startswith("aws s3 cp README.md ") for c in commands)
    done = shell(commands)
    assert done.returncode == 0, done.stdout + done.stderr
    readme = (tmp_path / "README.md").read_text()
    # Stored and fetched by awscli, listed by both APIs, with a link that works.
    assert readme in done.stdout
    assert done.stdout.count("README.md") > readme.count("README.md") + 3
    link = next(line for line in done.stdout.splitlines() if "Signature=" in line)
    fetched = subprocess.run(
        ["curl", "-sSf", link], capture_output=True, text=True, timeout=60)
    assert fetched.stdout == readme, fetched
    assert "alice" in done.stdout and "stores" in done.stdout
    assert (tmp_path / "master-key-copy.txt").stat().st_size > 40


def test_a_wrong_password_is_told(shell):
    done = shell(["export AWS_SECRET_ACCESS_KEY=wrong", *tour()])
    assert done.returncode != 0
    assert "SignatureDoesNotMatch" in done.stderr
