"""Reads what callgrind writes: how many instructions each function has executed by itself."""

import re
from collections import Counter
from pathlib import Path

# A name is written out once, as `fn=(3) name`, and is `fn=(3)` from then on; files, objects and functions count apart.
NAME = re.compile(r"^(c?)(fn|ob|fl|fi|fe)=\((\d+)\)(?: (.*))?$")
COST = re.compile(r"^(?:\+|-)?(?:\d+|\*) (\d+)$")

# An object and a function in it.
Function = tuple[str, str]


def costs(file: Path) -> Counter[Function]:
    """Instructions of each function, without what it calls."""
    names: dict[tuple[str, str], str] = {}
    found: Counter[Function] = Counter()
    place = {"ob": "", "fn": ""}
    calls = False
    for line in file.read_text(errors="replace").splitlines():
        if named := NAME.match(line):
            called, kind, number, name = named.groups()
            kind = "fl" if kind in ("fi", "fe") else kind
            if name is not None:
                names[kind, number] = name
            if not called and kind in place:
                place[kind] = names[kind, number]
        elif line.startswith("calls="):
            calls = True
        elif cost := COST.match(line):
            # The line after `calls=` is what was called, which has lines of its own.
            if not calls:
                found[place["ob"], place["fn"]] += int(cost[1])
            calls = False
    return found
