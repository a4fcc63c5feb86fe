"""How a model is trained: the loop, its two stages, their record, and what a run does to survive and to fit."""
