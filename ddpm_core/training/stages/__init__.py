"""What each stage of a run learns from, looks at and writes."""
