"""Gradio components that more than one tab has, and how a run is shown while it goes on."""
