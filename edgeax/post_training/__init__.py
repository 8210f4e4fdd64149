"""Post-training quantization: calibrations, corrections, and data where there is none."""
