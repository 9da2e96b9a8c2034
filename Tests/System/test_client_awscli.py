"""The AWS command line, newest version, defaults on."""
import filecmp
import json

import pytest

from support import data, tools, urls


@pytest.fixture
def aws(server):
    return lambda *a, **k: tools.run(server, "aws", *a, **k)


def test_bucket_is_made_listed_and_removed(aws):
    aws("s3", "mb", "s3://cli-bucket")
    assert b"cli-bucket" in aws("s3", "ls")
    aws("s3", "rb", "s3://cli-bucket")
    assert b"cli-bucket" not in aws("s3", "ls")


def test_removing_a_bucket_with_objects_needs_force(aws, tmp_path):
    (tmp_path / "f").write_bytes(b"x")
    aws("s3", "mb", "s3://cli-full")
    aws("s3", "cp", tmp_path / "f", "s3://cli-full/dir/f")
    refused = aws("s3", "rb", "s3://cli-full", check=False)
    assert refused.returncode != 0 and b"BucketNotEmpty" in refused.stderr
    aws("s3", "rb", "--force", "s3://cli-full")
    assert b"cli-full" not in aws("s3", "ls")


def test_copy_up_and_down_with_default_checksums(aws, bucket, tmp_path):
    sent = tmp_path / "sent"
    sent.write_bytes(data.content("cp", 3_000_001))
    aws("s3", "cp", sent, f"s3://{bucket}/a b/c+d")
    shown = json.loads(aws(
        "s3api", "head-object", "--bucket", bucket, "--key", "a b/c+d", "--checksum-mode",
        "ENABLED"))
    assert shown["ContentLength"] == 3_000_001
    assert any(k.startswith("Checksum") for k in shown), shown
    aws("s3", "cp", f"s3://{bucket}/a b/c+d", tmp_path / "got")
    assert filecmp.cmp(sent, tmp_path / "got", shallow=False)


def test_copy_from_standard_input_and_to_standard_output(aws, bucket):
    aws("s3", "cp", "-", f"s3://{bucket}/stream", input=b"through a pipe")
    assert aws("s3", "cp", f"s3://{bucket}/stream", "-") == b"through a pipe"


def test_sync_of_a_tree_with_odd_names_there_and_back(aws, bucket, tmp_path):
    tree = tools.make_tree(tmp_path / "up")
    aws("s3", "sync", tmp_path / "up", f"s3://{bucket}/tree")
    aws("s3", "sync", f"s3://{bucket}/tree", tmp_path / "down")
    assert tools.read_tree(tmp_path / "down") == tree
    assert aws("s3", "sync", "--no-progress", tmp_path / "up", f"s3://{bucket}/tree") == b""
    (tmp_path / "up" / "plain.txt").unlink()
    out = aws("s3", "sync", "--delete", tmp_path / "up", f"s3://{bucket}/tree")
    assert out.count(b"delete:") == 1


def test_empty_path_segments_are_names_of_their_own(aws, bucket, s3):
    aws("s3", "cp", "-", f"s3://{bucket}/a//b", input=b"two slashes")
    aws("s3", "cp", "-", f"s3://{bucket}/a/b", input=b"one slash")
    assert aws("s3", "cp", f"s3://{bucket}/a//b", "-") == b"two slashes"
    listed = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert listed == ["a//b", "a/b"]


def test_200_megabytes_in_parts_up_and_down(aws, bucket, tmp_path, large_file, assert_large):
    aws("s3", "cp", large_file.path, f"s3://{bucket}/large")
    aws("s3", "cp", f"s3://{bucket}/large", tmp_path / "got")
    assert_large("large", tmp_path / "got", parts=24)


@pytest.mark.parametrize("version", [2, 4])
def test_presigned_url_reads_without_credentials(aws, bucket, tmp_path, version):
    """Version 1 of the client presigns with signature version 2 unless it is told otherwise."""
    variables = {}
    if version == 4:
        (tmp_path / "config").write_text("[default]\ns3 =\n  signature_version = s3v4\n")
        variables["AWS_CONFIG_FILE"] = str(tmp_path / "config")
    aws("s3", "cp", "-", f"s3://{bucket}/share me+é", input=b"shared")
    url = aws(
        "s3", "presign", f"s3://{bucket}/share me+é", "--expires-in", "60", **variables)
    urls.assert_shares(url.decode().strip(), b"shared", version)


def test_move_and_recursive_remove(aws, bucket, tmp_path):
    tools.make_tree(tmp_path, ["one", "two", "sub/three"])
    aws("s3", "cp", "--recursive", tmp_path, f"s3://{bucket}/t")
    aws("s3", "mv", f"s3://{bucket}/t/one", f"s3://{bucket}/t/first")
    listed = aws("s3", "ls", "--recursive", f"s3://{bucket}").decode()
    assert "t/first" in listed and "t/one" not in listed
    aws("s3", "rm", "--recursive", f"s3://{bucket}/t")
    assert aws("s3", "ls", f"s3://{bucket}") == b""
