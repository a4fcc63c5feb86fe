"""What one calls from a shell, a module a command; `ddpm_core.NAME` finds each as well."""
