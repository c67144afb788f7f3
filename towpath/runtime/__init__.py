"""The frame that every role runs in."""

from __future__ import annotations

from towpath.runtime.guardian import HARD_EXIT_SECONDS, PARENT_VARIABLE, Guardian, die_with_parent
from towpath.runtime.health import Check, Health, HealthServer
from towpath.runtime.lock import only_one
from towpath.runtime.role import (
    DRAIN_SECONDS,
    ERROR_FILE_VARIABLE,
    REGISTRY,
    RESTARTS_VARIABLE,
    ROLE_MODULES,
    Build,
    Role,
    RoleContext,
    find_role,
    run_role,
)
from towpath.runtime.runfile import RunFile, read_run_file, remove_run_file

__all__ = [
    "DRAIN_SECONDS",
    "ERROR_FILE_VARIABLE",
    "HARD_EXIT_SECONDS",
    "PARENT_VARIABLE",
    "REGISTRY",
    "RESTARTS_VARIABLE",
    "ROLE_MODULES",
    "Build",
    "Check",
    "Guardian",
    "Health",
    "HealthServer",
    "Role",
    "RoleContext",
    "RunFile",
    "die_with_parent",
    "find_role",
    "only_one",
    "read_run_file",
    "remove_run_file",
    "run_role",
]
