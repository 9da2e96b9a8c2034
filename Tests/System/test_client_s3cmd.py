"""s3cmd as Debian ships it."""
import pytest

from support import data, tools, urls


def configured(server, tmp_path, host=None, host_bucket=None):
    """Runs s3cmd with a configuration file, in path style unless told otherwise."""
    host = host or server.host
    configuration = tmp_path / "s3cfg"
    values = tools.environment(server)
    configuration.write_text(
        f"[default]\naccess_key = {values['AWS_ACCESS_KEY_ID']}\n"
        f"secret_key = {values['AWS_SECRET_ACCESS_KEY']}\n"
        f"host_base = {host}\nhost_bucket = {host_bucket or host}\nuse_https = False\n"
        "bucket_location = us-east-1\nmax_retries = 1\n")
    return lambda *a, **k: tools.run(
        server, "s3cmd", "--config", configuration, "--no-progress", *a, **k)


@pytest.fixture
def s3cmd(server, tmp_path):
    return configured(server, tmp_path)


def test_put_get_list_and_delete(s3cmd, tmp_path):
    s3cmd("mb", "s3://cmd-bucket")
    (tmp_path / "file").write_bytes(data.content("s3cmd", 100_000))
    s3cmd("put", tmp_path / "file", "s3://cmd-bucket/with space+plus")
    assert b"s3://cmd-bucket/with space+plus" in s3cmd("ls", "s3://cmd-bucket")
    s3cmd("get", "s3://cmd-bucket/with space+plus", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == (tmp_path / "file").read_bytes()
    assert b"100000" in s3cmd("info", "s3://cmd-bucket/with space+plus")
    s3cmd("del", "s3://cmd-bucket/with space+plus")
    s3cmd("rb", "s3://cmd-bucket")


def test_sync_of_a_tree_with_odd_names_there_and_back(s3cmd, bucket, tmp_path, s3):
    # It sends a control character as two others (`^J` for a line feed): the name does not come back.
    tree = tools.make_tree(tmp_path / "up", tools.PRINTABLE_FILES)
    s3cmd("sync", f"{tmp_path}/up/", f"s3://{bucket}/tree/")
    listed = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert sorted(listed) == sorted("tree/" + name for name in tree)
    (tmp_path / "down").mkdir()
    s3cmd("sync", f"s3://{bucket}/tree/", f"{tmp_path}/down/")
    assert tools.read_tree(tmp_path / "down") == tree
    assert s3cmd("sync", f"{tmp_path}/up/", f"s3://{bucket}/tree/") == b""
    s3cmd("del", "--recursive", "--force", f"s3://{bucket}/tree/")
    assert s3cmd("ls", "--recursive", f"s3://{bucket}") == b""


def test_200_megabytes_in_parts_up_and_down(s3cmd, bucket, tmp_path, large_file, assert_large):
    s3cmd("put", large_file.path, f"s3://{bucket}/large")
    s3cmd("get", f"s3://{bucket}/large", tmp_path / "got")
    assert_large("large", tmp_path / "got", parts=13)


@pytest.mark.parametrize("virtual", [False, True], ids=["path", "virtual-host"])
def test_presigned_url_reads_without_credentials(server, bucket, tmp_path, s3, virtual):
    """It signs URLs with version 2."""
    s3.put_object(Bucket=bucket, Key="share me+é", Body=b"shared", ContentType="text/plain")
    host = f"localhost:{server.ports['s3']}" if virtual else server.host
    s3cmd = configured(server, tmp_path, host, f"%(bucket)s.{host}" if virtual else host)
    url = s3cmd("signurl", f"s3://{bucket}/share me+é", "+600").decode().strip()
    assert (f"//{bucket}." in url) == virtual
    urls.assert_shares(url, b"shared", version=2)
    url = s3cmd(
        "signurl", "--content-disposition", 'attachment; filename="a b+é"', "--content-type",
        "text/x-odd", f"s3://{bucket}/share me+é", "+600").decode().strip()
    urls.assert_shares(url, b"shared", version=2)
    headers = urls.request(url).headers
    assert headers["content-type"] == "text/x-odd"
    assert "attachment" in headers["content-disposition"]
    changed = url.replace("text%2Fx-odd", "text%2Fhtml").replace("text/x-odd", "text/html")
    assert changed != url
    assert urls.refused(changed) == (403, "SignatureDoesNotMatch")
