"""Weights load by name and path; a failure is one clear sentence, and other weights are never substituted."""

import http.server
import json
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from kornia.feature import LoFTR
from kornia.feature.loftr import loftr as kornia_loftr
from safetensors.torch import save_file

from s2match.errors import CorruptWeightsError, UnknownWeightsError, WeightsDownloadError
from s2match.loftr.checkpoints import load_network, save_weights
from s2match.loftr.config import KORNIA, MatchingConfig
from s2match.loftr.named_weights import cached_weights


@pytest.fixture(scope="module")
def outdoor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with the layout of kornia's own, random tensors."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("server") / "loftr_outdoor.ckpt"
    torch.save({"state_dict": LoFTR(None).state_dict()}, path)
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty download cache instead of the user's."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture
def server(outdoor: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Local server in place of the two that kornia downloads from; the list of requested paths."""
    requested: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(outdoor.parent))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            requested.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{running.server_address[1]}"
        names = {"outdoor": "loftr_outdoor.ckpt", "indoor": "missing.ckpt", "indoor_new": "missing.ckpt"}
        for name, file in names.items():
            monkeypatch.setitem(kornia_loftr.urls, name, [f"{base}/first/{file}", f"{base}/{file}"])
        yield requested
        running.shutdown()


def test_named_weights_are_downloaded_once(outdoor: Path, cache: Path, server: list[str]) -> None:
    state = torch.load(outdoor, weights_only=True)["state_dict"]
    for _ in range(2):
        network = load_network("outdoor")
        assert not network.net.training
        assert network.pixel_centre == 0.5
        assert torch.equal(network.net.state_dict()["backbone.conv1.weight"], state["backbone.conv1.weight"])
    assert server.count("/loftr_outdoor.ckpt") == 1
    assert [path.name for path in cache.iterdir()] == ["loftr_outdoor.ckpt"]


def test_a_download_that_fails_says_what_to_do(cache: Path, server: list[str]) -> None:
    with pytest.raises(WeightsDownloadError) as caught:
        load_network("indoor")
    message = str(caught.value)
    assert "/first/missing.ckpt" in message
    assert str(cache / "missing.ckpt") in message
    assert "sentinel2" in message
    assert server


def test_a_download_tells_its_megabytes(outdoor: Path, cache: Path, server: list[str]) -> None:
    told: list[tuple[float, str]] = []
    path = cached_weights("outdoor", lambda *progress: told.append(progress))
    assert path == cache / "loftr_outdoor.ckpt" and path.read_bytes() == outdoor.read_bytes()
    megabytes = f"{outdoor.stat().st_size / 1e6:.1f}"
    assert told[-1] == (1.0, f"outdoor, {megabytes} of {megabytes} MB") and len(told) > 10


def test_a_page_in_place_of_the_weights_is_not_kept(
    cache: Path, server: list[str], outdoor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (outdoor.parent / "page.ckpt").write_text("<html>Please log in</html>")
    url = kornia_loftr.urls["outdoor"][1].replace("loftr_outdoor", "page")
    monkeypatch.setitem(kornia_loftr.urls, "outdoor", [url])
    with pytest.raises(WeightsDownloadError, match="what the server sent is no checkpoint"):
        load_network("outdoor")
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_written(tmp_path: Path, server: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "file" / "hub"))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WeightsDownloadError, match="Cannot create the folder"):
        load_network("outdoor")


def test_addresses_that_fail_are_no_warnings_and_the_filters_of_the_process_stay(
    cache: Path, server: list[str], recwarn: pytest.WarningsRecorder
) -> None:
    """Warning filters that two threads set for a moment may stay for good."""
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as threads:
        for loading in [threads.submit(load_network, name) for name in ("indoor", "indoor_new") * 4]:
            with pytest.raises(WeightsDownloadError):
                loading.result()
    assert [str(one.message) for one in recwarn if one.category is UserWarning] == []
    assert list(warnings.filters) == before


def test_a_file_put_into_the_cache_needs_no_network(outdoor: Path, cache: Path, server: list[str]) -> None:
    cache.mkdir(parents=True)
    (cache / "loftr_outdoor.ckpt").write_bytes(outdoor.read_bytes())
    load_network("outdoor")
    assert server == []


def test_a_damaged_file_in_the_cache_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(kornia_loftr.urls, "outdoor", ["http://127.0.0.1:9/loftr_outdoor.ckpt"])
    cache.mkdir(parents=True)
    (cache / "loftr_outdoor.ckpt").write_bytes(b"not a checkpoint")
    with pytest.raises(CorruptWeightsError, match="delete the file"):
        load_network("outdoor")


def test_unknown_names() -> None:
    with pytest.raises(UnknownWeightsError, match="sentinel2, outdoor, indoor, indoor_new"):
        load_network("outdor")


def test_saved_weights_keep_configuration_and_frame(tmp_path: Path) -> None:
    net = load_network("sentinel2").net
    config = MatchingConfig(neighbourhood=True, fine_iterations=3, calibration=(-1.0, 0.5, -2.0))
    save_weights(net, 0.25, tmp_path / "mine.safetensors", config)
    again = load_network(str(tmp_path / "mine.safetensors"))
    assert again.pixel_centre == 0.25 and again.config == config
    assert (again.title, load_network("sentinel2").title) == ("mine.safetensors", "sentinel2")
    assert again.net.config == net.config
    for key, value in net.state_dict().items():
        torch.testing.assert_close(again.net.state_dict()[key], value, msg=key)


def test_weights_of_the_first_version_keep_their_matching_config(tmp_path: Path) -> None:
    network = load_network("sentinel2")
    written = {"neighbourhood": True, "looks": 3, "calibration": [-1.0, 0.5, -2.0]}
    metadata = {"config": json.dumps(network.net.config), "pixel_centre": "0.0", "reading": json.dumps(written)}
    state = {key: value.contiguous() for key, value in network.net.state_dict().items()}
    save_file(state, tmp_path / "first.safetensors", metadata)
    config = load_network(str(tmp_path / "first.safetensors")).config
    assert config == MatchingConfig(neighbourhood=True, fine_iterations=3, calibration=(-1.0, 0.5, -2.0))


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".safetensors"])
@pytest.mark.parametrize("prefix", ["", "matcher."])
def test_configuration_is_inferred_from_the_tensors(tmp_path: Path, suffix: str, prefix: str) -> None:
    """A small network without its configuration, with tensors named as kornia or the original authors do."""
    net = load_network("sentinel2").net
    state = {prefix + key: value.contiguous() for key, value in net.state_dict().items()}
    path = tmp_path / f"some{suffix}"
    if suffix == ".safetensors":
        save_file({key.removeprefix("matcher."): value for key, value in state.items()}, path)
    else:
        torch.save({"state_dict": state}, path)
    loaded = load_network(str(path))
    assert loaded.net.config["resnetfpn"] == {"initial_dim": 32, "block_dims": [32, 64, 128]}
    assert loaded.pixel_centre == 0.5 and loaded.config == KORNIA
    assert loaded.net.config["coarse"]["temp_bug_fix"] is False


def test_positional_encoding_is_inferred_from_the_file_name(tmp_path: Path) -> None:
    path = tmp_path / "loftr_indoor_ds_new.ckpt"
    torch.save(load_network("sentinel2").net.state_dict(), path)
    assert load_network(str(path)).net.config["coarse"]["temp_bug_fix"] is True


class Harmful:
    """A pickle that runs code when loaded."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('a checkpoint ran code')",)


@pytest.mark.parametrize("kind", ["text", "empty", "truncated", "pickle", "other network", "list"])
@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_corrupt_checkpoints(tmp_path: Path, kind: str, suffix: str) -> None:
    path = tmp_path / f"bad{suffix}"
    if kind == "truncated":
        save_weights(load_network("sentinel2").net, 0.0, tmp_path / "whole.safetensors")
        path.write_bytes((tmp_path / "whole.safetensors").read_bytes()[:100_000])
    elif kind in ("text", "empty"):
        path.write_bytes(b"hello" if kind == "text" else b"")
    elif kind == "pickle":
        torch.save({"state_dict": Harmful()}, path)
    elif kind == "list":
        torch.save([1, 2, 3], path)
    elif suffix == ".safetensors":
        save_file({"layer.weight": torch.zeros(3)}, path)
    else:
        torch.save({"state_dict": {"layer.weight": torch.zeros(3)}}, path)
    with pytest.raises(CorruptWeightsError, match=f"bad{suffix}"):
        load_network(str(path))
