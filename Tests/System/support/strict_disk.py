"""A disk that keeps what was synced and nothing else, for processes with `faults.c` preloaded."""
import pathlib
import shutil


class StrictDisk:
    """A directory, and what a power cut at this moment may leave of it.

    A file has the content of its last sync, or none; a directory has the names of its last sync.
    """

    def __init__(self, directory, library):
        directory = pathlib.Path(directory)
        self.root, self.shadow = directory / "disk", directory / "shadow"
        self.root.mkdir(parents=True)
        for name in ("files", "directories"):
            (self.shadow / name).mkdir(parents=True)
        self.library = library
        self.cuts = 0

    def environment(self, drop=None):
        """What a process needs whose files are on the disk; `drop` leaves out matching syncs."""
        result = {
            "LD_PRELOAD": str(self.library), "STRICT_ROOT": str(self.root),
            "STRICT_SHADOW": str(self.shadow)}
        return result | ({"FAULT_SYNC_DROP": drop} if drop else {})

    def keeps(self, path):
        """Whether a cut at this moment would leave something under a name, which is a path below the
        root. May be called while processes write."""
        root = self.shadow / "root"
        key = root.read_text() if root.exists() else None
        for part in pathlib.Path(path).parts:
            key = self._entries(key).get(part) if key else None
        return key is not None

    def _entries(self, key):
        names = self.shadow / "directories" / key
        lines = names.read_text().splitlines() if names.exists() else []
        return {name: key for _, key, name in (line.split(" ", 2) for line in lines)}

    def cut(self):
        """A new directory with what is left. To be called while no process writes."""
        self.cuts += 1
        target = self.root.parent / f"cut-{self.cuts}"
        target.mkdir()
        root = self.shadow / "root"
        if root.exists():
            self._fill(target, root.read_text())
        return target

    def _fill(self, target, key):
        names = self.shadow / "directories" / key
        for line in names.read_text().splitlines() if names.exists() else []:
            kind, key, name = line.split(" ", 2)
            path, content = target / name, self.shadow / "files" / key
            if kind == "d":
                path.mkdir(exist_ok=True)
                self._fill(path, key)
            elif content.exists():
                shutil.copyfile(content, path)
                path.chmod(0o600)
            else:
                path.touch(0o600)
