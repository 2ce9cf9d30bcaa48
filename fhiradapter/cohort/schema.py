"""Arrow and JSON schemas of the cohort's tables, derived from the models."""

from datetime import date, datetime
from typing import Any, Union, get_args, get_origin

import pyarrow as pa

from fhiradapter.cohort.model import TABLES, Row

# Microseconds hold the years 0001-9999 and every FHIR instant that servers write.
ARROW_TYPES: dict[type, pa.DataType] = {
    str: pa.string(),
    float: pa.float64(),
    int: pa.int32(),
    bool: pa.bool_(),
    datetime: pa.timestamp("us", tz="UTC"),
    date: pa.date32(),
}


def _scalar(annotation: Any) -> tuple[type, bool]:
    """Return the scalar type of a column and whether it may be null."""
    arguments = get_args(annotation)
    if get_origin(annotation) is Union or arguments:
        kinds = [part for part in arguments if part is not type(None)]
        return kinds[0], len(kinds) < len(arguments)
    return annotation, False


def arrow_schema(model: type[Row]) -> pa.Schema:
    """Return the Arrow schema of one table; each field's metadata holds its meaning and unit."""
    fields = []
    for name, information in model.model_fields.items():
        kind, nullable = _scalar(information.annotation)
        metadata = {"description": information.description or ""}
        if isinstance(information.json_schema_extra, dict):
            metadata |= {key: str(value) for key, value in information.json_schema_extra.items()}
        fields.append(pa.field(name, ARROW_TYPES[kind], nullable, metadata))
    return pa.schema(fields)


SCHEMAS: dict[str, pa.Schema] = {table: arrow_schema(model) for table, model in TABLES.items()}


def json_schema(table: str) -> dict[str, Any]:
    """Return the JSON Schema of one row of a table.

    >>> json_schema("subjects")["properties"]["sex"]["description"]
    'Patient.gender: male, female, other, unknown'
    """
    return TABLES[table].model_json_schema(mode="serialization")
