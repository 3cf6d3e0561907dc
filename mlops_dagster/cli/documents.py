"""YAML files that people write, as commands read them."""

from pathlib import Path

from mlops_dagster.errors import InvalidInputError


def read_yaml(file: Path, error: type[InvalidInputError] = InvalidInputError) -> list[object]:
    """Return every document of the file; raise `error` for a file that is no YAML, or cannot be read."""
    import yaml

    try:
        return list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    except OSError as reason:
        raise error(f"cannot read {str(file)!r} ({reason.strerror})") from reason
    except Exception as reason:  # a date that is none is a ValueError, a deep list a RecursionError, and so on
        told = " ".join(str(reason).split()) or type(reason).__name__
        raise error(f"{file} cannot be read as YAML: {told}") from reason
