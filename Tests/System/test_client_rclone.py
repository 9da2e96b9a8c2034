"""rclone: checks by its own hashes what it copied."""
import json

import pytest

from support import data, tools, urls


def rclone(server, *arguments, **options):
    return tools.run(server, "rclone", *arguments, **options)


def test_copy_check_list_and_sync_of_a_tree_with_odd_names(server, bucket, tmp_path, s3):
    tree = tools.make_tree(tmp_path / "up")
    rclone(server, "copy", tmp_path / "up", f"T:{bucket}/tree")
    rclone(server, "check", "--download", tmp_path / "up", f"T:{bucket}/tree")
    rclone(server, "check", tmp_path / "up", f"T:{bucket}/tree")
    listed = json.loads(rclone(server, "lsjson", "-R", "--files-only", f"T:{bucket}/tree"))
    # Control characters it shows as pictures of them, and sends as they are.
    assert sorted(one["Path"] for one in listed) == sorted(
        name.replace("\n", "\u240a").replace("\t", "\u2409") for name in tree)
    keys = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert sorted(keys) == sorted("tree/" + name for name in tree)
    rclone(server, "sync", f"T:{bucket}/tree", tmp_path / "down")
    assert tools.read_tree(tmp_path / "down") == tree
    # Nothing is left to do, either way.
    for pair in ((tmp_path / "up", f"T:{bucket}/tree"), (f"T:{bucket}/tree", tmp_path / "up")):
        done = rclone(server, "sync", "-v", "--stats-one-line", *pair, check=False)
        assert b"There was nothing to transfer" in done.stderr, done.stderr


def test_sync_changes_only_what_differs_and_keeps_times(server, bucket, tmp_path):
    up = tmp_path / "up"
    tools.make_tree(up, ["same", "changed", "gone", "sub/same"])
    rclone(server, "sync", up, f"T:{bucket}/s")
    (up / "changed").write_bytes(b"other")
    (up / "gone").unlink()
    (up / "new").write_bytes(b"new")
    rclone(server, "sync", up, f"T:{bucket}/s")
    rclone(server, "sync", f"T:{bucket}/s", tmp_path / "down")
    assert tools.read_tree(tmp_path / "down") == tools.read_tree(up)
    assert abs((tmp_path / "down/same").stat().st_mtime - (up / "same").stat().st_mtime) < 0.001


@pytest.mark.parametrize("expiry", [["--expire", "10m"], []], ids=["minutes", "default"])
def test_presigned_url_reads_without_credentials(server, bucket, s3, expiry):
    """Without an end, it asks for the longest there is."""
    s3.put_object(Bucket=bucket, Key="share me+é", Body=b"shared")
    url = rclone(server, "link", *expiry, f"T:{bucket}/share me+é")
    urls.assert_shares(url.decode().strip(), b"shared", version=4)


def test_200_megabytes_in_parts_up_and_down(
        server, bucket, tmp_path, large_file, assert_large):
    """Above the cutoff, which is 200 MiB by default."""
    rclone(server, "copyto", "--s3-upload-cutoff", "100M", large_file.path, f"T:{bucket}/large")
    rclone(server, "check", "--download", large_file.path.parent, f"T:{bucket}")
    rclone(server, "copyto", f"T:{bucket}/large", tmp_path / "got")
    assert_large("large", tmp_path / "got", parts=39)


def test_large_file_in_parts_with_server_side_copy_and_purge(server, bucket, tmp_path):
    (tmp_path / "large").write_bytes(data.content("rclone", 30_000_000))
    rclone(
        server, "copy", "--s3-upload-cutoff", "5M", "--s3-chunk-size", "5M", tmp_path / "large",
        f"T:{bucket}/in")
    rclone(server, "copyto", "--s3-copy-cutoff", "12M", f"T:{bucket}/in/large", f"T:{bucket}/copy")
    rclone(server, "moveto", f"T:{bucket}/in/large", f"T:{bucket}/moved")
    rclone(server, "copy", f"T:{bucket}", tmp_path / "down")
    down = tools.read_tree(tmp_path / "down")
    assert set(down) == {"copy", "moved"}
    assert set(down.values()) == {(tmp_path / "large").read_bytes()}
    rclone(server, "purge", f"T:{bucket}")
    assert bucket not in rclone(server, "lsd", "T:").decode()
