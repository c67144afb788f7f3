"""The configuration: one YAML file, checked as a whole before anything starts."""

from __future__ import annotations

from towpath.config.connections import Connection, Flow, Limits, Settings, system_names
from towpath.config.load import config_path, load_config, parse_config
from towpath.config.model import Config, Database, Defaults, Health, Receiver
from towpath.config.registry import SchemaRegistry
from towpath.config.secret import Credential, Secret, SecretRef, is_secret_name

__all__ = [
    "Config",
    "Connection",
    "Credential",
    "Database",
    "Defaults",
    "Flow",
    "Health",
    "Limits",
    "Receiver",
    "SchemaRegistry",
    "Secret",
    "SecretRef",
    "Settings",
    "config_path",
    "is_secret_name",
    "load_config",
    "parse_config",
    "system_names",
]
