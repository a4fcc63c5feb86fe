"""The mathematics of diffusion: no network, no picture, no file.

`diffuser` noises, `prediction` says what a network means, `samplers` is the loop around `steps`; `guidance` and
`illusions` wrap predictors, `constraints` hold what an inpainting keeps.
"""
