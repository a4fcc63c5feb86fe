"""The mathematics of diffusion: no network, no picture, no file.

From the bottom up: `diffuser` noises, `prediction` says what a network means, `steps` has a function per method,
`samplers` the loop around them and their names; `guidance` and `illusions` wrap predictors, `constraints` hold what an
inpainting keeps.
"""
