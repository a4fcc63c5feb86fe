"""How good a model is: measures of its parts, and distances of its pictures to those it learned from."""
