"""Everything that touches DuckDB: no other package imports it."""
