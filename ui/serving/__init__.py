"""What stands between the page and whoever opens it."""
