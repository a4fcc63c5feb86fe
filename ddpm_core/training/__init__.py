"""How a model is trained: the loop, its two stages, their record, and how a run survives and fits."""
