"""s5cmd: many small operations at once."""
import pytest

from support import tools, urls


@pytest.mark.parametrize("command, files", [
    ("cp", tools.ODD_FILES),
    # It hands names from its listing to its copying as lines of a script, where control characters
    # are lost.
    ("sync", tools.PRINTABLE_FILES)], ids=["cp", "sync"])
def test_a_tree_with_odd_names_there_and_back(server, bucket, tmp_path, s3, command, files):
    def s5(*a, **k):
        return tools.run(server, "s5cmd", *a, **k)

    tree = tools.make_tree(tmp_path / "up", files)
    # Without it, names that hold a wildcard are patterns; `sync` takes names as they are.
    raw = ["--raw"] if command == "cp" else []
    s5(command, *raw, f"{tmp_path}/up/", f"s3://{bucket}/tree/")
    listed = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert sorted(listed) == sorted("tree/" + name for name in tree)
    assert len(s5("--json", "ls", f"s3://{bucket}/tree/*").splitlines()) == len(tree)
    s5(command, f"s3://{bucket}/tree/*", f"{tmp_path}/down/")
    assert tools.read_tree(tmp_path / "down") == tree
    if command == "sync":
        assert s5("sync", f"{tmp_path}/up/", f"s3://{bucket}/tree/") == b""
        (tmp_path / "up/plain.txt").unlink()
        assert s5("sync", "--delete", f"{tmp_path}/up/", f"s3://{bucket}/tree/").count(b"rm ") == 1
    s5("rm", f"s3://{bucket}/tree/*")
    assert s5("ls", f"s3://{bucket}", check=False).stdout == b""


def test_200_megabytes_in_parts_up_and_down(
        server, bucket, tmp_path, large_file, assert_large):
    tools.run(server, "s5cmd", "cp", "-p", "10", large_file.path, f"s3://{bucket}/large")
    tools.run(server, "s5cmd", "cp", f"s3://{bucket}/large", tmp_path / "got")
    assert_large("large", tmp_path / "got", parts=20)


def test_pipes(server, bucket):
    tools.run(server, "s5cmd", "pipe", f"s3://{bucket}/piped", input=b"from a pipe")
    assert tools.run(server, "s5cmd", "cat", f"s3://{bucket}/piped") == b"from a pipe"


def test_presigned_url_reads_without_credentials(server, bucket, s3):
    s3.put_object(Bucket=bucket, Key="share me+é", Body=b"shared")
    url = tools.run(
        server, "s5cmd", "presign", "--expire", "10m", f"s3://{bucket}/share me+é")
    urls.assert_shares(url.decode().strip(), b"shared", version=4)


def test_server_side_copy_between_buckets(server, bucket, s3):
    s3.create_bucket(Bucket=bucket + "-2")
    s3.put_object(Bucket=bucket, Key="from", Body=b"copied")
    tools.run(server, "s5cmd", "cp", f"s3://{bucket}/from", f"s3://{bucket}-2/to")
    assert s3.get_object(Bucket=bucket + "-2", Key="to")["Body"].read() == b"copied"
