#!/usr/bin/env python3
"""Line coverage of the Swift tests: by target and overall, from `swift test --enable-code-coverage`.

Fails when less than 85 % of all lines are covered. Executables are measured by the system tests
and left out here; so is generated code, and the tests themselves.
"""
import collections
import json
import pathlib
import subprocess
import sys

GOAL = 85.0
LAYERS = ["Base", "Wrappers", "Domain", "Engines", "Adapters", "Services", "Edges", "C"]


def report():
    """The file that the last run wrote."""
    shown = subprocess.run(
        ["swift", "test", "--show-codecov-path"], capture_output=True, text=True, check=True)
    return pathlib.Path(shown.stdout.strip().splitlines()[-1])


def by_target(exported, root):
    """(layer, target) → [covered, lines]."""
    sums = collections.defaultdict(lambda: [0, 0])
    for file in exported["data"][0]["files"]:
        try:
            parts = pathlib.Path(file["filename"]).relative_to(root / "Sources").parts
        except ValueError:
            continue
        if len(parts) < 3 or parts[0] not in LAYERS:
            continue
        lines = file["summary"]["lines"]
        sums[parts[0], parts[1]][0] += lines["covered"]
        sums[parts[0], parts[1]][1] += lines["count"]
    return sums


def main():
    root = pathlib.Path(__file__).resolve().parents[1]
    path = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else report()
    sums = by_target(json.loads(path.read_text()), root)
    if not sums:
        sys.exit(f"coverage: {path} says nothing of {root}/Sources")
    for (layer, target), (covered, lines) in sorted(
            sums.items(), key=lambda item: (LAYERS.index(item[0][0]), item[0][1])):
        sys.stdout.write(f"{layer:10}{target:18}{100 * covered / lines:6.1f} %  {covered}/{lines}\n")
    covered, lines = (sum(column) for column in zip(*sums.values()))
    overall = 100 * covered / lines
    sys.stdout.write(f"{'all':28}{overall:6.1f} %  {covered}/{lines}, goal {GOAL:.0f} %\n")
    return 0 if overall >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
