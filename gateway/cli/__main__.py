"""``python -m gateway.cli``: how the supervisor starts its processes."""

from gateway.cli import main

if __name__ == "__main__":
    main()
