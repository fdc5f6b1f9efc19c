"""`python -m hierarchy` is the command line."""

from hierarchy.cli import main

if __name__ == "__main__":
    main()
