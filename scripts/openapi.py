#!/usr/bin/env python3
"""Writes docs/openapi.yaml into the Swift literal that the Files API serves."""
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = ROOT / "Sources/Edges/FilesAPI/OpenAPIDocument+Text.swift"


def main():
    text = (ROOT / "docs/openapi.yaml").read_text()
    assert '"""##' not in text
    TARGET.write_text(
        "// Made by scripts/openapi.py from docs/openapi.yaml.\n"
        "// swift-format-ignore-file\n\n"
        "extension OpenAPIDocument {\n"
        "  /// The document as docs/openapi.yaml has it.\n"
        '  static let text: StaticString = ##"""\n' + text + '\n"""##\n}\n')


if __name__ == "__main__":
    main()
