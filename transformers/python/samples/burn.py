"""Gives the object after SECONDS of CPU time."""
import time


def transform(data):
    end = time.thread_time() + SECONDS
    while time.thread_time() < end:
        sum(range(1000))
    return data
