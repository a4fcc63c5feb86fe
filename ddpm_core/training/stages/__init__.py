"""What each stage of a run learns from, is measured by and writes."""
