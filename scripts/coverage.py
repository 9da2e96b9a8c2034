#!/usr/bin/env python3
"""Line coverage of the Swift tests: by target and overall, from `swift test --enable-code-coverage`.

Fails, and names them, when all lines together or those of a target that has a goal of its own are
covered to less than that: what guards the data most, and what others speak to. Executables are
measured by the system tests and left out here; so is generated code, and the tests themselves.
`--self-test` shows that each rule can fail.
"""
import collections
import json
import pathlib
import subprocess
import sys

GOAL = 85.0
GOALS = {
    **dict.fromkeys(("AdminAPI", "FilesAPI", "S3API", "GRPC", "ChunkRPC"), 90.0),
    **dict.fromkeys(("Erasure", "Checksums", "ChunkStore"), 95.0),
}
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


def line(place, covered, lines, goal):
    """One line of the table, and whether the goal is missed, if there is one."""
    share = 100 * covered / lines if lines else 0.0
    text = f"{place}{share:6.1f} %  {covered}/{lines}"
    # Of the counts, not of the rounded share: 94.96 % is less than 95 %.
    is_short = goal is not None and (lines == 0 or 100 * covered < goal * lines)
    if goal is not None:
        text += f", goal {goal:.0f} %{': missed' if is_short else ''}"
    return text, is_short


def judge(sums):
    """The table, and what falls short of its goal."""
    table, short = [], []
    for (layer, target), (covered, lines) in sorted(
            sums.items(), key=lambda item: (LAYERS.index(item[0][0]), item[0][1])):
        text, is_short = line(f"{layer:10}{target:18}", covered, lines, GOALS.get(target))
        table.append(text)
        short += [target] if is_short else []
    # A target that was renamed, or whose tests were not run, has not reached its goal.
    short += sorted(set(GOALS) - {target for _, target in sums})
    covered, lines = (sum(column) for column in zip(*sums.values()))
    text, is_short = line(f"{'all':28}", covered, lines, GOAL)
    return table + [text], short + (["all"] if is_short else [])


def self_test():
    """Each rule trips on a case made for it, and none on a good one."""
    root = pathlib.Path("/root")

    def sums(**changed):
        """What is reached by just so much, but for what is given as (covered, lines)."""
        reached = {target: (int(10 * goal), 1000) for target, goal in GOALS.items()}
        files = [
            ("Edges", target, *counts)
            for target, counts in {**reached, "Plain": (850, 1000), **changed}.items() if counts
        ] + [("Executables", "tool", 0, 9_000_000)]
        exported = {"data": [{"files": [
            {"filename": f"{root}/Sources/{layer}/{target}/A.swift",
             "summary": {"lines": {"covered": covered, "count": lines}}}
            for layer, target, covered, lines in files
        ] + [{"filename": "/elsewhere/A.swift", "summary": {"lines": {"covered": 0, "count": 9}}}]}]}
        return by_target(exported, root)

    def short(**changed):
        return judge(sums(**changed))[1]

    assert short() == [], short()
    for target, goal in GOALS.items():
        # Less by one line of many: what is shown is rounded, what is judged is not.
        assert short(**{target: (int(10_000 * goal) - 1, 1_000_000)}) == [target], target
        assert short(**{target: None}) == [target], target
        assert short(**{target: (0, 0)}) == [target], target
    table, missed = judge(sums(S3API=(899, 1000), Erasure=(949, 1000)))
    assert missed == ["Erasure", "S3API"], missed
    assert [row for row in table if "missed" in row and " 89.9 %" in row], table
    # A target without a goal counts in the sum only.
    assert short(Plain=(500, 1000)) == []
    rest = 1_000_000_000
    assert short(Plain=(85 * rest // 100 - 1_000_000, rest)) == ["all"]
    assert short(Plain=(85 * rest // 100, rest)) == []
    sys.stdout.write("coverage: each goal can be missed\n")
    return 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    root = pathlib.Path(__file__).resolve().parents[1]
    path = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else report()
    sums = by_target(json.loads(path.read_text()), root)
    if not sums:
        sys.exit(f"coverage: {path} says nothing of {root}/Sources")
    table, short = judge(sums)
    sys.stdout.write("".join(text + "\n" for text in table))
    if short:
        sys.stdout.write(f"coverage: short of the goal: {', '.join(short)}\n")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
