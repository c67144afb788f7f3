"""Why a broker did not start, from what it wrote."""

from __future__ import annotations

LINES = 8
REMEDIES = {
    "No space left on device": "the disk is full: free some space",
    "Address already in use": "a port is taken: choose others with --port and --controller-port",
    "Failed to acquire lock on file .lock": "another broker uses this folder: end it, or choose another folder with --dir",
    "Permission denied": "the folder cannot be written: correct its owner, or choose another with --dir",
    "AccessDeniedException": "the folder cannot be written: correct its owner, or choose another with --dir",
    "Invalid cluster.id": "the folder holds another cluster's data: choose another with --dir",
}


def explain(text: str, source: object) -> str:
    """Return the remedy where the text names a known cause, and its last lines."""
    remedy = next((remedy for sign, remedy in REMEDIES.items() if sign in text), "see its log")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("at ")]
    return f"{remedy}. The end of {source}:\n" + "\n".join(f"  {line[:300]}" for line in lines[-LINES:])
