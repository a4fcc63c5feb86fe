"""The mathematics of diffusion: schedules, samplers, guidance, constraints. No network, no picture, no file."""
