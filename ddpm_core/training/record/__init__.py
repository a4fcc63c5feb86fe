"""What is kept of a run: journal, events, plots, progress, and the model card."""
