"""File systems of this test's own: ext4 in a file, mounted by loop. Needs root."""
import pathlib
import shutil
import subprocess
import tempfile


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, (
        f"{' '.join(map(str, command))}: {done.stderr.strip()}. These tests mount loop devices and "
        "need root and /dev/loop*; without them durability is not shown.")


class LoopDisk:
    """An ext4 file system in a file."""

    def __init__(self, directory, name, megabytes=None, image=None):
        self.image = pathlib.Path(directory) / f"{name}.img"
        self.point = pathlib.Path(directory) / name
        if image is None:
            with open(self.image, "wb") as file:
                file.truncate(megabytes << 20)
            run("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0",
                self.image)
        else:
            run("cp", "--sparse=always", image, self.image)
        self.point.mkdir()
        self.mounted = False

    def mount(self):
        """Mounts it so that nothing but the server's own syncs brings data to the image soon."""
        run("mount", "-o", "loop,commit=300,noatime", self.image, self.point)
        self.mounted = True
        return self

    def unmount(self):
        if self.mounted:
            run("umount", self.point)
            self.mounted = False

    def fail(self):
        """Makes it read-only under those who write to it, as the kernel does on an error."""
        run("mount", "-o", "remount,abort", self.point)

    def repair(self):
        """Mends it after `fail`, unmounted."""
        done = subprocess.run(["e2fsck", "-fy", self.image], capture_output=True, text=True)
        assert done.returncode in (0, 1), done.stdout + done.stderr

    def discard(self):
        if self.mounted:
            subprocess.run(["umount", "-l", self.point])
        self.image.unlink(missing_ok=True)


class Disks:
    """Loop disks in a directory below /tmp, all removed at the end."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="s3storage-disks-")
        self.disks = []

    def make(self, name, megabytes):
        self.disks.append(LoopDisk(self.directory, name, megabytes))
        return self.disks[-1].mount()

    def copy(self, name, other):
        """A disk of the bytes that `other` holds at this moment."""
        self.disks.append(LoopDisk(self.directory, name, image=other.image))
        return self.disks[-1]

    def discard(self):
        for disk in self.disks:
            disk.discard()
        shutil.rmtree(self.directory, ignore_errors=True)
