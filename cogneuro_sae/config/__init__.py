"""Loads one YAML file into one strict schema; the base of every config class."""

from cogneuro_sae.config.references import expand, resolve, shipped
from cogneuro_sae.config.schema import (Listed, OneOrMore, StrictModel, dotted, load_config, parse, schema_errors,
                                        wrong_type)
from cogneuro_sae.config.yaml_loader import Lines, YamlDocument, decode, load_yaml, read_bytes
from cogneuro_sae.config.yaml_tree import parse_yaml, shown

__all__ = [
    "Lines", "Listed", "OneOrMore", "StrictModel", "YamlDocument", "decode", "dotted", "expand", "load_config",
    "load_yaml",
    "parse", "parse_yaml", "read_bytes", "resolve", "schema_errors", "shipped", "shown", "wrong_type",
]
