"""What to keep of particles: bytes against the resolution that can be expected, candidate by candidate."""
