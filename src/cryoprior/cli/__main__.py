"""``python -m cryoprior.cli``."""

from cryoprior.cli import main

if __name__ == "__main__":
    main()
