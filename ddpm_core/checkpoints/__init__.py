"""What a trained model is on disk: our own format, and folders that diffusers saved."""
