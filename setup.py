"""What is installed: all packages below two roots, the page's static files as one of its own, and its languages."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["ddpm_core", "ddpm_core.*", "ui", "ui.*"]), "ui.static"],
    package_dir={"ui.static": "static"},
    package_data={"ui.static": ["*", "*/*"], "ui.languages": ["*.json"]},
)
