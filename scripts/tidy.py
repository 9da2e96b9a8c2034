#!/usr/bin/env python3
"""Checks what the compiler does not: the direction of imports, that the manifest declares each, the
wrappers' monopoly on C, file and function lengths, and words that do not belong into this tree.
`--self-test` shows that each rule can fail."""
import json
import pathlib
import re
import subprocess
import sys

LAYERS = ["C", "Base", "Wrappers", "Domain", "Engines", "Adapters", "Services", "Edges", "Executables"]
# Services speak to protocols: adapters are named by executables alone.
ADAPTERS_SEEN_BY = {"Executables", "Tests"}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 70
BANNED = [
    (re.compile(r"\bTODO\b|\bFIXME\b|\bXXX\b"), "an unfinished note"),
    (re.compile(r"\bprint\("), "print; use Log, or write to standard output by name"),
    (re.compile(r"\btry!|\bas!"), "a forced try or cast"),
    (re.compile(r"/work/|/root/|/home/"), "a path of a machine"),
]
IMPORT = re.compile(r"(?:@\w+ )?(?:public |package |internal |private )?import (?:\w+ )?(\w+)")
FOUNDATION_LAYERS = {"Edges", "Executables", "Tests"}


def dependency_name(dependency):
    return (dependency.get("byName") or dependency.get("target"))[0]


def layer_of(path):
    parts = pathlib.PurePath(path).parts
    if parts and parts[0] == "Tests":
        return "Tests"
    return parts[1] if len(parts) > 2 and parts[0] == "Sources" else None


def check_edges(package):
    """Dependencies go down, or sideways within a layer without adapters."""
    layers = {t["name"]: layer_of(t["path"]) for t in package["targets"] if t.get("path")}
    for target in package["targets"]:
        name, layer = target["name"], layers.get(target["name"])
        if layer is None:
            yield f"{name}: lies outside the layers"
            continue
        if layer == "Tests":
            continue
        for dependency in target["dependencies"]:
            other = dependency_name(dependency)
            below = layers.get(other)
            if below is None:
                yield f"{name} -> {other}: unknown target"
            elif LAYERS.index(below) > LAYERS.index(layer):
                yield f"{name} ({layer}) -> {other} ({below}): runs up"
            elif below == "C" and other != "CPlatform" and layer != "Wrappers":
                yield f"{name} -> {other}: only wrappers import C modules"
            elif below == "Adapters" and layer not in ADAPTERS_SEEN_BY | {"Adapters"}:
                yield f"{name} -> {other}: only executables name adapters"


def check_imports(package, path, text):
    """A target declares what it imports: without that a build finds the module only where another
    target happens to have been built before."""
    names = {t["name"] for t in package["targets"]}
    for target in package["targets"]:
        if not pathlib.PurePath(path).is_relative_to(target.get("path") or "-"):
            continue
        declared = {target["name"]} | {dependency_name(d) for d in target["dependencies"]}
        for number, line in enumerate(text.split("\n"), 1):
            imported = IMPORT.match(line)
            if imported and imported.group(1) in names - declared:
                yield f"{path}:{number}: {target['name']} does not declare {imported.group(1)}"


def check_source(path, text):
    """Rules on one Swift file."""
    layer = layer_of(path)
    lines = text.split("\n")
    if len(lines) - 1 > MAX_FILE_LINES and layer != "Tests":
        yield f"{path}: {len(lines) - 1} lines, at most {MAX_FILE_LINES}"
    start, indent = None, ""
    for number, line in enumerate(lines, 1):
        for pattern, what in BANNED:
            # Tests print their seeds.
            if pattern.search(line) and not (layer == "Tests" and "print" in what):
                yield f"{path}:{number}: {what}"
        imported = IMPORT.match(line)
        if imported:
            module = imported.group(1)
            if module in ("Foundation", "FoundationEssentials", "Dispatch") and layer not in FOUNDATION_LAYERS:
                yield f"{path}:{number}: {module} in {layer}"
            if re.match(r"C[A-Z]", module) and module != "CPlatform" and layer not in ("Wrappers", "Tests"):
                yield f"{path}:{number}: only wrappers import C modules"
        begins = re.match(r"( *)(?:[\w@() ]+ )?(?:func \S+|init[?(<]).*", line)
        if begins and start is None:
            start, indent = number, begins.group(1)
        if start is not None and line == indent + "}":
            if number - start + 1 > MAX_FUNCTION_LINES and layer != "Tests":
                yield f"{path}:{start}: a function of {number - start + 1} lines"
            start = None
        elif start is not None and line == "" and number == start + 1:
            start = None


def self_test():
    """Each rule trips on a case made for it."""
    up = {"targets": [
        {"name": "Base", "path": "Sources/Base/Base", "dependencies": [{"byName": ["S3API", None]}]},
        {"name": "S3API", "path": "Sources/Edges/S3API", "dependencies": [{"byName": ["CZ", None]}]},
        {"name": "CZ", "path": "Sources/C/CZ", "dependencies": []},
        {"name": "SQL", "path": "Sources/Adapters/SQL", "dependencies": []},
        {"name": "Engine", "path": "Sources/Services/Engine", "dependencies": [{"byName": ["SQL", None]}]},
        {"name": "Stray", "path": "Elsewhere/Stray", "dependencies": []},
    ]}
    found = "\n".join(check_edges(up))
    for word in ("runs up", "only wrappers", "only executables", "outside the layers"):
        assert word in found, word
    swift = "Sources/Base/Base/A.swift"
    for line in ("import SQL", "@testable import SQL", "internal import struct SQL.Row"):
        assert "does not declare SQL" in "".join(check_imports(up, swift, line)), line
    assert not list(check_imports(up, swift, "import Base\nimport S3API\nimport Foundation\n"))
    cases = {
        "lines, at most": "\n" * (MAX_FILE_LINES + 2),
        "unfinished": "// TO" + "DO",
        "print": "  pri" + 'nt("x")',
        "forced": "tr" + "y! f()",
        "path of a machine": "// /wo" + "rk/x",
        "Foundation in": "import Foundation",
        "C modules": "internal import CSQLite",
        "a function of": "func f() {\n" + "  x\n" * MAX_FUNCTION_LINES + "}",
    }
    for word, text in cases.items():
        found = "\n".join(check_source(swift, text))
        assert word in found, (word, found)
    assert not list(check_source(swift, "import Base\n\nfunc f() {\n  g()\n}\n"))
    sys.stdout.write("tidy: every rule trips\n")


def main():
    if "--self-test" in sys.argv:
        return self_test()
    package = json.loads(pathlib.Path(".build/package.json").read_text())
    problems = list(check_edges(package))
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.swift"], capture_output=True, text=True, check=True
    ).stdout.split()
    for path in files:
        if path.startswith(("Sources/", "Tests/")) and pathlib.Path(path).exists():
            text = pathlib.Path(path).read_text()
            problems += [*check_source(path, text), *check_imports(package, path, text)]
    sys.stdout.write("".join(p + "\n" for p in problems))
    sys.stdout.write(f"tidy: {len(files)} files, {len(problems)} problems\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
