"""`python -m proxy` is `keystile`."""

from proxy.cli import main

if __name__ == "__main__":
    main()
