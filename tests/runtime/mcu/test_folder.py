import pytest

from edgeax.runtime.mcu import folder

FILES = {"a.h": f"// a.h: {folder.MARK} 1\n".encode(), "tflite_kernels/core/b.h": b"// b\n"}


def names(place):
    return sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file())


def test_folders_are_made_and_replaced(tmp_path):
    place = tmp_path / "deep" / "net"
    folder.write_folder(place, FILES)
    assert names(place) == sorted(FILES)
    folder.check_folder(place)
    folder.write_folder(place, {"c.h": FILES["a.h"]})
    assert names(place) == ["c.h"]
    assert [entry.name for entry in place.parent.iterdir()] == ["net"]


def test_what_make_built_is_no_foreign_file(tmp_path):
    folder.write_folder(tmp_path / "net", FILES | {"net_plan.png": b"\x89PNG"})
    (tmp_path / "net" / "build").mkdir()
    folder.check_folder(tmp_path / "net")


@pytest.mark.parametrize("name", ["main.cc", "build.txt"])
def test_files_of_others_are_named(tmp_path, name):
    folder.write_folder(tmp_path / "net", FILES)
    (tmp_path / "net" / name).write_text("int main() {}\n")
    with pytest.raises(ValueError, match=f"which holds {name}"):
        folder.check_folder(tmp_path / "net")


@pytest.mark.parametrize("name", ["build", "tflite_kernels"])
def test_folders_of_others_that_are_called_like_ours_stay(tmp_path, name):
    (tmp_path / "mine" / name).mkdir(parents=True)
    with pytest.raises(ValueError, match=f"which holds {name}"):
        folder.check_folder(tmp_path / "mine")


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "net").write_text("x")
    with pytest.raises(ValueError, match="which is a file"):
        folder.check_folder(tmp_path / "net")


def test_an_empty_folder_and_none_are_fine(tmp_path):
    folder.check_folder(tmp_path)
    folder.check_folder(tmp_path / "none")


def test_a_failed_rename_brings_the_former_folder_back(tmp_path, monkeypatch):
    folder.write_folder(tmp_path / "net", FILES)
    rename = folder.Path.rename

    def fails_once(self, target):
        if (self / "c.h").exists():
            raise OSError("no")
        return rename(self, target)

    monkeypatch.setattr(folder.Path, "rename", fails_once)
    with pytest.raises(OSError, match="no"):
        folder.write_folder(tmp_path / "net", {"c.h": b""})
    assert names(tmp_path / "net") == sorted(FILES)
    assert [entry.name for entry in tmp_path.iterdir()] == ["net"]
