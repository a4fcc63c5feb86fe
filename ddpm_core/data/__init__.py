"""Training pictures: found in folders, archives, tables and parquet files, and loaded."""
