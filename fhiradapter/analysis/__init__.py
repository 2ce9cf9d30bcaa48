"""The shared computation core: arrays in, estimates out."""
