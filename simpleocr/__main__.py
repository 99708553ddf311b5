"""`python -m simpleocr` is the command `simpleocr`."""

from simpleocr.cli import main

if __name__ == "__main__":
    main()
