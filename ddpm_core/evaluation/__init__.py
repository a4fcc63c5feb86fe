"""How good a model is: measures of its parts, distances of its pictures to what it learned from."""
