"""Bytes that can be made again from their seed, and names that trip careless software."""
import hashlib
import random


def content(seed, size):
    """`size` bytes that neither compress nor repeat, the same for the same seed."""
    return random.Random(f"content {seed}").randbytes(size)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def file_digest(path):
    """The digest of a file's content, never whole in memory."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class LargeFile:
    """A file that clients send in parts; its content neither compresses nor repeats."""

    SIZE = 200_000_000

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as file:
            for piece in range(25):
                file.write(content(f"large {piece}", self.SIZE // 25))
        self.digest = file_digest(path)


# Sizes around the borders of the format: inline, volume record, segment, block, stripe, chunk file.
BORDER_SIZES = [
    0, 1, 15, 16, 17, 4095, 4096, 16 << 10, (16 << 10) + 1, 65519, 65520, 65521, 65536,
    262080, 262081, 4 * 131072 - 64, (4 << 17) + 1, 1048319, 1048320, 1048321,
    1 << 20, 1310400, 1310401, 3 * 1048320 + 7]

# Keys that are legal and awkward.
ODD_KEYS = [
    "plain", "with space", " leading and trailing ", "plus+plus", "percent%20already", "100%",
    "amp&er=sand;semi", "quote'single", 'quote"double', "back\\slash", "unicode-é-ü-日本-😀",
    "combining-e\u0301", ".hidden", "..two", "dots/../inside", "dots/./inside", "a//b", "a///",
    "trailing/", "/leading", "//", "~tilde*star(paren)!", "question?mark", "hash#tag",
    "colon:comma,at@dollar$", "<tag>&amp;", "new\nline", "tab\tstop", "\u007f", "\u0080",
    "\u2028", "%2F", "%00", "-dash", "x" * 1024, "é" * 512, "a" + "/b" * 511 + "c"]
