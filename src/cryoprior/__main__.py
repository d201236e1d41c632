"""``python -m cryoprior``, the command line; ``accelerate launch -m cryoprior`` starts it in several processes."""

from cryoprior.cli import main

if __name__ == "__main__":
    main()
