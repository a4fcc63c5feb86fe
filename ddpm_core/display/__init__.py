"""How what is computed is shown: colours, bars of progress, quantities in words."""
