"""The mathematics of diffusion: schedules, samplers, guidance, constraints. No network, no picture, no file.

From the bottom up: `diffuser` noises, `prediction` says what a network means, `steps` has one function a method,
`samplers` the loop around them and the table of their names; `guidance` and `illusions` wrap predictors, `constraints`
hold what an inpainting keeps.
"""
