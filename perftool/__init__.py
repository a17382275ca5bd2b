"""Profile and tune vision models for deployment with OpenVINO."""

__version__ = "0.1.0"
