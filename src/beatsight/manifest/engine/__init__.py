"""How manifests of any size are read and written: blocks, processes, columns in DuckDB, rewriting."""
