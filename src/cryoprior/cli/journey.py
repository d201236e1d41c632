"""What ``cryoprior`` alone shows: the way from particles to a map, a command a step."""

from __future__ import annotations

STEPS = (
    ("See it work, in minutes", "cryoprior demo"),
    ("Are your particles understood?", "cryoprior validate particles.star"),
    ("What is in them, under the noise?", "cryoprior denoise particles.star -o denoised/"),
    ("How little of every image is enough?", "cryoprior plan particles.star -o plan/"),
    (
        "Keep a part of every image",
        "cryoprior measure particles.star -o y.zarr --operator pixel:block=16,masks=192,rows=hadamard",
    ),
    ("Get the images back", "cryoprior reconstruct y.zarr -o recon/"),
    ("See what survived", "cryoprior evaluate recon/ --reference particles.star -o report/"),
    ("Make a map, where poses are known", "cryoprior map recon/particles.star -o map/ --controls particles.star"),
    (
        "Judge a map that a prior had a hand in",
        "cryoprior audit --half1 half1.mrc --half2 half2.mrc --map-prior default -o audit/",
    ),
    ("What is installed, what is missing?", "cryoprior doctor"),
)


FOOT = "All commands: cryoprior --help. Every command has --help with an example."


def journey(version: str) -> str:
    """Return the text: what is done, and the command that does it."""
    lines = [f"  {what}\n      {command}" for what, command in STEPS]
    head = f"cryoprior {version}: cryo-EM images and maps from compressed measurements, and what a prior adds to them."
    return "\n".join((head, "", *lines, "", FOOT))
