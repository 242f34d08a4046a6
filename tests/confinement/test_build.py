# SPDX-License-Identifier: GPL-3.0-or-later
"""The binary is built as hard as the compiler can, proved on what came out of it. ACME_DELEGATE_BIN is the release's."""

import json
import os
import pathlib
import platform
import re
import subprocess

import pytest

BINARY = pathlib.Path(os.environ["ACME_DELEGATE_BIN"])
BUILD = BINARY.parent
MACHINE = platform.machine()
COMPILER_FLAGS = ["-D_FORTIFY_SOURCE=3", "-O2", "-fstack-protector-strong", "-fstack-clash-protection",
                  "-ftrivial-auto-var-init=zero", "-fno-strict-aliasing", "-fno-delete-null-pointer-checks"]
BRANCHES = {"x86_64": "-fcf-protection=full", "aarch64": "-mbranch-protection=standard"}
PROPERTIES = {"x86_64": "IBT, SHSTK", "aarch64": "BTI, PAC"}


def readelf(*args, path=BINARY):
    return subprocess.run(["readelf", "-W", *args, path], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def segments():
    """(type, flags) of each segment."""
    return re.findall(r"^  (\w+) +0x\w+ 0x\w+ 0x\w+ 0x\w+ 0x\w+ ([RWE ]{3})", readelf("-l"), re.M)


@pytest.fixture(scope="module")
def dynamic():
    return readelf("-d")


def commands():
    """Of our own sources, each compiler command."""
    found = json.loads((BUILD / "compile_commands.json").read_text())
    return [c["command"] for c in found if "/src/" in "/" + c["file"].removeprefix("../")]


def test_position_independent(dynamic):
    assert "DYN (Position-Independent Executable file)" in readelf("-h")
    assert re.search(r"FLAGS_1.*\bPIE\b", dynamic)
    assert "TEXTREL" not in dynamic


def test_relocations_are_read_only_and_bound_at_once(segments, dynamic):
    assert "GNU_RELRO" in dict(segments)
    assert re.search(r"\(FLAGS\) +.*BIND_NOW", dynamic) and re.search(r"FLAGS_1.*\bNOW\b", dynamic)
    assert not re.search(r"\.got\.plt", readelf("-S"))  # all of it lies in the part that becomes read-only


def test_nothing_is_writable_and_code(segments):
    assert dict(segments)["GNU_STACK"].strip() == "RW"
    assert not [s for s in segments if "W" in s[1] and "E" in s[1]]


def test_code_lies_apart(segments):
    """In the segment with code there is nothing else: the first one loaded, with the headers, cannot be run."""
    loaded = [flags for kind, flags in segments if kind == "LOAD"]
    assert loaded[0].strip() == "R"
    assert len([flags for flags in loaded if "E" in flags]) == 1


def test_no_search_paths(dynamic):
    assert "RPATH" not in dynamic and "RUNPATH" not in dynamic


def test_stack_protector_and_fortified_calls():
    names = set(re.findall(r"\b(__\w+)@", readelf("--dyn-syms")))
    assert "__stack_chk_fail" in names
    fortified = {n for n in names if n.endswith("_chk")}
    assert len(fortified) >= 8 and "__snprintf_chk" in fortified and "__memcpy_chk" in fortified


def test_every_source_has_the_flags():
    assert len(commands()) > 100
    for flag in [*COMPILER_FLAGS, BRANCHES[MACHINE]]:
        without = [c[-60:] for c in commands() if flag not in c]
        assert not without, (flag, without[:3])


def test_registers_are_cleared():
    """By a compiler that knows how to: gcc does, clang since 15."""
    if " clang" not in commands()[0]:
        assert not [c for c in commands() if "-fzero-call-used-regs=used-gpr" not in c]


def test_branches_are_protected():
    """Every object of ours is marked; Debian 12's C library brings an unmarked one that starts the program, and so the
    whole is not."""
    objects = list(BUILD.rglob("src/**/*.o")) + list(BUILD.glob("libcore.a.p/*.o"))
    assert len(objects) > 100
    unmarked = [str(o) for o in objects if PROPERTIES[MACHINE] not in readelf("-n", path=o)]
    assert not unmarked
