"""What is written is forced to disk, as far as the system can do that."""

import os

import pytest

from fedtrain.results import atomic


@pytest.fixture
def opened(monkeypatch):
    """Which files and folders are opened, and how."""
    seen = []
    open_ = os.open
    monkeypatch.setattr(os, "open", lambda path, flags: seen.append((path.name, flags)) or open_(path, flags))
    return seen


def test_a_file_and_its_folder_are_forced_to_disk(tmp_path, opened, monkeypatch):
    monkeypatch.setattr(atomic, "WINDOWS", False)
    atomic.replace_text(tmp_path / "a.txt", "text")
    assert opened == [(".a.txt.part", os.O_RDONLY), (tmp_path.name, os.O_RDONLY)]
    assert (tmp_path / "a.txt").read_text() == "text"


def test_windows_opens_no_folder_and_forces_files_that_may_be_written(tmp_path, opened, monkeypatch):
    monkeypatch.setattr(atomic, "WINDOWS", True)
    atomic.make_folder(tmp_path / "made", lambda part: (part / "a.txt").write_text("text"))
    assert opened == [("a.txt", os.O_RDWR)]
    assert (tmp_path / "made" / "a.txt").read_text() == "text"
