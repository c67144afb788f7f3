"""Every shape that a record has had, in schemas/history/: what is written today must be read by all of them, and read them all.

One file a record, one line a shape, without docs, the oldest first. `python -m towpath.registry.history` adds today's; that is done with a
release, so that what was never released leaves no trace.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from towpath.codec import SCHEMAS, Codec, bare, id_of
from towpath.registry.compatibility import DEFAULT_LEVEL, against
from towpath.registry.schema import parse
from towpath.registry.subjects import subjects
from towpath.topics import load_topics

FOLDER = "history"


def shapes(folder: Path = SCHEMAS) -> Mapping[str, list[str]]:
    """Return the shapes of every record that has been released, by its name."""
    files = sorted((folder / FOLDER).glob("*.jsonl"))
    return {path.stem: path.read_text(encoding="utf-8").splitlines() for path in files}


def breaks(codec: Codec, folder: Path = SCHEMAS) -> list[str]:
    """Return what in the schemas of here breaks with a shape from before, one line a reason; DataError where one is no schema."""
    found = []
    for name, lines in shapes(folder).items():
        if name not in codec.by_name:
            found.append(f"{name}: it is gone, and records of it may be there; keep its schema")
            continue
        earlier = {number: parse(line) for number, line in enumerate(lines, 1)}
        found += [f"{name}: {reason}" for reason in against(DEFAULT_LEVEL, parse(codec.by_name[name].text), earlier)]
    return found


def record(folder: Path = SCHEMAS) -> list[str]:
    """Add the shapes of today that are new, and return the names of their records."""
    codec, known, added = Codec(folder), shapes(folder), []
    (folder / FOLDER).mkdir(exist_ok=True)
    for name in sorted(set(subjects(codec, load_topics()).values())):
        lines = known.get(name, [])
        if codec.by_name[name].id not in {id_of(json.loads(line)) for line in lines}:
            lines.append(json.dumps(bare(json.loads(codec.by_name[name].text)), separators=(",", ":")))
            (folder / FOLDER / f"{name}.jsonl").write_text("\n".join([*lines, ""]), encoding="utf-8")
            added.append(name)
    return added


if __name__ == "__main__":
    sys.stdout.write("".join(f"{name}: a new shape\n" for name in record()))
