"""Training runs that the page starts and watches."""
