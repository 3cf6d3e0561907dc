"""Addresses of pages of the control room, for links from outside it."""

from urllib.parse import quote


def model_page(board: str, model: str) -> str:
    """Return the address of a model's page; `board` is MLOPS_BOARD_URL.

    >>> model_page("https://board.example.com", "flights-delay")
    'https://board.example.com/models/flights-delay'
    """
    return f"{board}/models/{quote(model, safe='')}"
