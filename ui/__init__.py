"""What the visitor sees: Gradio components around `ddpm_core`. No tensor arithmetic here."""
