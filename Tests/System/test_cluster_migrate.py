"""`s3storage migrate`: locked, repeatable, and only onto a database that keeps what it was given."""
import concurrent.futures
import secrets
import subprocess
import time

import pytest

from support.cluster_processes import clean_environment
from support.server import binary


def migrate(url, **variables):
    return subprocess.run(
        [binary(), "migrate", "--database-url", url], capture_output=True, text=True, timeout=60,
        env=clean_environment(variables))


@pytest.fixture
def database(postgres):
    name = f"migrate_{secrets.token_hex(6)}"
    postgres.create(name)
    yield name
    postgres.drop(name)


def tables(postgres, database):
    return postgres.sql(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1",
        database).split()


def test_many_at_once_migrate_once(postgres, database):
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        done = list(pool.map(lambda _: migrate(postgres.url(database)), range(5)))
    assert [d.returncode for d in done] == [0] * 5, done
    assert sum("applied" in d.stdout for d in done) == 1, [d.stdout for d in done]
    made = tables(postgres, database)
    assert {"objects", "object_versions", "extents", "writers"} <= set(made)
    assert migrate(postgres.url(database)).returncode == 0
    assert tables(postgres, database) == made


def test_a_migration_that_is_killed_is_whole_or_absent(postgres, database):
    for delay in (0.02, 0.05, 0.1, 0.15, 0.2):
        process = subprocess.Popen(
            [binary(), "migrate", "--database-url", postgres.url(database)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        process.kill()
        process.wait()
    assert migrate(postgres.url(database)).returncode == 0
    assert "objects" in tables(postgres, database)


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes", "synchronous_commit"])
def test_a_database_that_may_forget_is_refused(postgres, database, setting):
    def reload():
        postgres.sql("SELECT pg_reload_conf()", "postgres")
        deadline = time.monotonic() + 10
        while postgres.sql(f"SHOW {setting}", "postgres") != expected:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    expected = "off"
    postgres.sql(f"ALTER SYSTEM SET {setting} = off", "postgres")
    try:
        reload()
        done = migrate(postgres.url(database))
        assert done.returncode == 1 and setting in done.stderr, done
        assert not tables(postgres, database)
    finally:
        expected = "on"
        postgres.sql(f"ALTER SYSTEM RESET {setting}", "postgres")
        reload()
    assert migrate(postgres.url(database)).returncode == 0


@pytest.mark.parametrize("url", [
    "nonsense", "postgres://s3storage:TheWrongPassword@127.0.0.1:{port}/postgres",
    "postgres://s3storage:TheWrongPassword@127.0.0.1:1/postgres"])
def test_what_cannot_be_reached_is_said_without_the_password(postgres, url):
    done = migrate(url.format(port=postgres.port))
    assert done.returncode == 1 and "database" in done.stderr
    assert "TheWrongPassword" not in done.stdout + done.stderr
    assert migrate("").returncode == 1
