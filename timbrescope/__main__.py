"""`python -m timbrescope`: the same as the `timbrescope` command."""

from timbrescope.cli import main

if __name__ == "__main__":
    main()
