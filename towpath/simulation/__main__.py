"""`python -m towpath.simulation --seeds 10000 --json`: plays seeds, prints those that fail, and ends with 1 where one does."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from towpath.simulation.play import Played, play
from towpath.simulation.seeds import tally


def main(arguments: Sequence[str]) -> int:
    """Run the command and return its exit code: 0 where nothing failed, 1 where a seed did, 2 for arguments that make no sense."""
    parser = argparse.ArgumentParser("python -m towpath.simulation", description="Play the delivery core in seeded worlds.")
    parser.add_argument("--seeds", type=_count, default=10_000, help="how many seeds (default: 10000)")
    parser.add_argument("--first", type=int, default=1, help="the first of them (default: 1)")
    parser.add_argument("--seed", type=int, help="play this one alone, and tell its story")
    parser.add_argument("--processes", type=_count, default=os.cpu_count() or 1, help="processes that play (default: one a processor)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args(arguments)
    if chosen.seed is not None:
        return _tell(play(chosen.seed, story=True), as_json=chosen.json)
    found = tally(range(chosen.first, chosen.first + chosen.seeds), chosen.processes)
    if chosen.json:
        sys.stdout.write(f"{json.dumps(found.report())}\n")
    else:
        for seed, wrong in found.failed.items():
            sys.stdout.write(f"seed {seed}: {'; '.join(wrong)}\n  again: python -m towpath.simulation --seed {seed}\n")
        sys.stdout.write(f"{found.seeds} seeds, {len(found.failed)} failed, {found.struck} processes struck, in {found.took:.0f} s\n")
    return 1 if found.failed else 0


def _tell(played: Played, *, as_json: bool) -> int:
    wrong = [f"{one.invariant}: {one.message}" for one in played.violations]
    if as_json:
        told = {"seed": played.seed, "digest": played.digest, "violations": wrong, "virtual_s": round(played.seconds, 1), "story": played.story}
        sys.stdout.write(f"{json.dumps(told)}\n")
    else:
        sys.stdout.write("\n".join([*played.story, f"digest {played.digest}", *wrong, ""]))
    return 1 if wrong else 0


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of things: give 1 or more")
    return number


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
