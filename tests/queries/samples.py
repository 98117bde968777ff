"""A value of each type that a query may take; for whoever runs queries, also where there is no pytest."""

SAMPLES = {
    "BIGINT": 1,
    "INTEGER": 1,
    "DOUBLE": 1.0,
    "BOOLEAN": True,
    "VARCHAR": "x",
    "VARCHAR[]": ["x"],
    "BIGINT[]": [1],
    "DOUBLE[]": [1.0],
}
