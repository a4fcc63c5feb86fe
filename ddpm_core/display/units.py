"""Quantities as people read them."""

from __future__ import annotations


def in_bytes(count: float) -> str:
    """Bytes as people read them: "3.1 MB", "12 GB"."""
    size, unit = (count / 1e9, "GB") if count >= 1e9 else (count / 1e6, "MB")
    return f"{size:.0f} {unit}" if size >= 10 else f"{size:.1f} {unit}"


def in_hours(seconds: float) -> str:
    """A duration as people say it: "40 s", "3 min 20 s", "1 h 20 min"."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"
