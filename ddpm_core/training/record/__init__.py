"""What is kept of a run: journal, events, plots, progress, model card."""
