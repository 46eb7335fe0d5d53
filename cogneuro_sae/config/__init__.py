"""Loads one YAML file into one strict schema; the base of every config class."""

from cogneuro_sae.config.faults import allowed_once, dotted, schema_errors, wrong_type
from cogneuro_sae.config.kinds import other_kind
from cogneuro_sae.config.references import beside, expand, resolve, shipped
from cogneuro_sae.config.schema import Listed, OneOrMore, StrictModel, load_config, parse
from cogneuro_sae.config.yaml_loader import MAX_BYTES, Lines, YamlDocument, decode, load_yaml, read_bytes
from cogneuro_sae.config.yaml_tree import parse_yaml, shown

__all__ = [
    "MAX_BYTES", "Lines", "Listed", "OneOrMore", "StrictModel", "YamlDocument", "allowed_once", "beside", "decode",
    "dotted", "expand", "load_config", "load_yaml", "other_kind", "parse", "parse_yaml", "read_bytes", "resolve", "schema_errors",
    "shipped", "shown", "wrong_type",
]
