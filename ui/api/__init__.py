"""What programs may ask for over HTTP."""
