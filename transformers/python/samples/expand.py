"""Gives every block of 4 KiB N times over."""


def transform(data):
    return b"".join(data[i : i + 4096] * N for i in range(0, len(data), 4096))
